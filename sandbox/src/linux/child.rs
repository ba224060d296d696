//! A forked process that seals itself, reports its layers to the process that started it, and then does some work.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stdin, dup2_stdout};
use wave_policy::Policy;

use super::seal::seal;
use super::{identity, process, start, sys};
use crate::ended::Ended;
use crate::error::{Cause, SealError, WorkerError};
use crate::plan::SealPlan;
use crate::report::{LayerName, Report, State};
use crate::status::DENIED;

/// Exit status of a child that has reached its limit on memory.
const EXHAUSTED: i32 = 124;

/// Exit status of a child whose work panicked, as in std.
const PANICKED: i32 = 101;

/// Maximum bytes of what a child reports of its seal.
const MAX_OUTCOME_BYTES: u32 = 1 << 16;

/// Signals of faults. The handlers of std make calls that a child's filter denies.
const FAULT_SIGNALS: [Signal; 4] = [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE];

/// A sealed process that this one has forked. It dies with this process.
#[derive(Debug)]
pub(super) struct Child {
    /// `None` once this process has waited for it.
    process: Option<Pid>,
    /// Its user, if this process must take on that user's id to kill it.
    user: Option<u32>,
}

/// The child's side of the socket: its standard input and output.
#[derive(Debug)]
pub struct Channel(());

/// Sends to the process that started a child, from the child.
type Tell = fn(&[u8]) -> io::Result<()>;

impl Child {
    /// Forks a process that seals itself with `policy`, under a title that `ps` shows, and then does `work`. Its standard input and
    /// output are `far`, the other end of which is this process's. `tell` writes there, in one piece, by a call that its filter permits.
    pub(super) fn start(
        policy: &Policy,
        title: &str,
        far: &impl AsFd,
        tell: Tell,
        work: impl FnOnce(Channel),
    ) -> Result<Self, WorkerError> {
        process::confirm_single_thread().map_err(WorkerError::Start)?;
        // If it were ignored, an ended child would be gone at once, and its number could be another process's.
        sys::restore_default(Signal::SIGCHLD)
            .map_err(|errno| WorkerError::Start(Cause::refused("signal(SIGCHLD)")(errno)))?;
        let identity = policy.identity.or_else(identity::killable);
        let policy = Policy { identity, ..policy.clone() };
        let parent = nix::unistd::getpid();
        match sys::fork().map_err(|error| WorkerError::Start(error.into()))? {
            ForkResult::Child => run(parent, &policy, title, far, tell, work),
            ForkResult::Parent { child } => {
                Ok(Self { process: Some(child), user: identity.map(|identity| identity.uid) })
            }
        }
    }

    /// Its number, until this process has waited for it.
    pub(super) fn id(&self) -> Option<Pid> {
        self.process
    }

    /// How it ended, if it ends within `patience`. Waits for it.
    pub(super) fn ended_within(&mut self, patience: Duration) -> Ended {
        let patience = Instant::now() + patience;
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

    /// Kills it.
    pub(super) fn kill(&self) -> io::Result<()> {
        let Some(process) = self.process else { return Ok(()) };
        let end = || kill(process, Signal::SIGKILL);
        Ok(match (end(), self.user) {
            (Err(Errno::EPERM), Some(user)) => identity::with_real_user(user, end),
            (outcome, _) => outcome,
        }?)
    }

    /// Kills it and waits for it.
    pub(super) fn kill_and_wait(&mut self) -> io::Result<()> {
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
}

impl Channel {
    /// Writes all bytes to the other side.
    pub(super) fn tell(bytes: &[u8]) -> io::Result<()> {
        Self(()).write_all(bytes)
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

/// The child's process from start to end. It never returns to the code that forked it, and runs none of its destructors.
fn run(parent: Pid, policy: &Policy, title: &str, socket: &impl AsFd, tell: Tell, work: impl FnOnce(Channel)) -> ! {
    // The seal makes the call again, because a change of ids cancels it, and reports a failure.
    drop(start::prepare_child(parent));
    let outcome = catch_unwind(AssertUnwindSafe(|| seal_and_work(policy, title, socket, tell, work)));
    sys::exit_now(if outcome.is_ok() { 0 } else { PANICKED })
}

fn seal_and_work(policy: &Policy, title: &str, socket: &impl AsFd, tell: Tell, work: impl FnOnce(Channel)) {
    // After an error here the socket is closed, which the other side sees.
    if dup2_stdin(socket).and_then(|()| dup2_stdout(socket)).is_err()
        || FAULT_SIGNALS.into_iter().any(|s| sys::restore_default(s).is_err())
    {
        return;
    }
    // A backtrace would need files and calls that a child's filter denies.
    std::panic::set_hook(Box::new(|info| {
        sys::write_stderr(wave_policy::clean_lines(&format!("wave: {info}\n")).as_bytes());
        // A build that does not unwind would send itself SIGABRT, by calls that the filter denies.
        if cfg!(panic = "abort") {
            sys::exit_now(PANICKED);
        }
    }));
    sys::exit_when_exhausted(EXHAUSTED);
    let plan = SealPlan { title: Some(title), ..SealPlan::new(policy) };
    let sealed = seal(&plan);
    let outcome = sealed.as_ref().map(|sealed| describe(sealed.report()));
    if tell(&encode_outcome(outcome)).is_ok() && sealed.is_ok() {
        work(Channel(()));
    }
}

/// One line about the layers of a child.
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

fn encode_outcome(outcome: Result<String, &SealError>) -> Vec<u8> {
    let (kind, text) = match outcome {
        Ok(text) => (0, text),
        Err(error) => (1, format!("{error}: {}\0{}", error.cause.chain(), error.fix())),
    };
    let text = text.get(..MAX_OUTCOME_BYTES as usize).unwrap_or(&text).as_bytes();
    let len = u32::try_from(text.len()).unwrap_or(0);
    [&[kind], &len.to_le_bytes()[..], text].concat()
}

/// The child's line about its layers, or message and fix.
pub(super) fn read_outcome(from: &mut impl Read) -> io::Result<Result<String, (String, String)>> {
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
