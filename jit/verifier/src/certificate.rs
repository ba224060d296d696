//! What the walk claims: the leaders of a function, which are the instructions that basic blocks begin with, and what is known
//! at each.
//!
//! Anybody may write one. Nothing follows from a certificate before `check.rs` has accepted it.

use crate::state::State;
use wave_contract::image::CodeRange;

/// What is claimed to be known at the leaders of a function.
#[derive(Debug, Default)]
pub struct Certificate {
    /// Offset in the text of the function's first byte.
    start: u32,
    /// For each byte of the function, the number of the state at the leader that begins there, counted from 1; 0 if none does.
    numbers: Vec<u32>,
    /// The first `used` of them are of this function. The others are memory for the next.
    states: Vec<State>,
    used: usize,
}

impl Certificate {
    /// Becomes one of a function in this part of the text, without any leader, in the memory that it has.
    pub fn begin(&mut self, range: CodeRange) {
        self.start = range.start;
        self.numbers.clear();
        self.numbers.resize(range.len as usize, 0);
        self.used = 0;
    }

    /// The state at the leader that begins at an offset in the text, if one does.
    #[must_use]
    pub fn get(&self, leader: u32) -> Option<&State> {
        self.states.get(self.number(leader)?)
    }

    /// As [`Self::get`], to change it.
    pub fn get_mut(&mut self, leader: u32) -> Option<&mut State> {
        let number = self.number(leader)?;
        self.states.get_mut(number)
    }

    /// Makes the instruction at an offset in the text a leader with this state. One outside of the function is ignored.
    pub fn set(&mut self, leader: u32, state: &State) {
        if let Some(known) = self.get_mut(leader) {
            known.copy_from(state);
            return;
        }
        let Some(number) = self.place(leader).and_then(|place| self.numbers.get_mut(place)) else { return };
        if self.used == self.states.len() {
            self.states.push(State::default());
        }
        self.states[self.used].copy_from(state);
        self.used += 1;
        // A function has less than 4 GiB, and a leader at most at each byte.
        *number = u32::try_from(self.used).unwrap_or(0);
    }

    /// The instruction at an offset in the text is no leader.
    pub fn remove(&mut self, leader: u32) {
        if let Some(number) = self.place(leader).and_then(|place| self.numbers.get_mut(place)) {
            *number = 0;
        }
    }

    /// All leaders, in ascending order.
    pub fn leaders(&self) -> impl Iterator<Item = u32> {
        (self.start..).zip(&self.numbers).filter(|(_, number)| **number != 0).map(|(leader, _)| leader)
    }

    /// The place among the states of that of a leader.
    fn number(&self, leader: u32) -> Option<usize> {
        (*self.numbers.get(self.place(leader)?)? as usize).checked_sub(1)
    }

    /// The place of a byte in the function.
    fn place(&self, leader: u32) -> Option<usize> {
        leader.checked_sub(self.start).map(|place| place as usize)
    }
}
