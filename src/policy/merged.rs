//! A policy file and the flags of one run. A flag wins where both say something and adds where there can be several; what goes
//! beyond the file is named, so that it can be said at the start (T101).

use super::Loaded;
use crate::args::{self, Run, Sandbox};
use crate::failure::Failure;
use crate::grants::DirGrant;
use crate::network::parse_network;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;
use wave_policy::Level;
use wave_policy::file::{Limits, Values};
use wave_wasi::PeerRule;

/// What file and flags come to. Directories and variables are those of the file; flags add theirs afterwards.
#[derive(Debug)]
pub struct Merged {
    pub level: Level,
    pub deterministic: bool,
    pub clock_resolution: Option<Duration>,
    pub limits: Limits,
    pub grants: Vec<DirGrant>,
    pub env: Vec<Vec<u8>>,
    pub listen: Vec<SocketAddr>,
    pub accept_from: Vec<PeerRule>,
    /// Flags that go beyond the file.
    pub beyond: Vec<String>,
    /// Where each value is from, by its id; empty without a file.
    pub origins: Vec<(String, String)>,
}

impl Merged {
    /// Brings a policy and the flags of a run together.
    ///
    /// # Errors
    /// 125 for what this host does not have, 2 for flags that contradict the file.
    pub fn new(policy: Option<&Loaded>, sandbox: Option<Sandbox>, run: &Run) -> Result<Self, Failure> {
        let none = Values::default();
        let values = policy.map_or(&none, |policy| &policy.values);
        let flag = sandbox.map(level);
        if values.deterministic == Some(true) && run.clock_resolution.is_some() {
            return Err(Failure::usage("the policy asks for deterministic clocks, which have no resolution")
                .at("--clock-resolution")
                .fix("leave out the flag"));
        }
        let limits = of_flags(&run.limits);
        let listen = values.listen.iter().flatten().chain(&run.tcplisten).copied().collect();
        let networks = values.accept_from.iter().flatten().map(|network| parse_network(network));
        let networks: Result<Vec<_>, _> = networks.collect();
        let mut accept_from = networks.map_err(Failure::refused)?;
        accept_from.extend(run.accept_from.iter().cloned());
        let merged = Self {
            level: flag.or(values.sandbox).unwrap_or_default(),
            deterministic: run.deterministic || values.deterministic.unwrap_or(false),
            clock_resolution: if run.deterministic { None } else { run.clock_resolution.or(values.clock_resolution) },
            limits: limits.over(&values.limits),
            grants: policy.map(Loaded::grants).transpose()?.unwrap_or_default(),
            env: environment(policy, values)?,
            listen,
            accept_from,
            beyond: Vec::new(),
            origins: Vec::new(),
        };
        Ok(match policy {
            Some(policy) => {
                Self { beyond: beyond(values, run, &limits), origins: origins(policy, flag, run, &limits), ..merged }
            }
            None => merged,
        })
    }
}

fn level(sandbox: Sandbox) -> Level {
    match sandbox {
        Sandbox::Strict => Level::Strict,
        Sandbox::Standard => Level::Standard,
        Sandbox::Off => Level::Off,
    }
}

fn of_flags(flags: &args::Limits) -> Limits {
    Limits {
        timeout: flags.timeout,
        max_memory: flags.max_memory,
        max_stack: flags.max_stack,
        compile_timeout: flags.compile_timeout,
        compile_memory: flags.compile_memory,
        max_open_files: flags.max_open_files,
        max_file_size: flags.max_file_size,
        max_writes: flags.max_writes,
        max_output: flags.max_output,
        max_call_bytes: flags.max_call_bytes,
        max_iovecs: flags.max_iovecs,
        max_subscriptions: flags.max_subscriptions,
    }
}

/// The variables of the file. Those that are passed on come from the environment of `wave` because the file names them.
fn environment(policy: Option<&Loaded>, values: &Values) -> Result<Vec<Vec<u8>>, Failure> {
    let mut env = Vec::new();
    for (index, name) in values.env_pass.iter().flatten().enumerate() {
        let value = std::env::var_os(name).ok_or_else(|| {
            let id = format!("env.pass[{index}]");
            let place = policy.and_then(|policy| policy.origin(&id)).unwrap_or(id);
            Failure::refused(format!("there is no environment variable `{name}` to pass on"))
                .at(place)
                .fix("set it, or give it a value in `[env.set]`")
        })?;
        env.push(variable(name, &value));
    }
    for (name, value) in values.env_set.iter().flatten() {
        env.retain(|other: &Vec<u8>| !other.starts_with(format!("{name}=").as_bytes()));
        env.push(variable(name, OsStr::new(value)));
    }
    Ok(env)
}

fn variable(name: &str, value: &OsStr) -> Vec<u8> {
    [name.as_bytes(), b"=", value.as_bytes()].concat()
}

/// The flags that allow what the file does not.
fn beyond(values: &Values, run: &Run, limits: &Limits) -> Vec<String> {
    let mut beyond: Vec<_> = run.dirs.iter().map(|dir| format!("--dir {dir}")).collect();
    let names = run.env.iter().map(|env| env.split('=').next().unwrap_or_default());
    beyond.extend(names.map(|name| format!("--env {name}")));
    beyond.extend(run.tcplisten.iter().map(|address| format!("--tcplisten {address}")));
    beyond.extend(run.listenfd.then(|| "--listenfd".to_owned()));
    // Without a list all may connect, and the first network narrows that.
    let adds_peers = !run.accept_from.is_empty() && values.accept_from.as_ref().is_some_and(|list| !list.is_empty());
    beyond.extend(adds_peers.then(|| "--accept-from".to_owned()));
    let finer = run.clock_resolution.zip(values.clock_resolution).is_some_and(|(flag, file)| flag < file);
    beyond.extend(finer.then(|| "--clock-resolution".to_owned()));
    // Other system calls than those that `[os]` lists.
    let derived = values.os.as_ref().is_some_and(|os| os.resolver == wave_policy::Resolver::Kernel);
    let manual = derived && run.resolver == args::Resolver::Manual;
    beyond.extend(manual.then(|| "--resolver manual".to_owned()));
    beyond.extend(limits.beyond(&values.limits).into_iter().map(|name| format!("--{name}")));
    beyond
}

/// Where each value is from.
fn origins(policy: &Loaded, level: Option<Level>, run: &Run, limits: &Limits) -> Vec<(String, String)> {
    let values = &policy.values;
    let mut origins = Vec::new();
    let file = |id: String, out: &mut Vec<(String, String)>| {
        if let Some(place) = policy.origin(&id) {
            let from =
                place.split_once(" (").map_or_else(|| place.clone(), |(_, from)| from.trim_end_matches(')').to_owned());
            out.push((id, from));
        }
    };
    match level {
        Some(level) => origins.push(("sandbox".to_owned(), format!("--sandbox {level}"))),
        None => file("sandbox".to_owned(), &mut origins),
    }
    for id in ["module.blake3", "wasi.functions", "os", "args"] {
        file(id.to_owned(), &mut origins);
    }
    for index in 0..values.fs.len() {
        file(format!("fs[{index}]"), &mut origins);
    }
    for (index, dir) in run.dirs.iter().enumerate() {
        origins.push((format!("fs[{}]", values.fs.len() + index), format!("--dir {dir}")));
    }
    for index in 0..values.env_pass.iter().flatten().count() {
        file(format!("env.pass[{index}]"), &mut origins);
    }
    for name in values.env_set.iter().flat_map(|set| set.keys()) {
        file(format!("env.set.{name}"), &mut origins);
    }
    for name in run.env.iter().map(|env| env.split('=').next().unwrap_or_default()) {
        origins.push((format!("env.set.{name}"), format!("--env {name}")));
    }
    let sockets = values.listen.iter().flatten().count();
    (0..sockets).for_each(|index| file(format!("net.listen[{index}]"), &mut origins));
    for (index, address) in run.tcplisten.iter().enumerate() {
        origins.push((format!("net.listen[{}]", sockets + index), format!("--tcplisten {address}")));
    }
    (0..values.accept_from.iter().flatten().count())
        .for_each(|index| file(format!("net.accept_from[{index}]"), &mut origins));
    for id in ["deterministic", "clock.resolution"] {
        file(id.to_owned(), &mut origins);
    }
    let flags: Vec<_> = limits.rows().into_iter().map(|(name, _)| name).collect();
    for (name, _) in limits.over(&values.limits).rows() {
        match flags.contains(&name) {
            true => origins.push((format!("limits.{name}"), format!("--{name}"))),
            false => file(format!("limits.{name}"), &mut origins),
        }
    }
    origins
}
