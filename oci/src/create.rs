//! `create`: the runtime's side.

use crate::channel::{Answer, Channel, Message};
use crate::config::{Config, Hook, IdMapping};
use crate::failure::{cannot, cannot_at};
use crate::init::{self, Setup};
use crate::log::{self, Log};
use crate::resources::Place;
use crate::state::{Directory, Lock, ProcessId, Root, State, Step, write_at_once};
use crate::{hooks, lifecycle, policy};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::JoinHandle;
use wave_cgroups::Cgroup;
use wave_engine::policy::PolicyDocument;
use wave_engine::{Engine, Failure, Module, Plan};
use wave_policy::chain;

/// A loaded program. Calling it seals the process and runs the program; the result is the exit status.
pub type Program = Box<dyn FnOnce() -> i32>;

/// Loads a program.
pub type Load<'a> = &'a dyn Fn(Engine, Plan, Module) -> Result<Program, Failure>;

/// What is done once the program is loaded, before it is started.
pub type Ready<'a> = &'a dyn Fn() -> Result<(), Failure>;

/// What the caller of `create` says.
#[derive(Debug)]
pub struct Create {
    /// Where the state of containers is.
    pub root: Root,
    /// The name of the container.
    pub id: String,
    /// The directory with `config.json`.
    pub bundle: PathBuf,
    /// Where to write the number of the process.
    pub pid_file: Option<PathBuf>,
    /// A socket that gets the other end of the terminal.
    pub console_socket: Option<PathBuf>,
    /// Whether `linux.cgroupsPath` names a systemd slice.
    pub systemd_cgroup: bool,
    /// Whether the container gets no cgroup.
    pub no_cgroup: bool,
}

/// A container whose program was started.
#[derive(Debug)]
pub struct Running {
    directory: Directory,
    state: State,
    poststop: Vec<Hook>,
    lock: Lock,
    pid: i32,
    mounts: Option<Mounts>,
}

impl Running {
    /// The number of its process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Prepares the end while the program runs, for who waits for its process and deletes it then: a thread unmounts what was mounted,
    /// while [`delete`](Self::delete) removes the rest. The kernel waits for all processors before that (RCU).
    pub fn prepare_end(&mut self) {
        // The last hooks find nothing mounted any more.
        if self.poststop.is_empty() {
            self.mounts = Mounts::of(self.pid);
        }
    }

    /// Deletes the container, whose process has ended and was waited for. Returns the failures of its last hooks, which change nothing.
    ///
    /// # Errors
    /// 125 if something of it cannot be removed.
    pub fn delete(self) -> Result<Vec<Failure>, Failure> {
        // Another command may have deleted it meanwhile, and another container may have its name.
        let deleted = match self.directory.lock_again(&self.lock)? {
            true => lifecycle::end_and_remove(&self.directory, &self.state, &self.poststop),
            false => Ok(Vec::new()),
        };
        self.mounts.into_iter().for_each(Mounts::end);
        deleted
    }
}

/// The thread that has the mount namespace of a process, too, and closes it once the process has ended.
#[derive(Debug)]
struct Mounts(JoinHandle<()>);

impl Mounts {
    /// Its stack: it makes two system calls.
    const STACK_BYTES: usize = 64 << 10;

    /// `None` if the namespace cannot be opened, or no thread be made: then the process unmounts itself.
    fn of(pid: i32) -> Option<Self> {
        let namespace = File::open(format!("/proc/{pid}/ns/mnt")).ok()?;
        let process = lifecycle::open_child(pid)?;
        let close = move || {
            lifecycle::await_end(&process, None);
            drop(namespace);
        };
        std::thread::Builder::new().stack_size(Self::STACK_BYTES).spawn(close).ok().map(Self)
    }

    /// Waits until nothing is mounted. To be called when the process has ended.
    fn end(self) {
        // A panic in it would have been printed, and the namespace is closed then, too.
        self.0.join().ok();
    }
}

/// Creates a container: its process waits for `start`, with the program loaded. Returns the number of the process.
///
/// # Errors
/// If the configuration cannot be applied or the module cannot run. Nothing is left then.
pub fn create(request: &Create, load: Load<'_>, log: &Log) -> Result<i32, Failure> {
    create_and(request, None, load, log).map(|container| container.pid)
}

/// Creates a container, calls `ready`, and starts the program.
///
/// # Errors
/// As [`create`], and if a hook or `ready` fails. Nothing is left then.
pub fn create_and_start(request: &Create, ready: Ready<'_>, load: Load<'_>, log: &Log) -> Result<Running, Failure> {
    create_and(request, Some(ready), load, log)
}

fn create_and(request: &Create, ready: Option<Ready<'_>>, load: Load<'_>, log: &Log) -> Result<Running, Failure> {
    let bundle = std::path::absolute(&request.bundle)
        .map_err(|error| Failure::refused(format!("cannot use the bundle: {error}")).at("--bundle"))?;
    let config = Config::read(&bundle)?;
    let dropped = config.process()?.capabilities.dropped();
    if !dropped.is_empty() {
        log.warning(&format!("process.capabilities: no program gets {}", dropped.join(", ")));
    }
    let console = console(&config, request)?;
    let policy = policy::read(&config)?;
    let directory = Directory::new(&request.root, &request.id)?;
    let lock = Some(directory.create()?);
    let state = State {
        bundle,
        created: log::now(),
        annotations: config.annotations.clone(),
        cgroup: Cgroup::none(),
        has_cgroup: false,
        max_rss: policy.as_ref().and_then(|policy| policy.values.limits.max_rss),
        process: None,
        is_loading: true,
    };
    let mut container = Container { config, state, directory, lock, pid: None, maker: None };
    let outcome = container.make(request, Inputs { load, policy, console, ready });
    let (pid, mut channel) = outcome.inspect_err(|_| container.undo())?;
    if ready.is_some() {
        let started = channel.await_start(&request.id);
        lifecycle::after_start(started, &container.directory, &container.state, &container.config.hooks)?;
    }
    let Container { config, state, directory, lock, .. } = container;
    let lock = lock.expect("only the other process gives it up");
    flock(&lock, FlockOperation::Unlock).map_err(|errno| cannot("unlock the container", errno))?;
    Ok(Running { directory, state, poststop: config.hooks.poststop, lock, pid, mounts: None })
}

/// What the process gets that the runtime has opened.
struct Inputs<'a> {
    load: Load<'a>,
    policy: Option<PolicyDocument>,
    console: Option<UnixStream>,
    ready: Option<Ready<'a>>,
}

/// Connects to the socket that gets the terminal.
fn console(config: &Config, request: &Create) -> Result<Option<UnixStream>, Failure> {
    match (config.process()?.terminal, &request.console_socket) {
        (true, Some(path)) => {
            let connected = UnixStream::connect(path);
            connected.map(Some).map_err(|error| {
                Failure::refused(format!("cannot connect to `{}`: {error}", path.display())).at("--console-socket")
            })
        }
        (true, None) => Err(Failure::usage("process.terminal needs a socket for the terminal")
            .fix("name it by --console-socket, or set process.terminal to false")),
        (false, Some(_)) => {
            Err(Failure::usage("--console-socket is for containers with process.terminal").fix("drop it"))
        }
        (false, None) => Ok(None),
    }
}

/// A container that is being created.
struct Container {
    config: Config,
    state: State,
    directory: Directory,
    lock: Option<Lock>,
    /// Its process, once it exists.
    pid: Option<i32>,
    /// The process that makes it, if another one does: see [`init::has_maker`].
    maker: Option<i32>,
}

impl Container {
    fn make(&mut self, request: &Create, inputs: Inputs<'_>) -> Result<(i32, Channel), Failure> {
        let ready = inputs.ready;
        // If another process makes it, it becomes a child of this one when that one ends.
        nix::sys::prctl::set_child_subreaper(true)
            .map_err(|errno| cannot("become a subreaper", std::io::Error::from(errno)))?;
        let (near, far) = Channel::pair().map_err(|error| cannot("make a socket", &error))?;
        let mut near = Some(near);
        // Early: it makes namespaces while this process finds the place of the cgroup and makes it.
        self.spawn(&mut near, far, inputs)?;
        let mut channel = near.expect("only the other process takes its copy");

        let place = Place::find(&self.config, request)?;
        self.state.cgroup = place.planned()?;
        // What the bundle has later has no effect.
        self.directory.write("config.json", &self.config.text)?;
        // Before the cgroup is made: whoever deletes the container has to find it.
        self.directory.save(Step::Planned, &self.state)?;
        self.state.cgroup = place.make(&self.config, self.state.max_rss)?;
        self.state.has_cgroup = !self.state.cgroup.is_none();
        self.state.process = self.pid.and_then(ProcessId::of);
        self.directory.save(Step::Made, &self.state)?;
        // If it is gone, it has said why.
        drop(channel.send(&self.state.cgroup));

        // If nothing else is to be done before the start, the process need not wait for it.
        let is_last = self.state.process.is_some() && !self.config.hooks.has_early() && request.pid_file.is_none();
        let early = ready.filter(|_| is_last);
        if let Some(ready) = early {
            ready()?;
            drop(channel.answer(Answer::Start));
        }
        let pid = self.attend(&mut channel)?;
        if early.is_some() {
            return Ok((pid, channel));
        }
        self.state.process = Some(ProcessId::of(pid).ok_or_else(|| self.ended())?);
        // Nobody else may start it.
        self.state.is_loading = ready.is_some();
        self.directory.save(Step::Loaded, &self.state)?;
        if let Some(path) = &request.pid_file {
            write_at_once(path, pid.to_string().as_bytes())
                .map_err(|error| cannot_at("write", path, &error).at("--pid-file"))?;
        }
        // At the latest until here the process ends with this one, and from here on it does not.
        let answer = match ready {
            Some(ready) => ready().map(|()| Answer::Start)?,
            None => Answer::GoOn,
        };
        channel.answer(answer).map_err(|_| self.ended())?;
        Ok((pid, channel))
    }

    /// Starts the process of the container, or the one that makes it.
    fn spawn(&mut self, near: &mut Option<Channel>, channel: Channel, inputs: Inputs<'_>) -> Result<(), Failure> {
        let Inputs { load, policy, console, ready } = inputs;
        let listener = if ready.is_none() { Some(self.listen()?) } else { None };
        let waiting = Some(self.directory.waiting()?);
        let Self { config, state, directory, lock, pid, maker } = self;
        let describe = |status: &str, pid: Option<i32>| state.describe(&directory.id, status, pid);
        let setup = Setup {
            config,
            bundle: &state.bundle,
            policy,
            cache: None,
            channel,
            listener,
            waiting,
            console,
            cgroup: Cgroup::none(),
            state: &describe,
            load,
        };
        let work = move || {
            // The runtime's alone: a command that waits for it waits for the runtime, not for the container.
            drop(lock.take());
            // With a copy of this end, the process would wait forever for a runtime that was killed.
            drop(near.take());
            init::run(setup)
        };
        let spawn = |number: &mut Option<i32>| {
            let spawned = wave_sandbox::container::spawn(work);
            *number = Some(spawned.map_err(|error| Failure::refused(chain(&error)))?);
            Ok(())
        };
        if init::has_maker(config) { spawn(maker) } else { init::fork_into(config, || spawn(pid)) }
    }

    fn listen(&self) -> Result<UnixListener, Failure> {
        let (_directory, path) = self.directory.socket()?;
        UnixListener::bind(path).map_err(|error| cannot("make the socket for start", &error))
    }

    /// Does for the process what it asks for, until its program is loaded.
    fn attend(&mut self, channel: &mut Channel) -> Result<i32, Failure> {
        let gone = |error: io::Error| cannot("talk to the process of the container", &error);
        loop {
            match channel.receive().map_err(gone)? {
                Some(Message::MapIds) => self.map_ids()?,
                Some(Message::Forked(pid)) => {
                    self.pid = Some(pid);
                    self.maker.take().into_iter().for_each(wait);
                }
                Some(Message::Mounted) => {
                    let state = self.state.describe(&self.directory.id, "creating", self.pid);
                    let hooks = &self.config.hooks;
                    hooks::run("prestart", &hooks.prestart, &state)?;
                    hooks::run("createRuntime", &hooks.create_runtime, &state)?;
                }
                Some(Message::Loaded) => return self.pid.ok_or_else(|| self.ended()),
                Some(Message::Failed(failure)) => return Err(failure),
                Some(Message::Started) | None => return Err(self.ended()),
            }
            channel.answer(Answer::GoOn).map_err(gone)?;
        }
    }

    fn map_ids(&self) -> Result<(), Failure> {
        let pid = self.maker.ok_or_else(|| self.ended())?;
        let linux = &self.config.linux;
        if !nix::unistd::geteuid().is_root() {
            // Who maps groups without privileges must not drop any (user_namespaces(7)).
            std::fs::write(format!("/proc/{pid}/setgroups"), "deny")
                .map_err(|error| cannot("write setgroups", &error).at("linux.gidMappings"))?;
        }
        for (file, mappings) in [("uid_map", &linux.uid_mappings), ("gid_map", &linux.gid_mappings)] {
            let line = |map: &IdMapping| format!("{} {} {}\n", map.container_id, map.host_id, map.size);
            let lines: String = mappings.iter().map(line).collect();
            std::fs::write(format!("/proc/{pid}/{file}"), lines)
                .map_err(|error| cannot(&format!("write {file}"), &error).at("linux.uidMappings, linux.gidMappings"))?;
        }
        Ok(())
    }

    /// The failure for a process that ended without a word.
    fn ended(&self) -> Failure {
        let how = match self.pid.map(|pid| waitpid(Pid::from_raw(pid), None)) {
            Some(Ok(WaitStatus::Signaled(_, signal, _))) => format!("it was killed by {signal}"),
            Some(Ok(WaitStatus::Exited(_, code))) => format!("it ended with status {code}"),
            _ => "it gave no reason".to_owned(),
        };
        let failure = Failure::refused(format!("the process of the container has ended: {how}"));
        match self.state.cgroup.oom_kills() {
            Ok(kills) if kills > 0 => failure.fix("raise the memory limit: compiling the module needs more"),
            _ => failure,
        }
    }

    /// Removes what there is.
    fn undo(&self) {
        if let Some(pid) = self.pid {
            nix::sys::signal::kill(Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).ok();
            wait(pid);
        }
        // The failure that is reported is that of `create`.
        drop(lifecycle::remove(&self.directory, Some(&self.state), &self.config.hooks.poststop));
    }
}

/// Waits for a child, however it ends.
fn wait(pid: i32) {
    waitpid(Pid::from_raw(pid), None).ok();
}
