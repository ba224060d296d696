//! From what a run used to a policy for that. A run can only narrow what was granted for it.

use super::notes::{DirNote, Notes};
use super::used::{Use, UsedGrant};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use wave_engine::DirectoryGrant;
use wave_policy::file::{Directory, Limits, Values};
use wave_policy::{Access, ConnectTarget, Level, Surface};

/// What was granted for the run.
#[derive(Clone, Debug)]
pub struct Granted {
    pub level: Level,
    pub args: Option<Vec<String>>,
    /// Keys of a policy that have a flag.
    pub settings: Values,
    /// With the path that the policy is to have.
    pub dirs: Vec<(DirectoryGrant, String)>,
    /// Names, and values of those that are not passed on.
    pub env: Vec<(String, Option<String>)>,
    pub listen: Vec<SocketAddr>,
    pub connect: Vec<ConnectTarget>,
    /// `None`: everybody.
    pub accept_from: Option<Vec<String>>,
    pub limits: Limits,
    /// Flags without a place in a policy.
    pub flags: Vec<String>,
}

/// What is known of the module.
#[derive(Clone, Debug)]
pub struct Imports {
    pub name: String,
    pub blake3: String,
    pub surface: Surface,
    /// Linear memory that it starts with.
    pub memory_bytes: u64,
}

/// The policy for a run, without that of the file.
pub struct Narrowed<'a> {
    pub granted: &'a Granted,
    pub used: &'a Use,
    /// Directories with the access they need; `None` for what is left out.
    dirs: Vec<Option<(Access, Option<String>)>>,
    /// Sockets that stay.
    pub listeners: usize,
    /// Whether what a descriptor is depends on its number.
    pub by_number: bool,
}

impl<'a> Narrowed<'a> {
    pub fn new(granted: &'a Granted, used: &'a Use) -> Self {
        let called = |name| used.calls.get(name).is_some_and(|calls| *calls > 0);
        // What is waited for is not known, so it may be each of them.
        let listeners = match used.listeners.iter().rposition(|calls| *calls > 0) {
            _ if called("poll_oneoff") => granted.listen.len(),
            last => last.map_or(0, |last| last + 1),
        };
        let by_number = listeners > 0 || !called("fd_prestat_get");
        let is_used = |grant: &UsedGrant| grant.calls > 0;
        let last = if listeners > 0 {
            granted.dirs.len()
        } else {
            used.grants.iter().rposition(is_used).map_or(0, |last| last + 1)
        };
        let dir = |(index, grant): (usize, &UsedGrant)| {
            let outer = granted.dirs.get(index)?.0.access;
            if is_used(grant) {
                return Some((grant.access().min(outer), None));
            }
            let why = "not used, but what comes after it would get another number";
            (by_number && index < last).then(|| (Access::ReadOnly, Some(why.to_owned())))
        };
        let dirs = used.grants.iter().enumerate().map(dir).collect();
        Self { granted, used, dirs, listeners, by_number }.without_overlaps()
    }

    /// A directory may not have less access than one it lies in (T28). What it gets is no more than the outer one has, which was no
    /// more than what was granted for both.
    fn without_overlaps(mut self) -> Self {
        let places: Vec<Option<PathBuf>> =
            self.granted.dirs.iter().map(|(grant, _)| std::fs::canonicalize(&grant.host).ok()).collect();
        let mut widest: BTreeMap<&PathBuf, Access> = BTreeMap::new();
        for (place, dir) in places.iter().zip(&self.dirs) {
            if let (Some(place), Some((access, _))) = (place, dir) {
                let entry = widest.entry(place).or_insert(*access);
                *entry = (*entry).max(*access);
            }
        }
        for ((place, dir), (grant, _)) in places.iter().zip(&mut self.dirs).zip(&self.granted.dirs) {
            let (Some(place), Some((access, kept))) = (place, dir) else { continue };
            let around = place.ancestors().filter_map(|around| widest.get(&around.to_path_buf()));
            let needed = around.copied().fold(*access, Access::max);
            if needed > *access {
                *kept = Some(format!("{access} would do, but it lies in a directory that is {needed}"));
                *access = needed.min(grant.access);
            }
        }
        self
    }

    pub fn directories(&self) -> Vec<Directory> {
        let dirs = self.dirs.iter().zip(&self.granted.dirs);
        dirs.filter_map(|(dir, (grant, host))| {
            let (access, _) = dir.as_ref()?;
            Some(Directory { host: host.clone(), guest: grant.guest.clone(), access: *access })
        })
        .collect()
    }

    /// The connections that were granted, and whether any was made under the grant.
    pub fn connections(&self) -> impl Iterator<Item = (&ConnectTarget, bool)> {
        self.granted.connect.iter().zip(self.used.connections.iter().map(|connections| *connections > 0))
    }

    pub fn reads_environment(&self) -> bool {
        ["environ_get", "environ_sizes_get"].iter().any(|name| self.used.calls.contains_key(name))
    }

    pub fn notes(&self, imports: &Imports, ending: Option<String>, wall: Duration) -> Notes {
        let mut notes = Notes {
            name: imports.name.clone(),
            runs: 1,
            ending,
            denied: self.used.denied,
            flags: self.granted.flags.iter().cloned().collect(),
            ..Notes::default()
        };
        for function in imports.surface.functions() {
            let calls = self.used.calls.get(function.name).copied().unwrap_or(0);
            notes.calls.extend((calls > 0).then(|| (function.name.to_owned(), calls)));
        }
        for ((dir, used), (grant, host)) in self.dirs.iter().zip(&self.used.grants).zip(&self.granted.dirs) {
            match dir {
                Some((_, kept)) => {
                    let UsedGrant { calls, appends, changes, .. } = *used;
                    let note =
                        DirNote { calls, appends, changes, kept: kept.clone(), paths: used.paths.clone(), more: 0 };
                    notes.dirs.insert(grant.guest.clone(), note);
                }
                None => drop(notes.unused.insert(unused_directory(host, &grant.guest))),
            }
        }
        if !self.reads_environment() {
            notes.unused.extend(self.granted.env.iter().map(|(name, _)| unused_variable(name)));
        }
        notes.unused.extend(self.granted.listen.iter().skip(self.listeners).map(unused_socket));
        notes
            .unused
            .extend(self.connections().filter(|(_, is_used)| !is_used).map(|(grant, _)| unused_connection(grant)));
        if self.used.more > 0 {
            // It is not known to which directory these paths belong.
            notes.dirs.values_mut().for_each(|dir| dir.more = self.used.more);
        }
        let memory = self.used.memory_bytes.max(imports.memory_bytes);
        notes.most = [
            ("max-memory", memory),
            ("max-open-files", self.used.open_files),
            ("timeout", u64::try_from(wall.as_millis()).unwrap_or(u64::MAX).max(1)),
            ("max-writes", self.used.written_bytes),
            ("max-entries", self.used.entries),
            ("max-output", self.used.output_bytes),
        ]
        .into_iter()
        .filter(|(_, most)| *most > 0)
        .collect();
        notes
    }
}

pub fn unused_directory(host: &str, guest: &str) -> String {
    format!("directory {host} as {guest}")
}

pub fn unused_variable(name: &str) -> String {
    format!("variable {name}")
}

pub fn unused_connection(grant: &ConnectTarget) -> String {
    format!("--connect {grant}")
}

pub fn unused_socket(address: &SocketAddr) -> String {
    format!("socket {address}")
}
