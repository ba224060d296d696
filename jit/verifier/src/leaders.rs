//! What is known at the leaders of a function, which are the instructions that basic blocks begin with.

use crate::refusal::Rule;
use crate::state::State;
use crate::step::Problem;
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
    states: Vec<State>,
    /// How many bytes the states may still take.
    memory: u64,
}

impl Leaders {
    /// Forgets all, for a function in this part of the text.
    pub fn begin(&mut self, range: CodeRange) {
        self.start = range.start;
        self.numbers.clear();
        self.numbers.resize(range.len as usize, 0);
        self.states.clear();
        self.memory = BYTES_PER_BYTE * u64::from(range.len) + (1 << 20);
    }

    /// The state at the leader that begins at an offset in the text, if one does.
    pub fn get(&self, leader: u32) -> Option<&State> {
        let number = self.numbers.get(self.place(leader)?)?;
        self.states.get((*number as usize).checked_sub(1)?)
    }

    /// All leaders with their states, in ascending order.
    pub fn all(&self) -> impl Iterator<Item = (u32, &State)> {
        (self.start..).zip(&self.numbers).filter_map(|(at, number)| {
            let state = self.states.get((*number as usize).checked_sub(1)?)?;
            Some((at, state))
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

    /// Control may come to an instruction of the function in this state, too. Whether less is known there now. Adds to `visited`
    /// as [`State::join`] does.
    ///
    /// # Errors
    /// If the states take too much memory.
    pub fn join(&mut self, leader: u32, state: &State, visited: &mut u64) -> Result<bool, Problem> {
        let outside = || Problem::new(Rule::Target, "a jump out of the function");
        let place = self.place(leader).ok_or_else(outside)?;
        let number = self.numbers.get_mut(place).ok_or_else(outside)?;
        let known = (*number as usize).checked_sub(1).and_then(|number| self.states.get_mut(number));
        let (changed, bytes) = match known {
            Some(known) => (known.join(state, visited), known.take_words()),
            None => {
                let mut new = State::default();
                new.copy_from(state);
                let bytes = size_of::<State>() as u64 + new.take_words();
                self.states.push(new);
                let too_many = |_| Problem::new(Rule::Budget, "too many places to jump to");
                *number = u32::try_from(self.states.len()).map_err(too_many)?;
                (true, bytes)
            }
        };
        let too_much = || Problem::new(Rule::Budget, "too much is known in too many places");
        self.memory = self.memory.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(changed)
    }

    fn place(&self, at: u32) -> Option<usize> {
        at.checked_sub(self.start).map(|place| place as usize)
    }
}
