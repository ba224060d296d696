use super::*;

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
