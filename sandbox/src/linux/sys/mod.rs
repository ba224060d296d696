//! The system calls that no crate wraps safely. All unsafe code of this crate is here, one call per function.
#![allow(unsafe_code, reason = "the only file of this crate that may; each block argues why it is sound")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};
use nix::unistd::{ForkResult, fork};

use crate::AddressRange;
use crate::linux::denial::{Refused, denied};
use crate::linux::failing;
use crate::linux::seccomp::SelfTest;

/// Makes `malloc` take memory from `brk` alone and keep what it has. `false` when it refuses a setting.
///
/// These win over `MALLOC_MMAP_MAX_`, `MALLOC_MMAP_THRESHOLD_`, `MALLOC_TRIM_THRESHOLD_`, `MALLOC_TOP_PAD_` and
/// `MALLOC_PERTURB_`.
///
/// Source: mallopt(3).
pub(crate) fn allocate_by_brk() -> bool {
    const TOP_PAD: c_int = 1 << 20;
    let settings =
        [(libc::M_MMAP_MAX, 0), (libc::M_TRIM_THRESHOLD, c_int::MAX), (libc::M_TOP_PAD, TOP_PAD), (libc::M_PERTURB, 0)];
    settings.into_iter().all(|(name, value)| {
        // SAFETY: takes two numbers, and glibc locks its own state; chunks that exist are not moved.
        unsafe { libc::mallopt(name, value) == 1 }
    })
}

/// Ends all threads of the process without running a handler.
///
/// Source: _exit(2).
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: takes a number and does not return, so no state of ours is looked at afterwards.
    unsafe { libc::_exit(code) }
}

/// Writes bytes to standard error as far as one call goes. Async-signal-safe.
pub(crate) fn write_stderr(text: &[u8]) {
    // SAFETY: pointer and length are those of a live slice, which is only read.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

/// Closes the descriptors `first..=last`, those that are open.
///
/// Their owners in this process, if any, must not use or close them again; [`crate::SealPlan::keep_fds`] says so.
///
/// Source: close_range(2), Linux 5.9.
pub(crate) fn close_range(first: c_uint, last: c_uint) -> Result<(), Errno> {
    // SAFETY: takes three numbers and touches no memory of ours.
    let rc = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    Errno::result(rc).map(drop)
}

/// Another number for standard error, or for standard input, `from` or above. Nobody owns it: [`close_range`] is to close it.
pub(crate) fn duplicate_above(from: c_uint) -> Result<c_uint, Errno> {
    let from = c_int::try_from(from).map_err(|_| Errno::EMFILE)?;
    let of = |fd| {
        // SAFETY: takes three numbers and touches no memory of ours.
        let rc = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, from) };
        Errno::result(rc)
    };
    let fd = of(libc::STDERR_FILENO).or_else(|_| of(libc::STDIN_FILENO))?;
    c_uint::try_from(fd).map_err(|_| Errno::EBADF)
}

/// Whether a descriptor is open, as far as the kernel says so.
pub(crate) fn is_open(fd: c_uint) -> bool {
    let Ok(fd) = c_int::try_from(fd) else { return false };
    // SAFETY: takes numbers and touches no memory of ours.
    let rc = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    Errno::result(rc) != Err(Errno::EBADF)
}

/// `prctl` for operations whose arguments are all numbers.
fn prctl(operation: c_int, argument: c_ulong) -> Result<c_int, Errno> {
    // SAFETY: each caller below passes an operation that takes at most one number and no pointer, per prctl(2).
    let rc = unsafe { libc::prctl(operation, argument, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) };
    Errno::result(rc)
}

/// Whether a capability is in the bounding set; `None` when the kernel knows no such capability.
pub(crate) fn in_bounding_set(capability: c_ulong) -> Option<bool> {
    prctl(libc::PR_CAPBSET_READ, capability).ok().map(|answer| answer == 1)
}

/// Takes a capability out of the bounding set. Needs `CAP_SETPCAP`.
pub(crate) fn drop_from_bounding_set(capability: c_ulong) -> Result<(), Errno> {
    prctl(libc::PR_CAPBSET_DROP, capability).map(drop)
}

/// Sets the securebits. Needs `CAP_SETPCAP`. Source: capabilities(7).
pub(crate) fn set_securebits(bits: c_int) -> Result<(), Errno> {
    prctl(libc::PR_SET_SECUREBITS, c_ulong::from(bits.cast_unsigned())).map(drop)
}

/// The securebits in force.
pub(crate) fn securebits() -> Result<c_int, Errno> {
    prctl(libc::PR_GET_SECUREBITS, 0)
}

/// From now on no mapping of this process becomes executable, and none is both writable and executable.
///
/// Source: PR_SET_MDWE(2const), Linux 6.3.
pub(crate) fn refuse_exec_gain() -> Result<(), Errno> {
    prctl(libc::PR_SET_MDWE, c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN)).map(drop)
}

/// Whether [`refuse_exec_gain`] is in force.
pub(crate) fn refuses_exec_gain() -> bool {
    prctl(libc::PR_GET_MDWE, 0) == Ok(libc::PR_MDWE_REFUSE_EXEC_GAIN.cast_signed())
}

/// Whether the kernel has [`refuse_exec_gain`].
pub(crate) fn has_refuse_exec_gain() -> bool {
    prctl(libc::PR_GET_MDWE, 0).is_ok()
}

/// Whether a filter is in force on this thread already: 0 none, 2 filter.
pub(crate) fn seccomp_mode() -> Result<c_int, Errno> {
    prctl(libc::PR_GET_SECCOMP, 0)
}

/// Whether a filter answers its self-test.
pub(crate) fn is_answered(test: SelfTest) -> bool {
    // SAFETY: `getppid` takes nothing and touches no memory; see `seccomp::SELF_TEST`.
    let rc = unsafe { libc::syscall(test.call) };
    Errno::result(rc) == Err(Errno::from_raw(test.errno))
}

/// Whether the kernel's filters know an action, such as `SECCOMP_RET_TRAP`.
///
/// Source: seccomp(2), Linux 4.14.
pub(crate) fn has_seccomp_action(action: c_uint) -> bool {
    // SAFETY: the kernel reads one u32 at the pointer, which is a live local.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// The kernel's Landlock ABI; 0 when it has none or it is switched off.
///
/// Source: landlock_create_ruleset(2).
pub(crate) fn landlock_abi() -> i32 {
    const VERSION: c_uint = 1;
    let no_attributes: *const c_void = std::ptr::null();
    // SAFETY: with this flag the kernel reads no attributes and makes no descriptor; null and 0 are prescribed.
    let rc = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, no_attributes, 0_usize, VERSION) };
    i32::try_from(rc).unwrap_or(0).max(0)
}

/// Whether some process has this user id.
///
/// Source: getpriority(2), which looks the user up and fails with ESRCH when it has no process.
pub(crate) fn has_process(uid: u32) -> bool {
    // SAFETY: takes two numbers. The raw call answers 1 to 40, so -1 is always an error.
    let rc = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_USER, uid) };
    Errno::result(rc) != Err(Errno::ESRCH)
}

/// Random bits from the kernel.
pub(crate) fn random() -> Result<u32, Errno> {
    let mut bits = 0_u32;
    // SAFETY: the kernel writes at most four bytes to a live local of four bytes.
    let rc = unsafe { libc::getrandom((&raw mut bits).cast(), size_of::<u32>(), 0) };
    Errno::result(rc).map(|_| bits)
}

/// Ignores a signal.
pub(crate) fn ignore(which: Signal) -> Result<(), Errno> {
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { signal(which, SigHandler::SigIgn) }.map(drop)
}

/// Gives a signal its usual effect again.
pub(crate) fn by_default(which: Signal) -> Result<(), Errno> {
    // SAFETY: SIG_DFL runs no code of ours.
    unsafe { signal(which, SigHandler::SigDfl) }.map(drop)
}

/// Makes a second process of this one. `alone` is the proof that there is one thread.
pub(crate) fn split(_alone: &crate::linux::process::Alone) -> Result<ForkResult, Errno> {
    // SAFETY: no other thread exists that could hold a lock or be in the middle of a change, so all of the child's memory,
    // the allocator's included, is whole.
    unsafe { fork() }
}

/// A mapping that processes made from this one share with it.
#[derive(Debug)]
pub(crate) struct SharedArea {
    start: NonNull<u8>,
    len_bytes: NonZeroUsize,
}

/// Maps zeroes that processes made from this one share with it.
pub(crate) fn share(len_bytes: NonZeroUsize) -> Result<SharedArea, Errno> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a mapping of its own, at an address that the kernel chooses, so nothing that is mapped is replaced.
    let start = unsafe { mmap_anonymous(None, len_bytes, access, MapFlags::MAP_SHARED) }?;
    Ok(SharedArea { start: start.cast(), len_bytes })
}

/// Processes made from this one do not have the area from now on. Source: madvise(2), `MADV_DONTFORK`.
pub(crate) fn keep_from_children(area: &SharedArea) -> Result<(), Errno> {
    // SAFETY: the range is one mapping, made by `share`; the advice changes nothing in this process.
    unsafe { madvise(area.start.cast(), area.len_bytes.get(), MmapAdvise::MADV_DONTFORK) }
}

/// The area, in the process that [`split`] made.
pub(crate) fn writable(area: SharedArea) -> &'static mut [u8] {
    // SAFETY: the mapping is never unmapped, and taking the area by value makes this its only reference in this process. The
    // other process reads it only after this one has ended (`left_behind`).
    unsafe { std::slice::from_raw_parts_mut(area.start.as_ptr(), area.len_bytes.get()) }
}

/// The area, in the process that called [`split`] and has reaped the one it made.
pub(crate) fn left_behind(area: SharedArea) -> &'static [u8] {
    // SAFETY: the mapping is never unmapped. Its only other user was the process that is gone (`keep_from_children`), so nobody
    // writes to it any more.
    unsafe { std::slice::from_raw_parts(area.start.as_ptr(), area.len_bytes.get()) }
}

/// The kernel kills this process when the thread that made it ends. It forgets so when ids or capabilities change.
///
/// Source: PR_SET_PDEATHSIG(2const).
pub(crate) fn die_with_parent() -> Result<(), Errno> {
    const SIGKILL: c_ulong = libc::SIGKILL as c_ulong;
    prctl(libc::PR_SET_PDEATHSIG, SIGKILL).map(drop)
}

/// The signal that the parent's end sends to this process, if somebody asked for one before it was started.
///
/// Source: PR_GET_PDEATHSIG(2const).
pub(crate) fn parent_death_signal() -> Result<c_int, Errno> {
    let mut signal: c_int = 0;
    // SAFETY: the kernel writes one int at the pointer, which is a live local.
    let rc = unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) };
    Errno::result(rc).map(|_| signal)
}

/// How late the kernel may wake this process, in nanoseconds. Source: PR_SET_TIMERSLACK(2const).
pub(crate) fn set_timer_slack(nanoseconds: c_ulong) -> Result<(), Errno> {
    prctl(libc::PR_SET_TIMERSLACK, nanoseconds).map(drop)
}

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

/// Signals that wait because they are blocked. Source: sigpending(2).
pub(crate) fn pending() -> Result<SigSet, Errno> {
    // SAFETY: all zeroes is a valid set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes to a live local.
    Errno::result(unsafe { libc::sigpending(&raw mut set) })?;
    // SAFETY: the kernel filled it.
    Ok(unsafe { SigSet::from_sigset_t_unchecked(set) })
}

/// Takes away those of the real-time signals that wait.
pub(crate) fn discard_realtime(pending: &SigSet) {
    for signal in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        // SAFETY: reads a set that lives; ignoring a signal runs no code, and takes away those that wait. Nobody handles it.
        unsafe {
            if libc::sigismember(pending.as_ref(), signal) == 1 {
                libc::signal(signal, libc::SIG_IGN);
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}

/// Whether a signal is ignored.
pub(crate) fn is_ignored(which: Signal) -> Result<bool, Errno> {
    // SAFETY: all zeroes is a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: no new action is given, and the old one is written to a live local.
    Errno::result(unsafe { libc::sigaction(which as c_int, std::ptr::null(), &raw mut action) })?;
    Ok(action.sa_sigaction == libc::SIG_IGN)
}

/// Stops the interval timers, which an executed program inherits. Source: setitimer(2).
pub(crate) fn stop_interval_timers() -> Result<(), Errno> {
    // SAFETY: all zeroes is a valid value: no time, no interval.
    let none: libc::itimerval = unsafe { std::mem::zeroed() };
    for timer in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
        // SAFETY: the kernel reads a live local, and is asked for no old value.
        Errno::result(unsafe { libc::setitimer(timer, &raw const none, std::ptr::null_mut()) })?;
    }
    Ok(())
}

/// Ends the process with the status that a shell shows for a signal, when that signal comes.
pub(crate) fn end_by_handler(which: Signal) -> Result<(), Errno> {
    extern "C" fn end(signal: c_int) {
        exit_now(128 + signal)
    }
    let action = SigAction::new(SigHandler::Handler(end), SaFlags::SA_ONSTACK, SigSet::empty());
    // SAFETY: the handler makes one async-signal-safe call and does not return.
    unsafe { sigaction(which, &action) }.map(drop)
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

/// Takes a variable out of the environment. `alone` is the proof that there is one thread.
pub(crate) fn take_variable(name: &str, _alone: &crate::linux::process::Alone) -> Option<std::ffi::OsString> {
    let value = std::env::var_os(name)?;
    // SAFETY: no other thread reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
    Some(value)
}

/// Whether this process ends with [`EXHAUSTED`](crate::linux::worker::EXHAUSTED), and in silence, when an allocation fails.
static ENDS_WHEN_EXHAUSTED: AtomicBool = AtomicBool::new(false);

/// From now on, a failed allocation by [`Allocator`] ends this process with [`EXHAUSTED`](crate::linux::worker::EXHAUSTED).
pub(crate) fn end_when_exhausted() {
    ENDS_WHEN_EXHAUSTED.store(true, Ordering::Relaxed);
}

/// What fits into no heap of a thread's arena, which has 64 MiB, is a mapping of its own, and `realloc` of that is `mremap`, which a
/// worker does not have. From half of that on, a worker moves what grows by itself.
///
/// Source: `sysmalloc` and `HEAP_MAX_SIZE` in glibc's `malloc/arena.c`.
const LARGE_BYTES: usize = 32 << 20;

/// The allocator of a program that seals itself, for `#[global_allocator]`: the system's until the seal of a guest's process,
/// and an [`Arena`] from then on.
///
/// Blocks from before the seal are never given back after it: whatever the system's allocator would do then depends on their
/// size, on the thread that took them and on variables of the environment, and the filter knows none of its ways.
///
/// In a [`Worker`](crate::Worker) a failed allocation ends the process with a status that says so, and in a sealed guest's process
/// with a message. Without that, running out of memory would show as a refused system call, because `abort` makes one.
#[derive(Debug)]
pub struct Allocator;

impl Allocator {
    fn checked(block: *mut u8) -> *mut u8 {
        if block.is_null() {
            if ENDS_WHEN_EXHAUSTED.load(Ordering::Relaxed) {
                exit_now(crate::linux::worker::EXHAUSTED);
            }
            failing::out_of_memory();
        }
        block
    }
}

// SAFETY: every block comes from `System` or from the arena. It goes back, with the layout that the caller gave, to the one it came
// from, or to nobody: a block of `System` stays what it is once the arena serves. The arena gives each address to one owner at a time.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ARENA.serves() {
            return ARENA.alloc(layout);
        }
        // SAFETY: the caller's promise about the layout is passed on.
        Self::checked(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if ARENA.serves() {
            let block = ARENA.alloc(layout);
            // SAFETY: `alloc` returns a block of that size, which nobody else has yet; it does not return null.
            unsafe { block.write_bytes(0, layout.size()) };
            return block;
        }
        // SAFETY: the caller's promise about the layout is passed on.
        Self::checked(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        if ARENA.serves() {
            let Ok(wanted) = Layout::from_size_align(len, layout.align()) else { return std::ptr::null_mut() };
            if ARENA.stays(block, layout, wanted) {
                return block;
            }
            let moved = ARENA.alloc(wanted);
            // SAFETY: `block` has `layout.size()` bytes by the caller's promise, `moved` has `len` and is nobody else's, so the two
            // do not overlap. `block` is not used afterwards.
            unsafe {
                moved.copy_from_nonoverlapping(block, layout.size().min(len));
                ARENA.dealloc(block, layout);
            }
            return moved;
        }
        if layout.size() >= LARGE_BYTES && ENDS_WHEN_EXHAUSTED.load(Ordering::Relaxed) {
            // SAFETY: the caller promises that `len` is not zero and makes a layout with this alignment, which is valid.
            let new = unsafe { self.alloc(Layout::from_size_align_unchecked(len, layout.align())) };
            // SAFETY: both blocks have at least so many bytes, and the new one, which `alloc` gave, is no part of the old one. That
            // came from `System` with this layout, and is not used afterwards.
            unsafe {
                std::ptr::copy_nonoverlapping(block, new, layout.size().min(len));
                self.dealloc(block, layout);
            }
            return new;
        }
        // SAFETY: the caller's promise about the block and its layout is passed on; the block came from `System`.
        Self::checked(unsafe { System.realloc(block, layout, len) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if ARENA.serves() {
            // SAFETY: the caller gives the block up, and its layout is that of `alloc`.
            return unsafe { ARENA.dealloc(block, layout) };
        }
        // SAFETY: as in `realloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

/// From now on [`Allocator`] serves from memory of its own, and gives nothing back that it did not take there. `false` if there is
/// no memory for it.
pub(crate) fn allocate_from_arena() -> bool {
    let has_room = ARENA.with(|state| state.reserve(1));
    ARENA.serves.store(has_room, Ordering::Relaxed);
    has_room
}

static ARENA: Arena =
    Arena { serves: AtomicBool::new(false), busy: AtomicBool::new(false), state: UnsafeCell::new(ArenaState::NEW) };

/// Memory that makes no system calls but those every filter permits, however much is asked for and given back: `brk`, and
/// `mmap` where `brk` meets another mapping. Blocks have sizes that are powers of two; one that is given back waits for the
/// next of its size.
struct Arena {
    serves: AtomicBool,
    busy: AtomicBool,
    state: UnsafeCell<ArenaState>,
}

// SAFETY: the state is reached by `with` alone, which lets one thread in at a time.
unsafe impl Sync for Arena {}

struct ArenaState {
    /// Stretches of memory that are the arena's, the first `count`. Blocks are cut off the last.
    regions: [(usize, usize); ArenaState::REGIONS],
    count: usize,
    /// Where the next block is cut off.
    next: usize,
    /// For each power of two, the first block that waits; it holds the address of the next.
    free: [usize; usize::BITS as usize],
}

impl Arena {
    /// No block is smaller, and all are aligned so.
    const LEAST: usize = 16;

    /// The largest alignment of a block.
    const PAGE: usize = 4096;

    #[inline]
    fn serves(&self) -> bool {
        self.serves.load(Ordering::Relaxed)
    }

    /// A sealed process has one thread, and no signal handler allocates, so nobody ever waits here.
    fn with<T>(&self, work: impl FnOnce(&mut ArenaState) -> T) -> T {
        while self.busy.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        // SAFETY: `busy` was false, so nobody else is here until it is false again; `work` does not come back here, because nothing
        // in `ArenaState` allocates.
        let outcome = work(unsafe { &mut *self.state.get() });
        self.busy.store(false, Ordering::Release);
        outcome
    }

    /// The size of the block for a layout. `None`: there is none so large, or so aligned.
    fn size(layout: Layout) -> Option<usize> {
        let size = layout.size().max(layout.align()).max(Self::LEAST).checked_next_power_of_two()?;
        (layout.align() <= Self::PAGE).then_some(size)
    }

    /// A block. Ends the process if there is none: a message is all that a sealed process can still do about it.
    fn alloc(&self, layout: Layout) -> *mut u8 {
        match Self::size(layout).and_then(|size| self.with(|state| state.take(size))) {
            Some(address) => std::ptr::with_exposed_provenance_mut(address),
            None => {
                write_stderr(b"wave: no memory is left\n");
                exit_now(crate::OUT_OF_MEMORY)
            }
        }
    }

    /// Whether a block serves for another layout as it is. One of the arena's keeps its size, which its layout must go on to tell.
    fn stays(&self, block: *mut u8, layout: Layout, wanted: Layout) -> bool {
        if self.with(|state| state.owns(block.addr())) {
            Self::size(layout) == Self::size(wanted)
        } else {
            wanted.size() <= layout.size()
        }
    }

    /// # Safety
    /// The block is one of `layout` and nobody uses it any more.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(size) = Self::size(layout) else { return };
        self.with(|state| {
            if state.owns(block.addr()) {
                let waiting = &mut state.free[size.trailing_zeros() as usize];
                let address = block.expose_provenance();
                // SAFETY: the block has at least 16 bytes, is aligned to them, and was given up by the caller.
                unsafe { block.cast::<usize>().write(std::mem::replace(waiting, address)) };
            }
        });
    }
}

impl ArenaState {
    /// Each is twice as large as the one before, so there are never more.
    const REGIONS: usize = 40;

    /// Bytes of the first; and what `brk` takes at a time.
    const REGION_BYTES: usize = 1 << 20;

    const NEW: Self = Self { regions: [(0, 0); Self::REGIONS], count: 0, next: 0, free: [0; usize::BITS as usize] };

    fn owns(&self, address: usize) -> bool {
        self.regions[..self.count].iter().any(|(start, end)| (*start..*end).contains(&address))
    }

    /// A block of a size that is a power of two.
    fn take(&mut self, size: usize) -> Option<usize> {
        let waiting = &mut self.free[size.trailing_zeros() as usize];
        if *waiting != 0 {
            let block = *waiting;
            // SAFETY: `dealloc` wrote the next address there, and nobody has used the block since.
            *waiting = unsafe { std::ptr::with_exposed_provenance::<usize>(block).read() };
            return Some(block);
        }
        // Room for the alignment, too.
        if !self.reserve(size.checked_add(Arena::PAGE)?) {
            return None;
        }
        let block = self.next.next_multiple_of(size.min(Arena::PAGE));
        self.next = block + size;
        Some(block)
    }

    /// Sees to it that so many bytes follow `next`.
    fn reserve(&mut self, bytes: usize) -> bool {
        let last = self.count.checked_sub(1).map(|last| self.regions[last]);
        if last.is_some_and(|(_, end)| end - self.next >= bytes) {
            return true;
        }
        let pages = |bytes: usize| bytes.checked_next_multiple_of(Self::REGION_BYTES);
        let Some((start, end)) = pages(bytes).and_then(more_by_brk).or_else(|| {
            let least = Self::REGION_BYTES.checked_shl(u32::try_from(self.count).ok()?)?;
            more_by_mmap(pages(bytes)?.max(least))
        }) else {
            return false;
        };
        match last {
            // What is left of it and what is new are one.
            Some((_, old_end)) if old_end == start => self.regions[self.count - 1].1 = end,
            _ if self.count == Self::REGIONS => return false,
            _ => {
                self.regions[self.count] = (start, end);
                self.count += 1;
                self.next = start;
            }
        }
        true
    }
}

/// More memory at the end of the heap; where it begins and ends. Source: sbrk(2).
fn more_by_brk(bytes: usize) -> Option<(usize, usize)> {
    let bytes = isize::try_from(bytes).ok()?;
    // SAFETY: takes a number that is positive, so nothing is taken from anybody. glibc's `malloc` bears a heap that others grow, too.
    let start = unsafe { libc::sbrk(bytes) };
    let start = start.expose_provenance();
    // Aligned, as glibc keeps it; were it not, it would not be used.
    (start != usize::MAX && start.is_multiple_of(Arena::LEAST)).then(|| (start, start + bytes.unsigned_abs()))
}

/// More memory at any place; where it begins and ends.
fn more_by_mmap(bytes: usize) -> Option<(usize, usize)> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a mapping of its own, at an address that the kernel chooses, so nothing that is mapped is replaced.
    let start = unsafe { mmap_anonymous(None, NonZeroUsize::new(bytes)?, access, MapFlags::MAP_PRIVATE) }.ok()?;
    let start = start.as_ptr().expose_provenance();
    Some((start, start + bytes))
}

/// Calls [`denied`] when a filter traps a system call.
pub(crate) fn answer_trapped_calls() -> Result<(), Errno> {
    // SA_ONSTACK: the guest's stack may have no room, or be no stack at all.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(trapped), flags, SigSet::all());
    // SAFETY: `trapped` has the signature of SA_SIGINFO; it makes only async-signal-safe calls and never returns, so
    // nothing it interrupts goes on in a torn state.
    unsafe { sigaction(Signal::SIGSYS, &action) }.map(drop)
}

/// The start of `siginfo_t` when its signal is SIGSYS. Source: `include/uapi/asm-generic/siginfo.h`.
#[repr(C)]
struct TrapInfo {
    signal: [c_int; 4],
    call_address: usize,
    call: c_int,
    architecture: c_uint,
}

/// Source: `include/uapi/linux/audit.h`.
const AUDIT_ARCH_X86_64: c_uint = 0xc000_003e;

extern "C" fn trapped(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a whole siginfo_t, 128 bytes and aligned to 8, which lives while the handler runs;
    // all bit patterns of the fields are values.
    let info = unsafe { &*info.cast::<TrapInfo>() };
    // SAFETY: likewise the ucontext_t of the interrupted thread, to which nothing else refers.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let order = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9];
    let value = |register: c_int| usize::try_from(register).ok().and_then(|index| registers.get(index));
    denied(&Refused {
        number: info.call,
        is_native: info.architecture == AUDIT_ARCH_X86_64,
        address: info.call_address as u64,
        arguments: order.map(|register| value(register).map_or(0, |value| value.cast_unsigned())),
    })
}

/// From now on, no page of the range can be changed, moved, replaced or unmapped. Source: mseal(2), Linux 6.10.
pub(crate) fn mseal(range: AddressRange) -> Result<(), Errno> {
    // SAFETY: takes three numbers. What it takes away is the right to change the mapping, which the owner gave up
    // (`SealPlan::final_pages`); reads, writes and jumps stay what they were.
    let rc = unsafe { libc::syscall(libc::SYS_mseal, range.start, range.len_bytes, 0) };
    Errno::result(rc).map(drop)
}

/// Moves the first page of a range to where it is, which changes nothing and is refused once the page is sealed.
///
/// Source: mremap(2); `check_prep_vma` in `mm/mremap.c`.
pub(crate) fn remap_in_place(range: AddressRange) -> Result<(), Errno> {
    const PAGE_BYTES: usize = 4096;
    // SAFETY: takes four numbers. Old and new size are the same and it may not move, so the mapping stays what it is.
    let rc = unsafe { libc::syscall(libc::SYS_mremap, range.start, PAGE_BYTES, PAGE_BYTES, 0, 0) };
    Errno::result(rc).map(drop)
}

/// The argument vector that the kernel made.
static ARGUMENTS: AtomicPtr<*mut c_char> = AtomicPtr::new(std::ptr::null_mut());

/// glibc calls it before `main`, with what `main` of a C program would get.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_ARGUMENTS: extern "C" fn(c_int, *mut *mut c_char) = {
    extern "C" fn note(_: c_int, argv: *mut *mut c_char) {
        ARGUMENTS.store(argv, Ordering::Relaxed);
        failing::note_limits();
        // std aborts if there is no memory for what it does before `main`. If it fails, that is a signal.
        answer_aborts().unwrap_or_default();
    }
    note
};

/// Calls [`failing::aborted`] when this process aborts itself, until [`seal`](crate::seal) takes that back.
pub(crate) fn answer_aborts() -> Result<(), Errno> {
    // SA_ONSTACK: std aborts on a full stack, too. SA_RESETHAND: for a signal from outside.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK | SaFlags::SA_RESETHAND;
    let action = SigAction::new(SigHandler::SigAction(aborted), flags, SigSet::all());
    // SAFETY: `aborted` has the signature of SA_SIGINFO and makes only async-signal-safe calls.
    unsafe { sigaction(Signal::SIGABRT, &action) }.map(drop)
}

extern "C" fn aborted(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes a whole siginfo_t, which lives while the handler runs. The sender is there for every signal that a
    // process sends; of any other, the field has some other number.
    let (code, sender) = unsafe { ((*info).si_code, (*info).si_pid()) };
    // SAFETY: takes nothing.
    if code == libc::SI_TKILL && sender == unsafe { libc::getpid() } {
        failing::aborted();
    }
    // SAFETY: takes a number. The signal is blocked until this handler returns, and has its usual effect then.
    unsafe { libc::raise(libc::SIGABRT) };
}

/// Overwrites arguments and environment with `title` and zeroes; the number of bytes. `None` if they do not lie where the kernel
/// puts them. The process must have one thread.
///
/// From low to high addresses, the kernel puts the arguments, the environment and the name of the program on the stack, one
/// text behind the other. Source: `fs/exec.c`, `do_execveat_common`.
pub(crate) fn wipe_arguments(title: &str) -> Option<usize> {
    /// Their size is limited to 6 MiB (execve(2)); anything larger is a misunderstanding.
    const MOST: usize = 8 << 20;
    let arguments = ARGUMENTS.load(Ordering::Relaxed);
    // SAFETY: null, or the vector that the kernel ended by a null pointer.
    let first = if arguments.is_null() { return None } else { unsafe { *arguments } };
    // SAFETY: takes a number. AT_EXECFN is 0 or the address of a text.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const c_char;
    if first.is_null() || name.is_null() {
        return None;
    }
    // SAFETY: the kernel ended the text by a zero.
    let end = name as usize + unsafe { CStr::from_ptr(name) }.count_bytes();
    let len = end.checked_sub(first as usize).filter(|len| (1..MOST).contains(len))?;
    // SAFETY: one stretch of the stack's upper end, which is writable and belongs to this process alone; the only thread is
    // here. Whoever reads arguments or environment later finds empty texts that still end by a zero.
    let area = unsafe { std::slice::from_raw_parts_mut(first.cast::<u8>(), len) };
    area.fill(0);
    let shown = title.len().min(len - 1);
    area[..shown].copy_from_slice(&title.as_bytes()[..shown]);
    Some(len)
}

/// Whether the kernel has a system call. `arguments` must be ones it refuses before it does anything.
///
/// An outer filter may answer in the kernel's place; then the call counts as missing (T88).
pub(crate) fn has_call(number: c_long, arguments: [c_long; 4]) -> bool {
    const INVALID: [Errno; 3] = [Errno::EINVAL, Errno::EFAULT, Errno::EBADF];
    let [a, b, c, d] = arguments;
    // SAFETY: the callers in `probe.rs` pass flags or sizes that are invalid for that call, so that the kernel
    // returns EINVAL before it reads or writes memory; no argument is a pointer to memory of ours.
    let rc = unsafe { libc::syscall(number, a, b, c, d) };
    Errno::result(rc).is_err_and(|errno| INVALID.contains(&errno))
}
