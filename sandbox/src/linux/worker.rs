//! A sealed process for work on untrusted bytes.
//!
//! It is forked from the process that starts it. The two share only a socket, which is the worker's standard input and output.
//! The worker's answer is as untrusted as its input, which may have taken it over.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::{ForkResult, Pid, dup2_stdin, dup2_stdout};
use wave_policy::{Policy, Role};

use super::seal::seal;
use super::{identity, process, start, sys};
use crate::ended::Ended;
use crate::error::{Cause, SealError, WorkerError};
use crate::plan::SealPlan;
use crate::report::{LayerName, Report, State};
use crate::status::DENIED;

/// Exit status of a worker that has reached its limit on memory.
const EXHAUSTED: i32 = 124;

/// Exit status of a worker whose work panicked, as in std.
const PANICKED: i32 = 101;

/// Maximum bytes of what a worker reports of its seal.
const MAX_OUTCOME_BYTES: u32 = 1 << 16;

/// How long a worker that has closed its socket may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// How long this process waits for a worker that uses no processor time at all: it waits for something that does not come. Only time
/// counts that this process itself has spent waiting, in steps of [`STEP`] at most, so a machine that was stopped does not.
const STALL: Duration = Duration::from_secs(30);

/// The longest step of waiting.
const STEP: Duration = Duration::from_secs(1);

/// The shortest step of waiting. A worker gets that much more than its time.
const SHORTEST_STEP: Duration = Duration::from_millis(1);

/// Signals of faults. The handlers of std make calls that a worker's filter denies.
const FAULT_SIGNALS: [Signal; 4] = [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE];

/// A sealed process that does some work. Reading and writing communicate with the work; they fail with [`io::ErrorKind::TimedOut`]
/// once its processor time is used up, or it has stopped working. Dropping the worker kills the process.
#[derive(Debug)]
pub struct Worker {
    /// `None` once this process has waited for it.
    process: Option<Pid>,
    socket: UnixStream,
    /// The processor time that it may use, all its threads together.
    budget: Duration,
    threads: u32,
    /// The processor time that it had used when this process looked last, and how long this process has waited since it used any.
    stalled: Cell<(Duration, Duration)>,
    /// Its user, if this process must take on that user's id to kill it.
    user: Option<u32>,
}

/// The worker's side of the socket.
#[derive(Debug)]
pub struct Channel(());

impl Worker {
    /// Starts a process that seals itself with `policy`, as a [`Role::Compiler`], and then does `work`.
    ///
    /// `budget` is the processor time that it may use, in all its threads together: what the machine does meanwhile does not count.
    /// Returns at once; [`sealed`](Self::sealed) waits for the seal.
    ///
    /// # Errors
    /// [`WorkerError::Start`] if this process has several threads, or the kernel refuses another process or a socket.
    pub fn start(policy: &Policy, budget: Duration, work: impl FnOnce(Channel)) -> Result<Self, WorkerError> {
        process::confirm_single_thread().map_err(WorkerError::Start)?;
        let failure = |call| move |source: io::Error| WorkerError::Start(Cause::Refused { call, source });
        // If it were ignored, an ended child would be gone at once, and its number could be another process's.
        sys::restore_default(Signal::SIGCHLD).map_err(|errno| failure("signal(SIGCHLD)")(errno.into()))?;
        let (socket, far) = UnixStream::pair().map_err(failure("socketpair"))?;
        // A worker that does not read must not block this process for ever.
        socket.set_nonblocking(true).map_err(failure("ioctl(FIONBIO)"))?;
        let identity = policy.identity.or_else(identity::killable);
        let policy = Policy { role: Role::Compiler, identity, ..policy.clone() };
        let parent = nix::unistd::getpid();
        match sys::fork().map_err(|error| WorkerError::Start(error.into()))? {
            ForkResult::Child => run_child(parent, &policy, &far, work),
            ForkResult::Parent { child } => {
                let threads = u32::try_from(policy.limits.threads.max(1)).unwrap_or(u32::MAX);
                let (user, stalled) = (identity.map(|identity| identity.uid), Cell::default());
                Ok(Self { process: Some(child), socket, budget, threads, stalled, user })
            }
        }
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
        let patience = Instant::now() + GRACE;
        loop {
            let Some(process) = self.process else { return Ended::Silent };
            match waitpid(process, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) if Instant::now() < patience => {
                    std::thread::sleep(Duration::from_micros(200));
                }
                Ok(WaitStatus::Exited(_, status)) => {
                    self.process = None;
                    return match status {
                        EXHAUSTED => Ended::Memory,
                        DENIED => Ended::Denied,
                        _ => Ended::Status(status),
                    };
                }
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    self.process = None;
                    return Ended::Signal(signal as i32);
                }
                _ => return Ended::Silent,
            }
        }
    }

    /// Kills the worker's process; [`end`](Self::end) also waits for it.
    ///
    /// # Errors
    /// The kernel's error for `kill`.
    pub fn kill(&self) -> io::Result<()> {
        let Some(process) = self.process else { return Ok(()) };
        let end = || kill(process, Signal::SIGKILL);
        Ok(match (end(), self.user) {
            (Err(Errno::EPERM), Some(user)) => identity::with_real_user(user, end),
            (outcome, _) => outcome,
        }?)
    }

    /// Kills the worker's process and waits for it.
    ///
    /// # Errors
    /// The kernel's error for `kill` or `waitpid`; the process may still exist.
    pub fn end(mut self) -> io::Result<()> {
        self.kill_and_wait()
    }

    fn kill_and_wait(&mut self) -> io::Result<()> {
        self.kill()?;
        let Some(process) = self.process.take() else { return Ok(()) };
        loop {
            match waitpid(process, None) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
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
        self.process.and_then(|process| clock(process).ok()).map_or(Duration::ZERO, Duration::from)
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
        drop(self.kill_and_wait());
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(io::stdin(), buffer)?)
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(nix::unistd::write(io::stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The worker's process from start to end. It never returns to the code that forked it, and runs none of its destructors.
fn run_child(parent: Pid, policy: &Policy, socket: &UnixStream, work: impl FnOnce(Channel)) -> ! {
    // The seal makes the call again, because a change of ids cancels it, and reports a failure.
    drop(start::prepare_child(parent));
    let outcome = catch_unwind(AssertUnwindSafe(|| seal_and_work(policy, socket, work)));
    sys::exit_now(if outcome.is_ok() { 0 } else { PANICKED })
}

fn seal_and_work(policy: &Policy, socket: &UnixStream, work: impl FnOnce(Channel)) {
    // After an error here the socket is closed, which the other side sees.
    let mut channel = Channel(());
    if dup2_stdin(socket).and_then(|()| dup2_stdout(socket)).is_err()
        || FAULT_SIGNALS.into_iter().any(|s| sys::restore_default(s).is_err())
    {
        return;
    }
    // A backtrace would need files and calls that a worker's filter denies.
    std::panic::set_hook(Box::new(|info| {
        sys::write_stderr(wave_policy::clean_lines(&format!("wave: {info}\n")).as_bytes());
        // A build that does not unwind would send itself SIGABRT, by calls that the filter denies.
        if cfg!(panic = "abort") {
            sys::exit_now(PANICKED);
        }
    }));
    sys::exit_when_exhausted(EXHAUSTED);
    let plan = SealPlan { title: Some("wave: compiler"), ..SealPlan::new(policy) };
    let sealed = seal(&plan);
    let outcome = sealed.as_ref().map(|sealed| describe(sealed.report()));
    if write_outcome(&mut channel, outcome).is_ok() && sealed.is_ok() {
        work(channel);
    }
}

/// One line about the layers of a worker.
fn describe(report: &Report) -> String {
    let detail = |name| match report.state(name) {
        State::Applied { detail } => detail.as_str(),
        _ => "missing",
    };
    let missing = report.layers.iter().filter_map(|layer| match &layer.state {
        State::Waived { reason } => Some(format!("; no {}: {reason}", layer.name)),
        _ => None,
    });
    let (identity, landlock) = (detail(LayerName::Identity), detail(LayerName::Landlock));
    let landlock = landlock.split(';').next().unwrap_or_default();
    format!("{}; {identity}; {landlock}{}", detail(LayerName::Seccomp), missing.collect::<String>())
}

fn write_outcome(to: &mut Channel, outcome: Result<String, &SealError>) -> io::Result<()> {
    let (kind, text) = match outcome {
        Ok(text) => (0, text),
        Err(error) => (1, format!("{error}: {}\0{}", error.cause.chain(), error.fix())),
    };
    let text = text.get(..MAX_OUTCOME_BYTES as usize).unwrap_or(&text).as_bytes();
    let len = u32::try_from(text.len()).unwrap_or(0);
    to.write_all(&[&[kind], &len.to_le_bytes()[..], text].concat())
}

/// The worker's line about its layers, or message and fix.
fn read_outcome(from: &mut Worker) -> io::Result<Result<String, (String, String)>> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let [kind, len @ ..] = head;
    let len = u32::from_le_bytes(len).min(MAX_OUTCOME_BYTES);
    let mut text = vec![0; len as usize];
    from.read_exact(&mut text)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(match (kind, text.split_once('\0')) {
        (0, _) => Ok(text),
        (_, Some((message, fix))) => Err((message.to_owned(), fix.to_owned())),
        (_, None) => Err((text, String::new())),
    })
}
