//! Operations of prctl(2).

use std::ffi::{c_int, c_ulong};

use nix::errno::Errno;

/// The operations used here. Each takes at most one number and no pointer, so that [`prctl`] is safe with any of them.
#[derive(Clone, Copy)]
#[repr(i32)]
enum Operation {
    ReadBoundingSet = libc::PR_CAPBSET_READ,
    DropFromBoundingSet = libc::PR_CAPBSET_DROP,
    SetSecurebits = libc::PR_SET_SECUREBITS,
    GetSecurebits = libc::PR_GET_SECUREBITS,
    SetMemoryDenyWriteExecute = libc::PR_SET_MDWE,
    GetMemoryDenyWriteExecute = libc::PR_GET_MDWE,
    GetSeccompMode = libc::PR_GET_SECCOMP,
    SetParentDeathSignal = libc::PR_SET_PDEATHSIG,
    SetTimerSlack = libc::PR_SET_TIMERSLACK,
}

fn prctl(operation: Operation, argument: c_ulong) -> Result<c_int, Errno> {
    // SAFETY: no operation of the enum takes a pointer, so the kernel touches no memory of this process. None changes a mapping:
    // a dropped capability, a set bit or a lost right to execute new memory makes later calls fail, no more.
    let rc = unsafe { libc::prctl(operation as c_int, argument, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) };
    Errno::result(rc)
}

/// Whether a capability is in the bounding set; `None` if the kernel does not know the capability.
pub(crate) fn in_bounding_set(capability: c_ulong) -> Option<bool> {
    prctl(Operation::ReadBoundingSet, capability).ok().map(|answer| answer == 1)
}

/// Removes a capability from the bounding set. Needs `CAP_SETPCAP`.
pub(crate) fn drop_from_bounding_set(capability: c_ulong) -> Result<(), Errno> {
    prctl(Operation::DropFromBoundingSet, capability).map(drop)
}

/// Sets the securebits. Needs `CAP_SETPCAP`. Source: capabilities(7).
pub(crate) fn set_securebits(bits: c_int) -> Result<(), Errno> {
    prctl(Operation::SetSecurebits, c_ulong::from(bits.cast_unsigned())).map(drop)
}

/// The current securebits.
pub(crate) fn securebits() -> Result<c_int, Errno> {
    prctl(Operation::GetSecurebits, 0)
}

/// From now on no mapping of this process becomes executable, and none is both writable and executable.
///
/// Source: PR_SET_MDWE(2const), Linux 6.3.
pub(crate) fn refuse_exec_gain() -> Result<(), Errno> {
    prctl(Operation::SetMemoryDenyWriteExecute, c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN)).map(drop)
}

/// Whether the kernel enforces [`refuse_exec_gain`] on this process.
pub(crate) fn refuses_exec_gain() -> bool {
    prctl(Operation::GetMemoryDenyWriteExecute, 0) == Ok(libc::PR_MDWE_REFUSE_EXEC_GAIN.cast_signed())
}

/// Whether the kernel has [`refuse_exec_gain`].
pub(crate) fn has_refuse_exec_gain() -> bool {
    prctl(Operation::GetMemoryDenyWriteExecute, 0).is_ok()
}

/// The seccomp mode of this thread: 0 without a filter, 2 with one.
pub(crate) fn seccomp_mode() -> Result<c_int, Errno> {
    prctl(Operation::GetSeccompMode, 0)
}

/// The kernel kills this process when the thread that started it ends. A change of ids or capabilities cancels this.
///
/// Source: PR_SET_PDEATHSIG(2const).
pub(crate) fn die_with_parent() -> Result<(), Errno> {
    const SIGKILL: c_ulong = libc::SIGKILL as c_ulong;
    prctl(Operation::SetParentDeathSignal, SIGKILL).map(drop)
}

/// The signal that this process gets when its parent ends; 0 if none was asked for before it was started.
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
    prctl(Operation::SetTimerSlack, nanoseconds).map(drop)
}
