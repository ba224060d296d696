//! How much memory something takes: every allocation is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// What this thread holds, and the most that it has held.
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn count(taken: usize, given: usize) {
    // A thread that ends holds nothing that counts.
    let counted = HELD.try_with(|cell| {
        let (held, most) = cell.get();
        // What another thread has taken may be given back here.
        let held = (held + taken).saturating_sub(given);
        cell.set((held, most.max(held)));
    });
    counted.ok();
}

// SAFETY: all is done by the system's allocator, with the same arguments.
#[allow(unsafe_code, reason = "an allocator")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's, handed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller's, handed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Does something, and says how many bytes this thread held at most beyond those it held before.
pub fn most_during<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let (before, _) = HELD.get();
    HELD.set((before, before));
    let done = work();
    (done, HELD.get().1 - before)
}
