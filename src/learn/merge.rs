//! The policy of the file, together with what a run used. Nothing of the file gets narrower; everything that makes it wider is
//! listed.

use super::area::Stage;
use super::narrow::{Granted, Imports, Narrowed, unused_directory, unused_socket, unused_variable};
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
        Kind::Count => twice.to_string(),
    })
}

/// Twice as much, in whole units.
fn double(most: u64, unit: u64) -> u64 {
    most.saturating_mul(2).div_ceil(unit).max(1).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::used::Counts;
    use wave_engine::DirectoryGrant;
    use wave_policy::{Access, Level, Surface};

    fn granted() -> Granted {
        let dir = |host: &str, access| {
            let grant = DirectoryGrant { host: host.into(), guest: host.to_owned(), access, place: String::new() };
            (grant, host.to_owned())
        };
        Granted {
            level: Level::Strict,
            args: None,
            settings: Values::default(),
            dirs: vec![dir("/usr", Access::ReadOnly), dir("/etc", Access::Append)],
            env: vec![("A".to_owned(), None)],
            listen: vec![([127, 0, 0, 1], 80).into()],
            accept_from: Some(vec!["10.0.0.0/8".to_owned()]),
            limits: Limits { max_memory: Some(1 << 20), max_open_files: Some(9), ..Limits::default() },
            flags: Vec::new(),
        }
    }

    fn forged() -> Use {
        let counts = Counts { lookups: u64::MAX, reads: u64::MAX, changes: u64::MAX };
        let paths = [("/etc/shadow".to_owned(), counts), ("..".to_owned(), counts)].into();
        let grant = UsedGrant { calls: u64::MAX, appends: u64::MAX, changes: u64::MAX, paths };
        Use {
            stage: Some(Stage::Done),
            calls: wave_policy::all_functions().iter().map(|function| (function.name, u64::MAX)).collect(),
            grants: vec![grant.clone(), grant],
            listeners: vec![u64::MAX],
            more: u64::MAX,
            memory_bytes: u64::MAX,
            open_files: u64::MAX,
            written_bytes: u64::MAX,
            entries: u64::MAX,
            output_bytes: u64::MAX,
            denied: u64::MAX,
        }
    }

    fn imports() -> Imports {
        let surface = Surface::of_functions(["path_open"]);
        Imports { name: "m".to_owned(), blake3: "0".repeat(64), surface, memory_bytes: 65_536 }
    }

    #[test]
    fn t75_a_forged_record_cannot_widen_what_was_granted() {
        let learned = merge(&granted(), &forged(), &imports(), None, None, Duration::from_secs(1)).unwrap();
        let access: Vec<_> = learned.values.fs.iter().map(|dir| (&*dir.host, dir.access)).collect();
        assert_eq!(access, [("/usr", Access::ReadOnly), ("/etc", Access::Append)]);
        assert_eq!(learned.values.functions, Some(vec!["path_open".to_owned()]));
        assert_eq!(learned.values.listen, Some(granted().listen));
        assert_eq!(learned.values.accept_from, granted().accept_from);
        assert_eq!(learned.values.env_pass, Some(vec!["A".to_owned()]));
        assert_eq!(learned.values.limits, granted().limits);
    }

    #[test]
    fn t101_what_a_later_run_adds_is_said_and_counted() {
        let mut before = granted();
        before.dirs[1].0.access = Access::ReadOnly;
        let used = |calls, changes| {
            let grant = |changes| UsedGrant { calls: 1, changes, ..UsedGrant::default() };
            let functions = [("path_open", calls), ("fd_prestat_get", 1), ("environ_get", 1)];
            Use {
                calls: functions.into(),
                grants: vec![grant(0), grant(changes)],
                memory_bytes: 0,
                open_files: 5,
                ..forged()
            }
        };
        let merge = |granted: &Granted, used: &Use, before: Option<&Before>| {
            super::merge(granted, used, &imports(), before, None, Duration::from_millis(7)).unwrap()
        };
        let first = merge(&before, &used(2, 1), None);
        assert_eq!(first.wider, [""; 0]);
        let text = crate::learn::file::text(&first).unwrap();
        let comments = wave_policy::file::comments(&text);
        let read = Before { file: PolicyFile::parse(&text).unwrap(), notes: Notes::read(&comments).unwrap() };
        assert_eq!((&read.file.values, &read.notes), (&first.values, &first.notes));

        assert_eq!(merge(&before, &used(2, 1), Some(&read)).wider, [""; 0]);
        let more = Granted {
            listen: vec![granted().listen[0], ([127, 0, 0, 1], 81).into()],
            env: vec![("A".to_owned(), None), ("B".to_owned(), Some("b".to_owned()))],
            accept_from: None,
            ..granted()
        };
        let more_used = Use { listeners: vec![1, 1], ..used(3, 4) };
        let second = merge(&more, &more_used, Some(&read));
        let wider =
            ["fs[1] ro -> append (4 changes)", "env.set.B", "net.listen: 127.0.0.1:81", "net.accept_from: everybody"];
        assert_eq!(second.wider, wider);
        assert_eq!((second.notes.runs, second.notes.calls["path_open"]), (2, 5));
        // What is there stays: nothing gets narrower by a run that does less.
        assert_eq!(
            merge(&before, &used(1, 0), Some(&Before { file: read.file.clone(), notes: read.notes.clone() })).values,
            read.file.values
        );
        // A forged record adds no more than the run had.
        let forged = merge(&granted(), &forged(), Some(&read)).values;
        assert_eq!((forged.limits, forged.fs[1].access), (granted().limits, Access::Append));
        // Limits that somebody lowered.
        let mut low = read.clone();
        low.file.values.limits = Limits {
            timeout: Some(Duration::from_millis(5)),
            max_open_files: Some(4),
            max_stack: Some(1 << 20),
            max_writes: None,
            ..low.file.values.limits
        };
        let wider = merge(&before, &used(1, 0), Some(&low)).wider;
        let expected = [
            "limits.max-open-files 4 -> 9 (5 used)",
            "limits.timeout (ms) 5 -> 1000 (7 used)",
            "limits.max-stack: this run had more, or no limit",
        ];
        assert_eq!(wider, expected);
    }
}
