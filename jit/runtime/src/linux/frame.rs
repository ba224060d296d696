//! The registers of code that a signal interrupted.

use crate::signal::Registers;

/// Where it was.
pub fn registers(context: &libc::ucontext_t) -> Registers {
    let registers = &context.uc_mcontext.gregs;
    let read = |index: i32| registers[index as usize].cast_unsigned() as usize;
    Registers { pc: read(libc::REG_RIP), fp: read(libc::REG_RBP) }
}

/// Where it goes on when the handler returns, with what stack pointer and what result.
pub fn resume(context: &mut libc::ucontext_t, pc: usize, sp: usize, result: u64) {
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RIP as usize] = pc.cast_signed() as i64;
    registers[libc::REG_RSP as usize] = sp.cast_signed() as i64;
    registers[libc::REG_RAX as usize] = result.cast_signed();
}
