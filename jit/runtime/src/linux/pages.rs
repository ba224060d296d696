//! What Linux knows of pages and POSIX does not.

use std::io;

/// The flag of `mmap` for a mapping at exactly the address that is asked for, which replaces nothing. Kernels before 4.17 do not know
/// it and take the address as a hint.
pub const EXACTLY: i32 = libc::MAP_FIXED_NOREPLACE;

/// Whether a mapping can lie below 4 GiB, as mode fixed asks.
pub const HAS_LOW_ADDRESSES: bool = true;

/// Asks for large pages where they fit. The kernel may have none.
///
/// # Safety
/// The caller owns these pages.
pub unsafe fn prefer_large(address: *mut u8, len: usize) {
    // SAFETY: the caller's promise; the advice changes no contents. A refusal costs time and nothing else.
    unsafe { libc::madvise(address.cast(), len, libc::MADV_HUGEPAGE) };
}

/// Random bytes from the kernel.
///
/// # Errors
/// The kernel's error.
pub fn random(bytes: &mut [u8; 8]) -> io::Result<()> {
    // SAFETY: the buffer is eight writable bytes.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == 8 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
