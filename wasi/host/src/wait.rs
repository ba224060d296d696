//! Waiting: every call that can block goes through here, so that one deadline covers all (T108).

use crate::{Failure, Stop};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno as Host;
use std::os::fd::BorrowedFd;
use wave_monitor::{Errno, Waiting};

/// Asks whether the run has to stop.
pub(crate) type Interrupted = fn() -> bool;

/// Stops the run if it has to.
pub(crate) fn check(interrupted: Interrupted) -> Result<(), Failure> {
    if interrupted() { Err(Stop::Deadline.into()) } else { Ok(()) }
}

/// Makes a system call again until it is not interrupted, or the run has to stop.
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

/// Returns if an error is only an interruption of a run that goes on.
#[cold]
fn may_retry(interrupted: Interrupted, error: Host) -> Result<(), Failure> {
    if error == Host::INTR { check(interrupted) } else { Err(error.into()) }
}

/// Reads or writes something that may have to wait, the way the guest asked for it.
///
/// The host's `O_NONBLOCK` need not agree with the guest's: what we opened has it always, what we
/// inherited has it or not and must not be changed (T35). So a guest that does not want to wait
/// gets a look first, and one that does gets a wait after `EAGAIN`.
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

/// Waits until there is something to read, or a writer has been there and none is left; says whether it is the former.
///
/// A FIFO that was opened with `O_NONBLOCK` before any writer reads as empty, but has not hung up: Linux compares the
/// number of writers there ever were with that at the open.
#[cold]
pub(crate) fn wait_for_data(interrupted: Interrupted, fd: BorrowedFd<'_>) -> Result<bool, Failure> {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    retry_interrupted(interrupted, || poll(&mut fds, None))?;
    let [found] = fds;
    Ok(found.revents().contains(PollFlags::IN))
}

const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Whether `fd` became ready, or has an error or hang-up to report.
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
