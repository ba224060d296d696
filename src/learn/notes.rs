//! The comments of a learned policy: what was counted, and what a later run adds to. Whoever reads the file sees them; a file with
//! other comments is not this command's to write.

use super::used::Counts;
use crate::text::escape_json;
use std::collections::{BTreeMap, BTreeSet};
use wave_policy::clean;

/// Paths that are listed of a directory.
const LISTED_PATHS: usize = 100;

/// The content of the comments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Name of the module.
    pub name: String,
    /// Runs that were observed.
    pub runs: u64,
    /// How the last one ended, if not well.
    pub ending: Option<String>,
    /// Calls that were denied.
    pub denied: u64,
    /// Flags without a place in a policy.
    pub flags: BTreeSet<String>,
    /// What was granted and not used.
    pub unused: BTreeSet<String>,
    /// Calls by function.
    pub calls: BTreeMap<String, u64>,
    /// By the name that the program has for a directory.
    pub dirs: BTreeMap<String, DirNote>,
    /// The most of anything that has a limit, by its name, in bytes, pieces or milliseconds.
    pub most: BTreeMap<&'static str, u64>,
}

/// The comments on a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirNote {
    pub calls: u64,
    pub appends: u64,
    pub changes: u64,
    /// Why it is there, or has more access than it needs.
    pub kept: Option<String>,
    pub paths: BTreeMap<String, Counts>,
    /// Paths that are not listed.
    pub more: u64,
}

/// A limit whose use is noted.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Its name.
    pub name: &'static str,
    /// What is counted.
    pub unit: &'static str,
    /// How many units of the limit's own one of these is.
    pub scale: u128,
    /// A limit that is learned is a multiple of this.
    pub step: u64,
    /// Whether the policy has the limit, or only suggests it.
    pub is_set: bool,
    /// The limit of a run that used nothing, if it is to have one.
    pub least: Option<u64>,
}

impl Measured {
    const fn new(name: &'static str, unit: &'static str, step: u64) -> Self {
        Self { name, unit, scale: 1, step, is_set: false, least: None }
    }

    /// The one of this name.
    pub fn of(name: &str) -> Option<Self> {
        MEASURED.into_iter().find(|measured| measured.name == name)
    }
}

/// Limits whose use is noted. Of the others it is not known how much a run used.
pub const MEASURED: [Measured; 6] = [
    Measured { is_set: true, ..Measured::new("max-memory", "bytes", 1 << 20) },
    Measured { is_set: true, least: Some(64), ..Measured::new("max-open-files", "descriptors", 64) },
    Measured {
        scale: 1_000_000,
        ..Measured::new("timeout", "ms, compiling included: another machine may be slower", 1000)
    },
    Measured::new("max-writes", "bytes", 4096),
    Measured::new("max-entries", "names", 16),
    Measured::new("max-output", "bytes", 4096),
];

const HEAD: &str = "# What ";
const LEARNED: &str = " may do: what it used under `wave learn`, and nothing else. Runs: ";
const ENDING: &str = "# The last run ended ";
const DENIED: &str = "# Calls that were denied, because this was not granted either: ";
const FLAG: &str = "# Needed on the command line, too: ";
const UNUSED: &str = "# Granted, not used, left out: ";
const KEPT: &str = "#   kept: ";
const MORE: &str = "#   paths that are not listed: ";
const BENEATH: &str = "#   all of it lies beneath ";
const MOST: &str = "# at most: ";
/// Before `[env]`.
pub const ENV: &str = "# A program reads its environment as a whole: which of it this one needs is not known.";
/// Before `[os]`.
pub const OS: &str = "# What follows from the above: `wave policy check` compares it with the module.";

impl Notes {
    /// The lines before everything else.
    pub fn head(&self) -> String {
        let mut text = format!("{HEAD}{}{LEARNED}{}\n", quote(&self.name), self.runs);
        if let Some(ending) = &self.ending {
            text += &format!("{ENDING}{ending}.\n");
        }
        if self.denied > 0 {
            text += &format!("{DENIED}{}\n", self.denied);
        }
        text.extend(self.flags.iter().map(|flag| format!("{FLAG}{}\n", quote(flag))));
        text.extend(self.unused.iter().map(|unused| format!("{UNUSED}{}\n", quote(unused))));
        text
    }

    /// The lines before a directory.
    pub fn dir(&self, guest: &str) -> String {
        let Some(dir) = self.dirs.get(guest) else { return String::new() };
        let mut text = format!("# {}: {}\n", quote(guest), dir.sum());
        if let Some(kept) = &dir.kept {
            text += &format!("{KEPT}{kept}\n");
        }
        for (path, counts) in dir.paths.iter().take(LISTED_PATHS) {
            text += &format!("#   {}: {}\n", quote(path), counts_in_words(*counts));
        }
        let more = dir.more.saturating_add(dir.paths.len().saturating_sub(LISTED_PATHS) as u64);
        if more > 0 {
            text += &format!("{MORE}{more} or more\n");
        } else if let Some(beneath) = dir.beneath() {
            text += &format!("{BENEATH}{}: a narrower `host` may do, with a `guest` to match\n", quote(&beneath));
        }
        text
    }

    /// What stands behind a row, by its id.
    pub fn row(&self, id: &str, value: Option<&str>) -> Option<String> {
        if let Some(limit) = id.strip_prefix("limits.") {
            let Measured { name, unit, .. } = Measured::of(limit)?;
            return Some(format!("at most: {} {unit}", self.most.get(name)?));
        }
        match self.calls.get(value?) {
            None => Some("never called".to_owned()),
            Some(1) => Some("1 call".to_owned()),
            Some(calls) => Some(format!("{calls} calls")),
        }
    }

    /// Limits that are suggested, with values to start from.
    pub fn suggestions(&self, value: impl Fn(&str, u64) -> Option<String>) -> String {
        let unset = MEASURED.into_iter().filter_map(|Measured { name, unit, .. }| {
            let most = *self.most.get(name)?;
            Some(format!("# {name} = {} {MOST}{most} {unit}\n", value(name, most)?))
        });
        unset.collect()
    }

    /// Reads the comments of a file: each with what stands before it in its line. An error is one that it does not know.
    pub fn read<'s>(comments: &[(&'s str, &'s str)]) -> Result<Self, &'s str> {
        let mut notes = Self::default();
        let mut dir: Option<String> = None;
        for (before, comment) in comments {
            notes.read_one(before, comment, &mut dir).ok_or(*comment)?;
        }
        Ok(notes)
    }

    fn read_one(&mut self, before: &str, comment: &str, dir: &mut Option<String>) -> Option<()> {
        if !before.is_empty() {
            return self.read_row(before, comment);
        }
        if let Some((name, rest)) = comment.strip_prefix(HEAD).and_then(unquote) {
            self.name = name;
            self.runs = rest.strip_prefix(LEARNED)?.parse().ok()?;
        } else if let Some(ending) = comment.strip_prefix(ENDING) {
            self.ending = Some(ending.trim_end_matches('.').to_owned());
        } else if let Some(denied) = comment.strip_prefix(DENIED) {
            self.denied = denied.parse().ok()?;
        } else if let Some((flag, "")) = comment.strip_prefix(FLAG).and_then(unquote) {
            self.flags.insert(flag);
        } else if let Some((unused, "")) = comment.strip_prefix(UNUSED).and_then(unquote) {
            self.unused.insert(unused);
        } else if let Some(kept) = comment.strip_prefix(KEPT) {
            self.dirs.get_mut(dir.as_deref()?)?.kept = Some(kept.to_owned());
        } else if let Some(more) = comment.strip_prefix(MORE) {
            self.dirs.get_mut(dir.as_deref()?)?.more = more.strip_suffix(" or more")?.parse().ok()?;
        } else if let Some((path, counts)) = comment.strip_prefix("#   ").and_then(unquote) {
            let note = self.dirs.get_mut(dir.as_deref()?)?;
            note.paths.insert(path, counts_of(counts.strip_prefix(": ")?)?);
        } else if let Some((guest, sum)) = comment.strip_prefix("# ").and_then(unquote) {
            self.dirs.insert(guest.clone(), DirNote::of(sum.strip_prefix(": ")?)?);
            *dir = Some(guest);
        } else if let Some((limit, most)) = comment.strip_prefix("# ").and_then(|rest| rest.split_once(MOST)) {
            self.read_most(limit.split(' ').next()?, most)?;
        } else if !(comment == ENV || comment == OS || comment.starts_with(BENEATH)) {
            return None;
        }
        Some(())
    }

    /// A comment behind a row.
    fn read_row(&mut self, before: &str, comment: &str) -> Option<()> {
        if let Some(most) = comment.strip_prefix(MOST) {
            return self.read_most(before.split(' ').next()?, most);
        }
        let (function, _) = before.get(before.find('"')?..).and_then(unquote)?;
        let calls = match comment {
            "# never called" => return Some(()),
            comment => comment.strip_prefix("# ")?.split_once(" call")?.0.parse().ok()?,
        };
        self.calls.insert(function, calls);
        Some(())
    }

    fn read_most(&mut self, limit: &str, most: &str) -> Option<()> {
        let Measured { name, .. } = Measured::of(limit)?;
        self.most.insert(name, most.split(' ').next()?.parse().ok()?);
        Some(())
    }

    /// Adds what another run has counted.
    pub fn add(&mut self, run: Self) {
        self.name = run.name;
        self.runs = self.runs.saturating_add(run.runs);
        self.ending = run.ending;
        self.denied = self.denied.saturating_add(run.denied);
        self.flags.extend(run.flags);
        self.unused.extend(run.unused);
        for (function, calls) in run.calls {
            let sum = self.calls.entry(function).or_default();
            *sum = sum.saturating_add(calls);
        }
        for (guest, note) in run.dirs {
            self.dirs.entry(guest).or_default().add(note);
        }
        for (name, most) in run.most {
            let known = self.most.entry(name).or_default();
            *known = most.max(*known);
        }
    }
}

impl DirNote {
    fn sum(&self) -> String {
        let Self { calls, appends, changes, .. } = self;
        format!("{calls} calls, {appends} that append or create, {changes} that change")
    }

    fn of(sum: &str) -> Option<Self> {
        let (calls, rest) = sum.split_once(" calls, ")?;
        let (appends, rest) = rest.split_once(" that append or create, ")?;
        let changes = rest.strip_suffix(" that change")?;
        let [calls, appends, changes] = [calls, appends, changes].map(|number| number.parse().ok());
        Some(Self { calls: calls?, appends: appends?, changes: changes?, ..Self::default() })
    }

    fn add(&mut self, run: Self) {
        self.calls = self.calls.saturating_add(run.calls);
        self.appends = self.appends.saturating_add(run.appends);
        self.changes = self.changes.saturating_add(run.changes);
        self.kept = if self.calls == 0 || run.kept.is_some() { run.kept } else { self.kept.take() };
        self.more = self.more.max(run.more);
        for (path, counts) in run.paths {
            let sum = self.paths.entry(path).or_default();
            *sum = sum.plus(counts);
        }
    }

    /// The deepest directory inside the granted one that contains all paths.
    fn beneath(&self) -> Option<String> {
        let mut dirs = self.paths.keys().map(|path| path.rsplit_once('/').map(|(dir, _)| dir));
        let first = dirs.next()??;
        let is_plain = |dir: &str| dir.split('/').all(|name| name != "..");
        (is_plain(first) && dirs.all(|dir| dir == Some(first))).then(|| first.to_owned())
    }
}

fn counts_in_words(counts: Counts) -> String {
    let words = [("lookups", counts.lookups), ("reads", counts.reads), ("changes", counts.changes)];
    let words: Vec<_> =
        words.iter().filter(|(_, count)| *count > 0).map(|(word, count)| format!("{word} {count}")).collect();
    words.join(", ")
}

fn counts_of(words: &str) -> Option<Counts> {
    let mut counts = Counts::default();
    for (word, count) in words.split(", ").filter_map(|part| part.split_once(' ')) {
        let place = match word {
            "lookups" => &mut counts.lookups,
            "reads" => &mut counts.reads,
            "changes" => &mut counts.changes,
            _ => return None,
        };
        *place = count.parse().ok()?;
    }
    Some(counts)
}

/// Text in quotes, in one line, with nothing in it that could steer a terminal.
fn quote(text: &str) -> String {
    escape_json(&serde_json::Value::from(text).to_string()).into_owned()
}

/// The text that starts with a quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = values.next()?.ok()?;
    let rest = text.get(values.byte_offset()..)?;
    Some((value, rest))
}

/// A note fit for a comment: one line, and harmless.
pub fn line(text: &str) -> String {
    clean(text).into_owned()
}

#[cfg(test)]
mod tests;
