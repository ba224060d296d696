//! `config.json`, as far as a WebAssembly container has use for it, and the properties that are refused.
//!
//! Source: OCI runtime specification, config.md and config-linux.md.

use crate::failure::{cannot, unsupported};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use wave_engine::Failure;
use wave_policy::chain;
use wave_sandbox::{FileCapability, OuterFilter, SeccompProfile};

/// Larger files are refused. podman's have 12 KiB.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// A configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// The version of the specification.
    pub oci_version: String,
    /// The program and its environment.
    pub process: Option<Process>,
    /// The root file system.
    pub root: Option<Root>,
    /// The host name in the container.
    pub hostname: Option<String>,
    /// The NIS domain name in the container.
    pub domainname: Option<String>,
    /// File systems, in the order in which they are mounted.
    pub mounts: Vec<Mount>,
    /// Programs of the host that run at certain moments.
    pub hooks: Hooks,
    /// Texts for the runtime and for others.
    pub annotations: BTreeMap<String, String>,
    /// What Linux alone has.
    pub linux: Linux,
    /// The text that it was read from.
    #[serde(skip)]
    pub text: Vec<u8>,
}

/// `process`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// Whether the container has a terminal of its own.
    pub terminal: bool,
    /// The size of that terminal.
    pub console_size: Option<ConsoleSize>,
    /// Who the program runs as.
    pub user: User,
    /// The module, and the arguments of the program.
    pub args: Vec<String>,
    /// The environment, as `NAME=VALUE`.
    pub env: Vec<String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// Resource limits.
    pub rlimits: Vec<Rlimit>,
    /// Always so for a sealed program.
    pub no_new_privileges: bool,
    /// How likely the kernel is to kill the process when memory runs out.
    pub oom_score_adj: Option<i32>,
    apparmor_profile: String,
    selinux_label: String,
    scheduler: Value,
    io_priority: Value,
    #[serde(rename = "execCPUAffinity")]
    exec_cpu_affinity: Value,
}

/// `process.capabilities`. A program uses at most those of [`FileCapability`]; what else is named, it does not get.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Those that are in effect.
    pub effective: Vec<String>,
}

impl Capabilities {
    /// Those that are named and that no program gets.
    pub fn dropped(&self) -> Vec<&str> {
        let is_kept = |name: &&str| FileCapability::ALL.iter().any(|capability| capability.name() == *name);
        self.effective.iter().map(String::as_str).filter(|name| !is_kept(name)).collect()
    }

    /// Those that a program keeps.
    pub fn kept(&self) -> Vec<FileCapability> {
        let is_named = |capability: &FileCapability| self.effective.iter().any(|name| name == capability.name());
        FileCapability::ALL.into_iter().filter(is_named).collect()
    }
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ConsoleSize {
    /// Lines.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

/// `process.user`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// User in the container.
    pub uid: u32,
    /// Group in the container.
    pub gid: u32,
    /// The file mode creation mask.
    pub umask: Option<u32>,
    /// Supplementary groups.
    pub additional_gids: Vec<u32>,
}

/// A limit of setrlimit(2).
#[derive(Debug, Deserialize)]
pub struct Rlimit {
    /// Its name, such as `RLIMIT_NOFILE`.
    #[serde(rename = "type")]
    pub name: String,
    /// The limit that is enforced.
    pub soft: u64,
    /// The most that `soft` can be raised to.
    pub hard: u64,
}

/// `root`.
#[derive(Debug, Deserialize)]
pub struct Root {
    /// Its path; relative to the bundle.
    pub path: PathBuf,
    /// Whether it is mounted read-only.
    #[serde(default)]
    pub readonly: bool,
}

/// A file system to mount.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// The path in the container.
    pub destination: PathBuf,
    /// The kind of file system.
    #[serde(rename = "type")]
    pub kind: String,
    /// A device, or for a bind mount a path of the host, relative to the bundle.
    pub source: PathBuf,
    /// Options, as of mount(8).
    pub options: Vec<String>,
    uid_mappings: Value,
    gid_mappings: Value,
}

/// Hooks by moment.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// As `create_runtime`; deprecated.
    pub prestart: Vec<Hook>,
    /// In the namespaces of the runtime, once those of the container exist.
    pub create_runtime: Vec<Hook>,
    /// In the namespaces of the container, before its root is the root.
    pub create_container: Vec<Hook>,
    /// In the container, before the program starts.
    pub start_container: Vec<Hook>,
    /// In the namespaces of the runtime, after the program started.
    pub poststart: Vec<Hook>,
    /// In the namespaces of the runtime, after the container is deleted.
    pub poststop: Vec<Hook>,
}

impl Hooks {
    fn all(&self) -> impl Iterator<Item = &Hook> {
        let lists = [
            &self.prestart,
            &self.create_runtime,
            &self.create_container,
            &self.start_container,
            &self.poststart,
            &self.poststop,
        ];
        lists.into_iter().flatten()
    }

    /// Whether the runtime has any to run before the container is created.
    pub fn has_early(&self) -> bool {
        !self.prestart.is_empty() || !self.create_runtime.is_empty()
    }

    fn check(&self) -> Result<(), Failure> {
        for hook in self.all() {
            let refuse =
                |what: &str| Err(Failure::refused(format!("the hook `{}` {what}", hook.path.display())).at("hooks"));
            if !hook.path.is_absolute() {
                return refuse("has a relative path");
            }
            if hook.timeout == Some(0) {
                return refuse("has no time: its timeout is 0");
            }
        }
        Ok(())
    }
}

/// One program to run.
#[derive(Clone, Debug, Deserialize)]
pub struct Hook {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its arguments, its name first.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment.
    #[serde(default)]
    pub env: Vec<String>,
    /// After so many seconds it is killed.
    pub timeout: Option<u64>,
}

/// `linux`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    /// Namespaces to make or to join.
    pub namespaces: Vec<Namespace>,
    /// Users of a new user namespace.
    pub uid_mappings: Vec<IdMapping>,
    /// Groups of a new user namespace.
    pub gid_mappings: Vec<IdMapping>,
    /// Device nodes, besides those of the specification.
    pub devices: Vec<Device>,
    /// Where the cgroup is.
    pub cgroups_path: Option<String>,
    /// What the cgroup limits.
    pub resources: Option<wave_cgroups::Resources>,
    /// Kernel parameters of the container's namespaces.
    pub sysctl: BTreeMap<String, String>,
    /// A system call filter.
    pub seccomp: Option<SeccompProfile>,
    /// How mounts propagate.
    pub rootfs_propagation: Option<String>,
    /// Paths that cannot be read.
    pub masked_paths: Vec<PathBuf>,
    /// Paths that cannot be written to.
    pub readonly_paths: Vec<PathBuf>,
    mount_label: String,
    intel_rdt: Value,
    personality: Option<Personality>,
    time_offsets: BTreeMap<String, Value>,
    net_devices: BTreeMap<String, Value>,
    memory_policy: Value,
}

/// A namespace to make, or with a path to join.
#[derive(Clone, Debug, Deserialize)]
pub struct Namespace {
    /// Its kind, such as `network`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One to join, as a file.
    pub path: Option<PathBuf>,
}

/// A range of ids.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdMapping {
    /// The first id in the container.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// The first id on the host.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many ids.
    pub size: u32,
}

/// A device node.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// `c`, `u`, `b` or `p`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its path in the container.
    pub path: PathBuf,
    /// Major number.
    #[serde(default)]
    pub major: u32,
    /// Minor number.
    #[serde(default)]
    pub minor: u32,
    /// Mode of the file.
    pub file_mode: Option<u32>,
    /// Its owner.
    #[serde(default)]
    pub uid: u32,
    /// Its group.
    #[serde(default)]
    pub gid: u32,
}

#[derive(Debug, Deserialize)]
struct Personality {
    domain: String,
    #[serde(default)]
    flags: Vec<Value>,
}

impl Config {
    /// Reads the configuration of a bundle.
    ///
    /// # Errors
    /// 125 if it cannot be read, is no configuration, or asks for something that no container of ours has.
    pub fn read(bundle: &Path) -> Result<Self, Failure> {
        let path = bundle.join("config.json");
        let place = || path.display().to_string();
        let text = crate::state::read_bounded(&path, MAX_CONFIG_BYTES).map_err(|error| {
            cannot("read the configuration", error).at(place()).fix("name the directory of the bundle by --bundle")
        })?;
        let mut config: Self = serde_json::from_slice(&text)
            .map_err(|error| Failure::refused(format!("invalid configuration: {error}")).at(place()))?;
        config.text = text;
        config.check().map_err(|failure| failure.at(place()))?;
        Ok(config)
    }

    /// The program.
    ///
    /// # Errors
    /// 125 if there is none.
    pub fn process(&self) -> Result<&Process, Failure> {
        self.process.as_ref().ok_or_else(|| missing("process"))
    }

    /// The filter of `linux.seccomp`, under which the process is sealed as well.
    ///
    /// # Errors
    /// 125 for what the filter cannot do, such as asking another program.
    pub fn outer_filter(&self) -> Result<Option<OuterFilter>, Failure> {
        let compiled = self.linux.seccomp.as_ref().map(SeccompProfile::compile).transpose();
        compiled.map_err(|error| Failure::refused(chain(&error)))
    }

    /// The namespace of a kind.
    pub fn namespace(&self, kind: &str) -> Option<&Namespace> {
        self.linux.namespaces.iter().find(|namespace| namespace.kind == kind)
    }

    /// Whether network, ipc and uts namespace are new and nobody puts anything into them: no hook, no address to listen on.
    pub fn is_alone(&self) -> bool {
        let is_new = |kind| self.namespace(kind).is_some_and(|namespace| namespace.path.is_none());
        ["network", "ipc", "uts"].into_iter().all(is_new)
            && self.hooks.all().next().is_none()
            && !self.annotations.keys().any(|key| key.starts_with("dev.wave."))
    }

    /// Whether the container has a namespace of a kind that it does not share with its runtime.
    pub fn has(&self, kind: &str) -> bool {
        self.namespace(kind).is_some()
    }

    fn check(&self) -> Result<(), Failure> {
        let mut version = self.oci_version.split('.');
        if version.next() != Some("1") || version.next().is_none_or(|minor| minor.parse::<u32>().is_err()) {
            return Err(unsupported(&format!("ociVersion {:?}", self.oci_version), "versions 1.x are"));
        }
        self.check_process()?;
        self.check_namespaces()?;
        self.check_linux()?;
        self.outer_filter()?;
        self.hooks.check()?;
        if self.annotations.contains_key("") {
            return Err(Failure::refused("an annotation has no name").at("annotations"));
        }
        let idmapped = |mount: &&Mount| !mount.uid_mappings.is_null() || !mount.gid_mappings.is_null();
        if let Some(mount) = self.mounts.iter().find(idmapped) {
            let name = format!("mounts: uidMappings of {}", mount.destination.display());
            return Err(unsupported(&name, "mounts without mapped ids are"));
        }
        if self.root.is_none() {
            return Err(missing("root"));
        }
        let net = |key: &&String| key.starts_with("net.");
        let ipc = |key: &&String| {
            key.starts_with("kernel.msg")
                || key.starts_with("kernel.shm")
                || key.starts_with("fs.mqueue.")
                || *key == "kernel.sem"
        };
        for key in self.linux.sysctl.keys() {
            let own = (net(&key) && self.has("network")) || (ipc(&key) && self.has("ipc"));
            if !own || key.contains("..") {
                return Err(unsupported(
                    &format!("linux.sysctl {key}"),
                    "keys of the container's own network and ipc namespace are",
                ));
            }
        }
        Ok(())
    }

    fn check_process(&self) -> Result<(), Failure> {
        let process = self.process()?;
        if process.args.is_empty() {
            return Err(missing("process.args"));
        }
        if !process.cwd.is_absolute() {
            return Err(unsupported(&format!("process.cwd {:?}", process.cwd), "absolute paths are"));
        }
        let refused = [
            ("process.apparmorProfile", !process.apparmor_profile.is_empty()),
            ("process.selinuxLabel", !process.selinux_label.is_empty()),
            ("process.scheduler", !process.scheduler.is_null()),
            ("process.ioPriority", !process.io_priority.is_null()),
            ("process.execCPUAffinity", !process.exec_cpu_affinity.is_null()),
        ];
        refuse_present(&refused)
    }

    fn check_namespaces(&self) -> Result<(), Failure> {
        const MADE: [&str; 7] = ["pid", "network", "mount", "ipc", "uts", "cgroup", "user"];
        for (index, namespace) in self.linux.namespaces.iter().enumerate() {
            let kind = &namespace.kind;
            if !MADE.contains(&kind.as_str()) {
                return Err(unsupported(
                    &format!("the namespace {kind:?}"),
                    "pid, network, mount, ipc, uts, cgroup and user are",
                ));
            }
            if self.linux.namespaces.iter().skip(index + 1).any(|other| other.kind == *kind) {
                return Err(Failure::refused(format!("the namespace {kind:?} is there twice")));
            }
            let path = namespace.path.as_ref().filter(|path| !path.as_os_str().is_empty());
            if let Some(path) = path.filter(|path| !path.is_absolute()) {
                let name = format!("the relative path {} of the namespace {kind:?}", path.display());
                return Err(unsupported(&name, "absolute paths are"));
            }
            let joined = path.is_some();
            if joined && matches!(kind.as_str(), "user" | "mount") {
                return Err(unsupported(
                    &format!("the path of the namespace {kind:?}"),
                    "joining pid, network, ipc, uts and cgroup is",
                ));
            }
        }
        if !self.has("mount") {
            return Err(unsupported("a container without a mount namespace of its own", "one with it is"));
        }
        let maps = !self.linux.uid_mappings.is_empty() && !self.linux.gid_mappings.is_empty();
        if self.has("user") && !maps {
            return Err(missing("linux.uidMappings and linux.gidMappings"));
        }
        if self.hostname.is_some() && !self.has("uts") {
            return Err(unsupported("hostname without a uts namespace", "hostname in one is"));
        }
        if self.domainname.is_some() && !self.has("uts") {
            return Err(unsupported("domainname without a uts namespace", "domainname in one is"));
        }
        Ok(())
    }

    fn check_linux(&self) -> Result<(), Failure> {
        let linux = &self.linux;
        let other = linux
            .personality
            .as_ref()
            .is_some_and(|personality| personality.domain != "LINUX" || !personality.flags.is_empty());
        let refused = [
            ("linux.mountLabel", !linux.mount_label.is_empty()),
            ("linux.intelRdt", !linux.intel_rdt.is_null()),
            ("linux.personality", other),
            ("linux.timeOffsets", !linux.time_offsets.is_empty()),
            ("linux.netDevices", !linux.net_devices.is_empty()),
            ("linux.memoryPolicy", !linux.memory_policy.is_null()),
        ];
        refuse_present(&refused)
    }
}

fn refuse_present(properties: &[(&str, bool)]) -> Result<(), Failure> {
    match properties.iter().find(|(_, present)| *present) {
        Some((name, _)) => Err(Failure::refused(format!("`{name}` is not supported")).fix("leave it out")),
        None => Ok(()),
    }
}

fn missing(what: &str) -> Failure {
    Failure::refused(format!("the configuration has no {what}"))
}
