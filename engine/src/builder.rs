//! Builds a [`Plan`] from a request and an optional policy.
//!
//! A requested value replaces the value of the policy. Where several values are possible, it is added to them. Requests that go
//! beyond the policy are listed, so that they can be reported at the start (T101).

use crate::convert::detected_resolver;
use crate::cwd;
use crate::failure::Failure;
use crate::grants::{DirectoryGrant, device, refuse_devices, refuse_overlap, refuse_taken_names};
use crate::names;
use crate::peers::parse_network;
use crate::plan::{Plan, Variable, owner_of_writable};
use crate::policy::PolicyDocument;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use wave_policy::file::{KEYS, Limits, Values};
use wave_policy::{ConnectTarget, Identity, Level, Resolver};
use wave_wasi::PeerRule;

/// A request for a run, as plain data. Each field corresponds to a flag of `wave run`. The default requests nothing.
///
/// ```no_run
/// use wave_engine::{Access, DirectoryGrant, PlanBuilder};
///
/// let data = DirectoryGrant::new("data", "/srv", Access::ReadOnly);
/// let plan = PlanBuilder { grants: vec![data], ..PlanBuilder::default() }.build()?;
/// # Ok::<(), wave_engine::Failure>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PlanBuilder {
    /// The policy file.
    pub policy: Option<PolicyDocument>,
    /// Which kernel layers are required. `strict` if neither this nor the policy sets it.
    pub level: Option<Level>,
    /// Granted directories and files, in addition to those of the policy.
    pub grants: Vec<DirectoryGrant>,
    /// The guest's first argument, its own name.
    pub name: Vec<u8>,
    /// Its further arguments, after those of the policy.
    pub args: Vec<Vec<u8>>,
    /// Environment variables, in addition to those of the policy. Of one name, the last wins.
    pub env: Vec<Variable>,
    /// Environment variables that the program brings along, as an image does. Those of the policy and of [`Self::env`] replace them.
    pub default_env: Vec<Variable>,
    /// Where the program starts if neither a setting nor the policy says so, as an image does. It counts if a granted directory has it.
    pub default_cwd: Option<String>,
    /// Export to call instead of `_start`, with its arguments.
    pub invoke: Option<(String, Vec<OsString>)>,
    /// Device nodes that the guest may open if a granted directory leads to them.
    pub devices: Vec<PathBuf>,
    /// Addresses to listen on, in addition to those of the policy.
    pub listen: Vec<SocketAddr>,
    /// Whether the guest gets the sockets that a service manager passed.
    pub listenfd: bool,
    /// Peers whose connections are accepted, in addition to those of the policy. Without any, all peers are.
    pub accept_from: Vec<PeerRule>,
    /// Where the program may connect to by TCP, in addition to what the policy allows.
    pub connect: Vec<ConnectTarget>,
    /// Name servers that are asked instead of those of `/etc/resolv.conf`.
    pub dns: Vec<SocketAddr>,
    /// Limits. Each replaces that of the policy.
    pub limits: Limits,
    /// The keys of a policy that have a flag, such as `random_seed`. Each replaces that of the policy. Other keys are ignored.
    pub settings: Values,
    /// Whether `wave` resolves paths itself even if the kernel could.
    pub manual_resolver: bool,
    /// Whether the guest may send control sequences to a terminal.
    pub terminal_controls: bool,
    /// The user that the process becomes if it was started as root.
    pub user: Option<Identity>,
    /// Whether unverified code may run. Only with [`Level::Off`].
    pub no_verify: bool,
    /// Whether a profiler is told where code is. Not with [`Level::Strict`].
    pub profile: bool,
    /// Whether the cache is neither read nor written.
    pub no_cache: bool,
}

impl PlanBuilder {
    /// Resolves and checks the request.
    ///
    /// # Errors
    /// 2 for invalid values, 125 for what this host does not have.
    pub fn build(self) -> Result<Plan, Failure> {
        let none = Values::default();
        let values = self.policy.as_ref().map_or(&none, |policy| &policy.values);
        if values.deterministic == Some(true) && self.settings.clock_resolution.is_some() {
            return Err(Failure::usage("the policy asks for deterministic clocks, which have no resolution")
                .at("--clock-resolution")
                .fix("leave out the flag"));
        }
        let level = self.level.or(values.sandbox).unwrap_or_default();
        if self.no_verify && level != Level::Off {
            return Err(Failure::usage(format!("`{level}` runs no code that was not verified"))
                .at("--no-verify")
                .fix("leave it out"));
        }
        if self.profile && level == Level::Strict {
            return Err(Failure::usage("`strict` keeps to itself where code is")
                .at("--profile perfmap")
                .fix("add --sandbox standard, which does the same otherwise where the kernel has every layer"));
        }
        let limits = self.limits.over(&values.limits);
        if let Some(impossible) = limits.impossible() {
            let flag = format!("--{}", impossible.limit.name);
            return Err(Failure::usage(impossible.to_string()).at(flag).fix(impossible.fix()));
        }
        let (beyond, origins) = match &self.policy {
            Some(policy) => (beyond(values, &self), origins(policy, &self)),
            None => (Vec::new(), Vec::new()),
        };
        let mut grants = self.policy.as_ref().map(PolicyDocument::grants).transpose()?.unwrap_or_default();
        for grant in &self.grants {
            grants.push(grant.clone().checked()?);
        }
        refuse_overlap(&grants)?;
        refuse_taken_names(&grants)?;
        let user_is_named = self.user.is_some();
        let identity = match self.user {
            Some(user) => Some(user),
            None => owner_of_writable(&grants)?,
        };
        let mut settings = self.settings.settings().over(values.settings());
        // Deterministic clocks have no resolution.
        settings.clock_resolution = settings.clock_resolution.filter(|_| self.settings.deterministic != Some(true));
        let cwd_place = self.cwd_place();
        let granted = |cwd: &&String| cwd::grant(cwd, &cwd_place, &grants).is_ok();
        settings.cwd = settings.cwd.or_else(|| self.default_cwd.as_ref().filter(granted).cloned());
        let start = match &settings.cwd {
            Some(cwd) => cwd::grant(cwd, &cwd_place, &grants)?,
            None => None,
        };
        let cwd_grant = start.is_some().then_some(grants.len());
        grants.extend(start);
        let devices = self.devices.iter().map(|path| device(path)).collect::<Result<Vec<_>, _>>()?;
        refuse_devices(&grants, &devices)?;
        let first = self.policy.iter().flat_map(PolicyDocument::args);
        let args = std::iter::once(self.name.clone()).chain(first).chain(self.args.iter().cloned()).collect();
        let resolver = match self.manual_resolver {
            true => Resolver::Manual,
            false => resolver(level, crate::platform::needs_manual_resolver()),
        };
        // Without directories, no path is resolved.
        let is_checked = !self.manual_resolver && !grants.is_empty();
        let checked_resolver = is_checked.then_some(resolver);
        let connect: Vec<_> = values.connect.iter().flatten().chain(&self.connect).cloned().collect();
        let pinned = names::pin(&connect, &self.dns, |index| {
            let origin = origins.iter().find(|(id, _)| *id == format!("net.connect[{index}]"));
            origin.map_or_else(|| format!("--connect {}", connect[index]), |(_, place)| place.clone())
        })?;
        Ok(Plan {
            level,
            grants,
            args,
            env: self.environment(values, settings.cwd.as_deref())?,
            cwd_grant,
            devices,
            listen: values.listen.iter().flatten().chain(&self.listen).copied().collect(),
            accept_from: self.peers(values)?,
            connect,
            pinned,
            listenfd: self.listenfd,
            limits: limits.in_force(),
            settings,
            verify: !self.no_verify,
            profile: self.profile,
            cache: !self.no_cache && !self.no_verify,
            resolver,
            terminal_controls: self.terminal_controls,
            identity,
            user_is_named,
            checked_resolver,
            beyond,
            origins,
            invoke: self.invoke,
            policy: self.policy,
        })
    }

    /// The variables of the program, of the policy and of the request. The last one wins, and over all the working directory.
    fn environment(&self, values: &Values, cwd: Option<&str>) -> Result<Vec<Variable>, Failure> {
        let policy = environment(self.policy.as_ref(), values)?;
        let pwd = cwd.map(|cwd| Variable { place: self.cwd_place(), ..variable("PWD", OsStr::new(cwd), false) });
        let all = self.default_env.iter().chain(&policy).chain(&self.env).chain(&pwd);
        // A set, because a policy or an image can name a hundred thousand.
        let mut seen = HashSet::new();
        let mut env: Vec<_> = all.rev().filter(|variable| seen.insert(name_of(variable))).cloned().collect();
        env.reverse();
        Ok(env)
    }

    /// What sets the working directory.
    fn cwd_place(&self) -> String {
        match (&self.settings.cwd, &self.policy) {
            (Some(cwd), _) => format!("--cwd {cwd}"),
            (None, Some(policy)) => policy.origin("cwd").unwrap_or_else(|| "cwd".to_owned()),
            (None, None) => "cwd".to_owned(),
        }
    }

    /// Peers whose connections are accepted. `None`: all peers.
    fn peers(&self, values: &Values) -> Result<Option<Vec<PeerRule>>, Failure> {
        let networks = |list: &Vec<String>| list.iter().map(|network| parse_network(network)).collect();
        let networks: Option<Result<Vec<_>, _>> = values.accept_from.as_ref().map(networks);
        let mut peers = networks.transpose().map_err(Failure::refused)?;
        if !self.accept_from.is_empty() {
            peers.get_or_insert_default().extend(self.accept_from.iter().cloned());
        }
        Ok(peers)
    }
}

/// The default resolver of paths. Where Landlock does not restrict truncation, the system call filter does. It must see
/// the flags of an open, and it cannot see those of `openat2`, which are in memory (T91).
fn resolver(level: Level, leaves_truncation: bool) -> Resolver {
    if level != Level::Off && leaves_truncation { Resolver::Manual } else { detected_resolver() }
}

/// The name in `NAME=VALUE`.
fn name_of(variable: &Variable) -> &[u8] {
    variable.text.split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// The variables of the policy. Variables that it passes on are read from the environment of `wave`.
fn environment(policy: Option<&PolicyDocument>, values: &Values) -> Result<Vec<Variable>, Failure> {
    let mut env = Vec::new();
    for (index, name) in values.env_pass.iter().flatten().enumerate() {
        let value = wave_sandbox::variable(name).ok_or_else(|| {
            let id = format!("env.pass[{index}]");
            let place = policy.and_then(|policy| policy.origin(&id)).unwrap_or(id);
            Failure::refused(format!("there is no environment variable `{name}` to pass on"))
                .at(place)
                .fix("set it, or give it a value in `[env.set]`")
        })?;
        env.push(variable(name, &value, true));
    }
    for (name, value) in values.env_set.iter().flatten() {
        env.push(variable(name, OsStr::new(value), false));
    }
    Ok(env)
}

fn variable(name: &str, value: &OsStr, is_passed: bool) -> Variable {
    let place = if is_passed { "env.pass".to_owned() } else { format!("env.set.{name}") };
    Variable { text: [name.as_bytes(), b"=", value.as_bytes()].concat(), is_passed, place }
}

/// The flags that allow more than the policy.
fn beyond(values: &Values, builder: &PlanBuilder) -> Vec<String> {
    let mut beyond: Vec<_> = builder.grants.iter().map(|grant| grant.place.clone()).collect();
    beyond.extend(builder.env.iter().map(|variable| variable.place.clone()));
    beyond.extend(builder.listen.iter().map(|address| format!("--tcplisten {address}")));
    beyond.extend(builder.listenfd.then(|| "--listenfd".to_owned()));
    // Without a list every peer may connect, so the first network only narrows that.
    let adds_peers = !builder.accept_from.is_empty() && values.accept_from.is_some();
    beyond.extend(adds_peers.then(|| "--accept-from".to_owned()));
    beyond.extend(builder.connect.iter().map(|grant| format!("--connect {grant}")));
    let finer = builder.settings.clock_resolution.zip(values.clock_resolution).is_some_and(|(flag, file)| flag < file);
    beyond.extend(finer.then(|| "--clock-resolution".to_owned()));
    let stub = builder.settings.unknown_imports.filter(|stub| Some(*stub) > values.unknown_imports);
    beyond.extend(stub.map(|stub| format!("--unknown-imports {stub}")));
    // Other system calls than those that `[os]` lists.
    let derived = values.os.as_ref().is_some_and(|os| os.resolver == Resolver::Kernel);
    let manual = derived && builder.manual_resolver;
    beyond.extend(manual.then(|| "--resolver manual".to_owned()));
    let limits = builder.limits.beyond(&values.limits.over(&Limits::USUAL));
    beyond.extend(limits.into_iter().map(|name| format!("--{name}")));
    beyond
}

/// The source of each value: a flag or a line of the policy.
fn origins(policy: &PolicyDocument, builder: &PlanBuilder) -> Vec<(String, String)> {
    let values = &policy.values;
    let mut origins = Vec::new();
    let file = |id: String, out: &mut Vec<(String, String)>| {
        if let Some(place) = policy.origin(&id) {
            let from =
                place.split_once(" (").map_or_else(|| place.clone(), |(_, from)| from.trim_end_matches(')').to_owned());
            out.push((id, from));
        }
    };
    match builder.level {
        Some(level) => origins.push(("sandbox".to_owned(), format!("--sandbox {level}"))),
        None => file("sandbox".to_owned(), &mut origins),
    }
    for id in ["module.blake3", "wasi.functions", "os", "args"] {
        file(id.to_owned(), &mut origins);
    }
    for index in 0..values.fs.len() {
        file(format!("fs[{index}]"), &mut origins);
    }
    for (index, grant) in builder.grants.iter().enumerate() {
        origins.push((format!("fs[{}]", values.fs.len() + index), grant.place.clone()));
    }
    for index in 0..values.env_pass.iter().flatten().count() {
        file(format!("env.pass[{index}]"), &mut origins);
    }
    for name in values.env_set.iter().flat_map(|set| set.keys()) {
        file(format!("env.set.{name}"), &mut origins);
    }
    for variable in &builder.env {
        origins.push((format!("env.set.{}", String::from_utf8_lossy(name_of(variable))), variable.place.clone()));
    }
    let sockets = values.listen.iter().flatten().count();
    (0..sockets).for_each(|index| file(format!("net.listen[{index}]"), &mut origins));
    for (index, address) in builder.listen.iter().enumerate() {
        origins.push((format!("net.listen[{}]", sockets + index), format!("--tcplisten {address}")));
    }
    (0..values.accept_from.iter().flatten().count())
        .for_each(|index| file(format!("net.accept_from[{index}]"), &mut origins));
    let connections = values.connect.iter().flatten().count();
    (0..connections).for_each(|index| file(format!("net.connect[{index}]"), &mut origins));
    for (index, grant) in builder.connect.iter().enumerate() {
        origins.push((format!("net.connect[{}]", connections + index), format!("--connect {grant}")));
    }
    for key in KEYS.iter().filter(|key| !key.flag.is_empty()) {
        match key.is_said(&builder.settings) {
            true => origins.push((key.id(), key.as_flag(&builder.settings))),
            false => file(key.id(), &mut origins),
        }
    }
    let flags: Vec<_> = builder.limits.rows().into_iter().map(|(name, _)| name).collect();
    for (name, _) in builder.limits.over(&values.limits).rows() {
        match flags.contains(&name) {
            true => origins.push((format!("limits.{name}"), format!("--{name}"))),
            false => file(format!("limits.{name}"), &mut origins),
        }
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t91_paths_are_resolved_where_the_filter_sees_it_if_landlock_leaves_truncation() {
        for level in [Level::Strict, Level::Standard] {
            assert_eq!(resolver(level, true), Resolver::Manual);
            assert_eq!(resolver(level, false), detected_resolver());
        }
        assert_eq!(resolver(Level::Off, true), detected_resolver());
    }
}
