//! The steps of the process of the container.

use super::namespaces::{Which, has_maker};
use super::root::Root;
use super::{devices, inside, namespaces, terminal};
use crate::channel::{Answer, Channel, Message};
use crate::config::{Config, Process};
use crate::create::Load;
use crate::failure::{cannot, unsupported};
use crate::{hooks, policy, resources};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use rustix::fs::{CWD, OFlags, openat};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use wave_cgroups::Cgroup;
use wave_engine::cache::Cache;
use wave_engine::policy::PolicyDocument;
use wave_engine::{Container, Engine, Failure, Module, input};
use wave_policy::chain;

/// What `start` sends.
pub const START: &[u8] = b"start";

/// The wait status of a process that the runtime has given up.
const FAILED: i32 = 125;

/// Everything that the process needs, most of it opened by the runtime.
pub struct Setup<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The bundle, absolute.
    pub bundle: &'a Path,
    /// The operator's policy.
    pub policy: Option<PolicyDocument>,
    /// The cache of this user, once the process has opened it.
    pub cache: Option<Cache>,
    /// The runtime.
    pub channel: Channel,
    /// Where `start` connects, if it will.
    pub listener: Option<UnixListener>,
    /// Locked until the program is entered.
    pub waiting: Option<OwnedFd>,
    /// Where the other end of the terminal goes.
    pub console: Option<UnixStream>,
    /// The container's cgroup, once the runtime has made it.
    pub cgroup: Cgroup,
    /// The state that hooks get.
    pub state: &'a dyn Fn(&str, Option<i32>) -> String,
    /// Loads the program.
    pub load: Load<'a>,
}

/// Begins in the process that the runtime has forked: that of the container, or the one that makes it and sends its number to the runtime.
/// The result is the exit status.
pub fn run(mut setup: Setup<'_>) -> i32 {
    // While the files and the keys are those of the host.
    setup.cache = Cache::open().ok();
    let ran = if has_maker(setup.config) { fork(&mut setup).map(|()| 0) } else { begin(&mut setup) };
    ran.unwrap_or_else(|failure| give_up(&mut setup.channel, failure))
}

fn give_up(channel: &mut Channel, failure: Failure) -> i32 {
    // Without a runtime nobody wants to know.
    drop(channel.send(&Message::Failed(failure)));
    FAILED
}

/// Only the parent returns.
fn fork(setup: &mut Setup<'_>) -> Result<(), Failure> {
    // First, while the host's cgroups can be written to. The process of the container is forked into it.
    enter_cgroup(setup)?;
    join(setup.config)?;
    if setup.config.has("user") {
        namespaces::make_user()?;
        setup.channel.ask(&Message::MapIds)?;
        namespaces::become_root()?;
    }
    make(setup.config)?;
    let child = wave_sandbox::container::spawn(|| {
        let prepared = receive_requests().and_then(|()| setup.channel.wait()).and_then(|_| prepare(setup));
        prepared.unwrap_or_else(|failure| give_up(&mut setup.channel, failure))
    });
    let child = child.map_err(|error| Failure::refused(chain(&error)))?;
    setup.channel.send(&Message::Forked(child)).map_err(|error| Failure::refused(error.to_string()))
}

/// Joins all namespaces that have a path.
fn join(config: &Config) -> Result<(), Failure> {
    namespaces::join(config, Which::Processes)?;
    namespaces::join(config, Which::Others)?;
    namespaces::join(config, Which::Views)
}

/// Makes all namespaces that have no path.
fn make(config: &Config) -> Result<(), Failure> {
    namespaces::make(config, Which::Processes)?;
    namespaces::make(config, Which::Others)?;
    namespaces::make(config, Which::Views)
}

/// The process of the container, which the runtime has forked into its PID namespace.
fn begin(setup: &mut Setup<'_>) -> Result<i32, Failure> {
    receive_requests()?;
    // A network takes the kernel as long as the runtime needs for the cgroup.
    namespaces::join(setup.config, Which::Others)?;
    namespaces::make(setup.config, Which::Others)?;
    // While the host's cgroups can be reached.
    enter_cgroup(setup)?;
    namespaces::join(setup.config, Which::Views)?;
    namespaces::make(setup.config, Which::Views)?;
    prepare(setup)
}

/// Enters the cgroup, once the runtime has made it.
fn enter_cgroup(setup: &mut Setup<'_>) -> Result<(), Failure> {
    let ended = |why: &dyn std::fmt::Display| Failure::refused(format!("the runtime has ended: {why}"));
    let cgroup = setup.channel.receive().map_err(|error| ended(&error))?;
    setup.cgroup = cgroup.ok_or_else(|| ended(&"it has made no cgroup"))?;
    resources::enter(&setup.cgroup)
}

fn receive_requests() -> Result<(), Failure> {
    wave_sandbox::container::begin().map_err(|error| Failure::refused(chain(&error)))
}

/// The process of the container, in its namespaces. The result is its exit status.
fn prepare(setup: &mut Setup<'_>) -> Result<i32, Failure> {
    let (config, process) = (setup.config, setup.config.process()?);
    nix::unistd::setsid().map_err(|errno| Failure::refused(format!("setsid: {}", errno.desc())))?;
    namespaces::make_cgroup(config)?;
    if let Some(name) = &config.hostname {
        nix::unistd::sethostname(name).map_err(|errno| cannot("set the host name", std::io::Error::from(errno)))?;
    }
    if let Some(name) = &config.domainname {
        std::fs::write("/proc/sys/kernel/domainname", name).map_err(|error| cannot("set the domain name", error))?;
    }
    for (key, value) in &config.linux.sysctl {
        let path = Path::new("/proc/sys").join(key.replace('.', "/"));
        std::fs::write(path, value)
            .map_err(|error| cannot("set a kernel parameter", error).at(format!("linux.sysctl.{key}")))?;
    }
    if let Some(score) = process.oom_score_adj {
        std::fs::write("/proc/self/oom_score_adj", score.to_string())
            .map_err(|error| cannot("set oomScoreAdj", error).at("process.oomScoreAdj"))?;
    }
    let root = Root::mount(config, setup.bundle, &resources::hierarchies(&setup.cgroup))?;
    if config.hooks.has_early() {
        setup.channel.ask(&Message::Mounted)?;
    }
    let pid = Some(std::process::id().cast_signed());
    hooks::run("createContainer", &config.hooks.create_container, &(setup.state)("creating", pid))?;
    root.enter(config.root.as_ref().is_some_and(|root| root.readonly))?;
    if process.terminal
        && let Some(console) = setup.console.take()
    {
        terminal::open(&console, process.console_size)?;
    }
    limit(process)?;
    if let Some(mask) = process.user.umask {
        umask(Mode::from_bits_truncate(mask));
    }
    let program = load(setup, process)?;
    let mut accepted = match setup.channel.ask(&Message::Loaded)? {
        Answer::GoOn => Some(wait_for_start(setup)?),
        Answer::Start => None,
    };
    let caller = accepted.as_mut().unwrap_or(&mut setup.channel);
    if let Err(failure) = hooks::run("startContainer", &config.hooks.start_container, &(setup.state)("created", pid)) {
        return Ok(give_up(caller, failure));
    }
    // From here on the status is `running`.
    drop(setup.waiting.take());
    // The caller may be gone; the container starts all the same.
    drop(caller.send(&Message::Started));
    drop(accepted);
    // At once: a sealed process cannot close what is open here.
    wave_sandbox::exit(program())
}

/// Compiles, verifies and loads the module, and opens the grants.
fn load(setup: &mut Setup<'_>, process: &Process) -> Result<crate::create::Program, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, "/", flags, rustix::fs::Mode::empty());
    let top = top.map_err(|errno| cannot("open /", std::io::Error::from(errno)))?;
    let directory = inside::find_or_create(top.as_fd(), &process.cwd, inside::Kind::Directory);
    let directory = directory
        .map_err(|errno| cannot("use the working directory", std::io::Error::from(errno)).at("process.cwd"))?;
    nix::unistd::fchdir(&directory)
        .map_err(|errno| cannot("use the working directory", std::io::Error::from(errno)).at("process.cwd"))?;
    let module = find_module(top.as_fd(), process)?;
    let operator = setup.policy.take();
    // The cgroup has it.
    let max_rss = operator.as_ref().and_then(|policy| policy.values.limits.max_rss);
    let of_image = policy::read_of_image(setup.config, operator.as_ref(), |path| Ok(inside::read(top.as_fd(), path)?))?;
    let plan = policy::request(setup.config, of_image.or(operator))?.build()?;
    let container = Container {
        cache: setup.cache.take(),
        capabilities: process.capabilities.kept(),
        groups: process.user.additional_gids.clone(),
        has_namespaces: setup.config.is_alone(),
        title: format!("wave oci {}", process.args.first().map_or("", String::as_str)),
    };
    let engine = Engine::default().in_container(container).bounded_to(max_rss);
    let engine = match setup.config.outer_filter()? {
        Some(filter) => engine.filtered_by(filter),
        None => engine,
    };
    (setup.load)(engine, plan, module)
}

/// The module that the first argument names: by `PATH` if it has no slash, else relative to the working directory.
fn find_module(top: std::os::fd::BorrowedFd<'_>, process: &Process) -> Result<Module, Failure> {
    let name = process.args.first().map_or("", String::as_str);
    let variable = process.env.iter().find_map(|variable| variable.strip_prefix("PATH="));
    let directories: Vec<_> = match name.contains('/') {
        true => vec![process.cwd.clone()],
        // A module is no command, and images name it without a path: the working directory is searched last.
        false => {
            variable.unwrap_or("").split(':').map(|part| process.cwd.join(part)).chain([process.cwd.clone()]).collect()
        }
    };
    for directory in directories {
        let path = directory.join(name);
        let cannot = |why: std::io::Error| {
            let what = format!("cannot read the module `{}`: {why}", path.display());
            Failure::not_runnable(what).at("process.args")
        };
        match inside::read(top, &path) {
            // By the descriptor that was checked: a path could lead elsewhere the next time.
            Ok(file) => return read_module(file).map_err(cannot).map(|bytes| Module::bytes(path.clone(), bytes)),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(errno) => return Err(cannot(errno.into())),
        }
    }
    Err(Failure::not_found(format!("no module `{name}` in the container: no such file or directory"))
        .at("process.args")
        .fix("give its path in the image, for example /app.wasm"))
}

fn read_module(file: std::fs::File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(input::MAX_MODULE_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > input::MAX_MODULE_BYTES {
        true => Err(std::io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

/// Applies the resource limits. A program cannot raise a limit, so one above that of this process stays at that.
fn limit(process: &Process) -> Result<(), Failure> {
    for (index, limit) in process.rlimits.iter().enumerate() {
        if process.rlimits.iter().skip(index + 1).any(|other| other.name == limit.name) {
            return Err(Failure::refused(format!("{} is there twice", limit.name)).at("process.rlimits"));
        }
        let resource = resource(&limit.name).ok_or_else(|| {
            unsupported(&format!("process.rlimits {:?}", limit.name), "the names of setrlimit(2) are")
        })?;
        let refuse = |errno: nix::errno::Errno| {
            cannot(&format!("set {}", limit.name), std::io::Error::from(errno)).at("process.rlimits")
        };
        let (_, most) = getrlimit(resource).map_err(refuse)?;
        setrlimit(resource, limit.soft.min(limit.hard).min(most), limit.hard.min(most)).map_err(refuse)?;
    }
    Ok(())
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RLIMIT_AS" => Resource::RLIMIT_AS,
        "RLIMIT_CORE" => Resource::RLIMIT_CORE,
        "RLIMIT_CPU" => Resource::RLIMIT_CPU,
        "RLIMIT_DATA" => Resource::RLIMIT_DATA,
        "RLIMIT_FSIZE" => Resource::RLIMIT_FSIZE,
        "RLIMIT_LOCKS" => Resource::RLIMIT_LOCKS,
        "RLIMIT_MEMLOCK" => Resource::RLIMIT_MEMLOCK,
        "RLIMIT_MSGQUEUE" => Resource::RLIMIT_MSGQUEUE,
        "RLIMIT_NICE" => Resource::RLIMIT_NICE,
        "RLIMIT_NOFILE" => Resource::RLIMIT_NOFILE,
        "RLIMIT_NPROC" => Resource::RLIMIT_NPROC,
        "RLIMIT_RSS" => Resource::RLIMIT_RSS,
        "RLIMIT_RTPRIO" => Resource::RLIMIT_RTPRIO,
        "RLIMIT_RTTIME" => Resource::RLIMIT_RTTIME,
        "RLIMIT_SIGPENDING" => Resource::RLIMIT_SIGPENDING,
        "RLIMIT_STACK" => Resource::RLIMIT_STACK,
        _ => return None,
    })
}

/// Waits for `start`. A connection that sends something else is not it.
fn wait_for_start(setup: &Setup<'_>) -> Result<Channel, Failure> {
    let listener = setup.listener.as_ref();
    let listener = listener.ok_or_else(|| Failure::refused("the runtime was to start the program, and did not"))?;
    loop {
        let (mut stream, _) = listener.accept().map_err(|error| cannot("wait for start", error))?;
        let mut word = [0; START.len()];
        if stream.read_exact(&mut word).is_ok() && word == *START {
            return Ok(Channel::over(stream));
        }
    }
}

/// The character devices that a program may open.
pub fn openable_devices(config: &Config) -> Vec<PathBuf> {
    devices::openable(config)
}
