//! Why there is no outcome.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why there is no outcome. A program that fails is no error: its outcome says so.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// `wave` could not be started. Nothing ran.
    Start {
        /// Where it was expected; a name alone is searched for in `PATH`.
        binary: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A value that no flag of `wave` can express. Nothing ran.
    Argument(String),
    /// There is no private directory for the outcome. Nothing ran.
    Scratch {
        /// Where it was to be created.
        parent: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The run could not be waited for, or its output not be read.
    Wait(io::Error),
    /// `wave` ended without an outcome: it does not know a flag, or it was killed.
    NoOutcome {
        /// How it ended.
        status: ExitStatus,
        /// What it printed, if that was collected.
        stderr: Vec<u8>,
    },
    /// The outcome is none that this crate reads, or it does not agree with how `wave` ended.
    Outcome(String),
    /// The run printed more than it may, and was killed.
    TooMuchOutput {
        /// The bytes of one stream that are read.
        limit: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { binary, .. } => write!(f, "cannot start `{}`", binary.display()),
            Self::Argument(what) => f.write_str(what),
            Self::Scratch { parent, .. } => write!(f, "cannot create a directory in `{}`", parent.display()),
            Self::Wait(_) => f.write_str("cannot wait for the run"),
            Self::NoOutcome { status, stderr } => {
                write!(f, "no outcome ({status})")?;
                let printed = String::from_utf8_lossy(stderr);
                if printed.is_empty() { Ok(()) } else { write!(f, ": {}", printed.trim_end()) }
            }
            Self::Outcome(what) => write!(f, "cannot read the outcome: {what}"),
            Self::TooMuchOutput { limit } => write!(f, "the run printed more than {limit} bytes, and was killed"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start { source, .. } | Self::Scratch { source, .. } | Self::Wait(source) => Some(source),
            _ => None,
        }
    }
}
