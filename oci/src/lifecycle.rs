//! Commands for a container that `create` has made.

use crate::channel::Channel;
use crate::config::{Hook, Hooks};
use crate::hooks;
use crate::init::START;
use crate::resources;
use crate::state::{Directory, ProcessId, Root, State, Status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use wave_cgroups::Resources;
use wave_engine::Failure;

/// How long a process may take to end after SIGKILL. It waits for the kernel alone.
const DEATH: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// A container in a list.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The version of the specification.
    pub oci_version: &'static str,
    /// Its name.
    pub id: String,
    /// Its process, 0 if that has ended.
    pub pid: i32,
    /// What it does.
    pub status: Status,
    /// Its bundle.
    pub bundle: PathBuf,
    /// When it was created.
    pub created: String,
}

/// The state of a container, as JSON.
///
/// # Errors
/// 125 if there is no such container.
pub fn state(root: &Root, id: &str) -> Result<String, Failure> {
    let container = Container::find(root, id)?;
    let status = container.status();
    let pid = container.state.process.filter(|_| status != Status::Stopped).map(|process| process.pid);
    Ok(container.state.describe(id, &status.to_string(), pid))
}

/// Starts the program of a container.
///
/// # Errors
/// 125 if the container is not `created`.
pub fn start(root: &Root, id: &str) -> Result<(), Failure> {
    let container = Container::find(root, id)?;
    let _lock = container.directory.lock()?;
    let config = container.directory.config()?;
    container.require(&[Status::Created], "started")?;
    let started = ask_to_start(&container);
    after_start(started, &container.directory, &container.state, &config.hooks)
}

/// What follows the start of a program, or that it could not be started.
///
/// # Errors
/// That of the start, or 125 if a hook fails. The specification wants such a container destroyed.
pub fn after_start(
    started: Result<(), Failure>,
    directory: &Directory,
    state: &State,
    hooks: &Hooks,
) -> Result<(), Failure> {
    let ran = started.and_then(|()| {
        let running = state.describe(&directory.id, "running", state.process.map(|process| process.pid));
        hooks::run("poststart", &hooks.poststart, &running)
    });
    ran.inspect_err(|_| drop(end_and_remove(directory, state, &hooks.poststop)))
}

fn ask_to_start(container: &Container) -> Result<(), Failure> {
    let id = &container.directory.id;
    let refuse =
        |error: io::Error| Failure::refused(format!("cannot start `{id}`: its process does not answer: {error}"));
    let (_directory, path) = container.directory.socket()?;
    let mut stream = UnixStream::connect(path).map_err(refuse)?;
    stream.write_all(START).map_err(refuse)?;
    Channel::over(stream).await_start(id)
}

/// Sends a signal to the program of a container; `all`: to every process of its cgroup.
///
/// # Errors
/// 2 for a signal that does not exist, 125 if the container does not run.
pub fn kill(root: &Root, id: &str, signal: &str, all: bool) -> Result<(), Failure> {
    let signal = parse_signal(signal)?;
    let container = Container::find(root, id)?;
    if all {
        for pid in container.pids()? {
            // It may have ended meanwhile.
            if let Some(process) = ProcessId::of(pid) {
                send(process, signal).ok();
            }
        }
        return Ok(());
    }
    let gone = || Failure::refused(format!("container `{id}` is not running"));
    let process = container.state.process.filter(|process| process.is_alive()).ok_or_else(gone)?;
    match send(process, signal) {
        Err(rustix::io::Errno::SRCH) => Err(gone()),
        outcome => {
            outcome.map_err(|errno| Failure::refused(format!("cannot signal `{id}`: {}", io::Error::from(errno))))
        }
    }
}

/// Freezes the program.
///
/// # Errors
/// 125 if it does not run, or has no cgroup.
pub fn pause(root: &Root, id: &str) -> Result<(), Failure> {
    let container = Container::find(root, id)?;
    let _lock = container.directory.lock()?;
    container.require(&[Status::Running, Status::Created], "paused")?;
    container.require_cgroup("pause")?;
    container.state.cgroup.freeze().map_err(|error| resources::failure(&error))
}

/// Lets a frozen program go on.
///
/// # Errors
/// 125 if it is not paused.
pub fn resume(root: &Root, id: &str) -> Result<(), Failure> {
    let container = Container::find(root, id)?;
    let _lock = container.directory.lock()?;
    container.require(&[Status::Paused], "resumed")?;
    container.state.cgroup.thaw().map_err(|error| resources::failure(&error))
}

/// Changes the limits of a container.
///
/// # Errors
/// 125 if a limit cannot be applied.
pub fn update(root: &Root, id: &str, resources: &Resources) -> Result<(), Failure> {
    let container = Container::find(root, id)?;
    let _lock = container.directory.lock()?;
    container.require(&[Status::Created, Status::Running, Status::Paused], "updated")?;
    container.require_cgroup("limit")?;
    resources::check_update(resources, container.state.max_rss)?;
    container.state.cgroup.update(resources).map_err(|error| resources::failure(&error))
}

/// The numbers of the processes of a container.
///
/// # Errors
/// 125 if there is no such container.
pub fn ps(root: &Root, id: &str) -> Result<Vec<i32>, Failure> {
    Container::find(root, id)?.pids()
}

/// All containers.
///
/// # Errors
/// 125 if their directory cannot be read.
pub fn list(root: &Root) -> Result<Vec<Listed>, Failure> {
    let listed = |id: String| {
        let directory = Directory::new(root, &id).ok()?;
        // One that is being created or deleted has no state.
        let state = directory.state().ok()??;
        let status = directory.status(&state);
        let pid = state.process.filter(|_| status != Status::Stopped).map_or(0, |process| process.pid);
        let State { bundle, created, .. } = state;
        Some(Listed { oci_version: crate::state::VERSION, id, pid, status, bundle, created })
    };
    Ok(root.ids()?.into_iter().filter_map(listed).collect())
}

/// Deletes a container that has stopped; `force`: any, and none is no error. Returns the failures of its last hooks, which change
/// nothing.
///
/// # Errors
/// 125 if it has not stopped, or something of it cannot be removed.
pub fn delete(root: &Root, id: &str, force: bool) -> Result<Vec<Failure>, Failure> {
    let directory = Directory::new(root, id)?;
    if force && !directory.exists() {
        return Ok(Vec::new());
    }
    let lock = match directory.lock() {
        // Another command has deleted it meanwhile.
        Err(_) if force && !directory.exists() => return Ok(Vec::new()),
        lock => lock?,
    };
    // A `create` that was killed may have left a part.
    let state = match directory.state() {
        Err(_) if force => None,
        state => state?,
    };
    let poststop = directory.config().map(|config| config.hooks.poststop).unwrap_or_default();
    if let Some(state) = &state {
        let status = directory.status(state);
        if status != Status::Stopped && !force {
            return Err(
                Failure::refused(format!("container `{id}` is {status}")).fix("stop it first, or delete it by --force")
            );
        }
        end(state);
    } else if !force {
        return Err(
            Failure::refused(format!("container `{id}` was not created completely")).fix("delete it by --force")
        );
    }
    let warnings = remove(&directory, state.as_ref(), &poststop)?;
    drop(lock);
    Ok(warnings)
}

/// Ends a container and removes it, and runs its last hooks. Returns their failures.
///
/// # Errors
/// 125 if something cannot be removed.
pub fn end_and_remove(directory: &Directory, state: &State, poststop: &[Hook]) -> Result<Vec<Failure>, Failure> {
    end(state);
    remove(directory, Some(state), poststop)
}

/// Kills the process of a container and waits until it is gone.
fn end(state: &State) {
    if let Some(process) = state.process.filter(|process| process.is_alive()) {
        let pidfd = open(process);
        send(process, Signal::KILL).ok();
        if state.has_cgroup {
            // A frozen process ends when it goes on (cgroups v1).
            drop(state.cgroup.thaw());
        }
        if let Ok(pidfd) = pidfd {
            // If it is late, removing the cgroup fails and says so.
            await_end(&pidfd, Some(&DEATH));
        }
    }
}

/// Waits until a process has ended, or for so long.
pub fn await_end(pidfd: &OwnedFd, longest: Option<&Timespec>) {
    rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(pidfd, PollFlags::IN)], longest)).ok();
}

/// Opens a child that nobody has waited for. Until then, its number is its own.
pub fn open_child(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

/// Removes the cgroup and the state directory of a container whose process has ended, and runs its last hooks. Returns their failures.
///
/// # Errors
/// 125 if something cannot be removed.
pub fn remove(directory: &Directory, state: Option<&State>, poststop: &[Hook]) -> Result<Vec<Failure>, Failure> {
    if let Some(state) = state {
        remove_cgroup(state).map_err(|error| resources::failure(&error))?;
    }
    directory.remove()?;
    let Some(state) = state else { return Ok(Vec::new()) };
    let state = state.describe(&directory.id, "stopped", None);
    let run = |hook: &Hook| hooks::run("poststop", std::slice::from_ref(hook), &state).err();
    Ok(poststop.iter().filter_map(run).collect())
}

/// Removes the cgroup with the processes that are left in it. Most often nobody is, and the kernel says so at once.
fn remove_cgroup(state: &State) -> Result<(), wave_cgroups::Error> {
    // Before it was made, the directories may be somebody else's.
    if state.cgroup.delete_if_empty() || !state.has_cgroup {
        return Ok(());
    }
    state.cgroup.kill_all()?;
    state.cgroup.delete()
}

/// A container that exists.
struct Container {
    directory: Directory,
    state: State,
}

impl Container {
    fn find(root: &Root, id: &str) -> Result<Self, Failure> {
        let directory = Directory::new(root, id)?;
        let state = directory.state()?;
        let state = state.ok_or_else(|| Failure::refused(format!("container `{id}` is being created")))?;
        Ok(Self { directory, state })
    }

    fn status(&self) -> Status {
        self.directory.status(&self.state)
    }

    fn require(&self, allowed: &[Status], verb: &str) -> Result<(), Failure> {
        let status = self.status();
        match allowed.contains(&status) {
            true => Ok(()),
            false => {
                Err(Failure::refused(format!("container `{}` is {status} and cannot be {verb}", self.directory.id)))
            }
        }
    }

    fn require_cgroup(&self, verb: &str) -> Result<(), Failure> {
        match self.state.cgroup.is_none() {
            false => Ok(()),
            true => Err(Failure::refused(format!("cannot {verb} `{}`: it has no cgroup", self.directory.id))),
        }
    }

    fn pids(&self) -> Result<Vec<i32>, Failure> {
        if self.state.cgroup.is_none() {
            let process = self.state.process.filter(|process| process.is_alive());
            return Ok(process.map(|process| process.pid).into_iter().collect());
        }
        let pids = self.state.cgroup.pids().map_err(|error| resources::failure(&error))?;
        Ok(pids.into_iter().map(u32::cast_signed).collect())
    }
}

/// Opens a process. Its number cannot become another's afterwards.
fn open(process: ProcessId) -> Result<OwnedFd, rustix::io::Errno> {
    let pid = Pid::from_raw(process.pid).ok_or(rustix::io::Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    // Before it was opened, it could.
    if process.is_alive() { Ok(pidfd) } else { Err(rustix::io::Errno::SRCH) }
}

fn send(process: ProcessId, signal: Signal) -> Result<(), rustix::io::Errno> {
    pidfd_send_signal(open(process)?, signal)
}

/// A signal by its number, or by its name with or without `SIG`.
fn parse_signal(text: &str) -> Result<Signal, Failure> {
    let name = text.to_ascii_uppercase();
    let name = if name.starts_with("SIG") { name.clone() } else { format!("SIG{name}") };
    let number = text.parse().ok().or_else(|| Some(name.parse::<nix::sys::signal::Signal>().ok()? as i32));
    let signal = number.and_then(Signal::from_named_raw);
    signal
        .ok_or_else(|| Failure::usage(format!("{text:?} is no signal")).fix("write a name such as TERM, or its number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for text in ["TERM", "SIGTERM", "term", "15"] {
            assert_eq!(parse_signal(text).unwrap(), Signal::TERM);
        }
        for text in ["", "0", "-1", "SIGNOPE", "4096"] {
            assert_eq!(parse_signal(text).unwrap_err().code(), 2, "{text}");
        }
    }

    #[test]
    fn what_is_not_there_can_be_deleted_by_force_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(Some(dir.path().to_owned())).unwrap();
        delete(&root, "none", true).unwrap();
        assert_eq!(delete(&root, "none", false).unwrap_err().code(), 125);
        // What a `create` leaves that was killed right after its first step.
        std::fs::create_dir(dir.path().join("part")).unwrap();
        assert_eq!(delete(&root, "part", false).unwrap_err().code(), 125);
        delete(&root, "part", true).unwrap();
        assert!(!dir.path().join("part").exists());
    }
}
