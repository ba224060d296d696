//! The kinds of objects that a descriptor can refer to, and the maximum rights of each.

use crate::{FileType, Rights};

/// What a descriptor refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    RegularFile,
    /// A directory.
    Directory,
    /// A pipe or FIFO.
    Pipe,
    /// A terminal.
    Terminal,
    /// A character device that is not a terminal, such as `/dev/null`.
    Device,
    /// A listening stream socket.
    Listener,
    /// A connected stream socket.
    Stream,
    /// Any other kind of standard stream. It can only be read or written.
    Other,
    /// Granted files, which the guest finds as a directory (`lists.rs`). No directory of the host is behind it.
    List,
}

impl Kind {
    /// Its type for the guest.
    #[must_use]
    pub const fn file_type(self) -> FileType {
        match self {
            Self::RegularFile => FileType::RegularFile,
            Self::Directory | Self::List => FileType::Directory,
            Self::Terminal | Self::Device => FileType::CharacterDevice,
            Self::Listener | Self::Stream => FileType::SocketStream,
            Self::Pipe | Self::Other => FileType::Unknown,
        }
    }

    /// Whether reads and writes may have to wait.
    #[must_use]
    pub const fn may_wait(self) -> bool {
        !matches!(self, Self::RegularFile | Self::Directory | Self::List)
    }

    /// Whether it has a position.
    #[must_use]
    pub const fn is_seekable(self) -> bool {
        matches!(self, Self::RegularFile | Self::Directory | Self::Device | Self::List)
    }

    pub(crate) const fn ceiling(self) -> Rights {
        match self {
            Self::RegularFile => Rights::REGULAR_FILE,
            Self::Directory => Rights::DIRECTORY,
            Self::Device => Rights::STREAM.union(Rights::FD_SEEK).union(Rights::FD_TELL),
            Self::Pipe | Self::Terminal | Self::Other => Rights::STREAM,
            Self::Listener => Rights::LISTENER,
            Self::Stream => Rights::SOCKET,
            Self::List => Rights::LIST,
        }
    }
}

/// What a call does if its descriptor is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The descriptor is always ready.
    Never,
    /// The call waits.
    Wait,
    /// The call fails with `AGAIN`. The descriptor may be blocking on the host, so it is polled first.
    Refuse,
}
