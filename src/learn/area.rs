//! The memory that the process of a run shares with the one that waits for it: where each number and each path stands.
//!
//! The sealed process writes, [`Use`](super::Use) reads, and trusts nothing: every number and length may be forged.

use crate::words::WORD;

/// Length of the area.
pub const AREA_BYTES: usize = 16 << 20;

/// Paths that are told apart; others are counted together.
pub const MAX_PATHS: usize = 100_000;

/// Longer ones are counted with the others.
pub const MAX_PATH_BYTES: usize = 4096;

/// Bytes before the path of an entry: grant, length, lookups, reads, changes.
pub const ENTRY_HEAD: usize = 4 + 3 * WORD;

/// Functions there can be.
const FUNCTIONS: usize = 64;

/// The words of the end of a run, in front of the others: how it ended, and how much memory it had then.
pub const ENDING_BYTES: usize = 2 * WORD;

/// Numbers there is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// Uses of paths that have no entry.
    More,
    /// The largest linear memory, in bytes.
    Memory,
    /// The most descriptors open at once.
    Open,
    /// Bytes written to files.
    Written,
    /// New names of files, directories and links.
    Entries,
    /// Bytes written to standard output and error.
    Output,
    /// Calls that the monitor denied.
    Denied,
}

/// What is counted of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfGrant {
    /// Calls.
    Calls,
    /// Those that `append` allows and `ro` does not.
    Appends,
    /// Those that only `rw` allows.
    Changes,
}

/// What is counted of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfPath {
    /// Attributes and texts of links that were looked up.
    Lookups,
    /// Opened to read or to list.
    Reads,
    /// Created, changed, or opened for writing.
    Changes,
}

/// How far a run got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It was refused before the program ran.
    Refused,
    /// The program was running.
    Running,
    /// The program returned, or exited.
    Done,
    /// It raised a signal on itself.
    Raised,
    /// A trap.
    Trap,
    /// The time limit.
    Deadline,
    /// The limit on fuel.
    OutOfFuel,
}

impl Stage {
    const ALL: [Self; 7] =
        [Self::Refused, Self::Running, Self::Done, Self::Raised, Self::Trap, Self::Deadline, Self::OutOfFuel];

    /// The stage of a number.
    pub fn of(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| *stage as u64 == number)
    }
}

/// Where things stand behind the words of the end, for a run with so many directories, listening sockets and connections.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Directories that are granted.
    pub grants: usize,
    /// Listening sockets.
    pub listeners: usize,
    /// Connections that are granted.
    pub connections: usize,
}

impl Layout {
    /// Place of a number.
    pub const fn total(total: Total) -> usize {
        total as usize * WORD
    }

    /// Place of the number of calls of a function.
    pub const fn calls(function: usize) -> usize {
        (Total::Denied as usize + 1 + function) * WORD
    }

    /// Place of a number of a directory.
    pub const fn grant(grant: usize, what: OfGrant) -> usize {
        Self::calls(FUNCTIONS) + (grant * 3 + what as usize) * WORD
    }

    /// Place of the number of calls on a socket.
    pub const fn listener(self, listener: usize) -> usize {
        Self::grant(self.grants, OfGrant::Calls) + listener * WORD
    }

    /// Place of the number of connections that were made under a grant.
    pub const fn connection(self, connection: usize) -> usize {
        self.listener(self.listeners) + connection * WORD
    }

    /// Place of the number of bytes that the entries of paths take.
    pub const fn used(self) -> usize {
        self.connection(self.connections)
    }

    /// Place of the first entry.
    pub const fn entries(self) -> usize {
        self.used() + WORD
    }
}
