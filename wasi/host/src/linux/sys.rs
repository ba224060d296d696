//! `getdents64`, which no crate offers with a buffer of the caller.
#![allow(unsafe_code, reason = "a system call without a safe form")]

use crate::sys::last_error;
use rustix::io::Result;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Reads directory entries into `buffer` and returns how many bytes they take, 0 at the end.
pub(crate) fn getdents64(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: `buffer` is borrowed mutably until the call has returned. The kernel writes at most its length, from its
    // start on, and needs no alignment.
    let filled = unsafe { libc::syscall(libc::SYS_getdents64, fd.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
    usize::try_from(filled).map_err(|_| last_error())
}
