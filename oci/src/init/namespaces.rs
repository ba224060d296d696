//! Namespaces of the container.

use crate::config::{Config, Namespace};
use crate::state::in_user_namespace;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use std::fs::File;
use wave_engine::Failure;

/// The namespaces that come first, and the flag of each. A cgroup namespace is made later, once the process is in its cgroup, whose place
/// is the root of what it sees.
const EARLY: [(&str, CloneFlags); 5] = [
    ("network", CloneFlags::CLONE_NEWNET),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("mount", CloneFlags::CLONE_NEWNS),
];

fn flag(kind: &str) -> CloneFlags {
    let known = EARLY.iter().find(|(other, _)| *other == kind);
    known.map_or(CloneFlags::CLONE_NEWCGROUP, |(_, flag)| *flag)
}

fn path(namespace: &Namespace) -> Option<&std::path::Path> {
    namespace.path.as_deref().filter(|path| !path.as_os_str().is_empty())
}

/// Which namespaces are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// That of processes, which begins with the next fork.
    Processes,
    /// Those in which the cgroups of the host can be entered.
    Others,
    /// Those that decide which files and cgroups are seen.
    Views,
}

impl Which {
    fn has(self, kind: &str) -> bool {
        let which = match kind {
            "pid" => Self::Processes,
            "mount" | "cgroup" => Self::Views,
            _ => Self::Others,
        };
        which == self
    }
}

/// Whether the runtime has another process make that of the container: in a new user namespace, which this process cannot leave again,
/// and in a given one, where nobody may return to a PID namespace of outside.
pub fn has_maker(config: &Config) -> bool {
    config.has("user") || in_user_namespace()
}

/// Forks a process in the PID namespace of the container. This process and its later children stay in theirs.
///
/// # Errors
/// 125 if the kernel refuses; the process may be there then.
pub fn fork_into<T>(config: &Config, fork: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    if !config.has("pid") {
        return fork();
    }
    join(config, Which::Processes)?;
    make(config, Which::Processes)?;
    let forked = fork();
    let refuse =
        |error: std::io::Error| Failure::refused(format!("cannot return to the own namespace of processes: {error}"));
    // Where this process is: only its children were to be elsewhere. Hooks are processes of the host.
    let own = File::open("/proc/self/ns/pid").map_err(refuse)?;
    setns(own, CloneFlags::CLONE_NEWPID).map_err(|errno| refuse(errno.into()))?;
    forked
}

/// Joins the namespaces that have a path. Before a user namespace is made, because it has no rights over them.
///
/// # Errors
/// 125 if one cannot be joined.
pub fn join(config: &Config, which: Which) -> Result<(), Failure> {
    for namespace in config.linux.namespaces.iter().filter(|namespace| which.has(&namespace.kind)) {
        let Some(path) = path(namespace) else { continue };
        let refuse = |error: std::io::Error| {
            Failure::refused(format!("cannot join the {} namespace `{}`: {error}", namespace.kind, path.display()))
        };
        let file = File::open(path).map_err(refuse)?;
        setns(file, flag(&namespace.kind)).map_err(|errno| refuse(errno.into()))?;
    }
    Ok(())
}

/// Makes a user namespace.
///
/// # Errors
/// 125 if the kernel refuses it.
pub fn make_user() -> Result<(), Failure> {
    unshare(CloneFlags::CLONE_NEWUSER)
        .map_err(|errno| Failure::refused(format!("cannot make a user namespace: {}", errno.desc())))
}

/// Becomes root of the user namespace, once its ids are mapped.
///
/// # Errors
/// 125 if root is not mapped.
pub fn become_root() -> Result<(), Failure> {
    let refuse = |errno: nix::errno::Errno| {
        Failure::refused(format!("cannot become root of the user namespace: {}", errno.desc()))
            .fix("map the ids 0 in linux.uidMappings and linux.gidMappings")
    };
    // Who may map ids only for itself may not change groups.
    setgroups(&[])
        .or_else(|errno| if errno == nix::errno::Errno::EPERM { Ok(()) } else { Err(errno) })
        .map_err(refuse)?;
    let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(group, group, group).map_err(refuse)?;
    setresuid(user, user, user).map_err(refuse)
}

/// Makes the namespaces that have no path.
///
/// # Errors
/// 125 if the kernel refuses one.
pub fn make(config: &Config, which: Which) -> Result<(), Failure> {
    let wanted = |kind| which.has(kind) && config.namespace(kind).is_some_and(|namespace| path(namespace).is_none());
    for (kind, flag) in EARLY.iter().filter(|(kind, _)| wanted(kind)) {
        unshare(*flag)
            .map_err(|errno| Failure::refused(format!("cannot make a {kind} namespace: {}", errno.desc())))?;
    }
    Ok(())
}

/// Makes a cgroup namespace, if the container has one without a path.
///
/// # Errors
/// 125 if the kernel refuses it.
pub fn make_cgroup(config: &Config) -> Result<(), Failure> {
    if config.namespace("cgroup").is_none_or(|namespace| path(namespace).is_some()) {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWCGROUP)
        .map_err(|errno| Failure::refused(format!("cannot make a cgroup namespace: {}", errno.desc())))
}
