//! Whether a function keeps to the rules, however it takes to see that.

use crate::check::{Accepted, Memory, Outcome, check, follow};
use crate::image::{Shared, Unit};
use crate::refusal::Refusal;
use crate::state::State;

/// The memory that a thread uses for one function after the other.
#[derive(Default, Debug)]
pub struct Scratch {
    pub(crate) memory: Memory,
}

impl Scratch {
    /// What was known of the last unit that was accepted: where blocks begin, by their offset in the text, in ascending order.
    /// For proofs.
    pub fn known(&self) -> impl Iterator<Item = (u32, &State)> {
        self.memory.leaders.all()
    }
}

/// Verifies a function.
pub fn verify(task: &Shared<'_>, unit: &Unit<'_>, scratch: &mut Scratch) -> Result<Accepted, Refusal> {
    let memory = &mut scratch.memory;
    match follow(task, unit, memory)? {
        Outcome::Accepted(accepted) => Ok(accepted),
        Outcome::Unclear(steps) => {
            let claims = memory.claims();
            let mut accepted = check(task, unit, &claims, memory)?;
            accepted.steps += steps;
            Ok(accepted)
        }
    }
}
