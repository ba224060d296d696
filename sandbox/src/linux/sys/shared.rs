//! Memory that a process shares with the processes forked from it.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::AtomicI64;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous};

/// A mapping that this process shares with the processes forked from it. It is never unmapped.
#[derive(Debug)]
pub(crate) struct SharedArea {
    start: NonNull<u8>,
    len_bytes: NonZeroUsize,
}

impl SharedArea {
    /// Maps an area of zeroes.
    pub(crate) fn map(len_bytes: NonZeroUsize) -> Result<Self, Errno> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses, so no mapping is replaced.
        let start = unsafe { mmap_anonymous(None, len_bytes, access, MapFlags::MAP_SHARED) }?;
        Ok(Self { start: start.cast(), len_bytes })
    }

    /// From now on, processes forked from this one do not have the area. Source: madvise(2), `MADV_DONTFORK`.
    pub(crate) fn exclude_from_children(&self) -> Result<(), Errno> {
        // SAFETY: the range is one mapping, made by `map`; the advice changes nothing in this process.
        unsafe { madvise(self.start.cast(), self.len_bytes.get(), MmapAdvise::MADV_DONTFORK) }
    }

    /// The area, to be written by this process.
    ///
    /// # Safety
    /// No other process reads or writes the area while this one lives. So it was forked after [`map`](Self::map), has called
    /// [`exclude_from_children`](Self::exclude_from_children) before it forks, and its parent waits for its end.
    pub(crate) unsafe fn into_writable(self) -> &'static mut [u8] {
        // SAFETY: the mapping is never unmapped. Taking the area by value makes this its only reference in this process; the
        // caller answers for the other processes.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len_bytes.get()) }
    }

    /// The area as another process left it.
    ///
    /// # Safety
    /// The process that wrote to the area was waited for, and no other process has it.
    pub(crate) unsafe fn into_readable(self) -> &'static [u8] {
        // SAFETY: the mapping is never unmapped, and by the caller's promise nothing writes to it any more.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len_bytes.get()) }
    }
}

/// Maps a number that this process shares with the processes forked from it. It begins as 0.
pub(crate) fn map_shared_number() -> Result<&'static AtomicI64, Errno> {
    let area = SharedArea::map(NonZeroUsize::new(size_of::<AtomicI64>()).unwrap_or(NonZeroUsize::MIN))?;
    // SAFETY: the mapping begins at a page, so it is aligned; it is zeroes, never unmapped, and used by this reference alone. Other
    // processes have the same mapping and use it as an atomic number, too.
    Ok(unsafe { AtomicI64::from_ptr(area.start.as_ptr().cast()) })
}
