//! What the command has on Linux alone: containers, control groups, levels of Landlock.

pub mod bound;
pub mod doctor;
pub mod oci;

use crate::args::Run;
use std::ffi::OsString;
use wave_engine::{Failure, Plan};

/// What the reader of a report on system calls has to know of this platform: nothing.
pub const NOTE: Option<&str> = None;

/// The words that were typed: all of them.
pub const fn typed(words: Vec<OsString>) -> Vec<OsString> {
    words
}

/// The process of a run seals itself, and needs nothing before.
///
/// # Errors
/// None.
#[allow(clippy::unnecessary_wraps, reason = "on macOS it can fail")]
pub const fn enter(_: &Plan, _: &Run) -> Result<(), Failure> {
    Ok(())
}
