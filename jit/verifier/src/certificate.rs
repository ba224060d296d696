//! What the walk claims to be known where loops begin.

use crate::state::State;
use std::collections::BTreeMap;

/// For each instruction of a function that is jumped to from itself or from behind it, what is known there however control comes
/// there.
///
/// Anybody may write one. Nothing follows from it before the check has accepted it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate(BTreeMap<u32, State>);

impl Certificate {
    /// The claims, by the offset of the instruction in the text, in ascending order.
    pub fn claims(&self) -> impl Iterator<Item = (u32, &State)> {
        self.0.iter().map(|(at, state)| (*at, state))
    }

    /// Claims something of the instruction at an offset in the text, instead of what was claimed of it before.
    pub fn claim(&mut self, at: u32, state: State) {
        self.0.insert(at, state);
    }

    /// Claims nothing of the instruction at an offset in the text.
    pub fn retract(&mut self, at: u32) {
        self.0.remove(&at);
    }
}
