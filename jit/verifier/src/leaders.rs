//! What is known at the leaders of a function, which are the instructions that basic blocks begin with.
//!
//! A leader is stale from when what is known there changes until its state is taken, by who follows the code from there.

use crate::refusal::Rule;
use crate::state::State;
use crate::step::Problem;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use wave_contract::image::CodeRange;

/// Maximum size of all states together, in bytes for each byte of a function.
const BYTES_PER_BYTE: u64 = 256;

/// The states at the leaders of a function.
#[derive(Debug, Default)]
pub struct Leaders {
    /// Offset in the text of the function's first byte.
    start: u32,
    /// For each byte of the function, the number of the state at the leader that begins there, counted from 1; 0 if none does.
    numbers: Vec<u32>,
    known: Vec<Known>,
    /// The stale ones, as the order in which they are taken. Nothing relies on it: see [`Self::are_settled`].
    queue: BinaryHeap<Reverse<u32>>,
    /// How many bytes the states may still take.
    memory: u64,
}

/// A leader.
#[derive(Debug, Default)]
struct Known {
    state: State,
    is_stale: bool,
}

impl Leaders {
    /// Forgets all, for a function in this part of the text.
    pub fn begin(&mut self, range: CodeRange) {
        self.start = range.start;
        self.numbers.clear();
        self.numbers.resize(range.len as usize, 0);
        self.known.clear();
        self.queue.clear();
        self.memory = BYTES_PER_BYTE * u64::from(range.len) + (1 << 20);
    }

    /// The state at the leader that begins at an offset in the text, if one does.
    pub fn get(&self, leader: u32) -> Option<&State> {
        Some(&self.known.get(self.number(leader)?)?.state)
    }

    /// The lowest leader that is stale, which it then is no more. `state` becomes what is known there.
    pub fn take(&mut self, state: &mut State) -> Option<u32> {
        let Reverse(leader) = self.queue.pop()?;
        let number = self.number(leader)?;
        let known = self.known.get_mut(number)?;
        known.is_stale = false;
        state.copy_from(&known.state);
        Some(leader)
    }

    /// Makes a leader stale.
    pub fn spoil(&mut self, leader: u32) {
        let number = self.number(leader);
        if let Some(known) = number.and_then(|number| self.known.get_mut(number))
            && !known.is_stale
        {
            known.is_stale = true;
            self.queue.push(Reverse(leader));
        }
    }

    /// Whether none is stale.
    pub fn are_settled(&self) -> bool {
        self.known.iter().all(|known| !known.is_stale)
    }

    /// All leaders with their states, in ascending order.
    pub fn all(&self) -> impl Iterator<Item = (u32, &State)> {
        (self.start..).zip(&self.numbers).filter_map(|(at, number)| {
            let known = self.known.get((*number as usize).checked_sub(1)?)?;
            Some((at, &known.state))
        })
    }

    /// The first leader that begins at an offset in the text or behind it, and before another.
    pub fn first(&self, from: u32, before: u32) -> Option<u32> {
        let (start, end) = (self.place(from)?, self.place(before)?.min(self.numbers.len()));
        let found = self.numbers.get(start..end)?.iter().position(|number| *number != 0)?;
        Some(from + u32::try_from(found).ok()?)
    }

    /// The last leader that begins before an offset in the text.
    pub fn last(&self, before: u32) -> Option<u32> {
        let found = self.numbers.get(..self.place(before)?)?.iter().rposition(|number| *number != 0)?;
        Some(self.start + u32::try_from(found).ok()?)
    }

    /// Control may come to an instruction of the function in this state, too. Whether less is known there now: then it is stale.
    /// Adds to `visited` as [`State::join`] does.
    ///
    /// # Errors
    /// If the states take too much memory.
    pub fn join(&mut self, leader: u32, state: &State, visited: &mut u64) -> Result<bool, Problem> {
        let outside = || Problem::new(Rule::Target, "a jump out of the function");
        let place = self.place(leader).ok_or_else(outside)?;
        let number = self.numbers.get_mut(place).ok_or_else(outside)?;
        let known = (*number as usize).checked_sub(1).and_then(|number| self.known.get_mut(number));
        let (changed, bytes) = match known {
            Some(Known { state: known, .. }) => (known.join(state, visited), known.take_words()),
            None => {
                let mut new = Known::default();
                new.state.copy_from(state);
                let bytes = size_of::<Known>() as u64 + new.state.take_words();
                self.known.push(new);
                let too_many = |_| Problem::new(Rule::Budget, "too many places to jump to");
                *number = u32::try_from(self.known.len()).map_err(too_many)?;
                (true, bytes)
            }
        };
        let too_much = || Problem::new(Rule::Budget, "too much is known in too many places");
        self.memory = self.memory.checked_sub(bytes).ok_or_else(too_much)?;
        if changed {
            self.spoil(leader);
        }
        Ok(changed)
    }

    fn number(&self, leader: u32) -> Option<usize> {
        (*self.numbers.get(self.place(leader)?)? as usize).checked_sub(1)
    }

    fn place(&self, at: u32) -> Option<usize> {
        at.checked_sub(self.start).map(|place| place as usize)
    }
}
