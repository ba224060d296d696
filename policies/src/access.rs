//! What a grant allows.

use std::fmt;
use std::str::FromStr;

/// What the guest may do under a granted directory, or with a granted file. Each access allows all that the ones before it allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Access {
    /// Read files, list directories.
    #[default]
    #[serde(rename = "ro")]
    ReadOnly,
    /// Read, create files and directories, and write at the end; nothing that is there can be removed or truncated.
    ///
    /// The kernel layer enforces "no removal, no truncation"; "only at the end" is enforced by the monitor.
    #[serde(rename = "append")]
    Append,
    /// Also write, create, rename and remove.
    #[serde(rename = "rw")]
    ReadWrite,
}

impl Access {
    /// Every access, from the least on.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Append, Self::ReadWrite];

    /// Whether anything under the grant may change.
    pub const fn is_writable(self) -> bool {
        matches!(self, Self::ReadWrite | Self::Append)
    }

    /// The rights it has in Landlock, by their names in `landlock(7)`; `wave-sandbox` gives exactly these.
    pub const fn landlock_rights(self) -> &'static [&'static str] {
        match self {
            Self::ReadOnly => &["read_file", "read_dir"],
            Self::Append => &["read_file", "read_dir", "write_file", "make_reg", "make_dir"],
            Self::ReadWrite => &[
                "read_file",
                "read_dir",
                "write_file",
                "make_reg",
                "make_dir",
                "truncate",
                "remove_file",
                "remove_dir",
                "make_sym",
                "refer",
            ],
        }
    }

    /// The word used on the command line and in policy files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "ro",
            Self::ReadWrite => "rw",
            Self::Append => "append",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no access.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown access `{0}`: use ro, rw or append")]
pub struct UnknownAccess(String);

impl FromStr for Access {
    type Err = UnknownAccess;

    /// # Errors
    /// [`UnknownAccess`] for anything but `ro`, `rw` and `append`; there are no synonyms.
    fn from_str(text: &str) -> Result<Self, UnknownAccess> {
        Self::ALL.into_iter().find(|access| access.as_str() == text).ok_or_else(|| UnknownAccess(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_reads_back_as_it_is_written() {
        for access in [Access::ReadOnly, Access::ReadWrite, Access::Append] {
            assert_eq!(access.to_string().parse(), Ok(access));
        }
    }

    #[test]
    fn near_misses_are_refused() {
        for text in ["", "RO", "r", "rw ", "readonly", "write"] {
            assert_eq!(text.parse::<Access>(), Err(UnknownAccess(text.to_owned())));
        }
    }

    #[test]
    fn the_default_is_the_least() {
        assert!(!Access::default().is_writable());
        assert!(Access::ALL.is_sorted() && Access::ALL.first() == Some(&Access::default()));
        let rights = |access: &Access| access.landlock_rights();
        assert!(
            Access::ALL.windows(2).all(|pair| rights(&pair[0]).iter().all(|right| rights(&pair[1]).contains(right)))
        );
    }
}
