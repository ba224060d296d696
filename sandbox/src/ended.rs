//! How other processes of a run ended.

use std::time::Duration;

/// How a worker ended, if it did not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// Its time was up.
    #[error("its time was up")]
    Timeout,
    /// It reached its limit on memory.
    #[error("it used up its memory")]
    Memory,
    /// It made a system call that its filter denies.
    #[error("it made a system call that is refused to it")]
    Denied,
    /// It exited with this status.
    #[error("exit status {0}")]
    Status(i32),
    /// This signal killed it.
    #[error("signal {0}")]
    Signal(i32),
    /// It closed its socket, or sent an invalid answer.
    #[error("it gave no valid answer")]
    Silent,
}

impl Ended {
    /// The exit code of a command that waited for the process: its own, 128 + n for a signal, else 125.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        let code = match self {
            Self::Status(code) => code,
            Self::Signal(number) => 128 + number,
            _ => 125,
        };
        u8::try_from(code).unwrap_or(125)
    }
}

/// What a process and those that it waited for used, as the kernel counts it. Source: getrusage(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in user space.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// The most memory that one of them had at a time.
    pub peak_bytes: u64,
}

/// A system call that the filter denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeniedCall {
    /// Its number.
    pub number: i32,
    /// Its name, if it has one on this architecture.
    pub name: Option<&'static str>,
}

/// A process that was waited for.
#[derive(Debug)]
pub struct Supervised {
    /// How it ended.
    pub ended: Ended,
    /// What it used.
    pub usage: Usage,
    /// The denied system call that ended it. As untrusted as what it worked on.
    pub denied_call: Option<DeniedCall>,
    /// What it wrote to its memory. As untrusted as what it worked on.
    pub left: &'static [u8],
}
