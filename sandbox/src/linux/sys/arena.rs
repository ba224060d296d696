//! Memory for a sealed process, from system calls that every filter permits.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

use super::calls::{exit_now, write_stderr};

/// Blocks of memory. However much is taken and given back, it makes only `brk`, and `mmap` where `brk` meets another
/// mapping. Blocks have sizes that are powers of two. A block that is given back is free for the next one of its size.
pub(super) struct Arena {
    active: AtomicBool,
    /// Exit status of the process when there is no memory.
    exhausted_status: AtomicI32,
    busy: AtomicBool,
    state: UnsafeCell<State>,
}

// SAFETY: the state is reached by `with` alone, which lets one thread in at a time.
unsafe impl Sync for Arena {}

struct State {
    /// First address and end of each region of the arena, the first `count`. New blocks come from the last region.
    regions: [(usize, usize); State::REGIONS],
    count: usize,
    /// Where the next new block begins.
    next: usize,
    /// For each power of two, the first free block; it holds the address of the next one. 0: none.
    free: [usize; usize::BITS as usize],
}

impl Arena {
    /// The size of the smallest blocks, and the least alignment.
    const LEAST: usize = 16;

    /// The largest alignment of a block.
    const PAGE: usize = 4096;

    pub(super) const fn new() -> Self {
        Self {
            active: AtomicBool::new(false),
            exhausted_status: AtomicI32::new(0),
            busy: AtomicBool::new(false),
            state: UnsafeCell::new(State::NEW),
        }
    }

    /// From now on the arena is in use, if there is memory for it.
    pub(super) fn activate(&self, exhausted_status: c_int) -> bool {
        self.exhausted_status.store(exhausted_status, Ordering::Relaxed);
        let has_room = self.with(|state| state.reserve(1));
        self.active.store(has_room, Ordering::Relaxed);
        has_room
    }

    #[inline]
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// A sealed process has one thread, and no signal handler allocates, so nothing ever waits here.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        while self.busy.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        // SAFETY: `busy` was false, so no other reference exists until it is false again; `work` does not call `with`, because
        // nothing in `State` allocates.
        let outcome = work(unsafe { &mut *self.state.get() });
        self.busy.store(false, Ordering::Release);
        outcome
    }

    /// The size of the block for a layout. `None` if the size or the alignment is too large.
    fn size(layout: Layout) -> Option<usize> {
        let size = layout.size().max(layout.align()).max(Self::LEAST).checked_next_power_of_two()?;
        (layout.align() <= Self::PAGE).then_some(size)
    }

    /// A block, never null. Ends the process if there is no memory: a sealed process can do no more than say so.
    pub(super) fn alloc(&self, layout: Layout) -> *mut u8 {
        match Self::size(layout).and_then(|size| self.with(|state| state.take(size))) {
            Some(address) => std::ptr::with_exposed_provenance_mut(address),
            None => {
                write_stderr(b"wave: no memory is left\n");
                exit_now(self.exhausted_status.load(Ordering::Relaxed))
            }
        }
    }

    /// Whether a block can stay where it is for another layout. A block of the arena must keep its size, which `dealloc` derives
    /// from the layout.
    pub(super) fn can_stay(&self, block: *mut u8, layout: Layout, wanted: Layout) -> bool {
        if self.with(|state| state.owns(block.addr())) {
            Self::size(layout) == Self::size(wanted)
        } else {
            wanted.size() <= layout.size()
        }
    }

    /// Gives a block back. A block that is not the arena's stays taken.
    ///
    /// # Safety
    /// The block has this layout and nothing uses it any more.
    pub(super) unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(size) = Self::size(layout) else { return };
        self.with(|state| {
            if state.owns(block.addr()) {
                let first_free = &mut state.free[size.trailing_zeros() as usize];
                let address = block.expose_provenance();
                // SAFETY: the block has at least 16 bytes, is aligned to them, and was given up by the caller.
                unsafe { block.cast::<usize>().write(std::mem::replace(first_free, address)) };
            }
        });
    }
}

impl State {
    /// Each region is twice as large as the one before, so there are never more.
    const REGIONS: usize = 40;

    /// Bytes of the first region; and the unit in which `brk` is asked for more.
    const REGION_BYTES: usize = 1 << 20;

    const NEW: Self = Self { regions: [(0, 0); Self::REGIONS], count: 0, next: 0, free: [0; usize::BITS as usize] };

    fn owns(&self, address: usize) -> bool {
        self.regions[..self.count].iter().any(|(start, end)| (*start..*end).contains(&address))
    }

    /// A block of a size that is a power of two.
    fn take(&mut self, size: usize) -> Option<usize> {
        let first_free = &mut self.free[size.trailing_zeros() as usize];
        if *first_free != 0 {
            let block = *first_free;
            // SAFETY: `dealloc` exposed this address and wrote the next one there, and nothing has used the block since.
            *first_free = unsafe { std::ptr::with_exposed_provenance::<usize>(block).read() };
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

    /// Ensures that at least so many bytes follow `next`.
    fn reserve(&mut self, bytes: usize) -> bool {
        let last = self.count.checked_sub(1).map(|last| self.regions[last]);
        if last.is_some_and(|(_, end)| end - self.next >= bytes) {
            return true;
        }
        let round_up = |bytes: usize| bytes.checked_next_multiple_of(Self::REGION_BYTES);
        let Some((start, end)) = round_up(bytes).and_then(grow_by_brk).or_else(|| {
            let least = Self::REGION_BYTES.checked_shl(u32::try_from(self.count).ok()?)?;
            grow_by_mmap(round_up(bytes)?.max(least))
        }) else {
            return false;
        };
        match last {
            // The rest of the last region and the new memory are one.
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

/// More memory at the end of the heap: its first address and its end. Source: sbrk(2).
fn grow_by_brk(bytes: usize) -> Option<(usize, usize)> {
    let bytes = isize::try_from(bytes).ok()?;
    // SAFETY: the number is positive, so no memory is taken from an owner. glibc's `malloc` copes with a heap that others grow, too.
    let start = unsafe { libc::sbrk(bytes) };
    let start = start.expose_provenance();
    // glibc keeps the end of the heap aligned; memory that is not is not used.
    (start != usize::MAX && start.is_multiple_of(Arena::LEAST)).then(|| (start, start + bytes.unsigned_abs()))
}

/// More memory at any place: its first address and its end.
fn grow_by_mmap(bytes: usize) -> Option<(usize, usize)> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping, at an address that the kernel chooses, so no mapping is replaced.
    let start = unsafe { mmap_anonymous(None, NonZeroUsize::new(bytes)?, access, MapFlags::MAP_PRIVATE) }.ok()?;
    let start = start.as_ptr().expose_provenance();
    Some((start, start + bytes))
}
