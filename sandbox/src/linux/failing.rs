//! A panic ends the process with one message and an exit status of ours.
//!
//! `sys::emergency` does the same for a failed allocation and for `abort`.

use std::fmt::{self, Write as _};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use wave_policy::harmful;

use super::sys::{self, FAILED, Message};

/// From now on, a panic writes a message and ends this process with status 125, before it unwinds. A write beyond the limit on
/// file size is an error and no signal.
///
/// Call it first thing in `main`.
pub fn report_failures() {
    std::panic::set_hook(Box::new(|info| report_panic(info)));
    // If it fails, such a write ends the process, as it does by default.
    sys::ignore(Signal::SIGXFSZ).unwrap_or_default();
}

/// Does not allocate, lock or wait: the allocator may have panicked, or hold a lock.
fn report_panic(info: &PanicHookInfo<'_>) -> ! {
    static HAS_PANICKED: AtomicBool = AtomicBool::new(false);
    // Printing the message can panic, too.
    if HAS_PANICKED.swap(true, Ordering::Relaxed) {
        sys::exit_now(FAILED);
    }
    let mut message = Message::default();
    let payload = info.payload_as_str().unwrap_or("something went wrong");
    // What does not fit is left out.
    write!(message, "wave: bug: {}", Harmless(payload)).unwrap_or_default();
    if let Some(location) = info.location() {
        write!(message, "\n  where: {}:{}", location.file(), location.line()).unwrap_or_default();
    }
    message.send();
    sys::write_stderr(b"\n  fix:   this is a bug in wave: please report it, with the command and its files\n");
    sys::exit_now(FAILED)
}

/// A text without characters that control a terminal.
struct Harmless<'t>(&'t str);

impl fmt::Display for Harmless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if harmful(c) { '?' } else { c }))
    }
}
