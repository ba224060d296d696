//! What the command does on macOS. None of it has run on a Mac.

pub mod bound;
pub mod doctor;
pub mod oci;

use crate::args::Run;
use crate::seatbelt::Launch;
use crate::text::chain;
use std::ffi::OsString;
use wave_engine::{Failure, Level, Plan};
use wave_sandbox::SealError;
use wave_sandbox::seatbelt::Startup;

/// What the reader of a report on system calls has to know of this platform.
pub const NOTE: Option<&str> = Some(
    "wave: note: this is about Linux: macOS has neither a filter of system calls nor Landlock, and a profile in their place, which no Mac \
     has tried: docs/macos.md\n",
);

/// The words that were typed, without the mark of a run inside the sandbox.
pub fn typed(words: Vec<OsString>) -> Vec<OsString> {
    let mut words = words.into_iter();
    let name = words.next();
    let mut rest: Vec<_> = words.collect();
    wave_sandbox::is_inside(&mut rest);
    name.into_iter().chain(rest).collect()
}

/// Starts this program again under the profile of the plan, unless it is there already or runs without a sandbox. Returns for those two
/// alone. That the profile is enforced, the seal confirms.
///
/// # Errors
/// 125 at the level strict, for what no profile can say, and if it cannot be started.
pub fn enter(plan: &Plan, run: &Run) -> Result<(), Failure> {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if plan.level == Level::Off || wave_sandbox::is_inside(&mut args) {
        return Ok(());
    }
    let refused = |error: SealError| Failure::refused(chain(&error)).at("--sandbox").fix(error.fix());
    wave_sandbox::refuse_strict(plan.level).map_err(refused)?;
    let Launch { policy, inputs, ways } = Launch::of(plan, run)?;
    let program = std::env::current_exe().and_then(std::fs::canonicalize);
    let program = program.map_err(|error| Failure::refused(format!("cannot find this program: {error}")))?;
    let startup = Startup { program: &program, inputs: &inputs, ways: &ways };
    match wave_sandbox::enter(&policy, startup, &args) {
        Ok(never) => match never {},
        Err(error) => Err(refused(error)),
    }
}
