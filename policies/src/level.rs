//! How much of the kernel's isolation is demanded.

use std::fmt;
use std::str::FromStr;

/// How much of the kernel's isolation a run demands. The monitor and the guard pages are there at every level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every layer, or the run is refused.
    #[default]
    Strict,
    /// Requires the system-call filter. The other layers are applied if the kernel has them.
    Standard,
    /// No kernel layer.
    Off,
}

impl Level {
    /// The word used on the command line and in policy files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Standard => "standard",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown level `{0}`: use strict, standard or off")]
pub struct UnknownLevel(String);

impl FromStr for Level {
    type Err = UnknownLevel;

    /// # Errors
    /// [`UnknownLevel`] for anything but `strict`, `standard` and `off`.
    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        [Self::Strict, Self::Standard, Self::Off]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| UnknownLevel(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_reads_back_as_it_is_written() {
        for level in [Level::Strict, Level::Standard, Level::Off] {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert_eq!("none".parse::<Level>(), Err(UnknownLevel("none".to_owned())));
    }

    #[test]
    fn strict_is_the_default() {
        assert_eq!(Level::default(), Level::Strict);
    }
}
