//! What can be admitted on an open descriptor: the effects of the `fd_*` functions.

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
        /// The most bytes to move.
        pub at_most: usize,
        /// Whether to wait for data.
        pub waiting: Waiting,
        /// Whether it is a FIFO the guest opened, which may have been before any writer did. Until one has been there,
        /// nothing to read is no end.
        pub fifo: bool,
    }
    /// Write at the current position.
    Write {
        /// The most bytes to move.
        pub at_most: usize,
        /// Whether to wait for space.
        pub waiting: Waiting,
        /// Whether a terminal is at the other end.
        pub terminal: bool,
        pub(crate) account: Account,
    }
    /// Read at a given position.
    ReadAt {
        /// The most bytes to move.
        pub at_most: usize,
        /// Below 2^63.
        pub offset: u64,
    }
    /// Write at a given position.
    WriteAt {
        /// The most bytes to move.
        pub at_most: usize,
        /// Below 2^63.
        pub offset: u64,
        pub(crate) account: Account,
    }
    /// Move or query the position.
    Seek {
        /// Where to.
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
        /// To these.
        pub times: NewTimes,
    }
    /// Make sure that space is there.
    Allocate {
        /// Where it starts.
        pub offset: u64,
        /// Above zero; the end is below 2^63.
        pub len: u64,
    }
    /// Tell the kernel how a part will be used.
    Advise {
        /// Where it starts.
        pub offset: u64,
        /// The end is below 2^63; zero means to the end of the file.
        pub len: u64,
        /// How.
        pub advice: Advice,
    }
    /// Wait until data, or data and metadata, are on the disk.
    Sync {
        /// Data only.
        pub data_only: bool,
    }
    /// Change the flags.
    SetFlags {
        /// The new append mode, if the host has to be told.
        pub append: Option<bool>,
        /// Committed after the host call.
        pub commit: Commit,
    }
    /// List the directory.
    ReadDir {
        /// From here. Any value a guest made up.
        pub cookie: u64,
    }
    /// Let go of the object.
    Close {}
}

/// A flag change that waits for the host to agree.
#[derive(Debug, Clone, Copy)]
pub struct Commit {
    pub(crate) fd: u32,
    pub(crate) flags: FdFlags,
}
