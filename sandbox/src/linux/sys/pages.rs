use super::*;

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
