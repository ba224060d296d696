//! Names of functions as their source has them: Rust (legacy and v0) and C++ (Itanium).
//!
//! Only after a trap, in the sealed process, and from names that nobody trusts. A reader of its own, for what compilers write for functions.
//! A name that it does not understand is shown as it is. Its time is bounded by [`MOST_STEPS`], its stack by [`MOST_DEPTH`], and the result
//! by [`MOST_BYTES`].
//!
//! | file | reads |
//! |---|---|
//! | `rust` | both forms of Rust |
//! | `cpp`, `cpp/words` | C++: from a name to its parts |
//! | `cpp/text` | C++: from the parts to a text |

mod cpp;
mod rust;

/// The most bytes of a result.
const MOST_BYTES: usize = 2048;

/// The most parts that are read or written.
const MOST_STEPS: u32 = 1 << 14;

/// How deep parts may be inside others.
const MOST_DEPTH: u32 = 96;

/// A function's name as its source has it. `None` if the name is not mangled, or in a way that is not understood.
///
/// The result can have any characters, as the name itself.
#[must_use]
pub fn demangled(name: &str) -> Option<String> {
    // What is not of a form ends here: a name is looked at once.
    if let Some(rest) = name.strip_prefix("_R") {
        return rust::v0(rest);
    }
    let rest = name.strip_prefix("_Z")?;
    rest.strip_prefix('N').and_then(rust::legacy).or_else(|| cpp::demangled(rest))
}

/// A text that cannot grow without limit.
struct Text {
    text: String,
    steps: u32,
    depth: u32,
}

impl Text {
    const fn new() -> Self {
        Self { text: String::new(), steps: MOST_STEPS, depth: 0 }
    }

    fn push(&mut self, text: &str) -> Option<()> {
        if text.len() > MOST_BYTES.saturating_sub(self.text.len()) {
            return None;
        }
        self.text.push_str(text);
        Some(())
    }

    fn push_char(&mut self, character: char) -> Option<()> {
        self.push(character.encode_utf8(&mut [0; 4]))
    }

    fn push_number(&mut self, number: impl ToString) -> Option<()> {
        self.push(&number.to_string())
    }

    /// Takes a step, one level deeper. [`Text::leave`] ends it.
    const fn enter(&mut self) -> Option<()> {
        if self.steps == 0 || self.depth == MOST_DEPTH {
            return None;
        }
        self.steps -= 1;
        self.depth += 1;
        Some(())
    }

    const fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// A number in front of a text, and what follows. A zero is a number of its own.
fn decimal(text: &str) -> Option<(usize, &str)> {
    if let Some(rest) = text.strip_prefix('0') {
        return Some((0, rest));
    }
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(len)?;
    Some((digits.parse().ok()?, rest))
}

/// Adds what a compiler has put behind a name. Nothing is said of suffixes that only make a name unique.
fn push_suffix(text: &mut Text, suffix: &str) -> Option<()> {
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b'@');
    match suffix {
        "" => Some(()),
        _ if !suffix.starts_with('.') || !suffix.bytes().all(is_harmless) => None,
        _ if suffix.starts_with(".llvm.") => Some(()),
        _ => {
            text.push(" [clone ")?;
            text.push(suffix)?;
            text.push("]")
        }
    }
}

#[cfg(test)]
mod tests;
