//! Raw system calls and instructions: what an attacker has who runs native code.

use std::arch::asm;

/// A system call by number; the errno when it fails.
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::raw::perform($number, &[$($argument as i64),*])
    };
}
pub(crate) use call;

/// What an action ends with that returned without having done anything.
pub const NO_EFFECT: i32 = 200;

/// Exit status of the program that attacks run.
pub const EXECUTED: i32 = 222;

pub fn perform(number: i64, arguments: &[i64]) -> Result<i64, i32> {
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: this is what the tests are for: native code that makes any call. Pointers are to live buffers of the caller.
    let rc = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    if rc == -1 { Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { Ok(rc) }
}

/// Whether something happened, for actions that look themselves.
pub fn happened(yes: bool) -> Result<(), i32> {
    if yes { Ok(()) } else { Err(NO_EFFECT) }
}

/// `vfork`, whose child ends before it touches the stack it shares.
pub fn vfork() -> Result<(), i32> {
    let rc: i64;
    // SAFETY: the child runs four instructions on registers alone; the parent finds its stack untouched.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, 231",
            "xor edi, edi",
            "syscall",
            "2:",
            inlateout("rax") libc::SYS_vfork => rc,
            out("rdi") _, out("rcx") _, out("r11") _,
        );
    }
    if rc < 0 { Err(i32::try_from(-rc).unwrap_or(0)) } else { Ok(()) }
}

/// A system call by the entry of 32-bit programs.
pub fn int80(number: i64) -> i64 {
    let rc: i64;
    // SAFETY: `number` is a call without arguments; the kernel clears r8 to r11 on this way.
    unsafe {
        asm!("int 0x80", inlateout("rax") number => rc, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    // The upper half is not defined.
    (rc << 32) >> 32
}

/// A page of machine code: `syscall; ret` first, and at [`ANSWER`] a function that returns 42.
pub const CODE: [u8; 9] = [0x0f, 0x05, 0xc3, 0xb8, 42, 0, 0, 0, 0xc3];
pub const ANSWER: usize = 3;

/// Whether the bytes at an address run.
pub fn runs(code: *const u8) -> Result<(), i32> {
    // SAFETY: the caller put `CODE` there; if the page does not execute, the fault ends this process, which is an outcome.
    let answer: extern "C" fn() -> i32 = unsafe { std::mem::transmute(code.wrapping_add(ANSWER)) };
    happened(answer() == 42)
}

/// Makes a call by the `syscall` instruction at `code`.
pub fn call_from(code: *const u8, number: i64, argument: i64) -> i64 {
    let rc: i64;
    // SAFETY: `CODE` starts with `syscall; ret`, which changes rax, rcx and r11.
    unsafe {
        asm!("call {code}", code = in(reg) code, inlateout("rax") number => rc, in("rdi") argument,
             out("rcx") _, out("r11") _);
    }
    rc
}

/// A program for x86-64 that exits with [`EXECUTED`].
pub fn program() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let mut code = vec![0xbf];
    code.extend(EXECUTED.to_le_bytes());
    // mov eax, 231 (exit_group); syscall
    code.extend([0xb8, 231, 0, 0, 0, 0x0f, 0x05]);
    let len = HEADERS + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [BASE + HEADERS, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    // PT_LOAD, readable and executable, the whole file.
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, BASE, BASE, len, len, 4096] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    elf
}
