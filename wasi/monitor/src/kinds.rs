//! What a descriptor can refer to, and what can be done with each kind at most.

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
    /// A character device that is no terminal, such as `/dev/null`. Standard streams only.
    Device,
    /// A listening stream socket.
    Listener,
    /// A connected stream socket.
    Stream,
    /// Anything else a standard stream may be. It can be read or written, no more.
    Other,
}

impl Kind {
    /// As the guest sees it.
    #[must_use]
    pub const fn file_type(self) -> FileType {
        match self {
            Self::RegularFile => FileType::RegularFile,
            Self::Directory => FileType::Directory,
            Self::Terminal | Self::Device => FileType::CharacterDevice,
            Self::Listener | Self::Stream => FileType::SocketStream,
            Self::Pipe | Self::Other => FileType::Unknown,
        }
    }

    /// Whether reads and writes may have to wait for someone else.
    #[must_use]
    pub const fn may_wait(self) -> bool {
        !matches!(self, Self::RegularFile | Self::Directory)
    }

    /// Whether there is a position to seek to.
    #[must_use]
    pub const fn is_seekable(self) -> bool {
        matches!(self, Self::RegularFile | Self::Directory | Self::Device)
    }

    pub(crate) const fn ceiling(self) -> Rights {
        match self {
            Self::RegularFile => Rights::REGULAR_FILE,
            Self::Directory => Rights::DIRECTORY,
            Self::Device => Rights::STREAM.union(Rights::FD_SEEK).union(Rights::FD_TELL),
            Self::Pipe | Self::Terminal | Self::Other => Rights::STREAM,
            Self::Listener => Rights::LISTENER,
            Self::Stream => Rights::SOCKET,
        }
    }
}

/// Whether a call that cannot go on at once waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// It never has to.
    Never,
    /// It waits.
    Wait,
    /// It fails with `AGAIN`. The host's own flag is left alone, so the performer looks first.
    Refuse,
}
