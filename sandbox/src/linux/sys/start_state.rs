//! Attributes that a process inherits from its parent, beside signals and variables.

use std::ffi::{c_int, c_ulong};

use nix::errno::Errno;

/// The bits of this process's personality that change how programs are executed. Source: personality(2).
pub(crate) fn personality() -> Result<c_int, Errno> {
    const QUERY: c_ulong = 0xffff_ffff;
    // SAFETY: the call takes a number; this one asks and changes nothing.
    Errno::result(unsafe { libc::personality(QUERY) })
}

/// Sets the personality of the programs that this process executes from now on to the usual one of Linux.
pub(crate) fn reset_personality() -> Result<(), Errno> {
    // SAFETY: the call takes a number. The bits change how memory is laid out from now on, not what is mapped.
    Errno::result(unsafe { libc::personality(0) }).map(drop)
}

/// Whether the kernel gave this program rights that the user who executed it does not have, or another security module says so.
///
/// Source: getauxval(3), `AT_SECURE`.
pub(crate) fn has_file_privileges() -> bool {
    // SAFETY: the call takes a number and reads a vector that the kernel wrote before the process started.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Sets the floating-point control registers to their state at the start of a program: rounding to nearest, no flushing to
/// zero, no traps.
///
/// Source: System V ABI for x86-64, 3.4.1 (MXCSR 0x1f80, x87 control word 0x37f).
pub(crate) fn reset_floating_point() {
    let (mxcsr, control) = (0x1f80_u32, 0x37f_u16);
    // SAFETY: both instructions read a live local. Rust code is compiled for exactly these values; any others that were set
    // before were the ones that broke its assumptions.
    unsafe {
        std::arch::asm!(
            "ldmxcsr [{mxcsr}]",
            "fldcw [{control}]",
            mxcsr = in(reg) &raw const mxcsr,
            control = in(reg) &raw const control,
            options(nostack, readonly)
        );
    }
}
