//! The allocator of a program that seals itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

use super::arena::Arena;
use super::calls::exit_now;
use super::emergency;

/// Makes `malloc` get memory from `brk` alone and never give it back. `false` if it refuses a setting.
///
/// These settings replace `MALLOC_MMAP_MAX_`, `MALLOC_MMAP_THRESHOLD_`, `MALLOC_TRIM_THRESHOLD_`, `MALLOC_TOP_PAD_` and
/// `MALLOC_PERTURB_`.
///
/// Source: mallopt(3).
pub(crate) fn allocate_by_brk_only() -> bool {
    const TOP_PAD: c_int = 1 << 20;
    let settings =
        [(libc::M_MMAP_MAX, 0), (libc::M_TRIM_THRESHOLD, c_int::MAX), (libc::M_TOP_PAD, TOP_PAD), (libc::M_PERTURB, 0)];
    settings.into_iter().all(|(name, value)| {
        // SAFETY: the call takes two numbers, and glibc locks its own state; chunks that exist are not moved.
        unsafe { libc::mallopt(name, value) == 1 }
    })
}

/// The status with which a failed allocation ends this process, without a message; 0 if it is to write one.
static EXHAUSTED_STATUS: AtomicI32 = AtomicI32::new(0);

/// From now on, a failed allocation by [`Allocator`] ends this process with this status, which is not 0, and without a message.
pub(crate) fn exit_when_exhausted(status: c_int) {
    EXHAUSTED_STATUS.store(status, Ordering::Relaxed);
}

/// From now on, [`Allocator`] uses an arena, and does not give back a block that it did not take there. A failed
/// allocation ends the process with this status. `false` if there is no memory for the arena; nothing changes then.
pub(crate) fn allocate_from_arena(exhausted_status: c_int) -> bool {
    ARENA.activate(exhausted_status)
}

static ARENA: Arena = Arena::new();

/// A larger block fits into no heap of a thread's arena in glibc, which has 64 MiB, and is a mapping of its own. `realloc` of that
/// is `mremap`, which a worker's filter denies. From half of that size on, a worker moves a block that grows itself.
///
/// Source: `sysmalloc` and `HEAP_MAX_SIZE` in glibc's `malloc/arena.c`.
const LARGE_BYTES: usize = 32 << 20;

/// The allocator of a program that seals itself, for `#[global_allocator]`: the system's until the seal of a guest's process, and
/// an arena from then on, which makes only system calls that every filter permits.
///
/// A block from before the seal is never given back after it: what the system's allocator does then depends on its size, on
/// the thread that took it and on variables of the environment, and the filter denies some of the calls.
///
/// In a [`Worker`](crate::Worker) a failed allocation ends the process with a status of its own, and in a sealed guest's process with
/// a message. Without that, running out of memory would show as a denied system call, because `abort` makes one.
#[derive(Debug)]
pub struct Allocator;

impl Allocator {
    /// The block, unless the allocation failed. That ends the process.
    fn check(block: *mut u8) -> *mut u8 {
        if block.is_null() {
            match EXHAUSTED_STATUS.load(Ordering::Relaxed) {
                0 => emergency::exit_out_of_memory(),
                status => exit_now(status),
            }
        }
        block
    }
}

// SAFETY: every block comes from `System` or from the arena. It goes back, with the layout that the caller gave, to the one it came
// from, or stays taken: once the arena is active, nothing goes back to `System`. The arena gives each address to one owner at
// a time. No method unwinds: a failed allocation ends the process.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ARENA.is_active() {
            return ARENA.alloc(layout);
        }
        // SAFETY: the caller's promise about the layout is passed on.
        Self::check(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if ARENA.is_active() {
            let block = ARENA.alloc(layout);
            // SAFETY: `alloc` returned a block of that size, never null, which has no other owner yet.
            unsafe { block.write_bytes(0, layout.size()) };
            return block;
        }
        // SAFETY: the caller's promise about the layout is passed on.
        Self::check(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        if ARENA.is_active() {
            let Ok(wanted) = Layout::from_size_align(len, layout.align()) else { return std::ptr::null_mut() };
            if ARENA.can_stay(block, layout, wanted) {
                return block;
            }
            let moved = ARENA.alloc(wanted);
            // SAFETY: `block` has `layout.size()` bytes by the caller's promise, `moved` has `len` bytes and no other owner, so
            // the two do not overlap. `block` is not used afterwards.
            unsafe {
                moved.copy_from_nonoverlapping(block, layout.size().min(len));
                ARENA.dealloc(block, layout);
            }
            return moved;
        }
        if layout.size() >= LARGE_BYTES && EXHAUSTED_STATUS.load(Ordering::Relaxed) != 0 {
            // SAFETY: the caller promises that `len` is not zero and makes a valid layout with this alignment.
            let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(len, layout.align())) };
            // SAFETY: both blocks have at least so many bytes, and the new one, which `alloc` returned, does not overlap the old
            // one. That came from `System` with this layout, and is not used afterwards.
            unsafe {
                moved.copy_from_nonoverlapping(block, layout.size().min(len));
                self.dealloc(block, layout);
            }
            return moved;
        }
        // SAFETY: the caller's promise about the block and its layout is passed on. The arena is not active and never was, so the
        // block came from `System`.
        Self::check(unsafe { System.realloc(block, layout, len) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if ARENA.is_active() {
            // SAFETY: the caller gives the block up, and its layout is that of `alloc`.
            return unsafe { ARENA.dealloc(block, layout) };
        }
        // SAFETY: the caller gives the block up, with its layout. The arena never was active, so the block came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}
