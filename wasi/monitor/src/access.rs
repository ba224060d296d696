//! What a grant allows the guest to do with the tree under it.

use crate::{Rights, Rule};

/// The access that a grant gives. No descriptor opened through the grant exceeds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read files, list directories. Content, names and times do not change.
    ReadOnly,
    /// Everything in preview 1.
    ReadWrite,
    /// Read, create files and directories, and write at the end of files. Existing content and names cannot be removed,
    /// renamed, truncated or overwritten.
    Append,
}

impl Access {
    /// The maximum rights of a descriptor with this access.
    #[must_use]
    pub const fn ceiling(self) -> Rights {
        match self {
            Self::ReadWrite => Rights::ALL,
            Self::ReadOnly => Rights::ALL.without(Rights::MUTATING),
            Self::Append => Rights::ALL
                .without(Rights::MUTATING)
                .union(Rights::FD_WRITE)
                .union(Rights::PATH_CREATE_FILE)
                .union(Rights::PATH_CREATE_DIRECTORY),
        }
    }

    /// Why a descriptor with this access lacks `missing`. `possible` are the maximum rights of such a descriptor with
    /// any access.
    #[must_use]
    pub(crate) const fn refusal(self, possible: Rights, missing: Rights) -> Rule {
        if !possible.contains(missing) || self.ceiling().contains(missing) {
            return Rule::Right;
        }
        match self {
            Self::ReadWrite => Rule::Right,
            Self::ReadOnly => Rule::ReadOnly,
            Self::Append => Rule::AppendOnly,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_only_has_no_mutating_right() {
        assert_eq!(Access::ReadOnly.ceiling().intersection(Rights::MUTATING), Rights::NONE);
    }

    #[test]
    fn a_refusal_blames_the_grant_only_for_what_it_took_away() {
        let write = Rights::FD_WRITE;
        assert_eq!(Access::ReadOnly.refusal(Rights::REGULAR_FILE, write), Rule::ReadOnly);
        assert_eq!(Access::Append.refusal(Rights::REGULAR_FILE, Rights::FD_ALLOCATE), Rule::AppendOnly);
        assert_eq!(Access::Append.refusal(Rights::REGULAR_FILE, write), Rule::Right);
        assert_eq!(Access::ReadWrite.refusal(Rights::REGULAR_FILE, write), Rule::Right);
        assert_eq!(Access::ReadOnly.refusal(Rights::DIRECTORY, write), Rule::Right);
    }

    #[test]
    fn append_can_create_and_write_but_not_cut_or_remove() {
        let append = Access::Append.ceiling();
        assert!(append.contains(Rights::FD_WRITE.union(Rights::PATH_CREATE_FILE)));
        for refused in [
            Rights::FD_FILESTAT_SET_SIZE,
            Rights::FD_ALLOCATE,
            Rights::PATH_UNLINK_FILE,
            Rights::PATH_RENAME_SOURCE,
            Rights::PATH_LINK_SOURCE,
            Rights::PATH_FILESTAT_SET_SIZE,
            Rights::PATH_FILESTAT_SET_TIMES,
        ] {
            assert!(!append.contains(refused), "{refused:?}");
        }
    }
}
