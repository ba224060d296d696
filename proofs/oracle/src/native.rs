//! Single instructions on this processor, with registers, flags and stack that another program would never have.
//!
//! A *gate* at a fixed address holds all registers, so that code can load and store them without one to spare. An instruction
//! is placed in the text with a jump behind it that leads back through the gate. Where a branch leads is seen by a second such
//! jump, or by a fault: all the rest of the text is `int3`, and other targets are not mapped.

#![allow(
    unsafe_code,
    reason = "runs arbitrary instructions with arbitrary registers in memory that only they and this file know"
)]

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where the gate is: any address that 32 bits can name.
const GATE: u64 = 0x0200_0000;
const PAGE_BYTES: usize = 4096;
const SIGNAL_STACK_BYTES: usize = 256 << 10;

/// The flags that arithmetic changes, which are those that code may change: CF, PF, AF, ZF, SF, OF.
pub const FLAGS: u64 = 0x8d5;

/// How an interrupt flag looks that nobody has touched, and the bit that is always set.
const OTHER_FLAGS: u64 = 0x202;

/// Fills text in which no instruction lies: `int3`.
pub const FILLER: u8 = 0xcc;

/// Registers, by the processor's numbers, and flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    pub general: [u64; 16],
    pub flags: u64,
}

/// Where control went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To what follows the instruction.
    Follows,
    /// To the target that was given.
    Target,
    /// To this address.
    Elsewhere(u64),
    /// Nowhere: a signal, and the address that it is about.
    Fault { signal: i32, address: u64 },
}

/// What crosses between Rust and the instruction. Offsets are in the assembly below.
#[repr(C)]
struct Gate {
    general: [u64; 16],
    flags: u64,
    rip: u64,
    host_stack: u64,
    /// Where the jumps behind instructions lead, and where the signal handler leads.
    exits: [u64; 3],
    /// The exit that was taken.
    exit: u64,
    signal: i32,
    address: u64,
    /// Where the fault was.
    fault_rip: u64,
    /// Whether an instruction runs: a signal is about it then.
    is_running: bool,
}

/// Offset of the first exit, for the jumps behind instructions.
const EXITS: u64 = 152;

/// The processor. There is one per process, because the gate has a fixed address and signals have one handler.
pub struct Processor(());

static IS_TAKEN: AtomicBool = AtomicBool::new(false);

impl Drop for Processor {
    fn drop(&mut self) {
        // SAFETY: nothing runs in the gate, and only this value leads to it.
        unsafe { libc::munmap(GATE as *mut _, PAGE_BYTES) };
        IS_TAKEN.store(false, Ordering::Release);
    }
}

impl Processor {
    /// `None` if there is one already.
    ///
    /// # Panics
    /// If the system does not map the gate or take the handlers.
    #[must_use]
    pub fn new() -> Option<Self> {
        if IS_TAKEN.swap(true, Ordering::Acquire) {
            return None;
        }
        map(GATE, PAGE_BYTES, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: the stack is memory of its own that stays mapped; the handler below touches nothing but the gate and the
        // registers that it is given.
        unsafe {
            let memory = map(0, SIGNAL_STACK_BYTES, libc::PROT_READ | libc::PROT_WRITE);
            let stack = libc::stack_t { ss_sp: memory as *mut _, ss_flags: 0, ss_size: SIGNAL_STACK_BYTES };
            assert_eq!(libc::sigaltstack(&raw const stack, ptr::null_mut()), 0, "a stack for signals");
            for signal in [libc::SIGTRAP, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_signal as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                assert_eq!(libc::sigaction(signal, &raw const action, ptr::null_mut()), 0, "a handler");
            }
        }
        Some(Self(()))
    }

    /// The jump that leads from behind an instruction (`false`), or from where a branch leads (`true`), back to here.
    #[must_use]
    pub fn way_back(is_target: bool) -> [u8; 7] {
        let slot = (GATE + EXITS + 8 * u64::from(is_target)) as u32;
        let [a, b, c, d] = slot.to_le_bytes();
        // jmp [slot]
        [0xff, 0x24, 0x25, a, b, c, d]
    }

    /// Runs what lies at an address until it comes back.
    ///
    /// The caller has placed an instruction there, in memory of [`Memory`], that writes nothing but such memory: each address
    /// that it can reach was looked at before.
    pub fn run(&mut self, at: u64, registers: &mut Registers) -> Outcome {
        let gate = GATE as *mut Gate;
        // SAFETY: the gate is mapped while `self` lives, and nobody else has a reference to it. The assembly saves what
        // Rust needs of the registers, gives the instruction registers of its own, and gets control back from every exit: the
        // jumps behind instructions and the signal handler. It says that it changes all registers and memory.
        unsafe {
            (*gate).general = registers.general;
            (*gate).flags = registers.flags & FLAGS | OTHER_FLAGS;
            (*gate).rip = at;
            (*gate).is_running = true;
            std::arch::asm!(
                "push rbx",
                "push rbp",
                "mov qword ptr [{gate} + 144], rsp",
                "lea rax, [rip + 20f]",
                "mov qword ptr [{gate} + 152], rax",
                "lea rax, [rip + 21f]",
                "mov qword ptr [{gate} + 160], rax",
                "lea rax, [rip + 22f]",
                "mov qword ptr [{gate} + 168], rax",
                "mov rsp, {gate} + 128",
                "popfq",
                "mov rax, qword ptr [{gate}]",
                "mov rcx, qword ptr [{gate} + 8]",
                "mov rdx, qword ptr [{gate} + 16]",
                "mov rbx, qword ptr [{gate} + 24]",
                "mov rsp, qword ptr [{gate} + 32]",
                "mov rbp, qword ptr [{gate} + 40]",
                "mov rsi, qword ptr [{gate} + 48]",
                "mov rdi, qword ptr [{gate} + 56]",
                "mov r8, qword ptr [{gate} + 64]",
                "mov r9, qword ptr [{gate} + 72]",
                "mov r10, qword ptr [{gate} + 80]",
                "mov r11, qword ptr [{gate} + 88]",
                "mov r12, qword ptr [{gate} + 96]",
                "mov r13, qword ptr [{gate} + 104]",
                "mov r14, qword ptr [{gate} + 112]",
                "mov r15, qword ptr [{gate} + 120]",
                "jmp qword ptr [{gate} + 136]",
                "20:",
                "mov qword ptr [{gate} + 176], 0",
                "jmp 23f",
                "21:",
                "mov qword ptr [{gate} + 176], 1",
                "jmp 23f",
                "22:",
                "mov qword ptr [{gate} + 176], 2",
                "23:",
                "mov qword ptr [{gate}], rax",
                "mov qword ptr [{gate} + 8], rcx",
                "mov qword ptr [{gate} + 16], rdx",
                "mov qword ptr [{gate} + 24], rbx",
                "mov qword ptr [{gate} + 32], rsp",
                "mov qword ptr [{gate} + 40], rbp",
                "mov qword ptr [{gate} + 48], rsi",
                "mov qword ptr [{gate} + 56], rdi",
                "mov qword ptr [{gate} + 64], r8",
                "mov qword ptr [{gate} + 72], r9",
                "mov qword ptr [{gate} + 80], r10",
                "mov qword ptr [{gate} + 88], r11",
                "mov qword ptr [{gate} + 96], r12",
                "mov qword ptr [{gate} + 104], r13",
                "mov qword ptr [{gate} + 112], r14",
                "mov qword ptr [{gate} + 120], r15",
                "mov rsp, {gate} + 136",
                "pushfq",
                "mov rsp, qword ptr [{gate} + 144]",
                "pop rbp",
                "pop rbx",
                gate = const GATE,
                out("r12") _,
                out("r13") _,
                out("r14") _,
                out("r15") _,
                clobber_abi("sysv64"),
            );
            (*gate).is_running = false;
            registers.general = (*gate).general;
            registers.flags = (*gate).flags & FLAGS;
            let Gate { exit, signal, address, fault_rip, .. } = *gate;
            match exit {
                0 => Outcome::Follows,
                1 => Outcome::Target,
                // After `int3`, which fills the text.
                _ if signal == libc::SIGTRAP => Outcome::Elsewhere(fault_rip.wrapping_sub(1)),
                // It was the instruction itself that could not be fetched.
                _ if signal == libc::SIGSEGV && address == fault_rip => Outcome::Elsewhere(fault_rip),
                _ => Outcome::Fault { signal, address },
            }
        }
    }
}

/// Leads from a fault of an instruction back through the gate, with all registers as they were at the fault.
extern "C" fn on_signal(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let gate = GATE as *mut Gate;
    // SAFETY: the kernel gives valid pointers; the gate is mapped since before the handler was set.
    unsafe {
        if IS_TAKEN.load(Ordering::Relaxed) && (*gate).is_running {
            let rip = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize];
            (*gate).signal = signal;
            (*gate).address = (*info).si_addr() as u64;
            (*gate).fault_rip = *rip as u64;
            *rip = (*gate).exits[2] as i64;
        } else {
            // A fault of this program: it happens again, with the usual end.
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// Maps memory at an address, or where there is room if that is 0.
fn map(at: u64, len: usize, access: i32) -> u64 {
    let fixed = if at == 0 { 0 } else { libc::MAP_FIXED_NOREPLACE };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
    // SAFETY: replaces no mapping.
    let got = unsafe { libc::mmap(at as *mut _, len, access, flags, -1, 0) };
    assert!(got != libc::MAP_FAILED, "{len} bytes at {at:#x}: {}", std::io::Error::last_os_error());
    got as u64
}

/// The memory that instructions under test reach, by its addresses. Rust code has no reference into it: each access copies.
#[derive(Default)]
pub struct Memory {
    /// Start and length, all readable and writable until this is dropped.
    regions: Vec<(u64, u64)>,
}

impl Memory {
    /// Maps a region, zeros at first. At 0: anywhere.
    ///
    /// # Panics
    /// If something is there already.
    pub fn map(&mut self, at: u64, len: u64, executable: bool) -> u64 {
        let execute = if executable { libc::PROT_EXEC } else { 0 };
        let at = map(at, len as usize, libc::PROT_READ | libc::PROT_WRITE | execute);
        self.regions.push((at, len));
        at
    }

    /// # Panics
    /// If not all bytes are in one region.
    fn pointer(&self, at: u64, len: usize) -> *mut u8 {
        let inside = |(start, size): &(u64, u64)| at.wrapping_sub(*start) <= *size && at - start + len as u64 <= *size;
        assert!(self.regions.iter().any(inside), "{len} bytes at {at:#x}");
        at as *mut u8
    }

    /// Copies bytes out.
    pub fn read(&self, at: u64, to: &mut [u8]) {
        let from = self.pointer(at, to.len());
        // SAFETY: `pointer` has checked that the bytes are mapped; no reference leads there.
        unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) }
    }

    /// Copies bytes in.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let to = self.pointer(at, bytes.len());
        // SAFETY: as in `read`; writable as well.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
    }

    /// Whether these bytes are there.
    #[must_use]
    pub fn is(&self, at: u64, bytes: &[u8]) -> bool {
        let start = self.pointer(at, bytes.len());
        // SAFETY: as in `read`; the slice does not outlive this line, in which no instruction runs.
        unsafe { std::slice::from_raw_parts(start, bytes.len()) == bytes }
    }

    /// A number of 64 bits, at any address.
    #[must_use]
    pub fn u64(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number of 32 bits.
    #[must_use]
    pub fn u32(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// Zeros a region again, and gives its pages back.
    pub fn clear(&mut self, at: u64, len: u64) {
        let start = self.pointer(at, len as usize);
        // SAFETY: private anonymous memory that is ours; zeros afterwards.
        unsafe { libc::madvise(start.cast(), len as usize, libc::MADV_DONTNEED) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for (at, len) in &self.regions {
            // SAFETY: mapped by `map`, and nothing leads there any more.
            unsafe { libc::munmap(*at as *mut _, *len as usize) };
        }
    }
}
