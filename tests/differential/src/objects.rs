//! Programs over structures, arrays, `i31`, casts, exceptions and function references, whose answers are known while they are made.
//!
//! Random modules of the other generator seldom read what they wrote into objects. These do little else: each value that is read goes
//! into a checksum, which the maker keeps beside the program. So nothing but this file says what is right, and no other engine.

#![allow(clippy::cast_possible_truncation, reason = "numbers that are cut on purpose")]

use crate::generate::{Setup, mix};
use crate::{Bits, Compared, Ending, Instance, Trap, Wasmtime, here};

/// Functions of a program, and statements of each.
const FUNCTIONS: usize = 3;
const STATEMENTS: usize = 24;
/// Variables of a function that hold references.
const VARIABLES: usize = 6;

/// A mistake of a compiler: what is run has it, and what is expected has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectFault {
    /// Reads of packed fields and elements lose the sign.
    ReadUnsigned,
    /// A field is read in the place of its neighbor.
    WrongField,
    /// A test of a type is one of another type.
    WrongCast,
    /// Exceptions are not caught.
    LostCatch,
    /// An array may be accessed one element past its end.
    WrongBound,
}

impl ObjectFault {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ReadUnsigned, Self::WrongField, Self::WrongCast, Self::LostCatch, Self::WrongBound];
}

/// What a field or an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    I8,
    I16,
    I32,
    I64,
    Any,
}

impl Storage {
    const ALL: [Self; 5] = [Self::I8, Self::I16, Self::I32, Self::I64, Self::Any];

    const fn name(self) -> &'static str {
        match self {
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Any => "anyref",
        }
    }

    const fn bits(self) -> u32 {
        match self {
            Self::I8 => 8,
            Self::I16 => 16,
            Self::I32 => 32,
            Self::I64 | Self::Any => 64,
        }
    }

    /// What is kept of a number.
    const fn keep(self, number: u64) -> u64 {
        number & (u64::MAX >> (64 - self.bits()))
    }
}

/// What a variable, a field or an element can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Number(u64),
    Null,
    I31(u32),
    /// Its number among the objects.
    Object(usize),
}

/// A structure or an array.
struct Object {
    ty: Type,
    values: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Struct(usize),
    Array(Storage),
}

/// A type of structures. Neighbors in a pair of fields hold the same.
struct Structure {
    supertype: Option<usize>,
    fields: Vec<Storage>,
}

/// A program, and what its functions answer.
pub struct Program {
    /// As text.
    pub text: String,
    seed: u64,
    answers: Vec<Ending>,
}

impl Program {
    /// The program of a seed, with a mistake if one is given.
    #[must_use]
    pub fn of_seed(seed: u64, fault: Option<ObjectFault>) -> Self {
        Maker::new(seed, fault).program(seed)
    }

    /// Runs it here.
    ///
    /// # Errors
    /// What differs from what was expected, or why it did not run.
    pub fn check_here(&self) -> Result<Compared, String> {
        let bytes = wat::parse_str(&self.text).map_err(|error| error.to_string())?;
        let setup = Setup { fixed: self.seed & 1 == 0, fuel: self.seed & 2 != 0, canonical_nans: false };
        let (_, started) = here::instantiate(bytes, setup).map_err(|error| format!("here: {error}"))?;
        let mut here = started.map_err(|trap| format!("{trap:?} at the start"))?;
        self.check(&mut here)
    }

    /// Runs it in Wasmtime: the maker may be wrong, too.
    ///
    /// # Errors
    /// As [`Self::check_here`].
    pub fn check_there(&self, there: &mut Wasmtime) -> Result<Compared, String> {
        let bytes = wat::parse_str(&self.text).map_err(|error| error.to_string())?;
        let mut there = there.instantiate(&bytes)?.map_err(|trap| format!("{trap:?} at the start"))?;
        self.check(&mut there)
    }

    fn check(&self, instance: &mut dyn Instance) -> Result<Compared, String> {
        let mut compared = Compared { modules: 1, ..Compared::default() };
        for (number, expected) in self.answers.iter().enumerate() {
            let found = instance.call(&format!("run{number}"), &[Bits::I32(argument(self.seed, number))])?;
            if found != *expected {
                return Err(format!("run{number}: {found:x?}, not {expected:x?}"));
            }
            match found {
                Ending::Returned(_) => compared.returned += 1,
                Ending::Trapped(_) => compared.trapped += 1,
            }
        }
        Ok(compared)
    }
}

/// What a function is called with: no compiler knows it.
fn argument(seed: u64, function: usize) -> u32 {
    let mut state = seed ^ (function as u64) << 40 ^ 0xa5a5;
    mix(&mut state) as u32
}

/// The byte of the passive segment at an offset, and how many it has.
const fn segment(at: usize) -> u8 {
    (at * 151 + 89) as u8
}
const SEGMENT_BYTES: usize = 96;

/// What catches exceptions.
const CATCHES: [&str; 3] = ["(catch $word $caught)", "(catch_all $other)", "(catch $wide $pair)"];

struct Maker {
    random: u64,
    fault: Option<ObjectFault>,
    text: String,
    structures: Vec<Structure>,
    objects: Vec<Object>,
    variables: [Value; VARIABLES],
    sum: u64,
    argument: u32,
}

/// Numbers at which something changes.
const EDGES: [u64; 10] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x8000_0000, u64::MAX];

impl Maker {
    fn new(seed: u64, fault: Option<ObjectFault>) -> Self {
        let mut maker = Self {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6f62_6a65_6374,
            fault,
            text: String::new(),
            structures: Vec::new(),
            objects: Vec::new(),
            variables: [Value::Null; VARIABLES],
            sum: 0,
            argument: 0,
        };
        // A root, two below each other, one beside them, and one of its own.
        for supertype in [None, Some(0), Some(1), Some(0), None, None] {
            let mut fields = supertype.map_or(Vec::new(), |of: usize| maker.structures[of].fields.clone());
            for _ in 0..1 + maker.below(2) {
                let storage = maker.pick(&Storage::ALL);
                fields.extend([storage, storage]);
            }
            maker.structures.push(Structure { supertype, fields });
        }
        maker
    }

    fn below(&mut self, bound: usize) -> usize {
        (mix(&mut self.random) >> 16) as usize % bound
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn program(mut self, seed: u64) -> Program {
        self.line("(module (rec");
        for number in 0..self.structures.len() {
            let Structure { supertype, fields } = &self.structures[number];
            let above = supertype.map_or(String::new(), |of| format!("$s{of}"));
            let fields: String = fields.iter().map(|field| format!(" (field (mut {}))", field.name())).collect();
            self.line(&format!("(type $s{number} (sub {above} (struct{fields})))"));
        }
        self.line(")");
        for storage in Storage::ALL {
            let name = storage.name();
            self.line(&format!("(type $a-{name} (array (mut {name})))"));
        }
        let bytes: String = (0..SEGMENT_BYTES).map(|at| format!("\\{:02x}", segment(at))).collect();
        self.line(&format!("(data $segment \"{bytes}\")"));
        self.line(
            r#"(tag $word (param i32)) (tag $wide (param i64 anyref))
(type $unary (func (param i64) (result i64)))
(func $triple (type $unary) (i64.mul (local.get 0) (i64.const 3)))
(func $flip (type $unary) (i64.xor (local.get 0) (i64.const -1)))
(elem declare func $triple $flip)
(func $throws (param $how i32) (param $what i32) (param $with anyref)
  (if (i32.eq (local.get $how) (i32.const 1)) (then (throw $word (local.get $what))))
  (if (i32.eq (local.get $how) (i32.const 2))
    (then (throw $wide (i64.extend_i32_s (local.get $what)) (local.get $with)))))"#,
        );
        let answers = (0..FUNCTIONS).map(|number| self.function(seed, number)).collect();
        self.line(")");
        Program { text: self.text, seed, answers }
    }

    /// A function, and its answer.
    fn function(&mut self, seed: u64, number: usize) -> Ending {
        self.objects.clear();
        self.variables = [Value::Null; VARIABLES];
        self.sum = 0;
        self.argument = argument(seed, number);
        let variables: String = (0..VARIABLES).map(|number| format!(" (local $v{number} anyref)")).collect();
        self.line(&format!("(func (export \"run{number}\") (param $n i32) (result i64) (local $sum i64)"));
        self.line(&format!("(local $word i32) (local $wide i64) (local $any anyref) (local $i i32){variables}"));
        for _ in 0..STATEMENTS {
            self.statement();
        }
        let trap = if self.below(3) == 0 { self.trap() } else { None };
        self.line("(local.get $sum))");
        trap.map_or_else(|| Ending::Returned(vec![Bits::I64(self.sum)]), Ending::Trapped)
    }

    fn statement(&mut self) {
        match self.below(16) {
            0 | 1 => self.new_structure(),
            2 | 3 => self.new_array(),
            4 => self.new_number(),
            5 | 6 => self.set(),
            7..=10 => self.get(),
            11 => self.copy_or_fill(),
            12 | 13 => self.test(),
            14 => self.catch(),
            _ => self.call_or_garbage(),
        }
    }

    /// What was read goes into the checksum: text of type i64, and what it must be.
    fn fold(&mut self, text: &str, value: u64) {
        self.line(&format!("(local.set $sum (i64.xor (i64.rotl (local.get $sum) (i64.const 7)) {text}))"));
        self.sum = self.sum.rotate_left(7) ^ value;
    }

    fn fold_word(&mut self, text: &str, value: u32) {
        self.fold(&format!("(i64.extend_i32_u {text})"), value.into());
    }

    /// A number of 32 bits that depends on the argument.
    fn word(&mut self, value: u32) -> String {
        let argument = self.argument;
        match self.below(3) {
            0 => format!("(i32.const {})", value.cast_signed()),
            1 => format!("(i32.xor (local.get $n) (i32.const {}))", (value ^ argument).cast_signed()),
            _ => format!("(i32.add (local.get $n) (i32.const {}))", value.wrapping_sub(argument).cast_signed()),
        }
    }

    fn index(&mut self, value: usize) -> String {
        self.word(u32::try_from(value).expect("a small number"))
    }

    /// A value for a place, and the text of it.
    fn value(&mut self, storage: Storage) -> (String, Value) {
        if storage == Storage::Any {
            let variable = self.below(VARIABLES);
            return (format!("(local.get $v{variable})"), self.variables[variable]);
        }
        let number = if self.below(2) == 0 { self.pick(&EDGES) } else { mix(&mut self.random) };
        let low = self.word(number as u32);
        let text = match storage {
            Storage::I64 => {
                format!("(i64.or (i64.extend_i32_u {low}) (i64.const {}))", (number >> 32 << 32).cast_signed())
            }
            _ => low,
        };
        (text, Value::Number(storage.keep(number)))
    }

    fn assign(&mut self, text: &str, value: Value) {
        let variable = self.below(VARIABLES);
        self.line(&format!("(local.set $v{variable} {text})"));
        self.variables[variable] = value;
    }

    fn object(&mut self, text: &str, ty: Type, values: Vec<Value>) {
        self.objects.push(Object { ty, values });
        self.assign(text, Value::Object(self.objects.len() - 1));
    }

    fn new_structure(&mut self) {
        let ty = self.below(self.structures.len());
        let fields = self.structures[ty].fields.clone();
        let (texts, values): (Vec<_>, Vec<_>) = fields.iter().map(|field| self.value(*field)).unzip();
        self.object(&format!("(struct.new $s{ty} {})", texts.join(" ")), Type::Struct(ty), values);
    }

    fn new_array(&mut self) {
        let storage = self.pick(&Storage::ALL);
        let name = storage.name();
        let len = 1 + self.below(8);
        // With the mistake there is one element more, of which `array.len` knows nothing.
        let extra = usize::from(self.fault == Some(ObjectFault::WrongBound));
        let zero = if storage == Storage::Any { Value::Null } else { Value::Number(0) };
        let size = self.index(len + extra);
        let (text, values) = match self.below(4) {
            0 => (format!("(array.new_default $a-{name} {size})"), vec![zero; len]),
            1 if storage != Storage::Any => {
                let bytes = storage.bits() as usize / 8;
                let at = self.below(SEGMENT_BYTES - bytes * (len + 1));
                let number = |element: usize| {
                    let byte = |number: usize| u64::from(segment(at + bytes * element + number)) << (8 * number);
                    Value::Number((0..bytes).map(byte).sum())
                };
                let offset = self.index(at);
                let text = format!("(array.new_data $a-{name} $segment {offset} {size})");
                (text, (0..len).map(number).collect())
            }
            2 => {
                let (text, value) = self.value(storage);
                (format!("(array.new $a-{name} {text} {size})"), vec![value; len])
            }
            _ => {
                let (mut texts, values): (Vec<_>, Vec<_>) = (0..len).map(|_| self.value(storage)).unzip();
                let one_more = texts[0].clone();
                texts.extend((0..extra).map(|_| one_more.clone()));
                (format!("(array.new_fixed $a-{name} {} {})", texts.len(), texts.join(" ")), values)
            }
        };
        self.object(&text, Type::Array(storage), values);
    }

    fn new_number(&mut self) {
        let number = if self.below(2) == 0 { self.pick(&EDGES) } else { mix(&mut self.random) };
        let number = (number as u32) & 0x7fff_ffff;
        let text = self.word(number);
        self.assign(&format!("(ref.i31 {text})"), Value::I31(number));
    }

    /// A variable that holds an object, and the object.
    fn holder(&mut self, is: impl Fn(Type) -> bool) -> Option<(usize, usize)> {
        let first = self.below(VARIABLES);
        (0..VARIABLES).map(|step| (first + step) % VARIABLES).find_map(|variable| match self.variables[variable] {
            Value::Object(object) if is(self.objects[object].ty) => Some((variable, object)),
            _ => None,
        })
    }

    /// A place in an object that a variable holds: text of its operands, the name of its type, and what it holds.
    fn place(&mut self) -> Option<(String, usize, usize, Storage)> {
        let (variable, object) = self.holder(|_| true)?;
        let at = self.below(self.objects[object].values.len());
        match self.objects[object].ty {
            Type::Array(storage) => {
                let name = storage.name();
                let index = self.index(at);
                Some((
                    format!("$a-{name} (ref.cast (ref $a-{name}) (local.get $v{variable})) {index}"),
                    object,
                    at,
                    storage,
                ))
            }
            Type::Struct(own) => {
                // By the type itself or one above it.
                let storage = self.structures[own].fields[at];
                let mut ty = own;
                while let Some(above) = self.structures[ty].supertype {
                    if self.structures[above].fields.len() <= at || self.below(2) == 0 {
                        break;
                    }
                    ty = above;
                }
                Some((format!("$s{ty} {at} (ref.cast (ref $s{ty}) (local.get $v{variable}))"), object, at, storage))
            }
        }
    }

    const fn kind(ty: Type) -> &'static str {
        match ty {
            Type::Struct(_) => "struct",
            Type::Array(_) => "array",
        }
    }

    fn set(&mut self) {
        let Some((place, object, at, storage)) = self.place() else { return self.new_structure() };
        let (text, value) = self.value(storage);
        let kind = Self::kind(self.objects[object].ty);
        self.line(&format!("({kind}.set {place} {text})"));
        self.objects[object].values[at] = value;
    }

    fn get(&mut self) {
        let Some((mut place, object, at, storage)) = self.place() else { return self.new_array() };
        let Object { ty, values } = &self.objects[object];
        let (kind, value) = (Self::kind(*ty), values[at]);
        if self.fault == Some(ObjectFault::WrongField) && kind == "struct" {
            place = place.replacen(&format!(" {at} "), &format!(" {} ", at ^ 1), 1);
        }
        let Value::Number(number) = value else {
            return self.assign(&format!("({kind}.get {place})"), value);
        };
        match storage {
            Storage::I64 => self.fold(&format!("({kind}.get {place})"), number),
            Storage::I8 | Storage::I16 => {
                let is_signed = self.below(2) == 0;
                let shift = 32 - storage.bits();
                let number = number as u32;
                let value = if is_signed { (number << shift).cast_signed() >> shift } else { number.cast_signed() };
                let is_read_signed = is_signed && self.fault != Some(ObjectFault::ReadUnsigned);
                let sign = if is_read_signed { "s" } else { "u" };
                self.fold_word(&format!("({kind}.get_{sign} {place})"), value.cast_unsigned());
            }
            _ => self.fold_word(&format!("({kind}.get {place})"), number as u32),
        }
        if kind == "array" {
            self.length(object);
        }
    }

    /// The length of an array goes into the checksum.
    fn length(&mut self, of: usize) {
        let len = self.objects[of].values.len() as u32;
        if let Some(variable) = self.variables.iter().position(|value| *value == Value::Object(of)) {
            let text = format!("(array.len (ref.cast (ref array) (local.get $v{variable})))");
            let is_wrong = self.fault == Some(ObjectFault::WrongBound);
            let text = if is_wrong { format!("(i32.sub {text} (i32.const 1))") } else { text };
            self.fold_word(&text, len);
        }
    }

    fn copy_or_fill(&mut self) {
        let Some((to, target)) = self.holder(|ty| matches!(ty, Type::Array(_))) else { return self.new_array() };
        let ty = self.objects[target].ty;
        let Type::Array(storage) = ty else { return };
        let name = storage.name();
        let Some((from, source)) = self.holder(|own| own == ty) else { return };
        let (len, from_len) = (self.objects[target].values.len(), self.objects[source].values.len());
        let at = self.below(len + 1);
        let start = self.index(at);
        let array = |variable: usize| format!("(ref.cast (ref $a-{name}) (local.get $v{variable}))");
        if self.below(2) == 0 {
            let count = self.below(len - at + 1);
            let (text, value) = self.value(storage);
            let size = self.index(count);
            self.line(&format!("(array.fill $a-{name} {} {start} {text} {size})", array(to)));
            self.objects[target].values[at..at + count].fill(value);
        } else {
            let begin = self.below(from_len + 1);
            let count = self.below((len - at).min(from_len - begin) + 1);
            let (first, size) = (self.index(begin), self.index(count));
            self.line(&format!(
                "(array.copy $a-{name} $a-{name} {} {start} {} {first} {size})",
                array(to),
                array(from)
            ));
            let copied = self.objects[source].values[begin..begin + count].to_vec();
            self.objects[target].values[at..at + count].copy_from_slice(&copied);
        }
    }

    /// Whether a value is of a type of structures.
    fn is_structure(&self, value: Value, ty: usize) -> bool {
        let Value::Object(object) = value else { return false };
        let Type::Struct(own) = self.objects[object].ty else { return false };
        std::iter::successors(Some(own), |own| self.structures[*own].supertype).any(|own| own == ty)
    }

    fn test(&mut self) {
        let variable = self.below(VARIABLES);
        let value = self.variables[variable];
        let object = match value {
            Value::Object(object) => Some(self.objects[object].ty),
            _ => None,
        };
        let ty = self.below(self.structures.len());
        let storage = self.pick(&Storage::ALL);
        let (name, holds) = match self.below(8) {
            0 => ("i31".to_owned(), matches!(value, Value::I31(_))),
            1 => ("struct".to_owned(), matches!(object, Some(Type::Struct(_)))),
            2 => ("array".to_owned(), matches!(object, Some(Type::Array(_)))),
            3 => (format!("$a-{}", storage.name()), object == Some(Type::Array(storage))),
            _ => (format!("$s{ty}"), self.is_structure(value, ty)),
        };
        let tested = match self.fault {
            Some(ObjectFault::WrongCast) if name.starts_with("$s") => format!("$s{}", (ty + 1) % self.structures.len()),
            _ => name,
        };
        let (null, is_null) = if self.below(3) == 0 { ("null ", value == Value::Null) } else { ("", false) };
        let holds = holds || is_null;
        if self.below(2) == 0 {
            self.fold_word(&format!("(ref.test (ref {null}{tested}) (local.get $v{variable}))"), holds.into());
        } else {
            self.line(&format!("(block $end (block $yes (result (ref {null}{tested}))"));
            self.line(&format!("(br_on_cast $yes anyref (ref {null}{tested}) (local.get $v{variable}))"));
            let before = self.sum;
            self.fold("(i64.const 77)", 77);
            let no = std::mem::replace(&mut self.sum, before);
            self.line("(drop) (br $end)) (local.set $any)");
            self.fold("(i64.const 99)", 99);
            self.line(")");
            if !holds {
                self.sum = no;
            }
        }
        if let Value::I31(number) = value {
            let signed = ((number << 1).cast_signed() >> 1).cast_unsigned();
            let (sign, value) = if self.below(2) == 0 { ("s", signed) } else { ("u", number) };
            let sign = if self.fault == Some(ObjectFault::ReadUnsigned) { "u" } else { sign };
            self.fold_word(&format!("(i31.get_{sign} (ref.cast i31ref (local.get $v{variable})))"), value);
        }
    }

    fn catch(&mut self) {
        let how = self.below(3) as u32;
        let what = mix(&mut self.random) as u32;
        let variable = self.below(VARIABLES);
        // What catches everything comes before what catches the wide one, if it is there.
        let with_all = self.below(2) == 0;
        let clauses = if with_all { CATCHES.join(" ") } else { [CATCHES[0], CATCHES[2]].join(" ") };
        let clauses = if self.fault == Some(ObjectFault::LostCatch) { String::new() } else { clauses };
        let (number, argument) = (self.word(how), self.word(what));
        self.line("(block $end (block $other (block $pair (result i64 anyref) (block $caught (result i32)");
        self.line(&format!("(try_table {clauses} (call $throws {number} {argument} (local.get $v{variable})))"));
        let before = self.sum;
        let mut sums = [0; 3];
        self.fold("(i64.const 5)", 5);
        sums[0] = std::mem::replace(&mut self.sum, before);
        self.line("(br $end)) (local.set $word)");
        self.fold_word("(local.get $word)", what);
        sums[1] = std::mem::replace(&mut self.sum, before);
        self.line("(br $end)) (local.set $any) (local.set $wide)");
        self.fold("(local.get $wide)", i64::from(what.cast_signed()).cast_unsigned());
        self.fold_word(
            &format!("(ref.eq (ref.cast eqref (local.get $any)) (ref.cast eqref (local.get $v{variable})))"),
            1,
        );
        sums[2] = std::mem::replace(&mut self.sum, before);
        self.line("(br $end))");
        self.fold("(i64.const 1234)", 1234);
        if !with_all || how != 2 {
            self.sum = sums[how as usize];
        }
        self.line(")");
    }

    fn call_or_garbage(&mut self) {
        if self.below(8) == 0 {
            // More than the heap holds at first, so that it is collected while variables hold objects.
            self.line("(local.set $i (i32.const 40)) (loop $again");
            self.line("(local.set $any (array.new $a-i32 (local.get $n) (i32.const 30000)))");
            self.line("(br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))");
        }
        let number = mix(&mut self.random) as u32;
        let text = self.word(number);
        let number = u64::from(number);
        let (name, value) = if self.below(2) == 0 { ("triple", number * 3) } else { ("flip", !number) };
        self.fold(&format!("(call_ref $unary (i64.extend_i32_u {text}) (ref.func ${name}))"), value);
    }

    /// What ends the function, if there is something for it.
    fn trap(&mut self) -> Option<Trap> {
        let array = self.holder(|ty| matches!(ty, Type::Array(_)));
        let structure = self.holder(|ty| matches!(ty, Type::Struct(_)));
        let how = self.below(6);
        if let (0..=2, Some((variable, object))) = (how, array) {
            let Type::Array(storage) = self.objects[object].ty else { return None };
            let (name, len) = (storage.name(), self.objects[object].values.len());
            let array = format!("(ref.cast (ref $a-{name}) (local.get $v{variable}))");
            let packed = if storage.bits() < 32 { "_u" } else { "" };
            let (end, value) = (self.index(len), self.value(storage).0);
            self.line(&match how {
                0 => format!("(drop (array.get{packed} $a-{name} {array} {end}))"),
                1 => format!("(array.set $a-{name} {array} {end} {value})"),
                _ => format!("(array.fill $a-{name} {array} {end} {value} (i32.const 1))"),
            });
            return Some(Trap::Array);
        }
        match (how, structure) {
            (3, Some((variable, _))) => {
                self.line(&format!("(drop (ref.cast (ref array) (local.get $v{variable})))"));
                Some(Trap::Cast)
            }
            (4, _) => {
                let word = self.word(1);
                self.line(&format!("(call $throws {word} {word} (ref.null any))"));
                Some(Trap::Exception)
            }
            (5, _) => {
                self.line("(local.set $any (ref.null any))");
                self.line("(drop (array.len (ref.cast (ref null array) (local.get $any))))");
                Some(Trap::NullReference)
            }
            _ => None,
        }
    }
}
