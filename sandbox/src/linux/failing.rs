//! Ends that nobody plans: a panic, an abort, no memory. Each is one message and a status of ours; nothing here allocates, locks or
//! waits for anybody, because it may be the allocator that failed, or a lock that is held.

use std::fmt::{self, Write as _};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::signal::Signal;
use wave_policy::harmful;

use super::denial::Message;
use super::sys;

/// Exit status of a process that could not go on.
const FAILED: i32 = 125;

/// Limits on memory as they were at the start: a sealed process cannot ask for them. Address space, and data.
static LIMITS: [AtomicU64; 2] = [const { AtomicU64::new(RLIM_INFINITY) }; 2];

/// Remembers the limits on memory.
pub(crate) fn note_limits() {
    for (place, resource) in LIMITS.iter().zip([Resource::RLIMIT_AS, Resource::RLIMIT_DATA]) {
        place.store(getrlimit(resource).map_or(RLIM_INFINITY, |(soft, _)| soft), Ordering::Relaxed);
    }
}

/// A panic ends this process, with status 125, before anything is unwound. A write beyond the limit on files is an error and no
/// signal.
///
/// Call it first thing in `main`.
pub fn report_failures() {
    std::panic::set_hook(Box::new(|info| panicked(info)));
    // If it fails, such a write ends the process, as it always did.
    sys::ignore(Signal::SIGXFSZ).unwrap_or_default();
}

fn panicked(info: &PanicHookInfo<'_>) -> ! {
    static PANICS: AtomicBool = AtomicBool::new(false);
    // What is printed panics itself.
    if PANICS.swap(true, Ordering::Relaxed) {
        sys::exit_now(FAILED);
    }
    let mut message = Message::default();
    let what = info.payload_as_str().unwrap_or("something went wrong");
    // What does not fit is left out.
    write!(message, "wave: bug: {}", Harmless(what)).unwrap_or_default();
    if let Some(place) = info.location() {
        write!(message, "\n  where: {}:{}", place.file(), place.line()).unwrap_or_default();
    }
    message.send();
    sys::write_stderr(b"\n  fix:   this is a bug in wave: please report it, with the command and its files\n");
    sys::exit_now(FAILED)
}

/// No memory is left.
pub(crate) fn out_of_memory() -> ! {
    let mut message = Message::default();
    write!(message, "wave: no memory is left\n  fix:   {}\n", MoreMemory).unwrap_or_default();
    message.send();
    sys::exit_now(FAILED)
}

/// Something called `abort`: the start of the process, before `main`, or a library that found its memory in disorder. Runs as a
/// signal handler.
pub(crate) fn aborted() -> ! {
    let mut message = Message::default();
    write!(message, "wave: cannot go on\n  fix:   ").unwrap_or_default();
    match LIMITS.iter().any(|limit| limit.load(Ordering::Relaxed) != RLIM_INFINITY) {
        true => writeln!(message, "{MoreMemory}; if there is enough, this is a bug in wave: please report it")
            .unwrap_or_default(),
        false => writeln!(message, "this is a bug in wave: please report it, with the command and its files")
            .unwrap_or_default(),
    }
    message.send();
    sys::exit_now(FAILED)
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

/// A text without what steers a terminal.
struct Harmless<'t>(&'t str);

impl fmt::Display for Harmless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if harmful(c) { '?' } else { c }))
    }
}
