//! Names of Rust functions.
//!
//! Source: RFC 2603, "Rust Symbol Name Mangling v0", and `rustc_symbol_mangling::legacy`.

use super::{Text, decimal, push_suffix};

/// The longest name in Punycode that is decoded.
const MOST_CHARS: usize = 256;

/// A name of the old form, behind `_ZN`: parts with their lengths, the last of them a hash.
pub fn legacy(name: &str) -> Option<String> {
    let mut text = Text::new();
    let mut rest = name;
    let mut hash = None;
    while !rest.starts_with('E') {
        if let Some(part) = hash.replace(take(&mut rest)?) {
            separate(&mut text)?;
            push_legacy(&mut text, part)?;
        }
    }
    let hash = hash?.strip_prefix('h')?;
    // It tells Rust from C++.
    if hash.len() != 16 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) || text.text.is_empty() {
        return None;
    }
    push_suffix(&mut text, rest.get(1..)?)?;
    Some(text.text)
}

/// A part with its length in front.
fn take<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (len, behind) = decimal(rest)?;
    let (part, behind) = behind.split_at_checked(len)?;
    *rest = behind;
    Some(part)
}

fn separate(text: &mut Text) -> Option<()> {
    if text.text.is_empty() { Some(()) } else { text.push("::") }
}

/// A part of a name of the old form, with its escapes.
fn push_legacy(text: &mut Text, part: &str) -> Option<()> {
    let mut rest = part.strip_prefix('_').filter(|rest| rest.starts_with('$')).unwrap_or(part);
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix("..") {
            text.push("::")?;
            rest = behind;
        } else if let Some(escaped) = rest.strip_prefix('$') {
            let (escape, behind) = escaped.split_once('$')?;
            text.push_char(unescaped(escape)?)?;
            rest = behind;
        } else {
            let end = rest.char_indices().skip(1).find(|(_, next)| matches!(next, '.' | '$'));
            let (plain, behind) = rest.split_at_checked(end.map_or(rest.len(), |(end, _)| end))?;
            text.push(plain)?;
            rest = behind;
        }
    }
    Some(())
}

fn unescaped(escape: &str) -> Option<char> {
    Some(match escape {
        "SP" => '@',
        "BP" => '*',
        "RF" => '&',
        "LT" => '<',
        "GT" => '>',
        "LP" => '(',
        "RP" => ')',
        "C" => ',',
        _ => char::from_u32(u32::from_str_radix(escape.strip_prefix('u')?, 16).ok()?)?,
    })
}

/// A name of the new form, behind `_R`.
pub fn v0(name: &str) -> Option<String> {
    let mut reader = Reader { name, at: 0, text: Text::new(), lifetimes: 0, is_quiet: false };
    reader.path(true)?;
    // The crate that the function was instantiated in.
    if reader.peek().is_some_and(|next| next.is_ascii_uppercase()) {
        reader.quietly(|reader| reader.path(false))?;
    }
    let suffix = name.get(reader.at..)?;
    push_suffix(&mut reader.text, suffix)?;
    Some(reader.text.text)
}

/// Reads a name and writes its text at once.
struct Reader<'a> {
    name: &'a str,
    at: usize,
    text: Text,
    /// Lifetimes that binders have named here.
    lifetimes: u64,
    /// Nothing is written.
    is_quiet: bool,
}

/// An identifier.
struct Identifier<'a> {
    number: u64,
    text: &'a str,
    is_punycode: bool,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.name.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn push(&mut self, text: &str) -> Option<()> {
        if self.is_quiet { Some(()) } else { self.text.push(text) }
    }

    fn quietly(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let before = std::mem::replace(&mut self.is_quiet, true);
        read(self)?;
        self.is_quiet = before;
        Some(())
    }

    /// What an earlier part of the name says, read again from there.
    fn back(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let start = self.at.checked_sub(1)?;
        let target = usize::try_from(self.base62()?).ok().filter(|target| *target < start)?;
        if self.is_quiet {
            return Some(());
        }
        let behind = std::mem::replace(&mut self.at, target);
        read(self)?;
        self.at = behind;
        Some(())
    }

    /// A list up to `E`.
    fn list(&mut self, between: &str, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<usize> {
        let mut items = 0;
        while !self.skip(b'E') {
            if items > 0 {
                self.push(between)?;
            }
            item(self)?;
            items += 1;
        }
        Some(items)
    }

    fn base62(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        if self.skip(b'_') {
            return Some(0);
        }
        loop {
            let byte = self.next()?;
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'z' => byte - b'a' + 10,
                b'A'..=b'Z' => byte - b'A' + 36,
                b'_' => return value.checked_add(1),
                _ => return None,
            };
            value = value.checked_mul(62)?.checked_add(digit.into())?;
        }
    }

    /// A number behind a letter, one more than it says; 0 without the letter.
    fn optional(&mut self, letter: u8) -> Option<u64> {
        if self.skip(letter) { self.base62()?.checked_add(1) } else { Some(0) }
    }

    fn identifier(&mut self) -> Option<Identifier<'a>> {
        let number = self.optional(b's')?;
        let is_punycode = self.skip(b'u');
        let (len, rest) = decimal(self.name.get(self.at..)?)?;
        let rest = rest.strip_prefix('_').unwrap_or(rest);
        let text = rest.get(..len)?;
        self.at = self.name.len() - rest.len() + len;
        Some(Identifier { number, text, is_punycode })
    }

    fn push_identifier(&mut self, identifier: &Identifier<'_>) -> Option<()> {
        match identifier.is_punycode {
            true if !self.is_quiet => self.push(&punycode(identifier.text)?),
            _ => self.push(identifier.text),
        }
    }

    /// A path. Arguments of a type go with `<`, those of a function with `::<`.
    fn path(&mut self, is_value: bool) -> Option<()> {
        self.text.enter()?;
        match self.next()? {
            b'C' => {
                let name = self.identifier()?;
                self.push_identifier(&name)?;
            }
            kind @ (b'M' | b'X' | b'Y') => {
                if kind != b'Y' {
                    // Where the implementation is.
                    self.optional(b's')?;
                    self.quietly(|reader| reader.path(false))?;
                }
                self.push("<")?;
                self.ty()?;
                if kind != b'M' {
                    self.push(" as ")?;
                    self.path(false)?;
                }
                self.push(">")?;
            }
            b'N' => {
                let space = self.next()?;
                self.path(is_value)?;
                let name = self.identifier()?;
                match space {
                    b'A'..=b'Z' => {
                        self.push("::{")?;
                        match space {
                            b'C' => self.push("closure")?,
                            b'S' => self.push("shim")?,
                            _ => self.push(char::from(space).encode_utf8(&mut [0; 4]))?,
                        }
                        if !name.text.is_empty() {
                            self.push(":")?;
                            self.push_identifier(&name)?;
                        }
                        self.push(&format!("#{}}}", name.number))?;
                    }
                    b'a'..=b'z' if name.text.is_empty() => {}
                    b'a'..=b'z' => {
                        self.push("::")?;
                        self.push_identifier(&name)?;
                    }
                    _ => return None,
                }
            }
            b'I' => {
                self.path(is_value)?;
                self.push(if is_value { "::<" } else { "<" })?;
                self.list(", ", Self::argument)?;
                self.push(">")?;
            }
            b'B' => self.back(|reader| reader.path(is_value))?,
            _ => return None,
        }
        self.text.leave();
        Some(())
    }

    fn argument(&mut self) -> Option<()> {
        match self.peek()? {
            b'L' => {
                self.at += 1;
                let index = self.base62()?;
                self.lifetime(index)
            }
            b'K' => {
                self.at += 1;
                self.constant()
            }
            _ => self.ty(),
        }
    }

    /// A lifetime: 0 has no name, the others count from the innermost binder.
    fn lifetime(&mut self, index: u64) -> Option<()> {
        if index == 0 || self.is_quiet {
            return self.push("'_");
        }
        let depth = self.lifetimes.checked_sub(index)?;
        match u8::try_from(depth).ok().filter(|depth| *depth < 26) {
            Some(depth) => self.push(&format!("'{}", char::from(b'a' + depth))),
            None => self.push(&format!("'_{depth}")),
        }
    }

    /// What a binder in front of it may name lifetimes for.
    fn bound(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        const MOST: u64 = 64;
        let new = self.optional(b'G')?;
        if new > MOST {
            return None;
        }
        if new > 0 {
            self.push("for<")?;
            for index in 0..new {
                if index > 0 {
                    self.push(", ")?;
                }
                self.lifetimes += 1;
                self.lifetime(1)?;
            }
            self.push("> ")?;
        }
        read(self)?;
        self.lifetimes -= new;
        Some(())
    }

    fn ty(&mut self) -> Option<()> {
        self.text.enter()?;
        let letter = self.next()?;
        match letter {
            _ if basic(letter).is_some() => self.push(basic(letter)?)?,
            b'R' | b'Q' => {
                self.push("&")?;
                if self.skip(b'L') {
                    let index = self.base62()?;
                    if index > 0 {
                        self.lifetime(index)?;
                        self.push(" ")?;
                    }
                }
                if letter == b'Q' {
                    self.push("mut ")?;
                }
                self.ty()?;
            }
            b'P' | b'O' => {
                self.push(if letter == b'P' { "*const " } else { "*mut " })?;
                self.ty()?;
            }
            b'A' | b'S' => {
                self.push("[")?;
                self.ty()?;
                if letter == b'A' {
                    self.push("; ")?;
                    self.constant()?;
                }
                self.push("]")?;
            }
            b'T' => {
                self.push("(")?;
                let items = self.list(", ", Self::ty)?;
                self.push(if items == 1 { ",)" } else { ")" })?;
            }
            b'F' => self.bound(Self::function)?,
            b'D' => {
                self.push("dyn ")?;
                self.bound(|reader| reader.list(" + ", Self::dynamic).map(drop))?;
                if !self.skip(b'L') {
                    return None;
                }
                let index = self.base62()?;
                if index > 0 {
                    self.push(" + ")?;
                    self.lifetime(index)?;
                }
            }
            b'B' => self.back(Self::ty)?,
            _ => {
                self.at -= 1;
                self.path(false)?;
            }
        }
        self.text.leave();
        Some(())
    }

    fn function(&mut self) -> Option<()> {
        if self.skip(b'U') {
            self.push("unsafe ")?;
        }
        if self.skip(b'K') {
            self.push("extern \"")?;
            if self.skip(b'C') {
                self.push("C")?;
            } else {
                let abi = self.identifier()?;
                // A dash is written as an underscore.
                self.push(&abi.text.replace('_', "-"))?;
            }
            self.push("\" ")?;
        }
        self.push("fn(")?;
        self.list(", ", Self::ty)?;
        self.push(")")?;
        if self.skip(b'u') {
            return Some(());
        }
        self.push(" -> ")?;
        self.ty()
    }

    /// A trait of `dyn`, with its arguments and associated types in one list.
    fn dynamic(&mut self) -> Option<()> {
        let start = self.text.text.len();
        self.path(false)?;
        while self.skip(b'p') {
            let is_list = !self.is_quiet && self.text.text.get(start..)?.ends_with('>');
            if is_list {
                self.text.text.pop();
                self.push(", ")?;
            } else {
                self.push("<")?;
            }
            let name = self.identifier()?;
            self.push_identifier(&name)?;
            self.push(" = ")?;
            self.ty()?;
            self.push(">")?;
        }
        Some(())
    }

    fn constant(&mut self) -> Option<()> {
        self.text.enter()?;
        match self.next()? {
            b'p' => self.push("_")?,
            b'B' => self.back(Self::constant)?,
            b'b' => match self.number()? {
                "0" => self.push("false")?,
                "1" => self.push("true")?,
                _ => return None,
            },
            b'c' => {
                let code = u32::from_str_radix(self.number()?, 16).ok()?;
                let character = char::from_u32(code)?;
                self.push(&format!("{character:?}"))?;
            }
            b'a' | b's' | b'l' | b'x' | b'n' | b'i' | b'h' | b't' | b'm' | b'y' | b'o' | b'j' => {
                if self.skip(b'n') {
                    self.push("-")?;
                }
                let digits = self.number()?;
                match u64::from_str_radix(digits, 16) {
                    Ok(value) => self.push(&value.to_string())?,
                    Err(_) => self.push(&format!("0x{digits}"))?,
                }
            }
            // Values of other types are not possible in stable Rust.
            _ => return None,
        }
        self.text.leave();
        Some(())
    }

    /// Hexadecimal digits up to `_`, at least one.
    fn number(&mut self) -> Option<&'a str> {
        let (digits, _) = self.name.get(self.at..)?.split_once('_')?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !digits.bytes().all(is_digit) {
            return None;
        }
        self.at += digits.len() + 1;
        Some(if digits.is_empty() { "0" } else { digits })
    }
}

fn basic(letter: u8) -> Option<&'static str> {
    Some(match letter {
        b'a' => "i8",
        b'b' => "bool",
        b'c' => "char",
        b'd' => "f64",
        b'e' => "str",
        b'f' => "f32",
        b'h' => "u8",
        b'i' => "isize",
        b'j' => "usize",
        b'l' => "i32",
        b'm' => "u32",
        b'n' => "i128",
        b'o' => "u128",
        b's' => "i16",
        b't' => "u16",
        b'u' => "()",
        b'v' => "...",
        b'x' => "i64",
        b'y' => "u64",
        b'z' => "!",
        b'p' => "_",
        _ => return None,
    })
}

/// A name in Punycode, with `_` for the last dash.
///
/// Source: RFC 3492.
fn punycode(name: &str) -> Option<String> {
    const BASE: u32 = 36;
    let (plain, code) = name.rsplit_once('_').unwrap_or(("", name));
    let mut characters: Vec<char> = plain.chars().collect();
    if code.is_empty() || name.len() > MOST_CHARS {
        return None;
    }
    let (mut next, mut index, mut bias, mut damp) = (0x80_u32, 0_u32, 72_u32, 700_u32);
    let mut bytes = code.as_bytes().iter();
    while !bytes.as_slice().is_empty() {
        let (start, mut weight, mut position) = (index, 1_u32, BASE);
        loop {
            let byte = *bytes.next()?;
            let digit = match byte {
                b'a'..=b'z' => byte - b'a',
                b'0'..=b'9' => byte - b'0' + 26,
                _ => return None,
            };
            index = index.checked_add(u32::from(digit).checked_mul(weight)?)?;
            let threshold = position.saturating_sub(bias).clamp(1, 26);
            if u32::from(digit) < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
            position = position.checked_add(BASE)?;
        }
        let len = u32::try_from(characters.len()).ok()?.checked_add(1)?;
        let mut delta = (index - start) / damp;
        damp = 2;
        delta += delta / len;
        bias = 0;
        while delta > 455 {
            delta /= 35;
            bias += BASE;
        }
        bias += 36 * delta / (delta + 38);
        next = next.checked_add(index / len)?;
        index %= len;
        characters.insert(usize::try_from(index).ok()?, char::from_u32(next)?);
        index += 1;
    }
    Some(characters.into_iter().collect())
}
