//! What macOS knows of pages and POSIX does not.

use super::libc;
use std::io;

/// The flag of `mmap` for a mapping at exactly the address that is asked for, which replaces nothing. There is none: the kernel takes the
/// address as a hint, and whoever asks looks at the answer.
pub const EXACTLY: i32 = 0;

/// Whether a mapping can lie below 4 GiB, as mode fixed asks. All of that belongs to `__PAGEZERO`, where nothing can be mapped.
pub const HAS_LOW_ADDRESSES: bool = false;

/// Does nothing: macOS has large pages only for who asks when it maps them.
///
/// # Safety
/// None is needed.
pub const unsafe fn prefer_large(_: *mut u8, _: usize) {}

/// Random bytes from the kernel.
///
/// # Errors
/// The kernel's error.
pub fn random(bytes: &mut [u8; 8]) -> io::Result<()> {
    // SAFETY: the buffer is eight writable bytes.
    let rc = unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), bytes.len()) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
