//! The derived part: system calls with their conditions, Landlock rights.

use super::{Diff, Effect, Side};
use crate::Resolver;
use crate::file::Derived;
use std::collections::BTreeSet;

pub(super) fn compare(diff: &mut Diff<'_>) {
    let (old, new) = match (&diff.old.os, &diff.new.os) {
        (None, None) => return,
        (Some(old), Some(new)) => (old, new),
        // Without it, a run has the calls that follow from its module, and nothing reports when these become more.
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
        if let Some(is) = is.as_ref().filter(|is| !was.as_ref().is_some_and(|was| was.permits(is))) {
            add(Effect::Widens, is.gained_over(was.as_ref()));
        }
        if let Some(was) = was.as_ref().filter(|was| !is.as_ref().is_some_and(|is| is.permits(was))) {
            add(Effect::Narrows, was.lost_to(is.as_ref()));
        }
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

    /// Rights that the other has not.
    fn more_than(&self, other: Option<&Self>) -> String {
        let has = |right: &&&str| other.is_some_and(|other| other.parts.contains(**right));
        let more: Vec<_> = self.parts.iter().filter(|right| !has(right)).copied().collect();
        more.join(", ")
    }

    fn gained_over(&self, old: Option<&Self>) -> String {
        match old {
            _ if self.is_rights => format!("the kernel grants {}", self.more_than(old)),
            Some(old) => format!("the kernel permits {}, was: {}", self.text, old.text),
            None => format!("the kernel permits {}", self.text),
        }
    }

    fn lost_to(&self, new: Option<&Self>) -> String {
        match new {
            _ if self.is_rights => format!("the kernel no longer grants {}", self.more_than(new)),
            Some(new) => format!("the kernel no longer permits {}, but: {}", self.text, new.text),
            None => format!("the kernel no longer permits {}", self.text),
        }
    }
}
