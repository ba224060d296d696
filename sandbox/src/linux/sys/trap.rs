use super::*;

/// Calls [`denied`] when a filter traps a system call.
pub(crate) fn answer_trapped_calls() -> Result<(), Errno> {
    // SA_ONSTACK: the guest's stack may have no room, or be no stack at all.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(trapped), flags, SigSet::all());
    // SAFETY: `trapped` has the signature of SA_SIGINFO; it makes only async-signal-safe calls and never returns, so
    // nothing it interrupts goes on in a torn state.
    unsafe { sigaction(Signal::SIGSYS, &action) }.map(drop)
}

/// The start of `siginfo_t` when its signal is SIGSYS. Source: `include/uapi/asm-generic/siginfo.h`.
#[repr(C)]
struct TrapInfo {
    signal: [c_int; 4],
    call_address: usize,
    call: c_int,
    architecture: c_uint,
}

/// Source: `include/uapi/linux/audit.h`.
const AUDIT_ARCH_X86_64: c_uint = 0xc000_003e;

extern "C" fn trapped(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a whole siginfo_t, 128 bytes and aligned to 8, which lives while the handler runs;
    // all bit patterns of the fields are values.
    let info = unsafe { &*info.cast::<TrapInfo>() };
    // SAFETY: likewise the ucontext_t of the interrupted thread, to which nothing else refers.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let order = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9];
    let value = |register: c_int| usize::try_from(register).ok().and_then(|index| registers.get(index));
    denied(&Refused {
        number: info.call,
        is_native: info.architecture == AUDIT_ARCH_X86_64,
        address: info.call_address as u64,
        arguments: order.map(|register| value(register).map_or(0, |value| value.cast_unsigned())),
    })
}
