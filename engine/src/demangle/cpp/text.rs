//! Names of C++ functions: from the parts to a text.
//!
//! A type stands around what it is the type of, as in `void (*)(int)`. So it has a text on the left and one on the right.

use super::{Id, Part};
use crate::demangle::Text;

/// Writes a part and those inside of it.
pub fn write(parts: &[Part<'_>], whole: Id, text: &mut Text) -> Option<()> {
    Writer { parts, text, of_pack: None }.whole(whole)
}

struct Writer<'a> {
    parts: &'a [Part<'a>],
    text: &'a mut Text,
    /// The only argument of packs that is written.
    of_pack: Option<usize>,
}

impl<'a> Writer<'a> {
    fn part(&self, id: Id) -> Option<&'a Part<'a>> {
        self.parts.get(id)
    }

    /// A part, behind qualifiers and packs that stand for one argument.
    fn behind(&mut self, mut id: Id) -> Option<&'a Part<'a>> {
        loop {
            self.text.enter()?;
            self.text.leave();
            id = match (self.part(id)?, self.of_pack) {
                (Part::Qualified(inner, _), _) => *inner,
                (Part::OfPack(items), Some(index)) if items.get(index).is_some() => *items.get(index)?,
                (part, _) => return Some(part),
            };
        }
    }

    fn is_function(&mut self, id: Id) -> Option<bool> {
        Some(matches!(self.behind(id)?, Part::Function(..)))
    }

    fn whole(&mut self, id: Id) -> Option<()> {
        self.left(id)?;
        self.right(id)
    }

    /// Items with commas. Those that have no text leave none.
    fn list(&mut self, items: &[Id]) -> Option<()> {
        let mut is_first = true;
        for item in items {
            let before = self.text.text.len();
            if !is_first {
                self.text.push(", ")?;
            }
            let start = self.text.text.len();
            self.whole(*item)?;
            if self.text.text.len() == start {
                self.text.text.truncate(before);
            } else {
                is_first = false;
            }
        }
        Some(())
    }

    fn left(&mut self, id: Id) -> Option<()> {
        self.text.enter()?;
        match self.part(id)? {
            Part::Name(name) | Part::Library(name, _) => self.text.push(name)?,
            Part::Nested(scope, name) => {
                self.whole(*scope)?;
                self.text.push("::")?;
                self.whole(*name)?;
            }
            Part::Template(name, arguments) => {
                self.whole(*name)?;
                // Else `operator<` would look like another.
                if self.text.text.ends_with('<') {
                    self.text.push(" ")?;
                }
                self.text.push("<")?;
                self.list(arguments)?;
                self.text.push(">")?;
            }
            Part::Pack(items) => self.list(items)?,
            Part::OfPack(items) => match self.of_pack.map(|index| items.get(index)) {
                Some(Some(item)) => self.left(*item)?,
                Some(None) => {}
                None => self.list(items)?,
            },
            Part::Expansion(ty) => self.expansion(*ty)?,
            Part::Qualified(ty, qualifiers) => {
                self.left(*ty)?;
                // An argument can have them already.
                if !self.is_function(*ty)? && !self.text.text.ends_with(qualifiers) {
                    self.text.push(qualifiers)?;
                }
            }
            Part::Pointer(ty) => self.pointer(*ty, "*")?,
            Part::Reference(..) => {
                let (ty, sign) = self.collapsed(id)?;
                self.pointer(ty, sign)?;
            }
            Part::Array(ty, _) => self.left(*ty)?,
            Part::Vector(ty, len) => {
                self.whole(*ty)?;
                self.text.push(" __vector(")?;
                self.text.push(len)?;
                self.text.push(")")?;
            }
            Part::Member(class, member) => {
                self.left(*member)?;
                let opening = if self.is_function(*member)? { "(" } else { " " };
                self.text.push(opening)?;
                self.whole(*class)?;
                self.text.push("::*")?;
            }
            Part::Function(result, ..) => {
                self.left(*result)?;
                self.text.push(" ")?;
            }
            Part::Structor(scope, is_destructor) => {
                if *is_destructor {
                    self.text.push("~")?;
                }
                self.base(*scope)?;
            }
            Part::Local(function, item) => {
                match self.part(*function)? {
                    Part::Encoding { name, params, qualifiers, .. } => self.function(*name, params, qualifiers)?,
                    _ => self.whole(*function)?,
                }
                self.text.push("::")?;
                self.whole(*item)?;
            }
            Part::Lambda(params, number) => {
                self.text.push("{lambda(")?;
                self.list(params)?;
                self.text.push(")#")?;
                self.text.push_number(number)?;
                self.text.push("}")?;
            }
            Part::Unnamed(number) => {
                self.text.push("{unnamed type#")?;
                self.text.push_number(number)?;
                self.text.push("}")?;
            }
            Part::Literal(ty, value) => self.literal(*ty, value)?,
            Part::Special(words, item) => {
                self.text.push(words)?;
                self.whole(*item)?;
            }
            Part::Tagged(name, tag) => {
                self.whole(*name)?;
                self.text.push("[abi:")?;
                self.text.push(tag)?;
                self.text.push("]")?;
            }
            Part::Operator(operator) => {
                self.text.push("operator")?;
                self.text.push(operator)?;
            }
            Part::Conversion(ty) => {
                self.text.push("operator ")?;
                self.whole(*ty)?;
            }
            Part::Encoding { name, result, params, qualifiers } => {
                if let Some(result) = result {
                    self.left(*result)?;
                    self.text.push(" ")?;
                }
                self.function(*name, params, qualifiers)?;
                if let Some(result) = result {
                    self.right(*result)?;
                }
            }
        }
        self.text.leave();
        Some(())
    }

    fn right(&mut self, id: Id) -> Option<()> {
        self.text.enter()?;
        match self.part(id)? {
            Part::OfPack(items) => {
                if let Some(item) = self.of_pack.and_then(|index| items.get(index)) {
                    self.right(*item)?;
                }
            }
            Part::Qualified(ty, qualifiers) => {
                self.right(*ty)?;
                if self.is_function(*ty)? {
                    self.text.push(qualifiers)?;
                }
            }
            Part::Pointer(ty) => self.behind_pointer(*ty)?,
            Part::Reference(..) => {
                let (ty, _) = self.collapsed(id)?;
                self.behind_pointer(ty)?;
            }
            Part::Array(ty, len) => {
                if !self.text.text.ends_with(']') {
                    self.text.push(" ")?;
                }
                self.text.push("[")?;
                self.text.push(len)?;
                self.text.push("]")?;
                self.right(*ty)?;
            }
            Part::Member(_, member) => {
                if self.is_function(*member)? {
                    self.text.push(")")?;
                }
                self.right(*member)?;
            }
            Part::Function(result, params, qualifiers) => {
                self.text.push("(")?;
                self.list(params)?;
                self.text.push(")")?;
                self.text.push(qualifiers)?;
                self.right(*result)?;
            }
            _ => {}
        }
        self.text.leave();
        Some(())
    }

    fn function(&mut self, name: Id, params: &[Id], qualifiers: &str) -> Option<()> {
        self.whole(name)?;
        self.text.push("(")?;
        self.list(params)?;
        self.text.push(")")?;
        self.text.push(qualifiers)
    }

    fn pointer(&mut self, ty: Id, sign: &str) -> Option<()> {
        self.left(ty)?;
        match self.behind(ty)? {
            Part::Array(..) => self.text.push(" (")?,
            Part::Function(..) => self.text.push("(")?,
            _ => {}
        }
        self.text.push(sign)
    }

    fn behind_pointer(&mut self, ty: Id) -> Option<()> {
        if matches!(self.behind(ty)?, Part::Array(..) | Part::Function(..)) {
            self.text.push(")")?;
        }
        self.right(ty)
    }

    /// What a reference refers to, and its sign: a reference to a reference is one.
    fn collapsed(&mut self, id: Id) -> Option<(Id, &'static str)> {
        let (mut at, mut sign) = (id, "&&");
        loop {
            self.text.enter()?;
            self.text.leave();
            at = match (self.part(at)?, self.of_pack) {
                (Part::Reference(inner, is_rvalue), _) => {
                    if !is_rvalue {
                        sign = "&";
                    }
                    *inner
                }
                (Part::OfPack(items), Some(index)) if items.get(index).is_some() => *items.get(index)?,
                _ => return Some((at, sign)),
            };
        }
    }

    /// The name of the class itself, for its constructors.
    fn base(&mut self, id: Id) -> Option<()> {
        self.text.enter()?;
        match self.part(id)? {
            Part::Library(_, class) => self.text.push(class)?,
            Part::Nested(_, inner) | Part::Local(_, inner) | Part::Template(inner, _) | Part::Tagged(inner, _) => {
                self.base(*inner)?;
            }
            _ => self.left(id)?,
        }
        self.text.leave();
        Some(())
    }

    /// A type for each argument of the pack in it.
    fn expansion(&mut self, ty: Id) -> Option<()> {
        let Some(len) = self.pack_len(ty)? else {
            self.whole(ty)?;
            return self.text.push("...");
        };
        let before = self.of_pack;
        for index in 0..len {
            if index > 0 {
                self.text.push(", ")?;
            }
            self.of_pack = Some(index);
            self.whole(ty)?;
        }
        self.of_pack = before;
        Some(())
    }

    /// How many arguments the first pack inside of a part has.
    #[expect(clippy::option_option, reason = "the outer one is an error")]
    fn pack_len(&mut self, id: Id) -> Option<Option<usize>> {
        self.text.enter()?;
        let inside: &[Id] = match self.part(id)? {
            Part::OfPack(items) => {
                self.text.leave();
                return Some(Some(items.len()));
            }
            Part::Qualified(ty, _)
            | Part::Pointer(ty)
            | Part::Reference(ty, _)
            | Part::Array(ty, _)
            | Part::Vector(ty, _) => &[*ty],
            Part::Nested(first, second) | Part::Member(first, second) | Part::Local(first, second) => {
                &[*first, *second]
            }
            Part::Template(name, arguments) => {
                if let Some(len) = self.pack_len(*name)? {
                    self.text.leave();
                    return Some(Some(len));
                }
                arguments
            }
            Part::Function(result, params, _) => {
                if let Some(len) = self.pack_len(*result)? {
                    self.text.leave();
                    return Some(Some(len));
                }
                params
            }
            _ => &[],
        };
        let mut found = None;
        for id in inside {
            found = self.pack_len(*id)?;
            if found.is_some() {
                break;
            }
        }
        self.text.leave();
        Some(found)
    }

    fn literal(&mut self, ty: Id, value: &str) -> Option<()> {
        let suffix = match (self.part(ty)?, value) {
            (Part::Name("bool"), "0") => return self.text.push("false"),
            (Part::Name("bool"), "1") => return self.text.push("true"),
            (Part::Name("int"), _) => "",
            (Part::Name("unsigned int"), _) => "u",
            (Part::Name("long"), _) => "l",
            (Part::Name("unsigned long"), _) => "ul",
            (Part::Name("long long"), _) => "ll",
            (Part::Name("unsigned long long"), _) => "ull",
            _ => {
                self.text.push("(")?;
                self.whole(ty)?;
                self.text.push(")")?;
                ""
            }
        };
        if let Some(digits) = value.strip_prefix('n') {
            self.text.push("-")?;
            self.text.push(digits)?;
        } else {
            self.text.push(value)?;
        }
        self.text.push(suffix)
    }
}
