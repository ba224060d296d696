//! What happens on a refused system call: a message that names it, and the end.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{SigSet, Signal};
use wave_policy::Surface;

use super::{sys, syscalls};
use crate::{AddressRange, Cause, DENIED};

/// What the message needs to know of the run, for a handler that can ask nobody.
struct Run {
    /// [`Surface::bits`].
    surface: AtomicU64,
    /// The guest's code: first address, and length.
    code: [AtomicU64; 2],
}

static RUN: Run = Run { surface: AtomicU64::new(0), code: [AtomicU64::new(0), AtomicU64::new(0)] };

/// Installs the handler for calls the filter refuses.
pub(crate) fn install_handler(surface: &Surface, guest_code: Option<AddressRange>) -> Result<(), Cause> {
    RUN.surface.store(surface.bits(), Ordering::Relaxed);
    if let Some(range) = guest_code {
        RUN.code[0].store(range.start, Ordering::Relaxed);
        RUN.code[1].store(range.len_bytes, Ordering::Relaxed);
    }
    sys::answer_trapped_calls().map_err(Cause::refused("sigaction(SIGSYS)"))?;
    // A mask inherited from the parent may block it, and then the kernel kills without a message.
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGSYS);
    mask.thread_unblock().map_err(Cause::refused("sigprocmask(SIGSYS)"))
}

/// A call that the filter refused.
pub(crate) struct Refused {
    /// Its number.
    pub number: i32,
    /// Whether that is a number of x86-64, not of a 32-bit entry.
    pub is_native: bool,
    /// The instruction behind the call.
    pub address: u64,
    /// The argument registers of x86-64.
    pub arguments: [u64; 6],
}

/// Runs as a signal handler: no allocation, no lock, and only the calls every filter permits.
pub(crate) fn denied(refused: &Refused) -> ! {
    let surface = Surface::from_bits(RUN.surface.load(Ordering::Relaxed));
    let [start, len_bytes] = RUN.code.each_ref().map(|word| word.load(Ordering::Relaxed));
    let mut message = Message::default();
    // A message that does not fit is cut, which is all a handler can do about it.
    if describe(&mut message, refused, &surface, AddressRange { start, len_bytes }).is_err() {
        message.bytes[Message::SIZE - 1] = b'\n';
    }
    message.send();
    sys::exit_now(DENIED)
}

/// Registers are printed as numbers; what they point to is not looked at.
fn describe(out: &mut Message, refused: &Refused, surface: &Surface, guest_code: AddressRange) -> fmt::Result {
    let number = refused.number;
    let name = usize::try_from(number).ok().and_then(syscalls::name).filter(|_| refused.is_native);
    let name = name.unwrap_or(if refused.is_native { "unknown" } else { "of another architecture" });
    writeln!(out, "wave: denied system call {name} ({number})")?;
    write!(out, "  with: ")?;
    for argument in refused.arguments {
        write!(out, " {argument:#x}")?;
    }
    let whose = if guest_code.contains(refused.address) { "the guest's own code" } else { "native code" };
    writeln!(out, "\n  where: {whose} at {:#x}, after the seal", refused.address)?;
    let mut imported = wave_policy::functions_using(name).filter(|function| surface.contains(function.name)).peekable();
    if guest_code.contains(refused.address) {
        writeln!(out, "  cause: no hostcall; compiled code makes no system call, so the program broke out of its own")?;
    } else if imported.peek().is_some() {
        write!(out, "  cause: perhaps one of these, though none should lead to it with these arguments and grants:")?;
        for function in imported {
            write!(out, " {}", function.name)?;
        }
        writeln!(out)?;
    } else if let Some(function) = wave_policy::functions_using(name).next() {
        writeln!(out, "  cause: no hostcall of this module, which does not import {} or its like", function.name)?;
    } else {
        writeln!(out, "  cause: no hostcall leads to this call, so something tried to break out")?;
    }
    writeln!(
        out,
        "  fix:   if the program is honest, this is a bug in wave: report these lines and `wave inspect` of the module"
    )
}

/// A text of limited length on the stack.
pub(super) struct Message {
    bytes: [u8; Self::SIZE],
    len: usize,
}

impl Message {
    const SIZE: usize = 1024;

    /// Writes it to standard error, as far as one call goes.
    pub(super) fn send(&self) {
        sys::write_stderr(&self.bytes[..self.len]);
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
        let fits = text.len().min(room.len());
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.len += fits;
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: AddressRange = AddressRange { start: 0x2000, len_bytes: 0x1000 };

    fn message(number: i32, is_native: bool, address: u64) -> String {
        let mut out = Message::default();
        let refused = Refused { number, is_native, address, arguments: [1, 0xff, 0, 0, 0, u64::MAX] };
        let surface = Surface::from_imports([("wasi_snapshot_preview1", "path_open")]);
        describe(&mut out, &refused, &surface, CODE).expect("room for the message");
        String::from_utf8(out.bytes[..out.len].to_vec()).expect("text")
    }

    #[test]
    fn a_call_of_no_function_is_an_attempt_to_break_out() {
        assert_eq!(
            message(59, true, 0x1000),
            "wave: denied system call execve (59)\n  with:  0x1 0xff 0x0 0x0 0x0 0xffffffffffffffff\n  \
             where: native code at 0x1000, after the seal\n  \
             cause: no hostcall leads to this call, so something tried to break out\n  \
             fix:   if the program is honest, this is a bug in wave: report these lines and `wave inspect` of the module\n"
        );
    }

    #[test]
    fn a_call_of_some_functions_names_those_that_are_imported() {
        let absent = message(258, true, 0);
        assert!(absent.contains("of this module, which does not import path_create_directory or"), "{absent}");
        let imported = message(257, true, 0);
        assert!(imported.contains("cause: perhaps one of these"), "{imported}");
        assert!(imported.contains("and grants: path_open\n"), "{imported}");
    }

    #[test]
    fn code_of_the_guest_makes_no_calls() {
        assert!(message(257, true, 0x2fff).contains("where: the guest's own code at 0x2fff"));
        assert!(message(257, true, 0x2fff).contains("cause: no hostcall;"));
        assert!(message(257, true, 0x3000).contains("where: native code"));
    }

    #[test]
    fn numbers_of_other_architectures_have_other_names() {
        assert!(message(11, false, 0).starts_with("wave: denied system call of another architecture (11)\n"));
    }

    #[test]
    fn each_number_fits() {
        for number in -1..1024 {
            assert!(message(number, true, u64::MAX).ends_with("of the module\n"));
        }
    }
}
