//! Platforms without a kernel layer: only `Level::Off` runs.

use wave_policy::Level;

use crate::{Cause, LayerName, Report, SealError, SealPlan};

/// Proof that [`seal`] has run.
#[derive(Debug)]
pub struct Sealed {
    report: Report,
}

impl Sealed {
    /// What was put in force: nothing.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// Refuses every level but `off`.
///
/// # Errors
/// [`Cause::Platform`] unless the policy says `off`.
pub fn seal(plan: &SealPlan<'_>) -> Result<Sealed, SealError> {
    match plan.policy.level {
        Level::Off => Ok(Sealed { report: Report::nothing(Level::Off) }),
        _ => Err(SealError { layer: LayerName::Seccomp, cause: Cause::Platform, fix: "use --sandbox off" }),
    }
}

/// What came of [`leave_namespaces`].
#[derive(Clone, Copy, Debug)]
pub struct Namespaces;

/// Does nothing here.
#[must_use]
pub fn leave_namespaces() -> Namespaces {
    Namespaces
}

/// Does nothing here.
pub fn prepare_allocator() {}

/// Ends the process.
pub fn exit(code: i32) -> ! {
    std::process::exit(code)
}
