//! Waiting. Every call that can block goes through this module, so that the deadline covers all of them (T108).

use crate::platform::{self, poll};
use crate::{Failure, Stop};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno as Host;
use std::os::fd::BorrowedFd;
use wave_monitor::{Errno, Waiting};

/// Whether the run has to stop.
pub(crate) type Interrupted = fn() -> bool;

/// Returns the stop if the run has to stop.
pub(crate) fn check(interrupted: Interrupted) -> Result<(), Failure> {
    if interrupted() { Err(Stop::Deadline.into()) } else { Ok(()) }
}

/// Repeats a system call until it is not interrupted, or the run has to stop.
///
/// A call that was interrupted has done nothing, so the repetitions are one effect.
#[inline]
pub(crate) fn retry_interrupted<T>(
    interrupted: Interrupted,
    mut call: impl FnMut() -> rustix::io::Result<T>,
) -> Result<T, Failure> {
    loop {
        match call() {
            Ok(done) => return Ok(done),
            Err(error) => may_retry(interrupted, error)?,
        }
    }
}

/// Returns `Ok` if the error is only an interruption and the run goes on.
#[cold]
fn may_retry(interrupted: Interrupted, error: Host) -> Result<(), Failure> {
    if error == Host::INTR { check(interrupted) } else { Err(error.into()) }
}

/// Makes a system call on a descriptor that may not be ready, and waits as the guest asked.
///
/// The host's `O_NONBLOCK` can differ from the guest's: descriptors that we opened always have it, and inherited ones
/// must not be changed (T35). If the guest does not wait, the descriptor is polled first. If it waits, the call is
/// repeated after `EAGAIN`. A call that returned `EAGAIN` has done nothing, so the repetitions are one effect.
#[inline]
pub(crate) fn retry_until_ready<T>(
    interrupted: Interrupted,
    waiting: Waiting,
    fd: BorrowedFd<'_>,
    ready: PollFlags,
    mut call: impl FnMut() -> rustix::io::Result<T>,
) -> Result<T, Failure> {
    if waiting == Waiting::Refuse && !wait(interrupted, fd, ready, Some(&NO_TIME))? {
        return Err(Errno::AGAIN.into());
    }
    loop {
        match call() {
            Ok(done) => return Ok(done),
            Err(Host::AGAIN) if waiting == Waiting::Wait => {
                wait(interrupted, fd, ready, None)?;
            }
            Err(error) => may_retry(interrupted, error)?,
        }
    }
}

/// Waits until there is data, or there was a writer and none is left. Returns whether there is data.
///
/// A FIFO that was opened with `O_NONBLOCK` before any writer reads as empty, but is not hung up: Linux compares the
/// number of writers so far with the number at the open. On macOS it is hung up, so nothing waits for its first writer.
#[cold]
pub(crate) fn wait_for_data(interrupted: Interrupted, fd: BorrowedFd<'_>) -> Result<bool, Failure> {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    retry_interrupted(interrupted, || poll(&mut fds, None))?;
    let [found] = fds;
    Ok(platform::has_data(fd, found.revents())?)
}

const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Waits until `fd` is ready, or has an error or hang-up. Returns false after the timeout.
#[cold]
fn wait(
    interrupted: Interrupted,
    fd: BorrowedFd<'_>,
    ready: PollFlags,
    timeout: Option<&Timespec>,
) -> Result<bool, Failure> {
    let mut fds = [PollFd::from_borrowed_fd(fd, ready)];
    Ok(retry_interrupted(interrupted, || poll(&mut fds, timeout))? > 0)
}
