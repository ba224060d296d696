//! The effects of the `fd_*` functions, which act on an open descriptor.

use crate::limits::Account;
use crate::{Advice, FdFlags, NewTimes, SeekFrom, Target, Waiting};

macro_rules! effects {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $visibility:vis $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        #[non_exhaustive]
        pub struct $name {
            /// The object.
            pub on: Target,
            $($(#[$field_doc])* $visibility $field: $type,)*
        }
    )*};
}

effects! {
    /// Read at the current position.
    Read {
        /// Maximum bytes to move.
        pub at_most: usize,
        /// Whether to wait for data.
        pub waiting: Waiting,
        /// Whether it is a FIFO that the guest opened, perhaps before any writer. Until there was a writer, a read of
        /// no bytes is not the end.
        pub fifo: bool,
    }
    /// Write at the current position.
    Write {
        /// Maximum bytes to move.
        pub at_most: usize,
        /// Whether to wait for space.
        pub waiting: Waiting,
        /// Whether it is a terminal.
        pub terminal: bool,
        pub(crate) account: Account,
    }
    /// Read at a given position.
    ReadAt {
        /// Maximum bytes to move.
        pub at_most: usize,
        /// Below 2^63.
        pub offset: u64,
    }
    /// Write at a given position.
    WriteAt {
        /// Maximum bytes to move.
        pub at_most: usize,
        /// Below 2^63.
        pub offset: u64,
        pub(crate) account: Account,
    }
    /// Move or query the position.
    Seek {
        /// The new position.
        pub to: SeekFrom,
    }
    /// Query the attributes.
    Stat {}
    /// Set the size.
    SetSize {
        /// Below 2^63.
        pub size: u64,
    }
    /// Set the timestamps.
    SetTimes {
        /// The new timestamps.
        pub times: NewTimes,
    }
    /// Reserve space.
    Allocate {
        /// Start of the range.
        pub offset: u64,
        /// Length of the range, not zero. The end is below 2^63.
        pub len: u64,
    }
    /// Announce to the kernel how a range will be used.
    Advise {
        /// Start of the range.
        pub offset: u64,
        /// Length of the range; zero means up to the end of the file. The end is below 2^63.
        pub len: u64,
        /// How it will be used.
        pub advice: Advice,
    }
    /// Wait until data, or data and metadata, are on the disk.
    Sync {
        /// Data only.
        pub data_only: bool,
    }
    /// Change the flags.
    SetFlags {
        /// The new append mode, if it changes on the host.
        pub append: Option<bool>,
        /// Recorded after the system call.
        pub commit: Commit,
    }
    /// List the directory.
    ReadDir {
        /// Start of the listing. The guest can pass any value.
        pub cookie: u64,
    }
    /// Close the object.
    Close {}
}

/// A flag change that is recorded after the system call.
#[derive(Debug, Clone, Copy)]
pub struct Commit {
    pub(crate) fd: u32,
    pub(crate) flags: FdFlags,
}
