//! The proof of a seal, on every platform.

use crate::report::Report;

/// Proof that [`seal`](crate::seal()) has run. Entering the guest takes a `&Sealed`, and only the seal makes one.
#[derive(Debug)]
pub struct Sealed {
    pub(crate) report: Report,
}

impl Sealed {
    /// Which layers the seal applied.
    pub fn report(&self) -> &Report {
        &self.report
    }
}
