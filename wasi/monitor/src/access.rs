//! What a grant allows the guest to do with the tree under it, and which access an operation needs.

use crate::opens::{admit_mode, needed_on_directory};
use crate::{Errno, FdFlags, OFlags, Rights, Rule};

/// The access that a grant gives. No descriptor opened through the grant exceeds it. Each allows all that the ones before it allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Read files, list directories. Content, names and times do not change.
    ReadOnly,
    /// Read, create files and directories, and write at the end of files. Existing content and names cannot be removed,
    /// renamed, truncated or overwritten.
    Append,
    /// Everything in preview 1.
    ReadWrite,
}

impl Access {
    /// Every access, from the least on.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Append, Self::ReadWrite];

    /// The least access under which `path_open` is admitted with these arguments, as a guest passes them.
    ///
    /// This asks what [`Monitor::admit_open`](crate::Monitor::admit_open) asks, so nobody else needs to know what opening for
    /// writing is.
    ///
    /// # Errors
    /// [`Errno::INVAL`] for unknown bits, which no access admits.
    pub fn least_to_open(oflags: u32, base: u64, fdflags: u32) -> Result<Self, Errno> {
        let needed = needed_on_directory(OFlags::from_guest(oflags)?);
        let (base, fdflags) = (Rights::from_guest(base)?, FdFlags::from_guest(fdflags)?);
        let admits = |access: &Self| {
            let may = access.ceiling();
            may.contains(needed) && admit_mode(*access, may, base, fdflags).is_ok()
        };
        Ok(Self::ALL.into_iter().find(admits).unwrap_or(Self::ReadWrite))
    }

    /// The least access under which the hostcall of this name can be admitted, whatever its arguments are.
    #[must_use]
    pub fn least_for_call(function: &str) -> Self {
        let needed = match function {
            // It writes at any place, not only at the end.
            "fd_pwrite" => return Self::ReadWrite,
            "path_link" => Rights::PATH_LINK_SOURCE.union(Rights::PATH_LINK_TARGET),
            "path_rename" => Rights::PATH_RENAME_SOURCE.union(Rights::PATH_RENAME_TARGET),
            name => Rights::of_call(name),
        };
        Self::ALL.into_iter().find(|access| access.ceiling().contains(needed)).unwrap_or(Self::ReadWrite)
    }

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
    fn the_least_access_is_the_first_that_the_monitor_admits() {
        use crate::{HostFd, Limits, Monitor, OpenRequest};
        let wanted = [Rights::NONE, Rights::FD_READ, Rights::FD_WRITE, Rights::FD_READ.union(Rights::FD_WRITE)];
        for (oflags, base, fdflags) in
            (0..16).flat_map(|o| wanted.map(|base| [0, 1, 4].map(|f| (o, base, f)))).flatten()
        {
            let admits = |access: &Access| {
                let mut monitor = Monitor::new(Limits::default());
                let fd = monitor.grant_directory(HostFd::new(0), b"/".to_vec(), *access).unwrap();
                let base = base.bits();
                let request = OpenRequest { fd, lookup: 0, path: b"f", oflags, base, inheriting: 0, fdflags };
                // To create a directory is refused under every access, after the rights were looked at.
                monitor.admit_open(request).err() != Some(Errno::NOTCAPABLE)
            };
            let least = Access::ALL.into_iter().find(admits);
            assert_eq!(Access::least_to_open(oflags, base.bits(), fdflags).ok(), least, "{oflags} {base:?} {fdflags}");
        }
        assert_eq!(Access::least_to_open(16, 0, 0), Err(Errno::INVAL));
    }

    #[test]
    fn calls_need_the_access_of_their_right() {
        for call in ["fd_read", "path_open", "path_readlink", "fd_seek", "sock_accept", "proc_exit", "fd_sync"] {
            assert_eq!(Access::least_for_call(call), Access::ReadOnly, "{call}");
        }
        for call in ["fd_write", "path_create_directory"] {
            assert_eq!(Access::least_for_call(call), Access::Append, "{call}");
        }
        for call in ["fd_pwrite", "fd_allocate", "fd_filestat_set_size", "path_rename", "path_link", "path_unlink_file"]
        {
            assert_eq!(Access::least_for_call(call), Access::ReadWrite, "{call}");
        }
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
    fn append_can_create_and_write_but_not_truncate_or_remove() {
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
