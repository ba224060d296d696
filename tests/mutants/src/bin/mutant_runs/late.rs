//! An allocator that leaves the blocks from before a moment alone: those that come later lie in a region of their own, with gaps
//! between that nobody may write, and a list of them before.

#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Range;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

pub const REGION_BYTES: usize = 256 << 10;
/// Blocks that can be there at once.
pub const BLOCKS: usize = 1024;
/// Bytes that nobody may write around a block.
const GAP: usize = 64;
const UNTOUCHED: u8 = 0xc5;

/// What the region begins with.
#[repr(C)]
pub struct List {
    count: usize,
    blocks: [[usize; 2]; BLOCKS],
}

/// The region, once the moment has come.
static REGION: AtomicPtr<List> = AtomicPtr::new(null_mut());

pub struct Allocator;

/// From now on blocks come from this region.
///
/// # Safety
/// The region has [`REGION_BYTES`], is zeroed, writable, used for nothing else, and stays. The process has one thread.
pub unsafe fn begin(region: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { region.add(size_of::<List>()).write_bytes(UNTOUCHED, REGION_BYTES - size_of::<List>()) };
    REGION.store(region.cast(), Ordering::Relaxed);
}

/// What the allocator's users may write, as the bytes of the list say: the list and the blocks. `None` if it is damaged.
pub fn writable(region: usize, list: &[u8]) -> Option<Vec<Range<usize>>> {
    let words = list.as_chunks::<8>().0.iter().map(|word| usize::from_le_bytes(*word)).collect::<Vec<_>>();
    let count = *words.first()?;
    let mut all: Vec<_> = std::iter::once(region..region + size_of::<List>()).collect();
    for block in words.get(1..1 + 2 * count)?.as_chunks::<2>().0 {
        let end = block[0].checked_add(block[1])?;
        if block[0] < all.last()?.end + GAP || end + GAP > region + REGION_BYTES {
            return None;
        }
        all.push(block[0]..end);
    }
    Some(all)
}

// SAFETY: before the moment it is the system's allocator. Afterwards, blocks are pieces of the region that no other block has: each
// begins behind the end of the last. Old blocks are never given back, and of later ones only the last.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let region = REGION.load(Ordering::Relaxed);
        // SAFETY: the region is a list and what follows it, see `begin`; there is one thread.
        let Some(list) = (unsafe { region.as_mut() }) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        };
        let last = list.count.checked_sub(1).map(|last| list.blocks[last]);
        let used = last.map_or(region as usize + size_of::<List>(), |[start, len]| start + len);
        let start = (used + GAP).next_multiple_of(layout.align());
        if list.count == BLOCKS || start + layout.size() + GAP > region as usize + REGION_BYTES {
            return null_mut();
        }
        list.blocks[list.count] = [start, layout.size()];
        list.count += 1;
        region.cast::<u8>().wrapping_add(start - region as usize)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let region = REGION.load(Ordering::Relaxed);
        // SAFETY: as above.
        let Some(list) = (unsafe { region.as_mut() }) else {
            // SAFETY: the caller's promise.
            return unsafe { System.dealloc(block, layout) };
        };
        if let Some(last) =
            list.count.checked_sub(1).filter(|last| list.blocks[*last] == [block as usize, layout.size()])
        {
            list.count = last;
            // SAFETY: the block belongs to the caller, who gives it back.
            unsafe { block.write_bytes(UNTOUCHED, layout.size()) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if REGION.load(Ordering::Relaxed).is_null() {
            // SAFETY: the caller's promise.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller promises a block of this layout, and a size that its alignment allows. What is copied fits both blocks,
        // which do not overlap: the old one is given back after the new one was taken.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}
