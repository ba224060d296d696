//! A process of its own, sealed, for work on bytes that nobody trusts.
//!
//! It is a copy of the process that starts it and shares nothing with it but a socket, which is its standard input and output.
//! What it answers is as untrusted as what it was given: the work may have taken it over.

use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stdin, dup2_stdout};
use wave_policy::{Policy, Role};

use crate::linux::{identity, process, start, sys};
use crate::report::State;
use crate::{DENIED, Ended, LayerName, Report, SealError, SealPlan, WorkerError, seal};

/// Exit status of a worker that may have no more memory.
pub(crate) const EXHAUSTED: i32 = 124;

/// Exit status of a worker whose work panicked, as std has it.
const PANICKED: i32 = 101;

/// Most bytes of what a worker says of its seal.
const MAX_OUTCOME_BYTES: u32 = 1 << 16;

/// How long a worker that has hung up may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Longer times are no limit, and beyond what a clock can say: a hundred years.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Signals of faults, which std handles with calls that a worker does not have.
const FAULTS: [Signal; 4] = [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE];

/// A process that works on something in a sandbox. Reading and writing talk to its work and fail with
/// [`io::ErrorKind::TimedOut`] once its time is up. Dropping it kills it.
#[derive(Debug)]
pub struct Worker {
    /// `None` once it is reaped.
    process: Option<Pid>,
    socket: UnixStream,
    deadline: Instant,
    /// Its user, if that is what gives the right to end it.
    user: Option<u32>,
}

/// The worker's side of the socket.
#[derive(Debug)]
pub struct Channel(());

impl Worker {
    /// Starts a process that seals itself with `policy`, as a [`Role::Compiler`], and then does `work` for `timeout` at most.
    ///
    /// It returns at once; [`sealed`](Self::sealed) waits for the seal.
    ///
    /// # Errors
    /// [`WorkerError::Start`] when this process has several threads, or the kernel refuses another process or a socket.
    pub fn start(policy: &Policy, timeout: Duration, work: impl FnOnce(Channel)) -> Result<Self, WorkerError> {
        let alone = process::assert_single_thread().map_err(WorkerError::Start)?;
        let failure = |call| move |source: io::Error| WorkerError::Start(crate::Cause::Refused { call, source });
        // Where it is ignored, an ended child would be gone at once, and its number could be another process's.
        sys::by_default(Signal::SIGCHLD).map_err(|errno| failure("signal(SIGCHLD)")(errno.into()))?;
        let (socket, far) = UnixStream::pair().map_err(failure("socketpair"))?;
        // A worker that does not read must not keep this process from its deadline.
        socket.set_nonblocking(true).map_err(failure("ioctl(FIONBIO)"))?;
        let named = policy.identity.or_else(identity::endable);
        let policy = Policy { role: Role::Compiler, identity: named, ..policy.clone() };
        // The clock has room for it.
        let deadline = Instant::now() + timeout.min(FOREVER);
        let parent = nix::unistd::getpid();
        match sys::split(&alone) {
            Ok(ForkResult::Child) => child(parent, &policy, &far, work),
            Ok(ForkResult::Parent { child }) => {
                Ok(Self { process: Some(child), socket, deadline, user: named.map(|named| named.uid) })
            }
            Err(errno) => Err(failure("fork")(errno.into())),
        }
    }

    /// Waits until the worker is sealed and says what is in force there. Its work has not begun before.
    ///
    /// # Errors
    /// [`WorkerError::Seal`] when a layer that the policy demands is missing, [`WorkerError::Ended`] when there is no answer.
    pub fn sealed(&mut self) -> Result<String, WorkerError> {
        let outcome = read_outcome(self).map_err(|error| WorkerError::Ended(self.autopsy(&error)))?;
        outcome.map_err(|(message, fix)| WorkerError::Seal { message, fix })
    }

    /// Why talking to the worker failed with `error`: because its time is up, or because it ended and how. It is gone then.
    pub fn autopsy(&mut self, error: &io::Error) -> Ended {
        if error.kind() == io::ErrorKind::TimedOut {
            return Ended::Timeout;
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

    /// Ends the worker's process, whatever it is doing; [`end`](Self::end) waits until it is gone.
    ///
    /// # Errors
    /// What the kernel said to `kill`.
    pub fn kill(&self) -> io::Result<()> {
        let Some(process) = self.process else { return Ok(()) };
        let end = || kill(process, Signal::SIGKILL);
        Ok(match (end(), self.user) {
            (Err(Errno::EPERM), Some(user)) => identity::with_real_user(user, end),
            (outcome, _) => outcome,
        }?)
    }

    /// Ends the worker, whatever it is doing. It is gone when this returns.
    ///
    /// # Errors
    /// What the kernel said to `kill` or `waitpid`; the worker may be there still.
    pub fn end(mut self) -> io::Result<()> {
        self.reap()
    }

    fn reap(&mut self) -> io::Result<()> {
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

    /// Waits until the socket can be read or written.
    fn wait(&self, events: PollFlags) -> io::Result<()> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            // Rounded up, so that the last wait is not a busy one.
            let left = i32::try_from(left.as_millis().saturating_add(u128::from(!left.is_zero()))).unwrap_or(i32::MAX);
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.socket.as_fd(), events)], timeout) {
                Ok(0) if left == 0 => return Err(io::ErrorKind::TimedOut.into()),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
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
        // A worker that cannot be killed dies with this process (`die_with_parent`); nobody is left to tell.
        drop(self.reap());
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

/// The worker's whole life. It never returns into the code that it is a copy of, and never runs its destructors.
fn child(parent: Pid, policy: &Policy, socket: &UnixStream, work: impl FnOnce(Channel)) -> ! {
    // The seal does so again, because a change of ids makes the kernel forget it; and says so if it cannot be had.
    drop(start::begin_child(parent));
    let outcome = catch_unwind(AssertUnwindSafe(|| live(policy, socket, work)));
    sys::exit_now(if outcome.is_ok() { 0 } else { PANICKED })
}

fn live(policy: &Policy, socket: &UnixStream, work: impl FnOnce(Channel)) {
    // An error here closes the socket, which the other side notices.
    let mut channel = Channel(());
    if dup2_stdin(socket).and_then(|()| dup2_stdout(socket)).is_err()
        || FAULTS.into_iter().any(|s| sys::by_default(s).is_err())
    {
        return;
    }
    // A backtrace would take files and calls that a worker does not have.
    std::panic::set_hook(Box::new(|info| {
        sys::write_stderr(wave_policy::clean_lines(&format!("wave: {info}\n")).as_bytes())
    }));
    sys::end_when_exhausted();
    let plan = SealPlan { title: Some("wave: compiler"), ..SealPlan::new(policy) };
    let sealed = seal(&plan);
    let outcome = sealed.as_ref().map(|sealed| describe(sealed.report()));
    if write_outcome(&mut channel, outcome).is_ok() && sealed.is_ok() {
        work(channel);
    }
}

/// One line on what is in force in a worker.
fn describe(report: &Report) -> String {
    let detail = |name| match report.state(name) {
        State::Applied { detail } => detail.as_str(),
        _ => "not in force",
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

/// What the worker put in force, or message and fix.
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
