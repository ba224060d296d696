//! The policy file: what a program may do, written down to be reviewed like code.
//!
//! TOML with a closed schema. Every value has an id such as `fs[0]` or `net.listen[1]`, used in all messages. Nothing is
//! allowed that the file, or the built-in profile it extends, does not name.
//!
//! ```
//! use wave_policy::file::PolicyFile;
//!
//! let file = PolicyFile::parse("version = 1\n[[fs]]\nhost = \"data\"\naccess = \"ro\"\n").unwrap();
//! assert_eq!(file.values.fs[0].guest, "data");
//! let problem = PolicyFile::parse("version = 1\nsandbx = \"off\"\n").unwrap_err();
//! assert_eq!(problem.to_string(), "2:1: unknown key `sandbx`");
//! assert_eq!(problem.fix, "write `sandbox`");
//! ```

mod diff;
mod edit;
mod format;
mod keys;
mod os;
mod problem;
mod read;
mod schema;
mod write;

pub use diff::{Change, Effect, Side, diff};
pub use edit::Edit;
pub use format::{comments, format};
pub use keys::{KEYS, Key, Values};
pub use os::Derived;
pub use problem::{Problem, Problems, nearest};
pub use schema::{MOST_NUMBER, json_schema};

use crate::Access;
pub use crate::limits::Limits;
use std::collections::BTreeMap;
use std::ops::Range;

/// Maximum number of problems that are described.
const DESCRIBED_PROBLEMS: usize = 100;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    /// Its values, without those of its profile.
    pub values: Values,
    /// The profile it extends.
    pub profile: Option<Profile>,
    source: String,
    /// The position of each id.
    spans: BTreeMap<String, Range<usize>>,
    /// Where each line starts.
    lines: Vec<usize>,
}

/// A directory that is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Where it is on the host, as it is written.
    pub host: String,
    /// What the program calls it.
    pub guest: String,
    /// What may be done there.
    pub access: Access,
}

/// A built-in profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Streams, clocks and random numbers.
    Compute,
    /// Also files.
    Cli,
    /// Also sockets.
    Server,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Compute, Self::Cli, Self::Server];

    /// Its name in `extends`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Cli => "cli",
            Self::Server => "server",
        }
    }

    /// Its file, with the reason of each row.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Compute => include_str!("../../profiles/compute.toml"),
            Self::Cli => include_str!("../../profiles/cli.toml"),
            Self::Server => include_str!("../../profiles/server.toml"),
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

impl PolicyFile {
    /// Reads a file.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(source: &str) -> Result<Self, Problem> {
        read::read(source, 1).map_err(|problems| match problems.first.into_iter().next() {
            Some(first) => first,
            None => Problem::new(source, &(0..0), "", "it cannot be read".to_owned(), String::new()),
        })
    }

    /// Reads a file. If it is refused, lists its problems.
    ///
    /// # Errors
    /// The first hundred problems, and how many more there are.
    pub fn parse_all(source: &str) -> Result<Self, Problems> {
        read::read(source, DESCRIBED_PROBLEMS)
    }

    /// The values of the file, and those of the profile it extends for the keys that the file does not set.
    ///
    /// # Errors
    /// If the profile cannot be read, which a test rules out.
    pub fn resolved(&self) -> Result<Values, Problem> {
        let Some(profile) = self.profile else { return Ok(self.values.clone()) };
        let base = Self::parse(profile.source())?.values;
        Ok(self.values.clone().over(base))
    }

    /// The line of an id. `None` if the file does not set it.
    pub fn line(&self, id: &str) -> Option<usize> {
        let span = self.spans.get(id)?;
        Some(self.lines.partition_point(|start| *start <= span.start))
    }

    /// A problem with one of its values that only its user can see.
    pub fn problem(&self, id: &str, what: impl Into<String>, fix: impl Into<String>) -> Problem {
        let nowhere = 0..0;
        Problem::new(&self.source, self.spans.get(id).unwrap_or(&nowhere), id, what.into(), fix.into())
    }
}

#[cfg(test)]
mod tests;
