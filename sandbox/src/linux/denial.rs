//! What happens on a denied system call: a message that names it, and the end of the process.

use std::fmt::{self, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use nix::sys::signal::{SigSet, Signal};
use wave_policy::Surface;

use super::seccomp::outer::TRAP_DATA;
use super::sys::{self, Message, TrappedCall};
use crate::error::Cause;
use crate::plan::AddressRange;
use crate::status::DENIED;
use crate::syscalls;

/// What the message says of the run. It is recorded before the seal, because a signal handler cannot look it up.
struct Run {
    /// [`Surface::bits`].
    surface: AtomicU64,
    /// The guest's code: first address, and length.
    code: [AtomicU64; 2],
}

static RUN: Run = Run { surface: AtomicU64::new(0), code: [AtomicU64::new(0), AtomicU64::new(0)] };

/// Where the number of a denied call is recorded for the process that waits for this one, plus one.
static RECORD: OnceLock<&'static AtomicI64> = OnceLock::new();

/// From now on, records the number of a denied call there, plus one.
pub(crate) fn record_in(number: &'static AtomicI64) {
    // A process has one supervisor.
    RECORD.get_or_init(|| number);
}

/// Installs the handler for calls that the filter denies.
#[allow(unsafe_code, reason = "what the handler does is known here")]
pub(crate) fn install_handler(surface: &Surface, guest_code: Option<AddressRange>) -> Result<(), Cause> {
    RUN.surface.store(surface.bits(), Ordering::Relaxed);
    if let Some(range) = guest_code {
        RUN.code[0].store(range.start, Ordering::Relaxed);
        RUN.code[1].store(range.len_bytes, Ordering::Relaxed);
    }
    // SAFETY: `report_and_exit` makes the system calls `write` and `_exit` and no other. It formats into a buffer on the stack, and
    // reads atomics and constants: it takes no lock and no memory.
    unsafe { sys::install_trap_handler(report_and_exit) }.map_err(Cause::refused("sigaction(SIGSYS)"))?;
    // A mask inherited from the parent may block the signal. Then the kernel would kill the process without a message.
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGSYS);
    mask.thread_unblock().map_err(Cause::refused("sigprocmask(SIGSYS)"))
}

/// Runs as a signal handler: no allocation, no lock, and only calls that every filter permits.
fn report_and_exit(denied: &TrappedCall) -> ! {
    if let Some(record) = RECORD.get() {
        record.store(i64::from(denied.number) + 1, Ordering::Relaxed);
    }
    let surface = Surface::from_bits(RUN.surface.load(Ordering::Relaxed));
    let [start, len_bytes] = RUN.code.each_ref().map(|word| word.load(Ordering::Relaxed));
    let mut message = Message::default();
    // A message that does not fit is truncated. A handler can do no more.
    if describe(&mut message, denied, &surface, AddressRange { start, len_bytes }).is_err() {
        message.end_full_line();
    }
    message.send();
    sys::exit_now(DENIED)
}

/// Prints registers as numbers, and does not read what they point to.
fn describe(out: &mut Message, denied: &TrappedCall, surface: &Surface, guest_code: AddressRange) -> fmt::Result {
    let number = denied.number;
    let name = usize::try_from(number).ok().and_then(syscalls::name).filter(|_| denied.is_native);
    let name = name.unwrap_or(if denied.is_native { "unknown" } else { "of another architecture" });
    writeln!(out, "wave: denied system call {name} ({number})")?;
    write!(out, "  with: ")?;
    for argument in denied.arguments {
        write!(out, " {argument:#x}")?;
    }
    let whose = if guest_code.contains(denied.address) { "the guest's own code" } else { "native code" };
    writeln!(out, "\n  where: {whose} at {:#x}, after the seal", denied.address)?;
    let mut imported = wave_policy::functions_using(name).filter(|function| surface.contains(function.name)).peekable();
    if guest_code.contains(denied.address) {
        writeln!(out, "  cause: no hostcall; compiled code makes no system call, so the program broke out of its own")?;
    } else if denied.data.cast_unsigned() == TRAP_DATA {
        // The seal permits it.
        writeln!(out, "  cause: the seccomp profile of the container denies it")?;
        return writeln!(out, "  fix:   if the program needs it, allow it in that profile");
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

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: AddressRange = AddressRange { start: 0x2000, len_bytes: 0x1000 };

    fn message(number: i32, is_native: bool, address: u64) -> String {
        message_of(TrappedCall { number, is_native, address, arguments: [1, 0xff, 0, 0, 0, u64::MAX], data: 0 })
    }

    fn message_of(denied: TrappedCall) -> String {
        let mut out = Message::default();
        let surface = Surface::from_imports([("wasi_snapshot_preview1", "path_open")]);
        describe(&mut out, &denied, &surface, CODE).expect("room for the message");
        String::from_utf8(out.as_bytes().to_vec()).expect("text")
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
    fn a_call_that_a_container_denies_is_none_of_the_seal() {
        let of = |data| message_of(TrappedCall { number: 257, is_native: true, address: 0, arguments: [0; 6], data });
        assert!(of(0).contains("cause: perhaps one of these"), "{}", of(0));
        let end = "  cause: the seccomp profile of the container denies it\n  fix:   if the program needs it, allow it in that profile\n";
        assert!(of(1).starts_with("wave: denied system call openat (257)\n") && of(1).ends_with(end), "{}", of(1));
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
