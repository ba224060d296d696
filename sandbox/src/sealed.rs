//! The proof of a seal, on every platform.

use crate::Report;

/// Proof that [`seal`](crate::seal) has run; entering the guest takes a `&Sealed`.
///
/// Nothing else makes one.
#[derive(Debug)]
pub struct Sealed {
    pub(crate) report: Report,
}

impl Sealed {
    /// What was put in force.
    pub fn report(&self) -> &Report {
        &self.report
    }
}
