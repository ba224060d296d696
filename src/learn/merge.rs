//! The policy of the file, together with what a run used. Nothing of the file gets narrower; everything that makes it wider is
//! listed.

use super::area::Stage;
use super::narrow::{Granted, Imports, Narrowed, unused_connection, unused_directory, unused_socket, unused_variable};
use super::notes::{MEASURED, Measured, Notes, line};
use super::used::{Use, UsedGrant};
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;
use wave_engine::Failure;
use wave_policy::file::{Limits, PolicyFile, Profile, Values};
use wave_policy::limits::{Kind, LIMITS, Limit};

/// The policy of the file.
#[derive(Clone, Debug)]
pub struct Before {
    pub file: PolicyFile,
    pub notes: Notes,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Learned {
    pub values: Values,
    pub profile: Option<Profile>,
    pub notes: Notes,
    /// What is wider than before.
    pub wider: Vec<String>,
}

/// The policy for what a run used, and for what the file allows already.
///
/// # Errors
/// If the program finds directories or sockets by number, and the file has them in another order.
pub fn merge(
    granted: &Granted,
    used: &Use,
    imports: &Imports,
    before: Option<&Before>,
    ending: Option<String>,
    wall: Duration,
) -> Result<Learned, Failure> {
    let run = Narrowed::new(granted, used);
    let mut notes = before.map_or_else(Notes::default, |before| before.notes.clone());
    let run_notes = run.notes(imports, ending, wall);
    let mut learned = Learned {
        values: before.map_or_else(Values::default, |before| before.file.values.clone()),
        profile: before.and_then(|before| before.file.profile),
        notes: Notes::default(),
        wider: Vec::new(),
    };
    let resolved = match before {
        Some(before) => before.file.resolved().map_err(|problem| Failure::refused(problem.to_string()))?,
        None => Values::default(),
    };
    learned.add_settings(granted, imports, before.is_some(), &resolved);
    learned.add_directories(&run)?;
    learned.add_environment(&run);
    learned.add_sockets(&run, before.is_some())?;
    learned.add_connections(&run);
    learned.add_limits(&granted.limits, &run_notes.most, before.is_some());
    notes.add(run_notes);
    learned.forget_used(&mut notes);
    learned.notes = notes;
    if before.is_none() {
        learned.wider.clear();
    }
    Ok(learned)
}

impl Learned {
    fn widen(&mut self, what: String) {
        self.wider.push(line(&what));
    }

    fn add_settings(&mut self, granted: &Granted, imports: &Imports, known: bool, resolved: &Values) {
        self.values.blake3 = Some(imports.blake3.clone());
        if !known {
            self.values.sandbox = Some(granted.level);
            self.values.args = granted.args.clone();
            self.values = granted.settings.clone().over(std::mem::take(&mut self.values));
        }
        let allowed = resolved.functions.clone();
        let mut functions = allowed.clone().unwrap_or_default();
        for function in imports.surface.functions() {
            if !functions.iter().any(|name| name == function.name) {
                functions.push(function.name.to_owned());
                // Without a list, everything was allowed.
                if allowed.is_some() {
                    self.widen(format!("wasi.functions: {}", function.name));
                }
            }
        }
        functions.sort();
        self.values.functions = Some(functions);
    }

    fn add_directories(&mut self, run: &Narrowed<'_>) -> Result<(), Failure> {
        let mut places = Vec::new();
        for wanted in run.directories() {
            let used = run.granted.dirs.iter().position(|(grant, _)| grant.guest == wanted.guest);
            let used = used.and_then(|index| run.used.grants.get(index)).cloned().unwrap_or_default();
            match self.values.fs.iter().position(|known| known.guest == wanted.guest) {
                Some(index) => {
                    places.push(index);
                    let Some(known) = self.values.fs.get_mut(index) else { continue };
                    let (was, is) = (known.access, known.access.max(wanted.access));
                    known.access = is;
                    if was != is {
                        let UsedGrant { appends, changes, .. } = used;
                        self.widen(format!("fs[{index}] {was} -> {is} ({} changes)", appends.saturating_add(changes)));
                    }
                }
                None => {
                    let index = self.values.fs.len();
                    places.push(index);
                    self.widen(format!("fs[{index}] {} as {}: {}", wanted.host, wanted.guest, wanted.access));
                    self.values.fs.push(wanted);
                }
            }
        }
        let in_order = places.iter().enumerate().all(|(expected, place)| expected == *place);
        let same_number = run.listeners == 0 || places.len() == self.values.fs.len();
        if run.by_number && !(in_order && same_number) {
            let what =
                "the program finds what it is given by its number, and the policy has other directories before it";
            return Err(Failure::refused(what)
                .fix("write this run to a file of its own, or grant the same directories in the same order"));
        }
        Ok(())
    }

    fn add_environment(&mut self, run: &Narrowed<'_>) {
        if !run.reads_environment() {
            return;
        }
        // Sets, because a policy can name a hundred thousand.
        let mut passed: HashSet<String> = self.values.env_pass.iter().flatten().cloned().collect();
        for (name, value) in &run.granted.env {
            let set = self.values.env_set.get_or_insert_default();
            let pass = self.values.env_pass.get_or_insert_default();
            match value {
                Some(value) => {
                    passed.remove(name);
                    if set.insert(name.clone(), value.clone()).as_ref() != Some(value) {
                        self.widen(format!("env.set.{name}"));
                    }
                }
                None if passed.contains(name) => {}
                None => {
                    set.remove(name);
                    pass.push(name.clone());
                    passed.insert(name.clone());
                    self.widen(format!("env.pass: {name}"));
                }
            }
        }
        self.values.env_pass.iter_mut().for_each(|pass| pass.retain(|name| passed.contains(name)));
        self.values.env_set.take_if(|set| set.is_empty());
        self.values.env_pass.take_if(|pass| pass.is_empty());
    }

    fn add_sockets(&mut self, run: &Narrowed<'_>, known: bool) -> Result<(), Failure> {
        let wanted: Vec<SocketAddr> = run.granted.listen.iter().take(run.listeners).copied().collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let listen = self.values.listen.clone().unwrap_or_default();
        if !listen.iter().zip(&wanted).all(|(known, wanted)| known == wanted) {
            let what = "the program finds its sockets by their number, and the policy has other addresses";
            return Err(Failure::refused(what)
                .at("net.listen")
                .fix("write this run to a file of its own, or listen on the same addresses"));
        }
        let more: Vec<_> = wanted.iter().skip(listen.len()).copied().collect();
        more.iter().for_each(|address| self.widen(format!("net.listen: {address}")));
        let first = listen.is_empty();
        self.values.listen = Some(listen.into_iter().chain(more).collect());
        // Without a list, everybody may connect.
        match (&mut self.values.accept_from, &run.granted.accept_from) {
            (accepted, granted) if !known || first => accepted.clone_from(granted),
            (Some(networks), Some(granted)) => {
                let known: HashSet<_> = networks.iter().collect();
                let new: Vec<_> = granted.iter().filter(|new| !known.contains(new)).cloned().collect();
                networks.extend(new.iter().cloned());
                new.iter().for_each(|network| self.widen(format!("net.accept_from: {network}")));
            }
            (accepted @ Some(_), None) => {
                *accepted = None;
                self.widen("net.accept_from: everybody".to_owned());
            }
            (None, _) => {}
        }
        Ok(())
    }

    fn add_connections(&mut self, run: &Narrowed<'_>) {
        let used = run.connections().filter(|(_, is_used)| *is_used).map(|(grant, _)| grant);
        for grant in used {
            let connect = self.values.connect.get_or_insert_default();
            if !connect.iter().any(|known| known.covers(grant)) {
                connect.push(grant.clone());
                self.widen(format!("net.connect: {grant}"));
            }
        }
    }

    fn add_limits(&mut self, granted: &Limits, most: &BTreeMap<&'static str, u64>, known: bool) {
        let most = |name: &str| most.get(name).copied().unwrap_or(0);
        // What was measured is said first.
        let place = |limit: &Limit| MEASURED.iter().position(|measured| measured.name == limit.name);
        let mut limits: Vec<_> = LIMITS.iter().collect();
        limits.sort_by_key(|limit| place(limit).unwrap_or(MEASURED.len()));
        for limit in limits {
            let now = limit.get(&self.values.limits);
            let outer = limit.get(granted);
            let new = match (Measured::of(limit.name), now) {
                (Some(measured), None) if !known && measured.is_set => {
                    let used = most(limit.name);
                    let twice = if used > 0 { Some(double(used, measured.step)) } else { measured.least };
                    let twice = twice.map(|twice| u128::from(twice) * measured.scale);
                    twice.map(|twice| outer.map_or(twice, |outer| outer.min(twice))).or(outer)
                }
                (_, None) if !known => outer,
                (Some(measured), Some(now)) => Some(self.raised(measured, now, outer, most(limit.name))),
                // How much was used is not known: what was granted for the run must be granted by the policy.
                (None, Some(now)) if outer.is_none_or(|outer| outer > now) => {
                    self.widen(format!("limits.{}: this run had more, or no limit", limit.name));
                    outer
                }
                (_, now) => now,
            };
            limit.set(&mut self.values.limits, new);
        }
    }

    /// A limit, raised if this run used more.
    fn raised(&mut self, measured: Measured, now: u128, outer: Option<u128>, used: u64) -> u128 {
        let Measured { name, scale, step, .. } = measured;
        let limit = now / scale;
        // How long a run took is the other process's to say. Of all else, more than there was cannot have been used.
        let outer = outer.filter(|_| name != "timeout").map_or(u128::MAX, |outer| outer / scale);
        let needed = u128::from(used).min(outer);
        if needed <= limit {
            return now;
        }
        let raised = u128::from(double(used, step)).min(outer).max(needed);
        let unit = if scale == 1 { "" } else { " (ms)" };
        self.wider.push(format!("limits.{name}{unit} {limit} -> {raised} ({needed} used)"));
        raised * scale
    }

    /// What one run did not use, another one may have.
    fn forget_used(&self, notes: &mut Notes) {
        for directory in &self.values.fs {
            notes.unused.remove(&unused_directory(&directory.host, &directory.guest));
        }
        let set = self.values.env_set.iter().flat_map(|set| set.keys());
        for name in self.values.env_pass.iter().flatten().chain(set) {
            notes.unused.remove(&unused_variable(name));
        }
        for address in self.values.listen.iter().flatten() {
            notes.unused.remove(&unused_socket(address));
        }
        for grant in self.values.connect.iter().flatten() {
            notes.unused.remove(&unused_connection(grant));
        }
    }
}

/// How a run ended, for the head of the file; `None` for one that ended well.
pub fn ending(stage: Stage, code: u8) -> Option<String> {
    match stage {
        Stage::Done if code == 0 => None,
        Stage::Refused | Stage::Done => Some(format!("with exit code {code}")),
        Stage::Running => Some("by a signal from outside, in the middle".to_owned()),
        Stage::Raised => Some("by a signal that the program raised on itself".to_owned()),
        Stage::Trap => Some("by a trap".to_owned()),
        Stage::Deadline => Some("at its time limit".to_owned()),
        Stage::OutOfFuel => Some("when its fuel was used up".to_owned()),
    }
}

/// Suggested values of limits that the policy does not have.
pub fn suggestion(limits: &Limits, name: &str, most: u64) -> Option<String> {
    let limit = LIMITS.iter().find(|limit| limit.name == name)?;
    let measured = Measured::of(name).filter(|measured| !measured.is_set && limit.get(limits).is_none())?;
    let twice = double(most, measured.step);
    Some(match limit.kind {
        Kind::Time => format!("\"{}s\"", twice / 1000),
        Kind::Size => format!("\"{}K\"", twice / 1024),
        Kind::Count | Kind::Units => twice.to_string(),
    })
}

/// Twice as much, in whole units.
fn double(most: u64, unit: u64) -> u64 {
    most.saturating_mul(2).div_ceil(unit).max(1).saturating_mul(unit)
}

#[cfg(test)]
mod tests;
