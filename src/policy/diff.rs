//! `wave policy diff`: what became possible, and what no longer is.

use crate::args::{Format, Widening};
use crate::text::{clean, json, out};
use serde::Serialize;
use std::path::Path;
use wave_engine::Failure;
use wave_engine::policy::PolicyDocument;
use wave_policy::file::{Change, Effect, PolicyFile, Side, diff};

/// Exit code when something became possible and that was to fail.
const WIDENED: u8 = 1;

/// Compares two policies; the result is the exit code.
///
/// # Errors
/// 125 when one of them cannot be read.
pub fn compare(old: &Path, new: &Path, fail_on: Option<Widening>, format: Format) -> Result<u8, Failure> {
    let [old, new] = [Compared::read(old)?, Compared::read(new)?];
    let changes = diff(&old.policy.values, &new.policy.values);
    let has_widened = changes.iter().any(|change| change.effect == Effect::Widens);
    let report = Report::new(&changes, &old, &new);
    out(&match format {
        Format::Text => report.in_words(&old, &new),
        Format::Json => json(&report)?,
    });
    Ok(if has_widened && fail_on.is_some() { WIDENED } else { 0 })
}

/// A policy, and where its values stand.
struct Compared {
    name: String,
    policy: PolicyDocument,
    /// The profile it extends, with its own lines.
    profile: Option<PolicyFile>,
}

impl Compared {
    fn read(path: &Path) -> Result<Self, Failure> {
        // So that a version of a repository can be compared without a file: `git show HEAD:app.toml | wave policy diff - app.toml`.
        let name = path.display().to_string();
        let policy = PolicyDocument::read(path)?;
        let profile = policy.file.profile.and_then(|profile| PolicyFile::parse(profile.source()).ok());
        Ok(Self { name, policy, profile })
    }

    fn place<'a>(&'a self, side: &'a Side) -> Location<'a> {
        let id = side.id.as_deref();
        let line = id.and_then(|id| self.policy.file.line(id));
        let in_profile = line.is_none() && id.is_some();
        let profile = self.policy.file.profile.filter(|_| in_profile).map(|profile| profile.name());
        let line = line.or_else(|| self.profile.as_ref()?.line(id?));
        Location { value: side.value.as_deref(), id, line, profile }
    }
}

/// How it was, or how it is.
#[derive(Serialize)]
struct Location<'a> {
    value: Option<&'a str>,
    id: Option<&'a str>,
    line: Option<usize>,
    /// The profile in which the line is, if it is not in the policy itself.
    profile: Option<&'a str>,
}

impl Location<'_> {
    /// `fs[1], app.toml:12`
    fn in_words(&self, name: &str) -> Option<String> {
        let id = self.id?;
        Some(match (self.profile, self.line) {
            (Some(profile), _) => format!("{id}, profile {profile} of {name}"),
            (None, Some(line)) => format!("{id}, {name}:{line}"),
            (None, None) => format!("{id}, {name}"),
        })
    }
}

#[derive(Serialize)]
struct Report<'a> {
    old: &'a str,
    new: &'a str,
    widens: usize,
    narrows: usize,
    neutral: usize,
    changes: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    effect: Effect,
    key: &'a str,
    subject: &'a str,
    text: &'a str,
    old: Location<'a>,
    new: Location<'a>,
}

impl<'a> Report<'a> {
    fn new(changes: &'a [Change], old: &'a Compared, new: &'a Compared) -> Self {
        let count = |effect| changes.iter().filter(|change| change.effect == effect).count();
        let row = |change: &'a Change| Row {
            effect: change.effect,
            key: &change.key,
            subject: &change.subject,
            text: &change.text,
            old: old.place(&change.old),
            new: new.place(&change.new),
        };
        Self {
            old: &old.name,
            new: &new.name,
            widens: count(Effect::Widens),
            narrows: count(Effect::Narrows),
            neutral: count(Effect::Neutral),
            changes: changes.iter().map(row).collect(),
        }
    }

    /// One line for each change and one that counts them; nothing where there is none.
    fn in_words(&self, old: &Compared, new: &Compared) -> String {
        let mut text = String::new();
        for Row { effect, text: change, old: was, new: is, .. } in &self.changes {
            let places: Vec<_> = [was.in_words(&old.name), is.in_words(&new.name)].into_iter().flatten().collect();
            let places = if places.is_empty() { String::new() } else { format!(" ({})", places.join("; ")) };
            text += &format!("{} {}{}\n", effect.mark(), clean(change), clean(&places));
        }
        if !self.changes.is_empty() {
            let Self { widens, narrows, neutral, .. } = self;
            text += &format!("{widens} wider, {narrows} narrower, {neutral} neither\n");
        }
        text
    }
}
