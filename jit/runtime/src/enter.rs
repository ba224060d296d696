//! Entering and leaving guest code.
//!
//! [`enter`] saves the host's stack pointer and callee-saved registers, moves the stack pointer to the guest's stack,
//! and calls an entry thunk. A signal handler leaves guest code by resuming at [`wave_guest_landing`] with the saved
//! stack pointer. It skips the guest's frames, which own nothing.

use crate::code::CodeRegion;
use crate::platform::landing;
use std::ops::Range;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

/// What the signal handlers need to know while guest code runs. A store has one, because its host functions cannot call back
/// into it.
#[repr(C)]
pub struct Activation {
    /// Host stack pointer at the landing. [`enter`] writes it. Must stay the first field.
    pub host_sp: usize,
    /// Where the handler found the guest. The handler writes it.
    pub fault: Option<Fault>,
    /// The code that may run, see `Store::new`.
    pub code: *const CodeRegion,
    /// Addresses of that code, so that a handler decides without following a pointer.
    pub code_range: Range<usize>,
    /// Addresses whose access means stack overflow.
    pub stack_guard: Range<usize>,
    /// Address ranges of linear memories with their guards.
    pub memories: *const [Range<usize>],
}

/// A store's activation, in an allocation of its own.
///
/// A signal can interrupt host code that holds a mutable reference to the store: the deadline's signal comes during
/// library calls too. The handler reads the activation then. So no reference to the store may cover the activation, and
/// nobody makes a mutable reference to it: handlers, [`enter`] and the methods here all use the one raw pointer.
#[derive(Debug)]
pub struct ActivationCell(NonNull<Activation>);

impl ActivationCell {
    /// Moves an activation to its place.
    pub fn new(activation: Activation) -> Self {
        Self(NonNull::from(Box::leak(Box::new(activation))))
    }

    /// The pointer that everybody uses. Valid until the cell is dropped.
    pub const fn as_ptr(&self) -> *mut Activation {
        self.0.as_ptr()
    }

    /// Says where the linear memories lie.
    pub fn set_memories(&mut self, memories: *const [Range<usize>]) {
        // SAFETY: the allocation is ours and alive. Handlers read this field only when they interrupt guest code, which does
        // not run now.
        unsafe { (*self.as_ptr()).memories = memories };
    }

    /// Takes what the handler wrote when it left guest code.
    pub fn take_fault(&mut self) -> Option<Fault> {
        // SAFETY: the allocation is ours and alive. Handlers write this field only when they interrupt guest code,
        // which does not run now.
        unsafe { (&raw mut (*self.as_ptr()).fault).replace(None) }
    }
}

impl Drop for ActivationCell {
    fn drop(&mut self) {
        // SAFETY: the pointer came from a box in `new`, and only here it goes back. No handler has it: `CURRENT` holds
        // it only inside `enter_with`, and the store that owns this cell is not dropped there.
        drop(unsafe { Box::from_raw(self.as_ptr()) });
    }
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
    /// The activation of the guest code that this thread has entered, or null. Const and without destructor, so that signal
    /// handlers may read it; atomic, because they may interrupt its change.
    pub static CURRENT: AtomicPtr<Activation> = const { AtomicPtr::new(null_mut()) };
}

unsafe extern "C" {
    /// Where the signal handlers resume: the label inside [`enter`]. Nobody calls it.
    pub fn wave_guest_landing();
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
/// Whoever started or loaded this program may have set other floating-point modes; they are not restored.
///
/// # Safety
/// `thunk` is an entry thunk that matches `code`'s signature, `slots` has room for its arguments and results, `guest_sp`
/// is aligned to 16 with stack below it, and `activation` is current on this thread until this returns. No reference to what
/// guest code and its library calls change is used meanwhile: memories, tables, the arena, the store.
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
        landing!(),
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
/// As [`enter`]; `activation` is an [`ActivationCell`]'s, which lives until this returns.
#[inline]
pub unsafe fn enter_with(
    activation: *mut Activation,
    thunk: u64,
    slots: *mut u128,
    code: u64,
    context: u64,
    guest_sp: usize,
) -> u64 {
    CURRENT.with(|current| {
        // A guest's host function may enter another store. Release: what the activation says was written before.
        let previous = current.load(Ordering::Relaxed);
        current.store(activation, Ordering::Release);
        // SAFETY: the caller's promise, and the activation is current until the call returns.
        let status = unsafe { enter(thunk, slots, code, context, guest_sp, activation) };
        current.store(previous, Ordering::Release);
        status
    })
}
