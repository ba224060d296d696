//! Entering and leaving guest code.
//!
//! The host's stack pointer and callee-saved registers are put aside, the stack pointer moves to the guest's stack, and an
//! entry thunk is called. A fault handler leaves by resuming at [`wave_guest_landing`] with the saved stack pointer; guest frames
//! own nothing, so nothing is lost by skipping them.

use crate::code::CodeRegion;
use std::cell::Cell;
use std::ops::Range;

/// One stay in guest code. A store has one, since its host functions cannot call back into it.
#[repr(C)]
pub struct Activation {
    /// Host stack pointer at the landing; written by [`enter`]. Must stay the first field.
    pub host_sp: usize,
    /// Where the handler found the guest, written by it.
    pub fault: Option<Fault>,
    /// The code this stay may execute.
    pub code: *const CodeRegion,
    /// Its bounds, so that the handler decides without following a pointer.
    pub code_range: Range<usize>,
    /// Addresses whose access means stack overflow.
    pub stack_guard: Range<usize>,
    /// Address ranges of linear memories with their guards.
    pub memories: *const [Range<usize>],
}

/// Where guest code was stopped.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Instruction.
    pub pc: usize,
    /// Frame pointer.
    pub fp: usize,
    /// Why.
    pub kind: FaultKind,
}

/// Why guest code was stopped.
#[derive(Clone, Copy, Debug)]
pub enum FaultKind {
    /// A trap with this code in the image's table.
    Code(u8),
    /// An access to the stack's guard.
    StackGuard,
    /// The time limit.
    Deadline,
}

thread_local! {
    /// The stay in progress on this thread. Const and without destructor, so the signal handlers may read it.
    pub static CURRENT: Cell<*mut Activation> = const { Cell::new(std::ptr::null_mut()) };
}

unsafe extern "C" {
    /// Where the fault handler resumes; the label inside [`enter`].
    pub safe fn wave_guest_landing();
}

/// How guest code computes with floating-point numbers: to nearest, subnormal numbers included, without traps. Host code is
/// compiled for the same.
///
/// Source: System V ABI for x86-64, 3.4.1; WebAssembly Core 2.0, 4.3.3.
static MXCSR: u32 = 0x1f80;

/// The same for the x87 unit.
static X87_CONTROL: u16 = 0x37f;

/// Calls `thunk(slots, code, context)` on the stack below `guest_sp`. Returns 0, or what the handler put in RAX.
///
/// Whoever started or loaded this program may have left other floating-point modes; they do not come back.
///
/// # Safety
/// `thunk` is an entry thunk that matches `code`'s signature, `slots` has room for its arguments and results, `guest_sp`
/// is aligned to 16 with stack below it, and `activation` is current on this thread until this returns.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
pub unsafe extern "C" fn enter(
    thunk: u64,
    slots: *mut u128,
    code: u64,
    context: u64,
    guest_sp: usize,
    activation: *mut Activation,
) -> u64 {
    core::arch::naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "ldmxcsr dword ptr [rip + {mxcsr}]",
        "fldcw word ptr [rip + {x87}]",
        "mov [r9], rsp", // Activation::host_sp
        "mov rbx, rsp",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "mov rsp, r8",
        "xor ebp, ebp", // ends the chain of frame pointers
        "call rax",
        "mov rsp, rbx",
        "xor eax, eax",
        ".globl wave_guest_landing",
        "wave_guest_landing:",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        mxcsr = sym MXCSR,
        x87 = sym X87_CONTROL,
    )
}

/// Runs [`enter`] with `activation` as the current one.
///
/// # Safety
/// As [`enter`]; nothing else refers to `activation` meanwhile.
pub unsafe fn enter_with(
    activation: *mut Activation,
    thunk: u64,
    slots: *mut u128,
    code: u64,
    context: u64,
    guest_sp: usize,
) -> u64 {
    let previous = CURRENT.replace(activation);
    // SAFETY: the caller's promise, and the activation is current until the call returns.
    let status = unsafe { enter(thunk, slots, code, context, guest_sp, activation) };
    CURRENT.set(previous);
    status
}
