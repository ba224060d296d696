use super::*;

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
