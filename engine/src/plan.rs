//! The plan of one run: grants, limits and level, resolved and checked.

use crate::compile::CompileLimits;
use crate::cwd;
use crate::failure::Failure;
use crate::grants::{DirectoryGrant, GrantKind};
use crate::names::{self, Pinned};
use crate::policy::PolicyDocument;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wave_contract::artifact::CodeSettings;
use wave_policy::file::{Limits, Values};
use wave_policy::limits::LIMITS;
use wave_policy::{Access, ConnectGrant, ConnectTarget, Identity, Level, Resolver, clean};
use wave_wasi::PeerRule;

/// The plan of one run.
#[derive(Debug)]
pub struct Plan {
    /// Which layers are required.
    pub level: Level,
    /// Granted directories and files.
    pub grants: Vec<DirectoryGrant>,
    /// The index of the grant that makes relative paths begin at the working directory, if there is one.
    pub cwd_grant: Option<usize>,
    /// Arguments of the guest, its name first.
    pub args: Vec<Vec<u8>>,
    /// Environment of the guest.
    pub env: Vec<Variable>,
    /// Export to call instead of `_start`, with its arguments.
    pub invoke: Option<(String, Vec<OsString>)>,
    /// Device nodes the guest may open, with their numbers.
    pub devices: Vec<(PathBuf, u64)>,
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Whether the guest gets the sockets that a service manager passed.
    pub listenfd: bool,
    /// Peers whose connections are accepted. `None`: all peers.
    pub accept_from: Option<Vec<PeerRule>>,
    /// Where the program may connect to.
    pub connect: Vec<ConnectTarget>,
    /// The addresses of the names among it.
    pub pinned: Vec<Pinned>,
    /// Limits, with the defaults where none was chosen.
    pub limits: Limits,
    /// The keys of a policy that have a flag, such as `random_seed`. All other keys are empty.
    pub settings: Values,
    /// Whether code is verified before it is loaded.
    pub verify: bool,
    /// Whether a profiler is told where code is.
    pub profile: bool,
    /// Whether verified code is cached, and cached code is used.
    pub cache: bool,
    /// Who resolves paths.
    pub resolver: Resolver,
    /// Whether the guest may send control sequences to a terminal.
    pub terminal_controls: bool,
    /// The user that the process becomes if it was started as root.
    pub identity: Option<Identity>,
    /// Whether a flag set that user. Otherwise it follows from the writable directories.
    pub user_is_named: bool,
    /// The policy file.
    pub policy: Option<PolicyDocument>,
    /// The resolver that the policy is checked for. `None` if a flag chose it or if no directory is granted.
    pub checked_resolver: Option<Resolver>,
    /// Flags that go beyond the policy.
    pub beyond: Vec<String>,
    /// The source of each value, by its id in a policy.
    pub origins: Vec<(String, String)>,
}

/// A variable of the guest's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// `NAME=VALUE`.
    pub text: Vec<u8>,
    /// Whether the value is that of the variable that the caller's own environment has.
    pub is_passed: bool,
    /// The flag or key that sets it, for messages.
    pub place: String,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |list: &[Vec<u8>]| -> String {
            list.iter().map(|word| format!(" {:?}", clean(&String::from_utf8_lossy(word)))).collect()
        };
        writeln!(f, "sandbox:  {}", self.level)?;
        for flag in self.relaxations() {
            writeln!(f, "relaxed:  by {}", clean(&flag))?;
        }
        match &self.invoke {
            Some((function, args)) => writeln!(f, "call:     {} {args:?}", clean(function))?,
            None => writeln!(f, "call:     _start")?,
        }
        writeln!(f, "args:    {}", words(&self.args))?;
        let env: Vec<_> = self.env.iter().map(|variable| variable.text.clone()).collect();
        writeln!(f, "env:     {}", if env.is_empty() { " none".to_owned() } else { words(&env) })?;
        if self.grants.is_empty() {
            writeln!(f, "files:    none")?;
        }
        for (index, grant) in self.grants.iter().enumerate() {
            let (host, guest) = (grant.host.display().to_string(), &grant.guest);
            let what = if grant.kind == GrantKind::File { "file " } else { "" };
            writeln!(f, "fs[{index}]:    {} {what}{} as {}", grant.access, clean(&host), clean(guest))?;
        }
        for (path, _) in &self.devices {
            writeln!(f, "device:   {}", clean(&path.display().to_string()))?;
        }
        for address in &self.listen {
            writeln!(f, "network:  listens on {address}")?;
        }
        if self.listenfd {
            writeln!(f, "network:  sockets of the service manager")?;
        }
        for grant in &self.connect {
            writeln!(f, "network:  connects to {grant}")?;
        }
        for Pinned { name, addresses } in &self.pinned {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            writeln!(f, "name:     {name} is {}", addresses.join(", "))?;
        }
        match &self.accept_from {
            _ if self.listen.is_empty() && !self.listenfd && !self.connect.is_empty() => {}
            _ if self.listen.is_empty() && !self.listenfd => writeln!(f, "network:  none")?,
            None => writeln!(f, "peers:    all")?,
            Some(rules) => writeln!(f, "peers:    {} networks", rules.len())?,
        }
        writeln!(f, "memory:   {} bytes", self.limits.memory_bytes())?;
        writeln!(f, "stack:    {} bytes", self.limits.stack_bytes())?;
        if let Some(bytes) = self.limits.max_rss {
            writeln!(f, "process:  {bytes} bytes, compiler included")?;
        }
        if self.level != Level::Off {
            let (time, bytes) = (self.limits.compile_timeout(), self.limits.compile_memory_bytes());
            writeln!(f, "compiler: {time:?}, {bytes} bytes")?;
        }
        self.write_limits(f)?;
        if self.resolver == Resolver::Manual {
            writeln!(f, "resolver: manual")?;
        }
        if self.deterministic() {
            writeln!(f, "clocks:   deterministic, random numbers too")?;
        } else if self.clock_resolution_ns() > 1 {
            writeln!(f, "clocks:   in steps of {} ns", self.clock_resolution_ns())?;
        }
        if let Some(cwd) = &self.settings.cwd {
            writeln!(f, "starts:   at {}", clean(cwd))?;
        }
        if let Some(seed) = self.settings.random_seed {
            writeln!(f, "random:   numbers of the seed {seed}")?;
        }
        if let Some(stub) = self.settings.unknown_imports {
            writeln!(f, "stubs:    {stub} for imports that nobody provides")?;
        }
        if self.terminal_controls {
            writeln!(f, "terminal: control sequences pass")?;
        }
        match self.limits.timeout {
            Some(limit) => writeln!(f, "timeout:  {limit:?}")?,
            None => writeln!(f, "timeout:  none")?,
        }
        if let Some(limit) = self.limits.cpu_time {
            writeln!(f, "cpu time: {limit:?}")?;
        }
        match self.identity {
            Some(Identity { uid, gid }) => writeln!(f, "user:     {uid}:{gid} (when started as root)")?,
            None => writeln!(f, "user:     a free one (when started as root)")?,
        }
        if let Some(policy) = &self.policy {
            writeln!(f, "policy:   {}", clean(&policy.name()))?;
        }
        self.origins.iter().try_for_each(|(id, from)| writeln!(f, "  {:24} {}", clean(id), clean(from)))
    }
}

impl Plan {
    /// The addresses that the program may connect to, those of names among them.
    pub fn connections(&self) -> Vec<ConnectGrant> {
        self.connect.iter().flat_map(|target| names::grants(target, &self.pinned)).collect()
    }

    /// The limits for compiling `module`.
    pub fn compile_limits(&self, module: &Path) -> CompileLimits {
        CompileLimits {
            module: module.to_owned(),
            level: self.level,
            timeout: self.limits.compile_timeout(),
            memory_bytes: self.limits.compile_memory_bytes(),
            has_flags: true,
        }
    }

    /// The line of the policy, or the profile, that sets a value. `None` if a flag or nothing sets it.
    pub fn line_of_policy(&self, id: &str) -> Option<&str> {
        let (_, from) = self.origins.iter().find(|(other, _)| other == id)?;
        (!from.starts_with("--")).then_some(from)
    }

    /// What the operator should know before the run.
    pub fn notes(&self) -> Vec<String> {
        notes(self)
    }

    /// Drops the user that was taken from the writable directories, because they are no longer granted.
    pub fn forget_owner(&mut self) {
        if !self.user_is_named {
            self.identity = None;
        }
    }

    /// The flags that reduce the protection below the default (T101). No module and no environment variable can set them.
    pub fn relaxations(&self) -> Vec<String> {
        let level = (self.level != Level::Strict).then(|| match self.line_of_policy("sandbox") {
            Some(from) => format!("sandbox = \"{}\" ({from})", self.level),
            None => format!("--sandbox {}", self.level),
        });
        let devices = self.devices.iter().map(|(path, _)| format!("--device {}", path.display()));
        let unverified = (!self.verify).then(|| "--no-verify".to_owned());
        let terminal = self.terminal_controls.then(|| "--terminal-controls".to_owned());
        let beyond = self.beyond.iter().map(|flag| format!("{flag} beyond the policy"));
        let stubs = self.settings.unknown_imports.map(|stub| match self.line_of_policy("unknown_imports") {
            Some(from) => format!("unknown_imports = \"{stub}\" ({from})"),
            None => format!("--unknown-imports {stub}"),
        });
        let stubs = stubs.filter(|text| !self.beyond.contains(text));
        let profile = self.profile.then(|| "--profile perfmap".to_owned());
        let flags = unverified.into_iter().chain(profile).chain(beyond);
        level.into_iter().chain(flags).chain(devices).chain(terminal).chain(stubs).collect()
    }

    /// Whether clocks, random numbers and NaNs are the same in every run.
    pub fn deterministic(&self) -> bool {
        self.settings.deterministic == Some(true)
    }

    /// What is asked of the code beyond what the module says.
    pub fn code_settings(&self) -> CodeSettings {
        CodeSettings { canonical_nans: self.deterministic(), fuel: self.limits.fuel.is_some() }
    }

    /// The resolution of clocks in nanoseconds.
    pub fn clock_resolution_ns(&self) -> u64 {
        self.settings.clock_resolution.map_or(1, |step| u64::try_from(step.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Writes the limits that differ from the defaults.
    fn write_limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for limit in LIMITS {
            let value = limit.get(&self.limits).filter(|value| Some(*value) != limit.default());
            if let Some((value, counts)) = value.zip(limit.counts) {
                writeln!(f, "limit:    {value} {counts}")?;
            }
        }
        Ok(())
    }
}

/// What the operator should know before a run.
fn notes(plan: &Plan) -> Vec<String> {
    let cwd = plan.settings.cwd.as_deref().filter(|cwd| cwd::is_only_announced(cwd, &plan.grants));
    let cwd = cwd.map(|cwd| {
        format!(
            "wave: note: a directory is called `/`, so programs with wasi-libc (C, Rust, Python) start there; PWD is `{}`\n",
            clean(cwd)
        )
    });
    cwd.into_iter().chain(owner_notes(plan)).collect()
}

/// Which writable directories the user of a run that was started as root may not write to.
fn owner_notes(plan: &Plan) -> Vec<String> {
    if plan.level == Level::Off || !started_as_root() {
        return Vec::new();
    }
    let writable = plan.grants.iter().filter(|grant| grant.access != Access::ReadOnly);
    let useless =
        writable.filter(|grant| std::fs::metadata(&grant.host).is_ok_and(|found| !writable_by(&found, plan.identity)));
    let note = |grant: &DirectoryGrant| {
        let host = grant.host.display().to_string();
        let user =
            plan.identity.map_or_else(|| "a user that owns nothing".to_owned(), |user| format!("user {}", user.uid));
        format!(
            "wave: note: started as root, the program runs as {user}, who may not write to `{}`\n  \
             fix:   give it to a user and name that one by --user UID:GID, or grant it ::ro\n",
            clean(&host)
        )
    };
    useless.map(note).collect()
}

/// Whether the mode bits allow a user to write. Without a user, whether they allow everyone.
fn writable_by(found: &std::fs::Metadata, user: Option<Identity>) -> bool {
    let allows = |bit: u32| found.mode() & bit != 0;
    match user {
        Some(user) if found.uid() == user.uid => allows(0o200),
        Some(user) if found.gid() == user.gid => allows(0o020),
        _ => allows(0o002),
    }
}

/// The user that a run becomes if it was started as root: the owner of its writable directories. No other user could use the
/// grant. `None` if they have several owners or belong to root, or if the run was not started as root.
///
/// # Errors
/// 125 if a directory does not exist.
pub fn owner_of_writable(grants: &[DirectoryGrant]) -> Result<Option<Identity>, Failure> {
    let mut owners = Vec::new();
    for grant in grants.iter().filter(|grant| grant.access != Access::ReadOnly) {
        let metadata = std::fs::metadata(&grant.host).map_err(|error| grant.missing(&error))?;
        owners.push(Identity { uid: metadata.uid(), gid: metadata.gid() });
    }
    Ok(default_identity(started_as_root(), &owners))
}

fn default_identity(root: bool, owners: &[Identity]) -> Option<Identity> {
    let owner = *owners.first()?;
    let usable = root && owner.uid != 0 && owner.gid != 0 && owners.iter().all(|other| *other == owner);
    usable.then_some(owner)
}

fn started_as_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_becomes_the_one_owner_of_what_it_may_write() {
        let [root, a, b] = [(0, 0), (1, 2), (3, 4)].map(|(uid, gid)| Identity { uid, gid });
        assert_eq!(default_identity(true, &[a, a]), Some(a));
        for owners in [&[][..], &[root], &[a, b], &[a, b, a], &[a, root], &[Identity { uid: 1, gid: 0 }]] {
            assert_eq!(default_identity(true, owners), None, "{owners:?}");
        }
        assert_eq!(default_identity(false, &[a]), None, "an ordinary user cannot become another");
    }
}
