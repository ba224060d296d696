//! A sealed process for work on untrusted bytes.
//!
//! It is forked from the process that starts it. The two share only a socket, which is the worker's standard input and output.
//! The worker's answer is as untrusted as its input, which may have taken it over.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{clock_getcpuclockid, clock_gettime};
use wave_policy::{Policy, Role};

use super::child::{Channel, Child, read_outcome};
use crate::ended::Ended;
use crate::error::{Cause, WorkerError};

/// How long a worker that has closed its socket may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// How long this process waits for a worker that uses no processor time at all: it waits for something that does not come. Only time
/// counts that this process itself has spent waiting, in steps of [`STEP`] at most, so a machine that was stopped does not.
const STALL: Duration = Duration::from_secs(30);

/// The longest step of waiting.
const STEP: Duration = Duration::from_secs(1);

/// The shortest step of waiting. A worker gets that much more than its time.
const SHORTEST_STEP: Duration = Duration::from_millis(1);

/// A sealed process that does some work. Reading and writing communicate with the work; they fail with [`io::ErrorKind::TimedOut`]
/// once its processor time is used up, or it has stopped working. Dropping the worker kills the process.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    socket: UnixStream,
    /// The processor time that it may use, all its threads together.
    budget: Duration,
    threads: u32,
    /// The processor time that it had used when this process looked last, and how long this process has waited since it used any.
    stalled: Cell<(Duration, Duration)>,
}

impl Worker {
    /// Starts a process that seals itself with `policy`, as a [`Role::Compiler`], and then does `work`.
    ///
    /// `budget` is the processor time that it may use, in all its threads together: what the machine does meanwhile does not count.
    /// Returns at once; [`sealed`](Self::sealed) waits for the seal.
    ///
    /// # Errors
    /// [`WorkerError::Start`] if this process has several threads, or the kernel refuses another process or a socket.
    pub fn start(policy: &Policy, budget: Duration, work: impl FnOnce(Channel)) -> Result<Self, WorkerError> {
        let failure = |call| move |source: io::Error| WorkerError::Start(Cause::Refused { call, source });
        let (socket, far) = UnixStream::pair().map_err(failure("socketpair"))?;
        // A worker that does not read must not block this process for ever.
        socket.set_nonblocking(true).map_err(failure("ioctl(FIONBIO)"))?;
        let policy = Policy { role: Role::Compiler, ..policy.clone() };
        let child = Child::start(&policy, "wave: compiler", &far, Channel::tell, work)?;
        let threads = u32::try_from(policy.limits.threads.max(1)).unwrap_or(u32::MAX);
        Ok(Self { child, socket, budget, threads, stalled: Cell::default() })
    }

    /// Waits until the worker is sealed, and returns in one line which layers it has. Its work begins after that.
    ///
    /// # Errors
    /// [`WorkerError::Seal`] if a layer that the policy requires is missing, [`WorkerError::Ended`] if there is no answer.
    pub fn sealed(&mut self) -> Result<String, WorkerError> {
        let outcome = read_outcome(self).map_err(|error| WorkerError::Ended(self.autopsy(&error)))?;
        outcome.map_err(|(message, fix)| WorkerError::Seal { message, fix })
    }

    /// Why communication with the worker failed with `error`: its time is up, or how it ended. Waits for a worker that ended.
    pub fn autopsy(&mut self, error: &io::Error) -> Ended {
        // The kernel ends a worker that has used too much before this process looks.
        if self.left().is_zero() {
            return Ended::Timeout;
        }
        if error.kind() == io::ErrorKind::TimedOut {
            return Ended::Silent;
        }
        self.child.ended_within(GRACE)
    }

    /// Kills the worker's process; [`end`](Self::end) also waits for it.
    ///
    /// # Errors
    /// The kernel's error for `kill`.
    pub fn kill(&self) -> io::Result<()> {
        self.child.kill()
    }

    /// Kills the worker's process and waits for it.
    ///
    /// # Errors
    /// The kernel's error for `kill` or `waitpid`; the process may still exist.
    pub fn end(mut self) -> io::Result<()> {
        self.child.kill_and_wait()
    }

    /// Whether reading returns within `patience`: there is something to read, or the worker works no longer.
    pub fn is_readable_within(&self, patience: Duration) -> bool {
        !matches!(self.wait_once(PollFlags::POLLIN, patience), Ok(false))
    }

    /// Waits until the socket can be read or written.
    fn wait(&self, events: PollFlags) -> io::Result<()> {
        while !self.wait_once(events, STEP)? {}
        Ok(())
    }

    /// Waits for `patience` at most. Whether the socket can be read or written; fails once the worker's time is up or it has stalled.
    fn wait_once(&self, events: PollFlags, patience: Duration) -> io::Result<bool> {
        let left = self.left();
        let (seen, waited) = self.stalled.get();
        // Its threads use the time together, so it lasts for less.
        let step = (left / self.threads).min(patience).min(STEP).max(SHORTEST_STEP);
        match self.poll(events, step) {
            Ok(true) => return Ok(true),
            Ok(false) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let used = self.used();
        let waited = if used == seen { waited.saturating_add(step) } else { Duration::ZERO };
        self.stalled.set((used, waited));
        if left.is_zero() || waited >= STALL { Err(io::ErrorKind::TimedOut.into()) } else { Ok(false) }
    }

    /// The processor time that the worker has used. A process that has ended still says so until this process waits for it.
    fn used(&self) -> Duration {
        let clock = |process| clock_getcpuclockid(process).and_then(clock_gettime);
        self.child.id().and_then(|process| clock(process).ok()).map_or(Duration::ZERO, Duration::from)
    }

    /// The rest of the time for the work.
    fn left(&self) -> Duration {
        self.budget.saturating_sub(self.used())
    }

    /// Waits once. Whether the socket can be read or written.
    fn poll(&self, events: PollFlags, patience: Duration) -> Result<bool, Errno> {
        // Rounded up, so that the last wait does not spin.
        let millis = patience.as_millis().saturating_add(u128::from(!patience.is_zero()));
        let timeout = PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX);
        Ok(poll(&mut [PollFd::new(self.socket.as_fd(), events)], timeout)? > 0)
    }
}

impl Read for Worker {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::POLLIN)?,
                outcome => return outcome,
            }
        }
    }
}

impl Write for Worker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.socket.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::POLLOUT)?,
                outcome => return outcome,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A worker that cannot be killed dies with this process (`die_with_parent`). There is no one to return the error to.
        drop(self.child.kill_and_wait());
    }
}
