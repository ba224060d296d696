use super::*;

/// Closes the descriptors `first..=last`, those that are open.
///
/// Their owners in this process, if any, must not use or close them again; [`crate::SealPlan::keep_fds`] says so.
///
/// Source: close_range(2), Linux 5.9.
pub(crate) fn close_range(first: c_uint, last: c_uint) -> Result<(), Errno> {
    // SAFETY: takes three numbers and touches no memory of ours.
    let rc = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    Errno::result(rc).map(drop)
}

/// Another number for standard error, or for standard input, `from` or above. Nobody owns it: [`close_range`] is to close it.
pub(crate) fn duplicate_above(from: c_uint) -> Result<c_uint, Errno> {
    let from = c_int::try_from(from).map_err(|_| Errno::EMFILE)?;
    let of = |fd| {
        // SAFETY: takes three numbers and touches no memory of ours.
        let rc = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, from) };
        Errno::result(rc)
    };
    let fd = of(libc::STDERR_FILENO).or_else(|_| of(libc::STDIN_FILENO))?;
    c_uint::try_from(fd).map_err(|_| Errno::EBADF)
}

/// Whether a descriptor is open, as far as the kernel says so.
pub(crate) fn is_open(fd: c_uint) -> bool {
    let Ok(fd) = c_int::try_from(fd) else { return false };
    // SAFETY: takes numbers and touches no memory of ours.
    let rc = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    Errno::result(rc) != Err(Errno::EBADF)
}
