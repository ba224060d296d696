//! Names of C++ functions: from a name to its parts.
//!
//! What is left out: expressions, such as `decltype` and computed template arguments, and types that no compiler for WebAssembly has.
//!
//! Source: Itanium C++ ABI, section 5.1, "External Names".

mod text;
mod words;

use super::{MOST_DEPTH, MOST_STEPS, Text, decimal, push_suffix};
use text::write;
use words::{LIBRARY, OPERATORS, SPECIAL_NAMES, SPECIAL_TYPES, TYPES_OF_D, builtin, with_reference};

/// Number of a part.
pub type Id = usize;

/// A part of a name. It refers to earlier parts only.
#[derive(Clone, Debug)]
pub enum Part<'a> {
    /// A name or type as it is written.
    Name(&'a str),
    /// One of the library's own, and the name of its class.
    Library(&'static str, &'static str),
    /// `scope::name`.
    Nested(Id, Id),
    /// A template with arguments.
    Template(Id, Vec<Id>),
    /// Arguments that a template takes as one.
    Pack(Vec<Id>),
    /// A parameter that stands for a pack: for each argument of it in an expansion.
    OfPack(Vec<Id>),
    /// A type for each argument of a pack inside of it.
    Expansion(Id),
    /// A type with `const` and the like behind it.
    Qualified(Id, &'static str),
    /// A pointer.
    Pointer(Id),
    /// A reference; `true` for `&&`.
    Reference(Id, bool),
    /// An array with its length.
    Array(Id, &'a str),
    /// A vector with its length.
    Vector(Id, &'a str),
    /// A pointer to a member of a class.
    Member(Id, Id),
    /// The type of a function: result, parameters, qualifiers.
    Function(Id, Vec<Id>, String),
    /// A constructor of a scope, or a destructor.
    Structor(Id, bool),
    /// What is inside of a function.
    Local(Id, Id),
    /// A lambda with its parameters and number.
    Lambda(Vec<Id>, u64),
    /// A type without a name.
    Unnamed(u64),
    /// A value of a type.
    Literal(Id, &'a str),
    /// Something that is made for an item, as `vtable for`.
    Special(&'static str, Id),
    /// A name with a tag.
    Tagged(Id, &'a str),
    /// An operator.
    Operator(&'static str),
    /// A conversion to a type.
    Conversion(Id),
    /// A function: name, result, parameters, qualifiers.
    Encoding { name: Id, result: Option<Id>, params: Vec<Id>, qualifiers: String },
}

/// The text of a name behind `_Z`.
pub fn demangled(name: &str) -> Option<String> {
    let mut reader =
        Reader { name, parts: Vec::new(), known: Vec::new(), arguments: Vec::new(), steps: MOST_STEPS, depth: 0 };
    let whole = reader.encoding()?;
    let mut text = Text::new();
    write(&reader.parts, whole, &mut text)?;
    push_suffix(&mut text, reader.name)?;
    Some(text.text)
}

struct Reader<'a> {
    /// What is left of the name.
    name: &'a str,
    parts: Vec<Part<'a>>,
    /// What substitutions refer to.
    known: Vec<Id>,
    /// The innermost template arguments of the function's name.
    arguments: Vec<Id>,
    steps: u32,
    depth: u32,
}

/// A name, and what follows from it for a function's type.
#[derive(Clone, Copy)]
struct Named {
    id: Id,
    /// A template's function has its result in its name.
    has_result: bool,
    qualifiers: &'static str,
}

impl<'a> Reader<'a> {
    fn add(&mut self, part: Part<'a>) -> Id {
        self.parts.push(part);
        self.parts.len() - 1
    }

    /// Adds a part that substitutions can refer to.
    fn add_known(&mut self, part: Part<'a>) -> Id {
        let id = self.add(part);
        self.known.push(id);
        id
    }

    fn peek(&self) -> Option<u8> {
        self.name.bytes().next()
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let rest = self.name.strip_prefix(prefix);
        self.name = rest.unwrap_or(self.name);
        rest.is_some()
    }

    /// Skips what must be there.
    fn expect(&mut self, prefix: &str) -> Option<()> {
        self.skip(prefix).then_some(())
    }

    /// Reads one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.steps = self.steps.checked_sub(1)?;
        if self.depth == MOST_DEPTH {
            return None;
        }
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        Some(value)
    }

    /// Items up to `E`.
    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<Id>) -> Option<Vec<Id>> {
        let mut items = Vec::new();
        while !self.skip("E") {
            items.push(item(self)?);
        }
        Some(items)
    }

    fn digits(&mut self) -> &'a str {
        let len = self.name.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.name.split_at_checked(len).unwrap_or_default();
        self.name = rest;
        digits
    }

    /// A number in front of `_`, one more than it says: nothing is 0.
    fn index(&mut self) -> Option<u64> {
        let digits = self.digits();
        self.expect("_")?;
        if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok()?.checked_add(1) }
    }

    fn encoding(&mut self) -> Option<Id> {
        self.deeper(|reader| {
            if let Some(special) = reader.special()? {
                return Some(special);
            }
            let Named { id: name, has_result, qualifiers } = reader.name(true)?;
            if matches!(reader.peek(), None | Some(b'E' | b'.')) {
                return Some(name);
            }
            let result = if has_result { Some(reader.ty()?) } else { None };
            let mut params = Vec::new();
            while !matches!(reader.peek(), None | Some(b'E' | b'.')) {
                params.push(reader.ty()?);
            }
            let params = reader.without_void(params);
            Some(reader.add(Part::Encoding { name, result, params, qualifiers: qualifiers.to_owned() }))
        })
    }

    /// Parameters; `void` alone is none.
    fn without_void(&self, params: Vec<Id>) -> Vec<Id> {
        match &*params {
            [] => params,
            [only] if matches!(self.parts.get(*only), Some(Part::Name("void"))) => Vec::new(),
            _ => params,
        }
    }

    /// What is made for a type or a function. `None` inside if the name is of another kind.
    #[expect(clippy::option_option, reason = "the outer one is an error")]
    fn special(&mut self) -> Option<Option<Id>> {
        for (prefix, words) in SPECIAL_TYPES {
            if self.skip(prefix) {
                let ty = self.ty()?;
                return Some(Some(self.add(Part::Special(words, ty))));
            }
        }
        for (prefix, words) in SPECIAL_NAMES {
            if self.skip(prefix) {
                let name = self.name(false)?.id;
                return Some(Some(self.add(Part::Special(words, name))));
            }
        }
        let words = if self.skip("Th") {
            self.offset()?;
            "non-virtual thunk to "
        } else if self.skip("Tv") {
            self.offset()?;
            self.offset()?;
            "virtual thunk to "
        } else {
            return Some(None);
        };
        let function = self.encoding()?;
        Some(Some(self.add(Part::Special(words, function))))
    }

    fn offset(&mut self) -> Option<()> {
        self.skip("n");
        self.digits();
        self.expect("_")
    }

    /// A name. `of_function`: its template arguments are those that types behind it refer to.
    fn name(&mut self, of_function: bool) -> Option<Named> {
        self.deeper(|reader| {
            let (mut id, mut has_result) = match reader.peek()? {
                b'N' => return reader.nested(of_function),
                b'Z' => return reader.local(of_function),
                b'S' if !reader.name.starts_with("St") => (reader.substitution()?, false),
                _ => {
                    let is_std = reader.skip("St");
                    let (id, has_result) = reader.unqualified(None)?;
                    let id = if is_std { reader.in_std(id) } else { id };
                    if reader.peek() == Some(b'I') {
                        reader.known.push(id);
                    }
                    (id, has_result)
                }
            };
            let is_template = reader.peek() == Some(b'I');
            if is_template {
                let arguments = reader.arguments(of_function)?;
                id = reader.add(Part::Template(id, arguments));
            }
            has_result &= is_template;
            // A substitution is a template here.
            Some(Named { id, has_result, qualifiers: "" })
        })
    }

    fn in_std(&mut self, name: Id) -> Id {
        let std = self.add(Part::Name("std"));
        self.add(Part::Nested(std, name))
    }

    fn nested(&mut self, of_function: bool) -> Option<Named> {
        self.expect("N")?;
        let mut qualifiers = self.qualifiers();
        if self.skip("R") {
            qualifiers = with_reference(qualifiers, false)?;
        } else if self.skip("O") {
            qualifiers = with_reference(qualifiers, true)?;
        }
        let mut scope: Option<Id> = None;
        let (mut has_result, mut is_template) = (true, false);
        while !self.skip("E") {
            self.steps = self.steps.checked_sub(1)?;
            let mut is_new = true;
            is_template = false;
            let id = match self.peek()? {
                b'S' if scope.is_none() && !self.name.starts_with("St") => {
                    is_new = false;
                    self.substitution()?
                }
                b'S' if scope.is_none() && self.skip("St") => {
                    let (name, result) = self.unqualified(None)?;
                    has_result = result;
                    self.in_std(name)
                }
                b'T' if scope.is_none() => self.parameter()?,
                b'I' => {
                    let arguments = self.arguments(of_function)?;
                    is_template = true;
                    self.add(Part::Template(scope?, arguments))
                }
                b'M' if scope.is_some() => {
                    self.expect("M")?;
                    continue;
                }
                _ => {
                    let (name, result) = self.unqualified(scope)?;
                    has_result = result;
                    scope.map_or(name, |scope| self.add(Part::Nested(scope, name)))
                }
            };
            if is_new && self.peek() != Some(b'E') {
                self.known.push(id);
            }
            scope = Some(id);
        }
        Some(Named { id: scope?, has_result: has_result && is_template, qualifiers })
    }

    fn local(&mut self, of_function: bool) -> Option<Named> {
        self.expect("Z")?;
        let outer = std::mem::take(&mut self.arguments);
        let function = self.encoding()?;
        self.expect("E")?;
        if !of_function {
            self.arguments = outer;
        }
        if self.skip("s") {
            self.discriminator()?;
            let name = self.add(Part::Name("string literal"));
            let id = self.add(Part::Local(function, name));
            return Some(Named { id, has_result: false, qualifiers: "" });
        }
        if self.skip("d") {
            // A default argument, counted from the last parameter.
            self.index()?;
        }
        let named = self.name(of_function)?;
        self.discriminator()?;
        let id = self.add(Part::Local(function, named.id));
        Some(Named { id, ..named })
    }

    /// What tells names in one function apart; nothing is shown of it.
    fn discriminator(&mut self) -> Option<()> {
        if self.skip("__") {
            self.digits();
            return self.expect("_");
        }
        if self.skip("_") && self.digits().len() != 1 {
            return None;
        }
        Some(())
    }

    /// A name in a scope, and whether a template function with this name has its result in it.
    fn unqualified(&mut self, scope: Option<Id>) -> Option<(Id, bool)> {
        self.skip("L");
        let first = self.peek()?;
        let (mut id, has_result) = match first {
            b'0'..=b'9' => {
                let (len, rest) = decimal(self.name)?;
                let (name, rest) = rest.split_at_checked(len)?;
                self.name = rest;
                let name = if name.starts_with("_GLOBAL__N") { "(anonymous namespace)" } else { name };
                (self.add(Part::Name(name)), true)
            }
            b'C' if self.name.as_bytes().get(1).is_some_and(|kind| (b'1'..=b'5').contains(kind)) => {
                self.name = self.name.get(2..)?;
                (self.add(Part::Structor(scope?, false)), false)
            }
            b'D' if self.name.as_bytes().get(1).is_some_and(|kind| (b'0'..=b'5').contains(kind)) => {
                self.name = self.name.get(2..)?;
                (self.add(Part::Structor(scope?, true)), false)
            }
            b'U' if self.skip("Ul") => {
                let params = self.list(Self::ty)?;
                let params = self.without_void(params);
                let number = self.index()?.checked_add(1)?;
                (self.add(Part::Lambda(params, number)), true)
            }
            b'U' if self.skip("Ut") => {
                let number = self.index()?.checked_add(1)?;
                (self.add(Part::Unnamed(number)), true)
            }
            b'c' if self.skip("cv") => {
                let ty = self.ty()?;
                (self.add(Part::Conversion(ty)), false)
            }
            _ => {
                let (code, rest) = self.name.split_at_checked(2)?;
                let (_, operator) = OPERATORS.iter().find(|(known, _)| *known == code)?;
                self.name = rest;
                (self.add(Part::Operator(operator)), true)
            }
        };
        while self.skip("B") {
            let (len, rest) = decimal(self.name)?;
            let (tag, rest) = rest.split_at_checked(len)?;
            self.name = rest;
            id = self.add(Part::Tagged(id, tag));
        }
        Some((id, has_result))
    }

    /// Template arguments.
    fn arguments(&mut self, of_function: bool) -> Option<Vec<Id>> {
        self.expect("I")?;
        if of_function {
            self.arguments.clear();
        }
        let mut arguments = Vec::new();
        while !self.skip("E") {
            let argument = self.argument()?;
            arguments.push(argument);
            if of_function {
                let of_pack = match self.parts.get(argument)? {
                    Part::Pack(items) => Some(Part::OfPack(items.clone())),
                    _ => None,
                };
                let parameter = of_pack.map_or(argument, |part| self.add(part));
                self.arguments.push(parameter);
            }
        }
        Some(arguments)
    }

    fn argument(&mut self) -> Option<Id> {
        self.deeper(|reader| match reader.peek()? {
            b'L' => reader.literal(),
            b'J' => {
                reader.expect("J")?;
                let items = reader.list(Self::argument)?;
                Some(reader.add(Part::Pack(items)))
            }
            _ => reader.ty(),
        })
    }

    fn literal(&mut self) -> Option<Id> {
        self.expect("L")?;
        if self.skip("_Z") {
            let item = self.encoding()?;
            self.expect("E")?;
            return Some(item);
        }
        if self.skip("DnE") || self.skip("Dn0E") {
            return Some(self.add(Part::Name("nullptr")));
        }
        let ty = self.ty()?;
        let (value, rest) = self.name.split_once('E')?;
        let digits = value.strip_prefix('n').unwrap_or(value);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.name = rest;
        Some(self.add(Part::Literal(ty, value)))
    }

    fn parameter(&mut self) -> Option<Id> {
        self.expect("T")?;
        let index = usize::try_from(self.index()?).ok()?;
        self.arguments.get(index).copied()
    }

    fn substitution(&mut self) -> Option<Id> {
        self.expect("S")?;
        for (letter, library) in LIBRARY {
            if self.skip(letter) {
                return Some(self.add(library));
            }
        }
        let (code, rest) = self.name.split_once('_')?;
        let mut index = 0_usize;
        for byte in code.bytes() {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'A'..=b'Z' => byte - b'A' + 10,
                _ => return None,
            };
            index = index.checked_mul(36)?.checked_add(digit.into())?;
        }
        self.name = rest;
        let index = if code.is_empty() { 0 } else { index.checked_add(1)? };
        self.known.get(index).copied()
    }

    fn qualifiers(&mut self) -> &'static str {
        let [restrict, volatile, is_const] = ["r", "V", "K"].map(|letter| self.skip(letter));
        match (is_const, volatile, restrict) {
            (false, false, false) => "",
            (true, false, false) => " const",
            (false, true, false) => " volatile",
            (false, false, true) => " restrict",
            (true, true, false) => " const volatile",
            (true, false, true) => " const restrict",
            (false, true, true) => " volatile restrict",
            (true, true, true) => " const volatile restrict",
        }
    }

    fn ty(&mut self) -> Option<Id> {
        self.deeper(|reader| {
            let first = reader.peek()?;
            if let Some(name) = builtin(first) {
                reader.name = reader.name.get(1..)?;
                return Some(reader.add(Part::Name(name)));
            }
            match first {
                b'r' | b'V' | b'K' => {
                    let qualifiers = reader.qualifiers();
                    let ty = reader.ty()?;
                    Some(reader.add_known(Part::Qualified(ty, qualifiers)))
                }
                b'P' => {
                    reader.expect("P")?;
                    let ty = reader.ty()?;
                    Some(reader.add_known(Part::Pointer(ty)))
                }
                b'R' | b'O' => {
                    reader.name = reader.name.get(1..)?;
                    let ty = reader.ty()?;
                    Some(reader.add_known(Part::Reference(ty, first == b'O')))
                }
                b'A' => {
                    reader.expect("A")?;
                    let len = reader.digits();
                    reader.expect("_")?;
                    let ty = reader.ty()?;
                    Some(reader.add_known(Part::Array(ty, len)))
                }
                b'M' => {
                    reader.expect("M")?;
                    let class = reader.ty()?;
                    let member = reader.ty()?;
                    Some(reader.add_known(Part::Member(class, member)))
                }
                b'F' => reader.function(),
                b'D' => reader.ty_of_d(),
                b'u' => {
                    reader.expect("u")?;
                    let (id, _) = reader.unqualified(None)?;
                    reader.known.push(id);
                    Some(id)
                }
                b'T' => {
                    let id = reader.parameter()?;
                    reader.known.push(id);
                    reader.with_arguments(id)
                }
                b'S' if !reader.name.starts_with("St") => {
                    let id = reader.substitution()?;
                    reader.with_arguments(id)
                }
                _ => {
                    let Named { id, .. } = reader.name(false)?;
                    reader.known.push(id);
                    Some(id)
                }
            }
        })
    }

    /// A template with its arguments, if they follow.
    fn with_arguments(&mut self, id: Id) -> Option<Id> {
        if self.peek() != Some(b'I') {
            return Some(id);
        }
        let arguments = self.arguments(false)?;
        Some(self.add_known(Part::Template(id, arguments)))
    }

    fn function(&mut self) -> Option<Id> {
        let noexcept = if self.skip("Do") { " noexcept" } else { "" };
        self.expect("F")?;
        self.skip("Y");
        let result = self.ty()?;
        let mut params = Vec::new();
        let reference = loop {
            if self.skip("E") {
                break "";
            } else if self.skip("RE") {
                break " &";
            } else if self.skip("OE") {
                break " &&";
            }
            params.push(self.ty()?);
        };
        let params = self.without_void(params);
        Some(self.add_known(Part::Function(result, params, format!("{reference}{noexcept}"))))
    }

    /// Types with `D` in front.
    fn ty_of_d(&mut self) -> Option<Id> {
        if self.name.starts_with("DoF") {
            return self.function();
        }
        if self.skip("Dp") {
            let ty = self.ty()?;
            return Some(self.add_known(Part::Expansion(ty)));
        }
        if self.skip("Dv") {
            let len = self.digits();
            self.expect("_")?;
            let ty = self.ty()?;
            return Some(self.add_known(Part::Vector(ty, len)));
        }
        let (_, name) = TYPES_OF_D.into_iter().find(|(code, _)| self.skip(code))?;
        Some(self.add(Part::Name(name)))
    }
}
