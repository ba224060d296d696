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
    /// For each byte of the function, whether a leader begins there: a bit.
    begins: Vec<u64>,
    /// For each byte of the function at which one begins, its number.
    numbers: Vec<u32>,
    known: Vec<Known>,
    /// The stale ones, as the order in which they are taken. Nothing relies on it: see [`Self::are_settled`].
    queue: BinaryHeap<Reverse<u32>>,
    /// How many bytes the states may still take.
    memory: u64,
}

/// A leader.
#[derive(Debug)]
struct Known {
    state: State,
    is_stale: bool,
}

impl Leaders {
    /// Forgets all, for a function in this part of the text.
    pub fn begin(&mut self, range: CodeRange) {
        self.start = range.start;
        let bytes = range.len as usize;
        self.begins.clear();
        self.begins.resize(bytes.div_ceil(64), 0);
        // What stands here of another function is not read.
        self.numbers.resize(bytes, 0);
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
        (self.start..).zip(0..self.numbers.len()).filter_map(|(at, _)| Some((at, self.get(at)?)))
    }

    /// The first leader that begins behind an offset in the text, and not behind another.
    pub fn next(&self, after: u32, last: u32) -> Option<u32> {
        let (from, last) = (self.place(after)? + 1, self.place(last)?);
        let mut number = from / 64;
        let mut word = self.begins.get(number)? & u64::MAX << (from % 64);
        while word == 0 {
            number += 1;
            word = *self.begins.get(number).filter(|_| 64 * number <= last)?;
        }
        let found = 64 * number + word.trailing_zeros() as usize;
        self.offset(found).filter(|_| found <= last)
    }

    /// The last leader that begins before an offset in the text.
    pub fn last(&self, before: u32) -> Option<u32> {
        let last = self.place(before)?.checked_sub(1)?;
        let mut number = last / 64;
        let mut word = self.begins.get(number)? & u64::MAX >> (63 - last % 64);
        while word == 0 {
            number = number.checked_sub(1)?;
            word = *self.begins.get(number)?;
        }
        self.offset(64 * number + 63 - word.leading_zeros() as usize)
    }

    /// Control may come to an instruction of the function in this state, too. Whether less is known there now: then it is stale.
    /// Adds to `visited` as [`State::join`] does.
    ///
    /// # Errors
    /// If the states take too much memory.
    pub fn join(&mut self, leader: u32, state: &State, visited: &mut u64) -> Result<bool, Problem> {
        let (changed, bytes) = match self.number(leader).and_then(|number| self.known.get_mut(number)) {
            Some(Known { state: known, .. }) => (known.join(state, visited), known.take_words()),
            None => {
                let outside = || Problem::new(Rule::Target, "a jump out of the function");
                let place = self.place(leader).ok_or_else(outside)?;
                let (number, begins) =
                    self.numbers.get_mut(place).zip(self.begins.get_mut(place / 64)).ok_or_else(outside)?;
                let too_many = |_| Problem::new(Rule::Budget, "too many places to jump to");
                *number = u32::try_from(self.known.len()).map_err(too_many)?;
                *begins |= 1 << (place % 64);
                let state = state.share();
                let bytes = size_of::<Known>() as u64 + state.take_words();
                self.known.push(Known { state, is_stale: false });
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

    /// The number of the leader that begins at an offset in the text, if one does.
    fn number(&self, leader: u32) -> Option<usize> {
        let place = self.place(leader)?;
        let begins = self.begins.get(place / 64)? >> (place % 64) & 1 != 0;
        begins.then_some(*self.numbers.get(place)? as usize)
    }

    /// The offset in the text of a byte of the function.
    fn offset(&self, place: usize) -> Option<u32> {
        Some(self.start + u32::try_from(place).ok()?)
    }

    fn place(&self, at: u32) -> Option<usize> {
        at.checked_sub(self.start).map(|place| place as usize)
    }
}
