//! The seal of a platform without a kernel layer.

use std::env::consts::OS;

use wave_policy::Level;

use crate::error::{Cause, SealError};
use crate::plan::{Namespaces, SealPlan};
use crate::report::{LayerName, Report};
use crate::sealed::Sealed;

/// A filter of system calls, which does not exist here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OuterFilter {}

/// Refuses every level but `off`.
///
/// # Errors
/// [`Cause::Platform`] unless the policy says `off`.
pub fn seal(plan: &SealPlan<'_>) -> Result<Sealed, SealError> {
    let fix = "--sandbox off runs without any kernel layer: only the monitor and the guard pages protect then";
    match plan.policy.level {
        Level::Off => Ok(Sealed { report: Report::nothing(Level::Off) }),
        Level::Strict | Level::Standard => {
            Err(SealError { layer: LayerName::Seccomp, cause: Cause::Platform("filter system calls", OS), fix })
        }
    }
}

/// Does nothing here.
#[must_use]
pub fn leave_namespaces() -> Namespaces {
    Namespaces::Missing
}

/// Does nothing here: there is no filter that the allocator could violate.
pub fn prepare_allocator() {}

/// Ends the process.
pub fn exit(code: i32) -> ! {
    std::process::exit(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wave_policy::Policy;

    fn seal_at(level: Level) -> Result<Sealed, SealError> {
        let policy = Policy { level, ..Policy::default() };
        seal(&SealPlan::new(&policy))
    }

    #[test]
    fn t125_every_level_but_off_is_refused() {
        prepare_allocator();
        for level in [Level::Strict, Level::Standard] {
            let error = seal_at(level).expect_err("there is no layer");
            assert_eq!(error.layer, LayerName::Seccomp);
            assert_eq!(error.cause.to_string(), format!("wave cannot filter system calls on {OS}"));
            assert!(error.fix().starts_with("--sandbox off runs without any kernel layer"), "{}", error.fix());
        }
        let sealed = seal_at(Level::Off).expect("off needs nothing");
        assert_eq!(sealed.report(), &Report::nothing(Level::Off));
    }
}
