//! The handler of SIGSYS, the signal that the kernel sends for a system call that the filter traps.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::calls::exit_now;

/// A system call that the filter trapped.
pub(crate) struct TrappedCall {
    /// Its number.
    pub number: i32,
    /// Whether that is a number of x86-64, not of a 32-bit entry.
    pub is_native: bool,
    /// The address after the instruction that made the call.
    pub address: u64,
    /// The argument registers of x86-64.
    pub arguments: [u64; 6],
    /// The lower half of the filter's answer.
    pub data: i32,
}

/// What [`on_trap`] calls. A `OnceLock` that is set is read by one atomic load.
static HANDLER: OnceLock<fn(&TrappedCall) -> !> = OnceLock::new();

/// Calls `handler` when a filter traps a system call. Only the first handler of a process counts.
///
/// # Safety
/// `handler` runs as a signal handler: it makes only async-signal-safe calls, and takes no lock and no memory.
pub(crate) unsafe fn install_trap_handler(handler: fn(&TrappedCall) -> !) -> Result<(), Errno> {
    HANDLER.get_or_init(|| handler);
    // SA_ONSTACK: the guest's stack may have no room, or be no stack at all.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(on_trap), flags, SigSet::all());
    // SAFETY: `on_trap` has the signature of SA_SIGINFO. It makes only async-signal-safe calls, by the caller's promise, and never
    // returns, so the code that it interrupts does not go on in an inconsistent state.
    unsafe { sigaction(Signal::SIGSYS, &action) }.map(drop)
}

/// The start of `siginfo_t` when its signal is SIGSYS. Source: `include/uapi/asm-generic/siginfo.h`.
#[repr(C)]
struct TrapInfo {
    signal: c_int,
    errno: c_int,
    code: [c_int; 2],
    call_address: usize,
    call: c_int,
    architecture: c_uint,
}

/// Source: `include/uapi/linux/audit.h`.
const AUDIT_ARCH_X86_64: c_uint = 0xc000_003e;

extern "C" fn on_trap(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a whole siginfo_t, 128 bytes and aligned to 8, which lives while the handler runs;
    // all bit patterns of the fields are values.
    let info = unsafe { &*info.cast::<TrapInfo>() };
    // SAFETY: likewise the ucontext_t of the interrupted thread, to which nothing else refers.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let order = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9];
    let value = |register: c_int| usize::try_from(register).ok().and_then(|index| registers.get(index));
    let call = TrappedCall {
        number: info.call,
        is_native: info.architecture == AUDIT_ARCH_X86_64,
        address: info.call_address as u64,
        arguments: order.map(|register| value(register).map_or(0, |value| value.cast_unsigned())),
        data: info.errno,
    };
    match HANDLER.get() {
        Some(handler) => handler(&call),
        // `install_trap_handler` sets it before the signal can come.
        None => exit_now(128 + signal),
    }
}
