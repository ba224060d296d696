//! How many threads this process has, and what only a process with one thread may do.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::stat;
use nix::unistd::ForkResult;

/// How long a thread that was joined may still be counted: the kernel wakes the joiner just before the thread is gone.
const THREAD_GRACE: Duration = Duration::from_millis(50);

/// Why an operation for a process with one thread did not happen.
#[derive(Debug)]
pub(crate) enum ThreadError {
    /// The process has this many threads; without /proc, 2 means more than one.
    Threads(usize),
    /// The kernel refused this call.
    Refused(&'static str, Errno),
}

/// Confirms that this process has one thread.
pub(crate) fn confirm_single_thread() -> Result<(), ThreadError> {
    let deadline = Instant::now() + THREAD_GRACE;
    loop {
        let threads = match count_threads()? {
            Some(threads) => threads,
            None if has_one_thread()? => 1,
            None => 2,
        };
        if threads == 1 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(ThreadError::Threads(threads));
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// The number of threads; `None` without /proc. The directory has a link for each thread and the usual two. Reading the number
/// of links takes a third of the time that listing the directory takes.
///
/// Source: `proc_task_getattr` in `fs/proc/base.c`.
fn count_threads() -> Result<Option<usize>, ThreadError> {
    match stat("/proc/self/task") {
        Ok(found) => Ok(Some(usize::try_from(found.st_nlink.saturating_sub(2)).unwrap_or(usize::MAX))),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(ThreadError::Refused("stat(/proc/self/task)", errno)),
    }
}

/// Whether there is one thread. The call changes nothing in a process with one thread and fails in any other.
///
/// Source: unshare(2), `CLONE_THREAD`; `check_unshare_flags` in `kernel/fork.c`.
fn has_one_thread() -> Result<bool, ThreadError> {
    match unshare(CloneFlags::CLONE_THREAD) {
        Ok(()) => Ok(true),
        Err(Errno::EINVAL) => Ok(false),
        Err(errno) => Err(ThreadError::Refused("unshare(CLONE_THREAD), and there is no /proc", errno)),
    }
}

/// Forks this process, if it has one thread.
pub(crate) fn fork() -> Result<ForkResult, ThreadError> {
    confirm_single_thread()?;
    // SAFETY: this is the only thread, and it starts no other before the call. So no thread holds a lock or is in the middle of
    // a change, and all of the child's memory, the allocator's state included, is consistent.
    unsafe { nix::unistd::fork() }.map_err(|errno| ThreadError::Refused("fork", errno))
}

/// Removes a variable from the environment and returns its value, if this process has one thread.
pub(crate) fn remove_variable(name: &str) -> Result<Option<OsString>, ThreadError> {
    let Some(value) = std::env::var_os(name) else { return Ok(None) };
    confirm_single_thread()?;
    // SAFETY: this is the only thread, so no other reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
    Ok(Some(value))
}
