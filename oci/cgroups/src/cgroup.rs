//! The cgroup of one container: creation, limits, membership, removal.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::layout::{Hierarchy, Layout, Version};
use crate::path::CgroupPath;
use crate::resources::{DeviceRule, Resources};
use crate::settings::{self, Setting};
use crate::{control, devices, files};

/// Controllers of cgroup v2 that every cgroup gets if they are there, so that statistics are too.
const USUAL: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// How often a removal is tried again while processes leave: about two seconds in all.
const REMOVALS: u32 = 11;

/// The cgroup of one container, in every hierarchy. It is plain data, which the caller saves in its state and reads again: dropping it
/// removes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    pub(crate) directories: Vec<Directory>,
    devices: Vec<DeviceRule>,
}

/// The cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    pub(crate) version: Version,
    /// Of v1.
    controllers: Vec<String>,
}

impl Directory {
    fn has(&self, controller: &str) -> Result<bool, Error> {
        match self.version {
            Version::V1 => Ok(self.controllers.iter().any(|name| name == controller)),
            Version::V2 if controller.is_empty() => Ok(true),
            Version::V2 => {
                let names = files::read_if_present(&self.path.join("cgroup.controllers"))?.unwrap_or_default();
                Ok(names.split(' ').any(|name| name == controller))
            }
        }
    }
}

impl Cgroup {
    /// No cgroup: for a container that nothing limits, of a user who may not create one.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether there is no cgroup.
    pub fn is_none(&self) -> bool {
        self.directories.is_empty()
    }

    /// The cgroup that [`create`](Self::create) makes. Nothing is made.
    ///
    /// # Errors
    /// [`Error`] if the path cannot be used.
    pub fn planned(layout: &Layout, path: &CgroupPath) -> Result<Self, Error> {
        let directory = |hierarchy: &Hierarchy| {
            let (version, controllers) = (hierarchy.version, hierarchy.controllers.clone());
            Ok(Directory { path: hierarchy.directory(path)?, version, controllers })
        };
        let directories = layout.hierarchies.iter().map(directory).collect::<Result<_, _>>()?;
        Ok(Self { directories, devices: Vec::new() })
    }

    /// Creates the cgroup in every hierarchy, with the parents that are missing, and limits it. No process is in it afterwards.
    ///
    /// A property whose controller is absent is an error, unless its value is the kernel's default, as callers of runc send it.
    ///
    /// # Errors
    /// [`Error`] names the property or the directory. Directories that were new are removed again.
    ///
    /// Source: OCI runtime-spec, `config-linux.md`, "Control groups".
    pub fn create(layout: &Layout, path: &CgroupPath, resources: &Resources) -> Result<Self, Error> {
        if let Some(unit) = path.unit.as_ref().filter(|_| layout.systemd_runs()) {
            return Err(Error::Systemd(unit.clone()));
        }
        let mut new = New(Vec::new());
        let mut cgroup = Self { directories: Vec::new(), devices: resources.devices.clone() };
        for hierarchy in &layout.hierarchies {
            cgroup.directories.push(create_in(hierarchy, path, &mut new)?);
        }
        cgroup.check_fresh(&new)?;
        cgroup.apply(resources)?;
        cgroup.apply_devices()?;
        new.0.clear();
        Ok(cgroup)
    }

    /// Moves a process into the cgroup, with all of its threads.
    ///
    /// # Errors
    /// [`Error::Io`] names the file that could not be written: the process may be in some hierarchies already.
    pub fn join(&self, pid: u32) -> Result<(), Error> {
        self.directories
            .iter()
            .try_for_each(|directory| files::write(&directory.path.join("cgroup.procs"), &pid.to_string()))
    }

    /// Moves this process into the cgroup, if it has a single thread. Processes that it forks begin there.
    ///
    /// On v1 this is the fast way: the kernel moves another process, or several threads, only after a grace period of RCU, which can take
    /// ten milliseconds.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    ///
    /// Source: `cgroup_procs_write_start` in `kernel/cgroup/cgroup.c`.
    pub fn enter(&self) -> Result<(), Error> {
        self.directories.iter().try_for_each(|directory| {
            let file = match directory.version {
                Version::V1 => "tasks",
                Version::V2 => "cgroup.procs",
            };
            files::append(&directory.path.join(file), "0")
        })
    }

    /// Changes the limits that `resources` names, and leaves the others.
    ///
    /// Callers send the rules about devices again with each update; they cannot be changed.
    ///
    /// # Errors
    /// As [`Self::create`]. Properties that come before the one that failed have changed.
    pub fn update(&self, resources: &Resources) -> Result<(), Error> {
        if !resources.devices.is_empty() && resources.devices != self.devices {
            let why = "the rules of a container cannot be changed after it was created";
            return Err(Error::Unsupported { property: "devices".to_owned(), why });
        }
        self.apply(resources)
    }

    /// The processes in the cgroup and its children, each once.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read. A cgroup that is gone has none.
    pub fn pids(&self) -> Result<Vec<u32>, Error> {
        let mut found = Vec::new();
        for directory in &self.directories {
            found.extend(pids_under(&directory.path)?);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Removes the cgroup and its children. Does nothing if that has happened. Parents stay, others may use them.
    ///
    /// # Errors
    /// [`Error::Late`] if processes are in it for two more seconds, [`Error::Io`] if the kernel refuses otherwise.
    pub fn delete(&self) -> Result<(), Error> {
        self.directories.iter().try_for_each(|directory| delete_tree(&directory.path))
    }

    /// Removes the cgroup if no process and no child is in it, and answers whether it is gone: the kernel decides it without a list.
    pub fn delete_if_empty(&self) -> bool {
        let stays = |directory: &&Directory| remove(&directory.path).is_err();
        self.directories.iter().filter(stays).count() == 0
    }

    /// The directories of version 1, by the names of their controllers.
    pub fn hierarchies(&self) -> impl Iterator<Item = (String, &Path)> {
        let old = self.directories.iter().filter(|directory| directory.version == Version::V1);
        old.map(|directory| (directory.controllers.join(","), directory.path.as_path()))
    }

    /// The directories, for messages and for the runtime's state. The first one is of the first hierarchy in `/proc/self/cgroup`.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(|directory| directory.path.as_path())
    }

    /// The directory with this controller, of this version if one is given. Empty for a file that each cgroup v2 has.
    pub(crate) fn directory(&self, controller: &str, version: Option<Version>) -> Result<Option<&Directory>, Error> {
        for directory in
            self.directories.iter().filter(|directory| version.is_none_or(|version| directory.version == version))
        {
            if directory.has(controller)? {
                return Ok(Some(directory));
            }
        }
        Ok(None)
    }

    /// The directory of cgroup v2.
    pub(crate) fn unified(&self) -> Option<&Directory> {
        self.directories.iter().find(|directory| directory.version == Version::V2)
    }

    /// Nobody else is in the cgroup. What is new is empty.
    fn check_fresh(&self, new: &New) -> Result<(), Error> {
        let old: Vec<_> = self.directories.iter().filter(|directory| !new.0.contains(&directory.path)).collect();
        if old.is_empty() {
            return Ok(());
        }
        for directory in old {
            let processes = pids_under(&directory.path)?.len();
            if processes > 0 {
                return Err(Error::Occupied { path: directory.path.clone(), processes });
            }
        }
        match control::is_frozen(self)? {
            true => Err(Error::Frozen(self.directories[0].path.clone())),
            false => Ok(()),
        }
    }

    fn apply(&self, resources: &Resources) -> Result<(), Error> {
        let resources = self.completed(resources)?;
        let settings = settings::of(&resources, |controller| self.version_of(controller))?;
        let mut again = Vec::new();
        for setting in &settings {
            match self.write(setting) {
                // The kernel compares limits with each other, as memory with memory and swap: this one may follow the next.
                Err(error) if matches!(error.errno(), Some(Errno::INVAL | Errno::BUSY)) => again.push(setting),
                written => written?,
            }
        }
        again.into_iter().try_for_each(|setting| self.write(setting).map_err(|error| self.with_usage(error)))
    }

    /// Where a controller is; v2 if it is nowhere, unless there is v1 alone.
    fn version_of(&self, controller: &str) -> Version {
        let of_v1 = |directory: &Directory| directory.controllers.iter().any(|name| name == controller);
        match self.unified() {
            Some(_) if !self.directories.iter().any(of_v1) => Version::V2,
            _ => Version::V1,
        }
    }

    /// On v2, one file holds what two properties say: the one that is not given stays as it is.
    fn completed(&self, resources: &Resources) -> Result<Resources, Error> {
        let mut resources = resources.clone();
        if let Some(memory) = resources.memory.as_mut().filter(|_| self.version_of("memory") == Version::V2) {
            if memory.swap.is_some_and(|swap| swap != 0) && memory.limit.is_none_or(|limit| limit == 0) {
                memory.limit = self.current("memory.max")?.first().map(|limit| limit.unwrap_or(-1));
            }
            if memory.check_before_update == Some(true) {
                self.check_usage(memory.limit)?;
            }
        }
        if let Some(cpu) = resources.cpu.as_mut().filter(|_| self.version_of("cpu") == Version::V2) {
            let (quota, period) = (cpu.quota.unwrap_or(0) != 0, cpu.period.unwrap_or(0) != 0);
            match self.current("cpu.max")?[..] {
                [current, _] if period && !quota => cpu.quota = Some(current.unwrap_or(-1)),
                [_, Some(current)] if quota && !period => cpu.period = u64::try_from(current).ok(),
                _ => {}
            }
        }
        Ok(resources)
    }

    /// The numbers in a file of cgroup v2; `None` is `max`.
    fn current(&self, file: &str) -> Result<Vec<Option<i64>>, Error> {
        let Some(directory) = self.unified() else { return Ok(Vec::new()) };
        let text = files::read_if_present(&directory.path.join(file))?.unwrap_or_default();
        Ok(text.split_whitespace().map(|number| number.parse().ok()).collect())
    }

    fn check_usage(&self, limit: Option<i64>) -> Result<(), Error> {
        match (limit.and_then(|limit| u64::try_from(limit).ok()), self.stats()?.memory_bytes) {
            (Some(limit_bytes @ 1..), Some(usage_bytes)) if usage_bytes > limit_bytes => {
                Err(Error::BelowUsage { limit_bytes, usage_bytes })
            }
            _ => Ok(()),
        }
    }

    /// cgroup v1 refuses a limit below the use as busy. Says so.
    fn with_usage(&self, error: Error) -> Error {
        match &error {
            Error::Refused { property, value, .. }
                if property == "memory.limit" && error.errno() == Some(Errno::BUSY) =>
            {
                match self.check_usage(value.parse().ok()) {
                    Err(more) => more,
                    Ok(()) => error,
                }
            }
            _ => error,
        }
    }

    fn write(&self, setting: &Setting) -> Result<(), Error> {
        let property = || setting.property.clone();
        let Some(directory) = self.enabled(&setting.controller, setting.version)? else {
            return match setting.is_default {
                true => Ok(()),
                false => Err(Error::Controller { property: property(), controller: setting.controller.clone() }),
            };
        };
        for (file, value) in &setting.writes {
            match files::write(&directory.path.join(file), value) {
                Err(error) if files::is_absent(&error) => {}
                Err(Error::Io { path, source, .. }) => {
                    return Err(Error::Refused { property: property(), value: value.clone(), file: path, source });
                }
                written => return written,
            }
        }
        match setting.is_default || is_no_swap(setting) {
            true => Ok(()),
            false => Err(Error::NoFile { property: property(), file: setting.writes[0].0.clone() }),
        }
    }

    /// The directory of a controller. One of v2 is enabled, if the parent lets it be.
    fn enabled(&self, controller: &str, version: Version) -> Result<Option<&Directory>, Error> {
        if let Some(found) = self.directory(controller, Some(version))? {
            return Ok(Some(found));
        }
        if let Some(parent) =
            self.unified().filter(|_| version == Version::V2).and_then(|directory| directory.path.parent())
        {
            enable(parent, controller);
        }
        self.directory(controller, Some(version))
    }

    fn apply_devices(&self) -> Result<(), Error> {
        match self.directory("devices", Some(Version::V1))? {
            Some(directory) => devices::apply_v1(&directory.path, &self.devices),
            None => devices::check_uncontrolled(&self.devices),
        }
    }
}

/// A kernel without swap has no file for its limit, and to allow none is what it does.
fn is_no_swap(setting: &Setting) -> bool {
    setting.writes.iter().any(|(file, value)| file == "memory.swap.max" && value == "0")
}

/// Directories that are removed again unless the list is emptied.
struct New(Vec<PathBuf>);

impl New {
    fn create(&mut self, path: &Path) -> Result<(), Error> {
        if files::create(path)? {
            self.0.push(path.to_owned());
        }
        Ok(())
    }

    /// Creates those under `mount` that are missing, most often the last alone.
    fn create_with_parents(&mut self, path: &Path, mount: &Path) -> Result<(), Error> {
        match (self.create(path), path.parent()) {
            (Err(error), Some(parent)) if files::is_absent(&error) && path != mount => {
                self.create_with_parents(parent, mount)?;
                self.create(path)
            }
            (created, _) => created,
        }
    }
}

impl Drop for New {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // There is an error to report already, and a parent may have got other children meanwhile.
            let _kept = fs::remove_dir(path);
        }
    }
}

fn create_in(hierarchy: &Hierarchy, path: &CgroupPath, new: &mut New) -> Result<Directory, Error> {
    let leaf = hierarchy.directory(path)?;
    match hierarchy.version {
        Version::V1 => new.create_with_parents(&leaf, &hierarchy.mount)?,
        Version::V2 => {
            enable_usual(&hierarchy.mount);
            let above: Vec<&Path> = leaf.ancestors().take_while(|path| *path != hierarchy.mount).collect();
            for path in above.into_iter().rev() {
                new.create(path)?;
                if path != leaf {
                    enable_usual(path);
                }
            }
        }
    }
    if hierarchy.controllers.iter().any(|name| name == "cpuset") {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            inherit_cpuset(&leaf, &hierarchy.mount, file)?;
        }
    }
    Ok(Directory { path: leaf, version: hierarchy.version, controllers: hierarchy.controllers.clone() })
}

/// A cpuset of v1 begins empty, and takes no process until it has CPUs and memory nodes. Returns those that it has.
fn inherit_cpuset(path: &Path, mount: &Path, file: &str) -> Result<String, Error> {
    let own = files::read_if_present(&path.join(file))?;
    match path.parent().filter(|_| path != mount && own.as_deref() == Some("")) {
        Some(parent) => {
            let inherited = inherit_cpuset(parent, mount, file)?;
            files::write(&path.join(file), &inherited)?;
            Ok(inherited)
        }
        None => Ok(own.unwrap_or_default()),
    }
}

fn enable_usual(parent: &Path) {
    let offered = files::read(&parent.join("cgroup.controllers")).unwrap_or_default();
    let is_offered = |controller: &&&str| offered.split(' ').any(|name| name == **controller);
    USUAL.iter().filter(is_offered).for_each(|controller| enable(parent, controller));
}

/// Lets the children of a v2 cgroup be limited by a controller. If that fails, the property that needs it is the error.
fn enable(parent: &Path, controller: &str) {
    let lists =
        |file| files::read(&parent.join(file)).is_ok_and(|names| names.split(' ').any(|name| name == controller));
    if lists("cgroup.controllers") && !lists("cgroup.subtree_control") {
        let _refused = files::write(&parent.join("cgroup.subtree_control"), &format!("+{controller}"));
    }
}

/// The processes in a directory and those under it.
fn pids_under(path: &Path) -> Result<Vec<u32>, Error> {
    let mut found = Vec::new();
    for directory in files::tree(path)? {
        let text = files::read_if_present(&directory.join("cgroup.procs"))?.unwrap_or_default();
        found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    }
    Ok(found)
}

fn delete_tree(path: &Path) -> Result<(), Error> {
    // Most have no children.
    if remove(path).is_ok() {
        return Ok(());
    }
    for attempt in 0..REMOVALS {
        match files::tree(path)?.iter().rev().try_for_each(|directory| remove(directory)) {
            Err(error) if error.errno() == Some(Errno::BUSY) => sleep(Duration::from_millis(1 << attempt)),
            removed => return removed,
        }
    }
    Err(Error::Late { path: path.to_owned(), what: "leave it" })
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir(path).map_err(Error::io("remove", path)) {
        Err(error) if files::is_absent(&error) => Ok(()),
        removed => removed,
    }
}
