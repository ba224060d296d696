//! The registers of code that a signal interrupted.
//!
//! Source: `sendsig` and `sigreturn` in bsd/dev/i386/unix_signal.c. The registers lie on the signal stack, beside the context that
//! points to them, and are loaded from there when the handler returns.

use super::libc;
use crate::signal::Registers;
use std::mem::offset_of;

// Where the kernel writes: bsd/i386/_mcontext.h, osfmk/mach/i386/_structs.h and bsd/sys/_types/_ucontext.h.
const _: () = {
    assert!(offset_of!(libc::ucontext_t, uc_mcontext) == 48);
    assert!(offset_of!(libc::__darwin_mcontext64, __ss) == 16);
    assert!(offset_of!(libc::__darwin_x86_thread_state64, __rax) == 0);
    assert!(offset_of!(libc::__darwin_x86_thread_state64, __rbp) == 6 * 8);
    assert!(offset_of!(libc::__darwin_x86_thread_state64, __rsp) == 7 * 8);
    assert!(offset_of!(libc::__darwin_x86_thread_state64, __rip) == 16 * 8);
    assert!(size_of::<libc::__darwin_x86_thread_state64>() == 21 * 8);
};

/// Where it was.
pub fn registers(context: &libc::ucontext_t) -> Registers {
    // SAFETY: the kernel wrote both structures for this handler alone, and the pointer to the second one.
    let state = unsafe { &(*context.uc_mcontext).__ss };
    Registers { pc: state.__rip as usize, fp: state.__rbp as usize }
}

/// Where it goes on when the handler returns, with what stack pointer and what result.
pub fn resume(context: &mut libc::ucontext_t, pc: usize, sp: usize, result: u64) {
    // SAFETY: as in `registers`; nobody else refers to the structures.
    let state = unsafe { &mut (*context.uc_mcontext).__ss };
    state.__rip = pc as u64;
    state.__rsp = sp as u64;
    state.__rax = result;
}
