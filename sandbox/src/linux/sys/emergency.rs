//! Ends the process when no memory is left or something aborts, with one message and an exit status of ours. Nothing here allocates,
//! locks or waits, because the allocator may have failed or a lock may be held.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::calls::{exit_now, write_stderr};

/// Exit status of a process that could not go on.
pub(crate) const FAILED: i32 = 125;

/// A text of limited length on the stack. What does not fit is left out, and writing it is an error.
pub(crate) struct Message {
    bytes: [u8; Self::SIZE],
    len: usize,
}

impl Message {
    const SIZE: usize = 1024;

    /// The text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Replaces the last byte of a message that is full by the end of a line.
    pub(crate) fn end_full_line(&mut self) {
        self.bytes[Self::SIZE - 1] = b'\n';
    }

    /// Writes the message to standard error, as much of it as one call takes.
    pub(crate) fn send(&self) {
        write_stderr(self.as_bytes());
    }
}

impl Default for Message {
    fn default() -> Self {
        Self { bytes: [0; Self::SIZE], len: 0 }
    }
}

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let copied = text.len().min(room.len());
        room[..copied].copy_from_slice(&text.as_bytes()[..copied]);
        self.len += copied;
        if copied == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// The limits on memory at the start of the process, which a sealed process cannot ask for. Address space, and data.
static LIMITS: [AtomicU64; 2] = [const { AtomicU64::new(RLIM_INFINITY) }; 2];

/// Records the limits on memory.
pub(super) fn record_memory_limits() {
    for (limit, resource) in LIMITS.iter().zip([Resource::RLIMIT_AS, Resource::RLIMIT_DATA]) {
        limit.store(getrlimit(resource).map_or(RLIM_INFINITY, |(soft, _)| soft), Ordering::Relaxed);
    }
}

/// Ends the process because no memory is left.
pub(super) fn exit_out_of_memory() -> ! {
    let mut message = Message::default();
    write!(message, "wave: no memory is left\n  fix:   {}\n", MoreMemory).unwrap_or_default();
    message.send();
    exit_now(FAILED)
}

/// Ends the process because something called `abort`: std before `main`, or a library that found its memory in disorder. Runs as
/// a signal handler.
pub(super) fn abort_reported() -> ! {
    let mut message = Message::default();
    write!(message, "wave: cannot go on\n  fix:   ").unwrap_or_default();
    match LIMITS.iter().any(|limit| limit.load(Ordering::Relaxed) != RLIM_INFINITY) {
        true => writeln!(message, "{MoreMemory}; if there is enough, this is a bug in wave: please report it")
            .unwrap_or_default(),
        false => writeln!(message, "this is a bug in wave: please report it, with the command and its files")
            .unwrap_or_default(),
    }
    message.send();
    exit_now(FAILED)
}

/// How to get more memory, in words.
struct MoreMemory;

impl fmt::Display for MoreMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [space, data] = LIMITS.each_ref().map(|limit| limit.load(Ordering::Relaxed));
        match (space != RLIM_INFINITY, data != RLIM_INFINITY) {
            (true, true) => {
                write!(f, "raise the limit on memory: ulimit -v is {} or ulimit -d is {}", space >> 10, data >> 10)
            }
            (true, false) => write!(f, "raise the limit on memory: ulimit -v is {}", space >> 10),
            (false, true) => write!(f, "raise the limit on memory: ulimit -d is {}", data >> 10),
            (false, false) => f.write_str("let this machine, or the control group of this process, have more memory"),
        }
    }
}
