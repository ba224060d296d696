use super::*;

/// Whether a filter answers its self-test.
pub(crate) fn is_answered(test: SelfTest) -> bool {
    // SAFETY: `getppid` takes nothing and touches no memory; see `seccomp::SELF_TEST`.
    let rc = unsafe { libc::syscall(test.call) };
    Errno::result(rc) == Err(Errno::from_raw(test.errno))
}

/// Whether the kernel's filters know an action, such as `SECCOMP_RET_TRAP`.
///
/// Source: seccomp(2), Linux 4.14.
pub(crate) fn has_seccomp_action(action: c_uint) -> bool {
    // SAFETY: the kernel reads one u32 at the pointer, which is a live local.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// The kernel's Landlock ABI; 0 when it has none or it is switched off.
///
/// Source: landlock_create_ruleset(2).
pub(crate) fn landlock_abi() -> i32 {
    const VERSION: c_uint = 1;
    let no_attributes: *const c_void = std::ptr::null();
    // SAFETY: with this flag the kernel reads no attributes and makes no descriptor; null and 0 are prescribed.
    let rc = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, no_attributes, 0_usize, VERSION) };
    i32::try_from(rc).unwrap_or(0).max(0)
}

/// Whether the kernel has a system call. `arguments` must be ones it refuses before it does anything.
///
/// An outer filter may answer in the kernel's place; then the call counts as missing (T88).
pub(crate) fn has_call(number: c_long, arguments: [c_long; 4]) -> bool {
    const INVALID: [Errno; 3] = [Errno::EINVAL, Errno::EFAULT, Errno::EBADF];
    let [a, b, c, d] = arguments;
    // SAFETY: the callers in `probe.rs` pass flags or sizes that are invalid for that call, so that the kernel
    // returns EINVAL before it reads or writes memory; no argument is a pointer to memory of ours.
    let rc = unsafe { libc::syscall(number, a, b, c, d) };
    Errno::result(rc).is_err_and(|errno| INVALID.contains(&errno))
}
