//! Words for failures.

use std::fmt::Display;
use std::path::Path;
use wave_engine::Failure;

/// The failure for a property that cannot be applied.
pub fn unsupported(what: &str, but: &str) -> Failure {
    Failure::refused(format!("{what} is not supported")).fix(format!("change it: {but}"))
}

/// The failure of an operation.
pub fn cannot(operation: &str, error: impl Display) -> Failure {
    Failure::refused(format!("cannot {operation}: {error}"))
}

/// The failure of an operation on a path.
pub fn cannot_at(verb: &str, path: &Path, error: impl Display) -> Failure {
    cannot(&format!("{verb} `{}`", path.display()), error)
}
