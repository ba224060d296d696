//! How a hostcall ends when it does not succeed.

use wave_monitor::{Errno, Rule};

/// Why a hostcall did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The guest gets this number and goes on.
    Errno(Errno),
    /// The guest does not go on.
    Stop(Stop),
}

/// Why the guest does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It called `proc_exit` with this code.
    Exit(u32),
    /// It raised a signal that ends a process; the number is Linux's. No signal was sent.
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
        Self::Errno(crate::errno::from_host(error).because(Rule::Host))
    }
}
