use super::*;

/// Ends all threads of the process without running a handler.
///
/// Source: _exit(2).
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: takes a number and does not return, so no state of ours is looked at afterwards.
    unsafe { libc::_exit(code) }
}

/// Writes bytes to standard error as far as one call goes. Async-signal-safe.
pub(crate) fn write_stderr(text: &[u8]) {
    // SAFETY: pointer and length are those of a live slice, which is only read.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

/// Whether some process has this user id.
///
/// Source: getpriority(2), which looks the user up and fails with ESRCH when it has no process.
pub(crate) fn has_process(uid: u32) -> bool {
    // SAFETY: takes two numbers. The raw call answers 1 to 40, so -1 is always an error.
    let rc = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_USER, uid) };
    Errno::result(rc) != Err(Errno::ESRCH)
}

/// Random bits from the kernel.
pub(crate) fn random() -> Result<u32, Errno> {
    let mut bits = 0_u32;
    // SAFETY: the kernel writes at most four bytes to a live local of four bytes.
    let rc = unsafe { libc::getrandom((&raw mut bits).cast(), size_of::<u32>(), 0) };
    Errno::result(rc).map(|_| bits)
}
