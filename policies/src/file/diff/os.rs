//! The derived part: system calls with their conditions, Landlock rights.

use super::{Diff, Effect, Side};
use crate::Resolver;
use crate::file::Derived;
use std::collections::BTreeSet;

pub(super) fn compare(diff: &mut Diff<'_>) {
    let (old, new) = match (&diff.old.os, &diff.new.os) {
        (None, None) => return,
        (Some(old), Some(new)) => (old, new),
        // Without it a run has whatever calls its module leads to, and nobody is told when they become more.
        (Some(_), None) => {
            let text = "any system call that follows from the module is permitted, unchecked".to_owned();
            return diff.add(Effect::Widens, "os", "", Side::new("listed", "os"), Side::unsaid("unchecked"), text);
        }
        (None, Some(_)) => {
            let text = "only the system calls that are listed are permitted".to_owned();
            return diff.add(Effect::Narrows, "os", "", Side::unsaid("unchecked"), Side::new("listed", "os"), text);
        }
    };
    if old.resolver != new.resolver {
        let [was, is] = [old, new].map(|os| Side::new(word(os.resolver), "os.resolver"));
        let text = format!("paths are resolved by {}, was {}", is.value(), was.value());
        diff.add(Effect::Neutral, "os.resolver", "", was, is, text);
    }
    rows(diff, old, new);
}

const fn word(resolver: Resolver) -> &'static str {
    match resolver {
        Resolver::Kernel => "the kernel",
        Resolver::Manual => "wave",
    }
}

fn rows(diff: &mut Diff<'_>, old: &Derived, new: &Derived) {
    let ids: BTreeSet<_> = old.rows.keys().chain(new.rows.keys()).collect();
    for id in ids {
        let [was, is] = [old, new].map(|os| os.rows.get(id).map(|text| Row::new(id, text)).filter(Row::is_something));
        let side = |row: &Option<Row<'_>>| row.as_ref().map_or_else(Side::default, |row| Side::new(row.text, id));
        let [old, new] = [side(&was), side(&is)];
        let mut add = |effect, text: String| diff.add(effect, "os", id, old.clone(), new.clone(), text);
        if is.as_ref().is_some_and(|is| !was.as_ref().is_some_and(|was| was.permits(is))) {
            let row = is.as_ref().map_or("", |row| row.text);
            add(Effect::Widens, format!("{}: {row}", words(id, true)));
        }
        if was.as_ref().is_some_and(|was| !is.as_ref().is_some_and(|is| is.permits(was))) {
            let row = was.as_ref().map_or("", |row| row.text);
            add(Effect::Narrows, format!("{}: {row}", words(id, false)));
        }
    }
}

fn words(id: &str, permitted: bool) -> &'static str {
    match (id.starts_with("os.landlock."), permitted) {
        (true, true) => "the kernel grants rights",
        (true, false) => "the kernel no longer grants rights",
        (false, true) => "the kernel permits the call",
        (false, false) => "the kernel no longer permits the call",
    }
}

/// A rule as it is written: a call with the conditions that must all hold, or rights of which each is one more.
struct Row<'v> {
    text: &'v str,
    call: &'v str,
    parts: BTreeSet<&'v str>,
    is_rights: bool,
}

impl<'v> Row<'v> {
    fn new(id: &str, text: &'v str) -> Self {
        if id.starts_with("os.landlock.") {
            return Self { text, call: "", parts: text.split_whitespace().collect(), is_rights: true };
        }
        let (call, conditions) = text.split_once(" where ").unwrap_or((text, ""));
        let parts = conditions.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        Self { text, call, parts, is_rights: false }
    }

    /// Whether it is more than a list of no rights.
    fn is_something(&self) -> bool {
        !self.is_rights || !self.parts.is_empty()
    }

    /// Whether it permits all that the other does. Conditions are compared as they are written.
    fn permits(&self, other: &Self) -> bool {
        let (more, fewer) = if self.is_rights { (self, other) } else { (other, self) };
        self.call == other.call && fewer.parts.is_subset(&more.parts)
    }
}
