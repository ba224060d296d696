use super::*;

/// `prctl` for operations whose arguments are all numbers.
fn prctl(operation: c_int, argument: c_ulong) -> Result<c_int, Errno> {
    // SAFETY: each caller below passes an operation that takes at most one number and no pointer, per prctl(2).
    let rc = unsafe { libc::prctl(operation, argument, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) };
    Errno::result(rc)
}

/// Whether a capability is in the bounding set; `None` when the kernel knows no such capability.
pub(crate) fn in_bounding_set(capability: c_ulong) -> Option<bool> {
    prctl(libc::PR_CAPBSET_READ, capability).ok().map(|answer| answer == 1)
}

/// Takes a capability out of the bounding set. Needs `CAP_SETPCAP`.
pub(crate) fn drop_from_bounding_set(capability: c_ulong) -> Result<(), Errno> {
    prctl(libc::PR_CAPBSET_DROP, capability).map(drop)
}

/// Sets the securebits. Needs `CAP_SETPCAP`. Source: capabilities(7).
pub(crate) fn set_securebits(bits: c_int) -> Result<(), Errno> {
    prctl(libc::PR_SET_SECUREBITS, c_ulong::from(bits.cast_unsigned())).map(drop)
}

/// The securebits in force.
pub(crate) fn securebits() -> Result<c_int, Errno> {
    prctl(libc::PR_GET_SECUREBITS, 0)
}

/// From now on no mapping of this process becomes executable, and none is both writable and executable.
///
/// Source: PR_SET_MDWE(2const), Linux 6.3.
pub(crate) fn refuse_exec_gain() -> Result<(), Errno> {
    prctl(libc::PR_SET_MDWE, c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN)).map(drop)
}

/// Whether [`refuse_exec_gain`] is in force.
pub(crate) fn refuses_exec_gain() -> bool {
    prctl(libc::PR_GET_MDWE, 0) == Ok(libc::PR_MDWE_REFUSE_EXEC_GAIN.cast_signed())
}

/// Whether the kernel has [`refuse_exec_gain`].
pub(crate) fn has_refuse_exec_gain() -> bool {
    prctl(libc::PR_GET_MDWE, 0).is_ok()
}

/// Whether a filter is in force on this thread already: 0 none, 2 filter.
pub(crate) fn seccomp_mode() -> Result<c_int, Errno> {
    prctl(libc::PR_GET_SECCOMP, 0)
}

/// The kernel kills this process when the thread that made it ends. It forgets so when ids or capabilities change.
///
/// Source: PR_SET_PDEATHSIG(2const).
pub(crate) fn die_with_parent() -> Result<(), Errno> {
    const SIGKILL: c_ulong = libc::SIGKILL as c_ulong;
    prctl(libc::PR_SET_PDEATHSIG, SIGKILL).map(drop)
}

/// The signal that the parent's end sends to this process, if somebody asked for one before it was started.
///
/// Source: PR_GET_PDEATHSIG(2const).
pub(crate) fn parent_death_signal() -> Result<c_int, Errno> {
    let mut signal: c_int = 0;
    // SAFETY: the kernel writes one int at the pointer, which is a live local.
    let rc = unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) };
    Errno::result(rc).map(|_| signal)
}

/// How late the kernel may wake this process, in nanoseconds. Source: PR_SET_TIMERSLACK(2const).
pub(crate) fn set_timer_slack(nanoseconds: c_ulong) -> Result<(), Errno> {
    prctl(libc::PR_SET_TIMERSLACK, nanoseconds).map(drop)
}
