//! Pages that stay what they are.

use nix::errno::Errno;

/// From now on the kernel refuses to change the protection of the pages, and to move, replace, discard or unmap them.
///
/// # Safety
/// The range consists of whole mappings of the caller. Nothing relies on a later change of them: an owner whose
/// destructor unmaps the range must be forgotten, and a stack or a heap must not lie in it.
///
/// Source: mseal(2), Linux 6.10.
pub(crate) unsafe fn mseal(start: u64, len_bytes: u64) -> Result<(), Errno> {
    // SAFETY: the call takes three numbers and changes no contents: reads, writes and jumps stay what they were. The caller
    // answers for the changes that fail from now on.
    let rc = unsafe { libc::syscall(libc::SYS_mseal, start, len_bytes, 0) };
    Errno::result(rc).map(drop)
}

/// Moves the page at an address to where it is. This changes nothing; the kernel refuses it if the page is sealed.
///
/// Source: mremap(2); `check_prep_vma` in `mm/mremap.c`.
pub(crate) fn remap_in_place(page: u64) -> Result<(), Errno> {
    const PAGE_BYTES: usize = 4096;
    // SAFETY: the old size and the new one are the same and the page may not move, so every mapping stays what it is; an
    // address without a mapping is an error.
    let rc = unsafe { libc::syscall(libc::SYS_mremap, page, PAGE_BYTES, PAGE_BYTES, 0, 0) };
    Errno::result(rc).map(drop)
}
