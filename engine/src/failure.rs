//! Failure messages of `wave` and their exit codes.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use wave_policy::clean;

/// Maximum characters of one part of a message. A part may quote a module or a path, which can have any length.
const PART_CHARS: usize = 4096;

/// A message in three parts (what failed, where, and how to fix it), with an exit code.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    code: u8,
    what: String,
    place: Option<String>,
    excerpt: Vec<String>,
    fix: Option<String>,
    /// The flag that raises the limit. Not sent between processes, because the compiler process must not choose it.
    #[serde(skip)]
    limit: Option<&'static str>,
}

impl Failure {
    /// The command line is invalid: 2.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(2, what)
    }

    /// `wave` failed before the guest ran: 125.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(125, what)
    }

    /// The file is not a module that can run: 126.
    pub fn not_runnable(what: impl Into<String>) -> Self {
        Self::new(126, what)
    }

    /// The module does not exist: 127.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(127, what)
    }

    /// The memory limit is exceeded: 137.
    pub fn memory_limit(what: impl Into<String>) -> Self {
        Self::new(137, what)
    }

    fn new(code: u8, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), place: None, excerpt: Vec::new(), fix: None, limit: None }
    }

    /// Adds where it failed.
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// Adds the source line with a caret under it.
    pub fn showing(mut self, excerpt: Vec<String>) -> Self {
        self.excerpt = excerpt;
        self
    }

    /// Adds how to fix it.
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Adds the fix to raise a limit, given by the name of its flag.
    pub fn raise(mut self, limit: &'static str) -> Self {
        self.limit = Some(limit);
        self.fix(format!("raise --{limit}"))
    }

    /// If the limit is set in a policy, the fix names that line instead of the flag. `line` finds it by id.
    pub fn limited_by<'p>(self, line: impl Fn(&str) -> Option<&'p str>) -> Self {
        let limit = self.limit.and_then(|limit| Some((limit, line(&format!("limits.{limit}"))?)));
        match limit {
            Some((limit, line)) => self.fix(format!("raise `{limit}` in {line}")),
            None => self,
        }
    }

    /// What failed.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Where it failed.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// How to fix it.
    pub fn advice(&self) -> Option<&str> {
        self.fix.as_deref()
    }

    /// The limit that was reached, by the name of its flag.
    pub const fn limit(&self) -> Option<&'static str> {
        self.limit
    }

    /// The exit code.
    pub const fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parts may quote the module, whose text must not control the terminal (T75).
        writeln!(f, "wave: {}", part(&self.what))?;
        if let Some(place) = &self.place {
            writeln!(f, "  where: {}", part(place))?;
        }
        for line in &self.excerpt {
            writeln!(f, "  {}", part(line))?;
        }
        if let Some(fix) = &self.fix {
            writeln!(f, "  fix:   {}", part(fix))?;
        }
        Ok(())
    }
}

/// A part of a message, escaped and truncated.
fn part(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(PART_CHARS) {
        Some((end, _)) => Cow::Owned(clean(text.get(..end).unwrap_or_default()).into_owned() + "…"),
        None => clean(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t75_no_part_of_a_message_is_longer_than_a_person_reads() {
        let long = "é".repeat(1_000_000);
        let failure = Failure::refused(&*long).at(&*long).showing(vec![long.clone()]).fix(&*long);
        let text = failure.to_string();
        assert_eq!(text.chars().filter(|c| *c == 'é').count(), 4 * PART_CHARS);
        assert_eq!(text.matches('…').count(), 4);
        assert_eq!(Failure::refused("what").at("place").to_string(), "wave: what\n  where: place\n");
    }
}
