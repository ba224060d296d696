//! Enumerations of preview 1. An undefined value is `INVAL` (T10).

use crate::Errno;

/// The type of a file for the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FileType {
    /// Any other type, such as a pipe.
    Unknown = 0,
    /// A block device.
    BlockDevice = 1,
    /// A character device, such as a terminal.
    CharacterDevice = 2,
    /// A directory.
    Directory = 3,
    /// A regular file.
    RegularFile = 4,
    /// A datagram socket.
    SocketDgram = 5,
    /// A stream socket.
    SocketStream = 6,
    /// A symbolic link.
    SymbolicLink = 7,
}

impl FileType {
    /// Its number.
    #[must_use]
    pub const fn raw(self) -> u8 {
        self as u8
    }
}

/// What an offset in `fd_seek` is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    /// The start of the file.
    Set,
    /// The current position.
    Current,
    /// The end of the file.
    End,
}

impl Whence {
    /// The encoding of `wasi_snapshot_preview1`.
    ///
    /// # Errors
    /// [`Errno::INVAL`] for an undefined value.
    pub const fn from_guest(value: u32) -> Result<Self, Errno> {
        match value {
            0 => Ok(Self::Set),
            1 => Ok(Self::Current),
            2 => Ok(Self::End),
            _ => Err(Errno::INVAL),
        }
    }

    /// The encoding of `wasi_unstable`, which has another order.
    ///
    /// # Errors
    /// [`Errno::INVAL`] for an undefined value.
    pub const fn from_guest_unstable(value: u32) -> Result<Self, Errno> {
        match value {
            0 => Ok(Self::Current),
            1 => Ok(Self::End),
            2 => Ok(Self::Set),
            _ => Err(Errno::INVAL),
        }
    }
}

/// How a guest will use a range of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Nothing special.
    Normal,
    /// From lower to higher offsets.
    Sequential,
    /// In any order.
    Random,
    /// Soon.
    WillNeed,
    /// Not soon.
    DontNeed,
    /// Once.
    NoReuse,
}

impl Advice {
    /// Parses the value that a guest passed.
    ///
    /// # Errors
    /// [`Errno::INVAL`] for an undefined value.
    pub const fn from_guest(value: u32) -> Result<Self, Errno> {
        Ok(match value {
            0 => Self::Normal,
            1 => Self::Sequential,
            2 => Self::Random,
            3 => Self::WillNeed,
            4 => Self::DontNeed,
            5 => Self::NoReuse,
            _ => return Err(Errno::INVAL),
        })
    }
}
