//! Single system calls that fit under no other topic.

use std::ffi::c_int;

use nix::errno::Errno;

/// Ends all threads of the process without running a handler.
///
/// Source: _exit(2).
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: the call takes a number and does not return, so no state of this process is used afterwards.
    unsafe { libc::_exit(code) }
}

/// Writes bytes to standard error, as many as one call takes. Async-signal-safe.
pub(crate) fn write_stderr(text: &[u8]) {
    // SAFETY: pointer and length are those of a live slice, which the kernel only reads.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

/// Whether some process has this user id.
///
/// Source: getpriority(2), which looks the user up and fails with ESRCH if no process has it.
pub(crate) fn user_has_process(uid: u32) -> bool {
    // SAFETY: the call takes two numbers and touches no memory. The raw call returns 1 to 40, so -1 is always an error.
    let rc = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_USER, uid) };
    Errno::result(rc) != Err(Errno::ESRCH)
}

/// 32 random bits from the kernel.
pub(crate) fn random_u32() -> Result<u32, Errno> {
    let mut bits = 0_u32;
    // SAFETY: the kernel writes at most four bytes to a live local of four bytes.
    let rc = unsafe { libc::getrandom((&raw mut bits).cast(), size_of::<u32>(), 0) };
    Errno::result(rc).map(|_| bits)
}
