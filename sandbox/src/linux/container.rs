//! What the runtime of a container needs of the kernel and no crate offers safely.

use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::unistd::ForkResult;

use super::{process, start, sys};
use crate::error::Cause;

/// Exit status of work that panicked, as in std.
const PANICKED: i32 = 101;

/// Does `work` in a forked process, which exits with its result. Returns the process id. The caller waits for it, or ends and
/// leaves that to the next subreaper (prctl(2), `PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// If this process has several threads, or the kernel refuses another process.
pub fn spawn(work: impl FnOnce() -> i32) -> Result<i32, Cause> {
    process::confirm_single_thread()?;
    match sys::fork()? {
        ForkResult::Parent { child } => Ok(child.as_raw()),
        ForkResult::Child => sys::exit_now(catch_unwind(AssertUnwindSafe(work)).unwrap_or(PANICKED)),
    }
}

/// The first thing that the process of a container does: requests to end (SIGHUP, SIGINT, SIGQUIT, SIGTERM) end it, also if it is
/// the first process of a PID namespace, which has no default effects (pid_namespaces(7)).
///
/// # Errors
/// If the kernel refuses a handler.
pub fn begin() -> Result<(), Cause> {
    start::prepare_container()
}

/// Changes the attributes of a mount, and of all below it if `recursive`: sets and clears flags `MOUNT_ATTR_…`, and sets the
/// propagation, such as `MS_PRIVATE`, unless it is 0.
///
/// # Errors
/// If the kernel refuses the change. Source: mount_setattr(2).
pub fn set_mount_attributes(
    mount: BorrowedFd<'_>,
    recursive: bool,
    set: u64,
    clear: u64,
    propagation: u64,
) -> Result<(), Cause> {
    sys::set_mount_attributes(mount, recursive, set, clear, propagation).map_err(Cause::refused("mount_setattr"))
}
