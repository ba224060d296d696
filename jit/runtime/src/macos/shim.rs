//! The files of this folder on Linux, for tests: with the structures of macOS, and with functions of Linux where both have them.

/// What macOS has, as XNU writes it, and all else that Linux has by the same name.
mod libc {
    pub use ::libc::*;

    /// As on macOS, it stands still while the machine sleeps.
    pub const CLOCK_UPTIME_RAW: clockid_t = CLOCK_MONOTONIC;

    /// `struct __darwin_ucontext` of bsd/sys/_types/_ucontext.h.
    #[repr(C)]
    pub struct ucontext_t {
        pub uc_onstack: i32,
        pub uc_sigmask: u32,
        /// Address, size and flags.
        pub uc_stack: [u64; 3],
        pub uc_link: *mut Self,
        pub uc_mcsize: u64,
        pub uc_mcontext: *mut __darwin_mcontext64,
    }

    /// `struct __darwin_mcontext64` of bsd/i386/_mcontext.h, without the state of floating point at its end.
    #[repr(C)]
    pub struct __darwin_mcontext64 {
        /// Trap number, processor, error and address.
        pub __es: [u64; 2],
        pub __ss: __darwin_x86_thread_state64,
    }

    /// `struct __darwin_x86_thread_state64` of osfmk/mach/i386/_structs.h.
    #[repr(C)]
    #[derive(Default)]
    pub struct __darwin_x86_thread_state64 {
        pub __rax: u64,
        pub __rbx: u64,
        pub __rcx: u64,
        pub __rdx: u64,
        pub __rdi: u64,
        pub __rsi: u64,
        pub __rbp: u64,
        pub __rsp: u64,
        pub __r8: u64,
        pub __r9: u64,
        pub __r10: u64,
        pub __r11: u64,
        pub __r12: u64,
        pub __r13: u64,
        pub __r14: u64,
        pub __r15: u64,
        pub __rip: u64,
        pub __rflags: u64,
        pub __cs: u64,
        pub __fs: u64,
        pub __gs: u64,
    }
}

mod frame;
#[expect(dead_code, reason = "the runtime here uses those of Linux")]
mod pages;
#[expect(dead_code, reason = "the runtime here uses those of Linux")]
mod timers;

use std::ptr::null_mut;

/// Words of memory as the kernel writes them for a handler: 21 registers behind 16 bytes, each with a number of its own.
fn written() -> [u64; 23] {
    std::array::from_fn(|index| 0x1000 + index as u64)
}

fn context(registers: &mut [u64; 23]) -> libc::ucontext_t {
    libc::ucontext_t {
        uc_onstack: 1,
        uc_sigmask: 0,
        uc_stack: [0; 3],
        uc_link: null_mut(),
        uc_mcsize: 184,
        uc_mcontext: registers.as_mut_ptr().cast(),
    }
}

#[test]
fn registers_are_read_where_the_kernel_of_macos_writes_them() {
    let mut memory = written();
    let registers = frame::registers(&context(&mut memory));
    // `rip` is the seventeenth, `rbp` the seventh.
    assert_eq!((registers.pc, registers.fp), (0x1000 + 2 + 16, 0x1000 + 2 + 6));
}

#[test]
fn a_frame_resumes_elsewhere_and_keeps_the_rest() {
    let mut memory = written();
    frame::resume(&mut context(&mut memory), 0xaaaa, 0xbbbb, 0xcccc);
    let mut expected = written();
    // `rax`, `rsp` and `rip`.
    (expected[2], expected[2 + 7], expected[2 + 16]) = (0xcccc, 0xbbbb, 0xaaaa);
    assert_eq!(memory, expected);
}

/// Without a flag for it, a mapping at an address is a hint, and the answer says whether it was taken.
#[test]
fn a_hint_that_is_not_taken_is_an_error() {
    use crate::mapping::Mapping;
    let taken = Mapping::reserve(1 << 20).expect("room");
    let error = Mapping::reserve_at_by(taken.address(), 1 << 20, pages::EXACTLY).expect_err("it is taken");
    assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
    let address = taken.address();
    drop(taken);
    // Another thread may map it first.
    if let Ok(mapping) = Mapping::reserve_at_by(address, 1 << 20, pages::EXACTLY) {
        assert_eq!(mapping.address(), address);
    }
}

#[test]
fn random_bytes_differ() {
    let bytes = || {
        let mut bytes = [0; 8];
        pages::random(&mut bytes).expect("the kernel has some");
        bytes
    };
    assert_ne!(bytes(), bytes());
}
