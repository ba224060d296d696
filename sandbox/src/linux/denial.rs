//! What happens on a refused system call: a message that names it, and the end.

use std::fmt::{self, Write as _};

use nix::sys::signal::{SigSet, Signal};

use super::{sys, syscalls};
use crate::{Cause, DENIED};

/// Installs the handler for calls the filter refuses.
pub(crate) fn install_handler() -> Result<(), Cause> {
    sys::answer_trapped_calls().map_err(Cause::refused("sigaction(SIGSYS)"))?;
    // A mask inherited from the parent may block it, and then the kernel kills without a message.
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGSYS);
    mask.thread_unblock().map_err(Cause::refused("sigprocmask(SIGSYS)"))
}

/// Runs as a signal handler: no allocation, no lock, and only the calls every filter permits.
pub(crate) fn denied(number: i32, address: usize) -> ! {
    let mut message = Message::default();
    // A message that does not fit is cut, which is all a handler can do about it.
    if describe(&mut message, number, address).is_err() {
        message.bytes[Message::SIZE - 1] = b'\n';
    }
    sys::write_stderr(&message.bytes[..message.len]);
    sys::exit_now(DENIED)
}

fn describe(out: &mut Message, number: i32, address: usize) -> fmt::Result {
    let name = usize::try_from(number).ok().and_then(syscalls::name);
    let name = name.unwrap_or("unknown");
    writeln!(out, "wave: denied system call {name} ({number})")?;
    writeln!(out, "  where: native code at {address:#x}, after the seal")?;
    let mut functions = wave_policy::functions_using(name).map(|function| function.name).peekable();
    if functions.peek().is_none() {
        return writeln!(out, "  fix:   none: no WASI function leads to this call, something tried to break out");
    }
    write!(out, "  fix:   no import and grant of this module permit it with these arguments; it belongs to")?;
    for (index, function) in functions.enumerate() {
        write!(out, "{}{function}", if index == 0 { " " } else { ", " })?;
    }
    writeln!(out)
}

/// A text of limited length on the stack.
struct Message {
    bytes: [u8; Self::SIZE],
    len: usize,
}

impl Message {
    const SIZE: usize = 1024;
}

impl Default for Message {
    fn default() -> Self {
        Self { bytes: [0; Self::SIZE], len: 0 }
    }
}

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let fits = text.len().min(room.len());
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.len += fits;
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: i32) -> String {
        let mut out = Message::default();
        describe(&mut out, number, 0x1000).expect("room for the message");
        String::from_utf8(out.bytes[..out.len].to_vec()).expect("text")
    }

    #[test]
    fn a_call_of_no_function_is_an_attempt_to_break_out() {
        assert_eq!(
            message(59),
            "wave: denied system call execve (59)\n  where: native code at 0x1000, after the seal\n  \
             fix:   none: no WASI function leads to this call, something tried to break out\n"
        );
    }

    #[test]
    fn a_call_of_some_function_names_it() {
        assert!(message(258).ends_with("it belongs to path_create_directory\n"), "{}", message(258));
    }

    #[test]
    fn each_number_fits() {
        for number in -1..1024 {
            assert!(message(number).ends_with('\n'));
        }
    }
}
