//! What stands for imported functions that nobody provides.

use std::fmt;
use std::str::FromStr;

/// What stands for an imported function that nobody provides. Each lets a program go further than the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stub {
    /// A call of it is a trap.
    Trap,
    /// A call of it returns zeros.
    Zero,
}

impl Stub {
    /// Every stub.
    pub const ALL: [Self; 2] = [Self::Trap, Self::Zero];

    /// The word used on the command line and in policy files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Zero => "zero",
        }
    }
}

impl fmt::Display for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no stub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown stub `{0}`: use trap or zero")]
pub struct UnknownStub(String);

impl FromStr for Stub {
    type Err = UnknownStub;

    /// # Errors
    /// [`UnknownStub`] for anything but `trap` and `zero`.
    fn from_str(text: &str) -> Result<Self, UnknownStub> {
        Self::ALL.into_iter().find(|stub| stub.as_str() == text).ok_or_else(|| UnknownStub(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_reads_back_as_it_is_written() {
        for stub in Stub::ALL {
            assert_eq!(stub.to_string().parse(), Ok(stub));
        }
        for text in ["", "Trap", "zeros", "none"] {
            assert_eq!(text.parse::<Stub>(), Err(UnknownStub(text.to_owned())));
        }
    }
}
