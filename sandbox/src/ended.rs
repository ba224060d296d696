//! How other processes of a run ended.

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

/// A process that was waited for.
#[derive(Debug)]
pub struct Supervised {
    /// How it ended.
    pub ended: Ended,
    /// What it wrote to its memory. As untrusted as what it worked on.
    pub left: &'static [u8],
}
