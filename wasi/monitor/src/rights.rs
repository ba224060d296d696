//! Rights: the hostcalls that a descriptor may be used with.

use crate::Errno;
use std::fmt;

/// A set of WASI rights. Only known bits are set.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u64);

macro_rules! rights {
    ($($name:ident = $bit:literal;)*) => {
        impl Rights {
            $(
                #[doc = concat!("`", stringify!($name), "`, bit ", stringify!($bit), ".")]
                pub const $name: Self = Self(1 << $bit);
            )*
            /// All rights.
            pub const ALL: Self = Self(0 $(| 1 << $bit)*);
            const NAMES: &'static [(&'static str, Self)] =
                &[$((stringify!($name), Self::$name)),*];
        }
    };
}

rights! {
    FD_DATASYNC = 0;
    FD_READ = 1;
    FD_SEEK = 2;
    FD_FDSTAT_SET_FLAGS = 3;
    FD_SYNC = 4;
    FD_TELL = 5;
    FD_WRITE = 6;
    FD_ADVISE = 7;
    FD_ALLOCATE = 8;
    PATH_CREATE_DIRECTORY = 9;
    PATH_CREATE_FILE = 10;
    PATH_LINK_SOURCE = 11;
    PATH_LINK_TARGET = 12;
    PATH_OPEN = 13;
    FD_READDIR = 14;
    PATH_READLINK = 15;
    PATH_RENAME_SOURCE = 16;
    PATH_RENAME_TARGET = 17;
    PATH_FILESTAT_GET = 18;
    PATH_FILESTAT_SET_SIZE = 19;
    PATH_FILESTAT_SET_TIMES = 20;
    FD_FILESTAT_GET = 21;
    FD_FILESTAT_SET_SIZE = 22;
    FD_FILESTAT_SET_TIMES = 23;
    PATH_SYMLINK = 24;
    PATH_REMOVE_DIRECTORY = 25;
    PATH_UNLINK_FILE = 26;
    POLL_FD_READWRITE = 27;
    SOCK_SHUTDOWN = 28;
    SOCK_ACCEPT = 29;
}

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);

    /// The rights to change content, names or times of files.
    pub const MUTATING: Self = Self(
        Self::FD_WRITE.0
            | Self::FD_ALLOCATE.0
            | Self::FD_FILESTAT_SET_SIZE.0
            | Self::FD_FILESTAT_SET_TIMES.0
            | Self::PATH_CREATE_DIRECTORY.0
            | Self::PATH_CREATE_FILE.0
            | Self::PATH_LINK_SOURCE.0
            | Self::PATH_LINK_TARGET.0
            | Self::PATH_RENAME_SOURCE.0
            | Self::PATH_RENAME_TARGET.0
            | Self::PATH_FILESTAT_SET_SIZE.0
            | Self::PATH_FILESTAT_SET_TIMES.0
            | Self::PATH_SYMLINK.0
            | Self::PATH_REMOVE_DIRECTORY.0
            | Self::PATH_UNLINK_FILE.0,
    );

    /// The rights of a directory.
    pub const DIRECTORY: Self = Self(
        Self::FD_DATASYNC.0
            | Self::FD_FDSTAT_SET_FLAGS.0
            | Self::FD_SYNC.0
            | Self::FD_READDIR.0
            | Self::FD_FILESTAT_GET.0
            | Self::FD_FILESTAT_SET_TIMES.0
            | Self::PATH_CREATE_DIRECTORY.0
            | Self::PATH_CREATE_FILE.0
            | Self::PATH_LINK_SOURCE.0
            | Self::PATH_LINK_TARGET.0
            | Self::PATH_OPEN.0
            | Self::PATH_READLINK.0
            | Self::PATH_RENAME_SOURCE.0
            | Self::PATH_RENAME_TARGET.0
            | Self::PATH_FILESTAT_GET.0
            | Self::PATH_FILESTAT_SET_SIZE.0
            | Self::PATH_FILESTAT_SET_TIMES.0
            | Self::PATH_SYMLINK.0
            | Self::PATH_REMOVE_DIRECTORY.0
            | Self::PATH_UNLINK_FILE.0,
    );

    /// The rights of a list of granted files. `PATH_CREATE_FILE` and `PATH_FILESTAT_SET_SIZE` are for opens of files that are
    /// in it.
    pub const LIST: Self = Self(
        Self::FD_FDSTAT_SET_FLAGS.0
            | Self::FD_READDIR.0
            | Self::FD_FILESTAT_GET.0
            | Self::PATH_CREATE_FILE.0
            | Self::PATH_OPEN.0
            | Self::PATH_FILESTAT_GET.0
            | Self::PATH_FILESTAT_SET_SIZE.0,
    );

    /// The rights of a byte stream without a position: a pipe or terminal.
    pub const STREAM: Self = Self(
        Self::FD_READ.0
            | Self::FD_WRITE.0
            | Self::FD_FDSTAT_SET_FLAGS.0
            | Self::FD_FILESTAT_GET.0
            | Self::POLL_FD_READWRITE.0,
    );

    /// The rights of a regular file.
    pub const REGULAR_FILE: Self = Self(
        Self::STREAM.0
            | Self::FD_DATASYNC.0
            | Self::FD_SEEK.0
            | Self::FD_SYNC.0
            | Self::FD_TELL.0
            | Self::FD_ADVISE.0
            | Self::FD_ALLOCATE.0
            | Self::FD_FILESTAT_SET_SIZE.0
            | Self::FD_FILESTAT_SET_TIMES.0,
    );

    /// The rights of a connected socket.
    pub const SOCKET: Self = Self(Self::STREAM.0 | Self::SOCK_SHUTDOWN.0);

    /// The rights of a listening socket.
    pub const LISTENER: Self = Self(
        Self::SOCK_ACCEPT.0
            | Self::FD_READ.0
            | Self::FD_FDSTAT_SET_FLAGS.0
            | Self::FD_FILESTAT_GET.0
            | Self::POLL_FD_READWRITE.0,
    );

    /// Parses the bits that a guest passed.
    ///
    /// # Errors
    /// [`Errno::INVAL`] for an unknown bit (T10).
    pub const fn from_guest(bits: u64) -> Result<Self, Errno> {
        if bits & !Self::ALL.0 == 0 { Ok(Self(bits)) } else { Err(Errno::INVAL) }
    }

    /// The right that is named as a hostcall; none if there is no such right.
    #[must_use]
    pub fn of_call(function: &str) -> Self {
        Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(function)).map_or(Self::NONE, |(_, right)| *right)
    }

    /// The bits, as a guest reads them.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether this set contains all of `other`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The rights in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The rights in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The rights of this set that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().filter(|(_, right)| self.contains(*right));
        f.debug_set().entries(names.map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t10_unknown_bits_are_refused() {
        assert_eq!(Rights::from_guest(1 << 30), Err(Errno::INVAL));
        assert_eq!(Rights::from_guest(u64::MAX), Err(Errno::INVAL));
        assert_eq!(Rights::from_guest((1 << 30) - 1), Ok(Rights::ALL));
    }

    #[test]
    fn a_directory_has_no_position_and_no_size() {
        let positional = Rights::FD_SEEK.union(Rights::FD_FILESTAT_SET_SIZE);
        assert_eq!(Rights::DIRECTORY.intersection(positional), Rights::NONE);
    }
}
