//! Which facilities the kernel has.

use std::ffi::{c_long, c_uint, c_void};

use nix::errno::Errno;

/// What `getppid` returns. Every filter of ours fails the call with an errno of its own, so the answer shows whether a filter
/// is installed.
pub(crate) fn filtered_getppid() -> Result<c_long, Errno> {
    // SAFETY: `getppid` takes nothing, touches no memory and changes nothing.
    Errno::result(unsafe { libc::syscall(libc::SYS_getppid) })
}

/// Whether the kernel's filters know an action, such as `SECCOMP_RET_TRAP`.
///
/// Source: seccomp(2), Linux 4.14.
pub(crate) fn has_seccomp_action(action: c_uint) -> bool {
    // SAFETY: the kernel reads one u32 at the pointer, which is a live local.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// The kernel's Landlock ABI; 0 if it has none or Landlock is off.
///
/// Source: landlock_create_ruleset(2).
pub(crate) fn landlock_abi() -> i32 {
    const VERSION: c_uint = 1;
    let no_attributes: *const c_void = std::ptr::null();
    // SAFETY: with this flag the kernel reads no attributes and makes no descriptor; the man page prescribes null and 0.
    let rc = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, no_attributes, 0_usize, VERSION) };
    i32::try_from(rc).unwrap_or(0).max(0)
}

/// Whether the kernel has `openat2`. If an outer filter answers in the kernel's place, the call counts as missing (T88), here
/// and below.
pub(crate) fn has_openat2() -> bool {
    let no_path: *const c_void = std::ptr::null();
    // SAFETY: the size 0 is smaller than any `struct open_how`, so the kernel fails the call with EINVAL before it reads the
    // two null pointers; were it to read them, it would fail with EFAULT.
    is_known(unsafe { libc::syscall(libc::SYS_openat2, -1, no_path, no_path, 0_usize) })
}

/// Whether the kernel has `close_range`.
pub(crate) fn has_close_range() -> bool {
    // SAFETY: the range ends before it begins, so the kernel fails the call with EINVAL and closes nothing.
    is_known(unsafe { libc::syscall(libc::SYS_close_range, 2, 1, 0) })
}

/// Whether the kernel has `mseal`.
pub(crate) fn has_mseal() -> bool {
    const INVALID_FLAGS: c_long = -1;
    // SAFETY: no flag is defined, so the kernel fails the call with EINVAL; the range is empty, too.
    is_known(unsafe { libc::syscall(libc::SYS_mseal, 0_usize, 0_usize, INVALID_FLAGS) })
}

/// Whether the result of an invalid call shows that the kernel has the call.
fn is_known(rc: c_long) -> bool {
    const INVALID: [Errno; 3] = [Errno::EINVAL, Errno::EFAULT, Errno::EBADF];
    Errno::result(rc).is_err_and(|errno| INVALID.contains(&errno))
}
