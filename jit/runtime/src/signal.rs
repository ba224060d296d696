//! Signal handlers: faults become traps, and the deadline stops the guest.
//!
//! A fault becomes a trap only if the instruction is guest code, its offset is in the trap table, and guest code may
//! compute the address; or if guest code touches the stack's guard. Any other fault is our own bug, and ends the
//! process at once (T57).

use crate::code::CodeRegion;
use crate::enter::{Activation, CURRENT, Fault, FaultKind, wave_guest_landing};
use crate::mapping::Mapping;
use crate::platform::{frame, timers};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use wave_contract::trap::TrapCode;

const FAULTS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// The kernel saves AVX-512 and AMX state there, which is large. The handlers need little.
const ALTERNATE_STACK_BYTES: usize = 128 << 10;

/// The interval at which a deadline that has passed is signaled again, until the signal interrupts guest code.
const REPEAT: Duration = Duration::from_millis(10);

/// The [`Deadline`] that passed first, or [`NONE`].
static DEADLINE_PASSED: AtomicU8 = AtomicU8::new(NONE);

const NONE: u8 = 0;

/// What a deadline counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Deadline {
    /// Wall-clock time.
    Wall = 1,
    /// Processor time of this process, in user space and in the kernel.
    Processor = 2,
}

/// Whether a deadline has passed. A hostcall whose system call was interrupted checks this and stops.
#[inline]
#[must_use]
pub fn deadline_passed() -> bool {
    DEADLINE_PASSED.load(Ordering::Relaxed) != NONE
}

/// The deadline that has passed, the first if both have.
#[must_use]
pub fn passed_deadline() -> Option<Deadline> {
    let passed = DEADLINE_PASSED.load(Ordering::Relaxed);
    [Deadline::Wall, Deadline::Processor].into_iter().find(|deadline| *deadline as u8 == passed)
}

/// Installs the fault handlers, once per process, and this thread's alternate stack.
///
/// Replaces std's own handlers, which are installed before `main`.
///
/// # Errors
/// The kernel's error.
pub fn install() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let code = |error: io::Error| error.raw_os_error().unwrap_or(libc::EINVAL);
    let install_all = || FAULTS.iter().try_for_each(|signal| handle(*signal, on_fault)).map_err(code);
    INSTALLED.get_or_init(install_all).map_err(io::Error::from_raw_os_error)?;
    ALTERNATE_STACK.with(|stack| match stack.get() {
        Some(_) => Ok(()),
        None => {
            let made = AlternateStack::new()?;
            // The cell belongs to this thread, and `new` does not call us: nobody has set it meanwhile.
            stack.set(made).map_err(|_| io::Error::other("alternate stack installed twice"))
        }
    })
}

/// Stops the guest after `limit` of wall-clock time, whether it loops or blocks in a hostcall.
///
/// # Errors
/// The kernel's error.
pub fn arm_deadline(limit: Duration) -> io::Result<()> {
    handle(libc::SIGALRM, on_deadline)?;
    timers::start_wall(limit, REPEAT)
}

/// Stops the guest after `limit` of processor time from now on, its own and that of hostcalls. Time that the process waits does not
/// count. The limit is never reached early.
///
/// The signal is repeated after more processor time, so a hostcall that begins to wait between the signal and its system call ends
/// the run only when its wait ends. It uses no processor time until then.
///
/// # Errors
/// The kernel's error.
pub fn arm_processor_deadline(limit: Duration) -> io::Result<()> {
    handle(libc::SIGPROF, on_deadline)?;
    timers::start_processor(limit, REPEAT)
}

thread_local! {
    static ALTERNATE_STACK: std::cell::OnceCell<AlternateStack> = const { std::cell::OnceCell::new() };
}

/// Address ranges that a signal changes: this thread's signal stack, and the flag of the deadline.
pub fn changing() -> Vec<(&'static str, std::ops::Range<usize>)> {
    let stack = ALTERNATE_STACK.with(|stack| stack.get().map(|stack| stack._memory.range()));
    let stack = stack.into_iter().map(|range| ("signal stack", range));
    stack.chain([("time limit", crate::inspect::of(&DEADLINE_PASSED))]).collect()
}

/// This thread's signal stack. A fault on a full guest stack could not be handled on that stack.
struct AlternateStack {
    _memory: Mapping,
}

impl AlternateStack {
    fn new() -> io::Result<Self> {
        let mut memory = Mapping::reserve(ALTERNATE_STACK_BYTES)?;
        memory.make_writable(0..ALTERNATE_STACK_BYTES)?;
        let stack = libc::stack_t {
            ss_sp: std::ptr::with_exposed_provenance_mut(memory.address()),
            ss_flags: 0,
            ss_size: ALTERNATE_STACK_BYTES,
        };
        // SAFETY: the memory is mapped, accessible, ours, and stays until the drop below has removed the stack.
        let rc = unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
        if rc == 0 { Ok(Self { _memory: memory }) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        let none = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: only disables the stack; a failure leaves a stack that no handler of an ending thread will use.
        unsafe { libc::sigaltstack(&raw const none, std::ptr::null_mut()) };
    }
}

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

fn handle(signal: i32, handler: Handler) -> io::Result<()> {
    // SAFETY: all zeroes is a valid `sigaction`; its fields are set below.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    // No SA_RESTART: a blocking hostcall must notice the deadline.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handlers only do what is allowed in one (see each); the structure is valid and outlives the call.
    let rc = unsafe {
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Handles a fault. Reads atomics and tables that nobody changes while guest code runs; allocates and locks nothing.
extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes valid pointers to a SA_SIGINFO handler, to a copy of the state that is this handler's own.
    let (address, context) = unsafe { ((*info).si_addr() as usize, &mut *context.cast::<libc::ucontext_t>()) };
    // SAFETY: likewise. Codes above zero are the kernel's; with any other there was no fault, and no address.
    if unsafe { (*info).si_code } <= 0 {
        die(signal, SENT)
    }
    let Some(guest) = InterruptedGuest::find(context) else { die(signal, HOST_FAULT) };
    match guest.classify(signal, address) {
        Some(kind) => guest.resume_at_landing(context, kind),
        None => die(signal, CODE_FAULT),
    }
}

const SENT: &[u8] = b"wave: ended by the signal of a fault, which another process sent\n";

const HOST_FAULT: &[u8] =
    b"wave: fault outside of guest code\n  fix:   this is a bug in wave: please report it with the module\n";

/// The verifier proves where code reads and writes. It does not prove that the trap table has every instruction that
/// can fault.
const CODE_FAULT: &[u8] = b"wave: the compiled code faults in a way that its table of traps does not name\n  \
    fix:   whoever compiled it is at fault: run the module instead of a compiled file, or report it with the module\n";

/// Ends the process after a fault that is not the guest's, with the status of a process that the signal killed. The default
/// action cannot be restored: a sealed process may not change its handlers.
fn die(signal: i32, message: &'static [u8]) -> ! {
    // SAFETY: both calls are allowed in signal handlers; the message is a constant of this length.
    unsafe {
        libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), message.len());
        libc::_exit(128 + signal)
    }
}

/// Handles the deadline's signal, as [`on_fault`]. A signal that interrupts host code only sets a flag, and comes again.
extern "C" fn on_deadline(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: as in `on_fault`.
    let announced = unsafe { timers::announced(signal, &*info) };
    let Some(deadline) = announced else { return };
    // The first one is the reason.
    DEADLINE_PASSED.compare_exchange(NONE, deadline as u8, Ordering::Relaxed, Ordering::Relaxed).ok();
    // SAFETY: as in `on_fault`.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    if let Some(guest) = InterruptedGuest::find(context) {
        guest.resume_at_landing(context, FaultKind::Deadline);
    }
}

/// The activation of guest code that a signal interrupted.
///
/// While such a value exists, this thread runs guest code under its handler. No Rust code below it is in the middle of a use
/// of the store: `Store::enter` uses no reference to it until guest code has returned, and library calls and host functions
/// are not running. That is what the handlers rely on when they follow the activation's pointers.
struct InterruptedGuest {
    activation: *mut Activation,
    pc: usize,
}

impl InterruptedGuest {
    /// The guest, if the signal interrupted guest code and not host code.
    fn find(context: &libc::ucontext_t) -> Option<Self> {
        let activation = CURRENT.with(|current| current.load(Ordering::Acquire));
        if activation.is_null() {
            return None;
        }
        let pc = frame::registers(context).pc;
        // SAFETY: `enter_with` made the activation current. It lives until that call returns, and this thread is inside
        // it. Library code that was interrupted may hold a mutable reference to the store, but the activation is an
        // allocation of its own (`ActivationCell`), to which nobody makes one. The field does not change while the
        // activation is current.
        let code_range = unsafe { &(*activation).code_range };
        code_range.contains(&pc).then_some(Self { activation, pc })
    }

    /// Decides whether a fault is the guest's. Touches no memory found through guest registers.
    fn classify(&self, signal: i32, address: usize) -> Option<FaultKind> {
        // SAFETY: as in `find`, for fields that do not change either.
        let (stack_guard, code, memories) = unsafe {
            let activation = self.activation;
            (&(*activation).stack_guard, (*activation).code, (*activation).memories)
        };
        let access = signal == libc::SIGSEGV || signal == libc::SIGBUS;
        if access && stack_guard.contains(&address) {
            return Some(FaultKind::StackGuard);
        }
        // SAFETY: `Store::new` made this pointer from the one that everything else reaches the store by, so uses of the
        // store by library calls have not invalidated it. None of them is going on (see the type), and none loads code.
        let region: &CodeRegion = unsafe { &*code };
        let code = region.trap_at(self.pc)?;
        // SAFETY: the list is an allocation of its own. The store sets the pointer whenever it changes the list, which
        // it does not while guest code runs.
        let mut memories = unsafe { &*memories }.iter();
        let of_guest = if access {
            code == TrapCode::HeapOutOfBounds as u8 && memories.any(|memory| memory.contains(&address))
        } else {
            code != TrapCode::HeapOutOfBounds as u8
        };
        of_guest.then_some(FaultKind::Code(code))
    }

    /// Notes the fault and makes the handler return to the landing in `enter`.
    fn resume_at_landing(&self, context: &mut libc::ucontext_t, kind: FaultKind) {
        let Registers { pc, fp } = frame::registers(context);
        let activation = self.activation;
        // SAFETY: as in `find`. `enter` wrote `host_sp` before it called guest code, and whoever called `enter` reads
        // `fault` after it has returned.
        let host_sp = unsafe {
            (*activation).fault = Some(Fault { pc, fp, kind });
            (*activation).host_sp
        };
        frame::resume(context, wave_guest_landing as *const () as usize, host_sp, 1);
    }
}

/// The registers that say where code is.
pub struct Registers {
    /// The instruction.
    pub pc: usize,
    /// The frame.
    pub fp: usize,
}
