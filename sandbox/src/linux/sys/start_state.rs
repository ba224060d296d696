use super::*;

/// The bits of this process's personality that change how programs are executed. Source: personality(2).
pub(crate) fn personality() -> Result<c_int, Errno> {
    const ASK: c_ulong = 0xffff_ffff;
    // SAFETY: takes a number; this one changes nothing.
    Errno::result(unsafe { libc::personality(ASK) })
}

/// Sets the personality that programs are executed with from now on to that of every process of Linux.
pub(crate) fn reset_personality() -> Result<(), Errno> {
    // SAFETY: takes a number. None of the bits changes anything that is mapped.
    Errno::result(unsafe { libc::personality(0) }).map(drop)
}

/// Whether the kernel gave this program rights that who executed it does not have, or another security module says so.
///
/// Source: getauxval(3), `AT_SECURE`.
pub(crate) fn is_secure() -> bool {
    // SAFETY: takes a number.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Gives the floating-point units the state that a program is started with: rounding to nearest, no flushing to zero, no traps.
///
/// Source: System V ABI for x86-64, 3.4.1 (MXCSR 0x1f80, x87 control word 0x37f).
pub(crate) fn reset_floating_point() {
    let (mxcsr, control) = (0x1f80_u32, 0x37f_u16);
    // SAFETY: both instructions read a live local. The values are those that Rust code is compiled for; whatever was set before was not.
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
