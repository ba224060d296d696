//! Descriptors by their numbers.

use std::ffi::{c_int, c_uint};
use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;

/// Closes the descriptors `first..=last`, those that are open.
///
/// # Safety
/// No owner of such a descriptor in this process, a [`File`](std::fs::File) or a C library, uses or closes it afterwards: the
/// kernel may give its number to another file.
///
/// Source: close_range(2), Linux 5.9; the module `std::io` on I/O safety.
pub(crate) unsafe fn close_range(first: c_uint, last: c_uint) -> Result<(), Errno> {
    // SAFETY: the call takes three numbers and touches no memory; the caller answers for the owners.
    let rc = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    Errno::result(rc).map(drop)
}

/// Duplicates standard error, or standard input if that fails, to a descriptor number of `from` or higher. Nothing owns the
/// new descriptor: the caller closes it by [`close_range`].
pub(crate) fn duplicate_above(from: c_uint) -> Result<c_uint, Errno> {
    let from = c_int::try_from(from).map_err(|_| Errno::EMFILE)?;
    let duplicate = |fd| {
        // SAFETY: the call takes three numbers, touches no memory and closes nothing.
        let rc = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, from) };
        Errno::result(rc)
    };
    let fd = duplicate(libc::STDERR_FILENO).or_else(|_| duplicate(libc::STDIN_FILENO))?;
    c_uint::try_from(fd).map_err(|_| Errno::EBADF)
}

/// A duplicate of a descriptor that this process was started with. The descriptor itself stays open.
pub(crate) fn duplicate_inherited(fd: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes three numbers, touches no memory and closes nothing.
    let new = Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the kernel has just opened this descriptor, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// Whether a descriptor is open, as far as the kernel says so.
pub(crate) fn is_open(fd: c_uint) -> bool {
    let Ok(fd) = c_int::try_from(fd) else { return false };
    // SAFETY: the call takes two numbers, touches no memory and changes nothing.
    let rc = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    Errno::result(rc) != Err(Errno::EBADF)
}
