//! How a hostcall fails.

use wave_monitor::{Errno, Rule};

/// Why a hostcall failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The guest gets this errno and continues.
    Errno(Errno),
    /// The guest stops.
    Stop(Stop),
}

/// Why the guest stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It called `proc_exit` with this code.
    Exit(u32),
    /// It raised a signal that terminates a process. The number is Linux's. No signal was sent.
    Signal(u8),
    /// The run was interrupted while the hostcall was waiting or working.
    Deadline,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Errno(crate::platform::errno(error).because(Rule::Host))
    }
}
