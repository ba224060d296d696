//! Finds what is known at the leaders of a function: an abstract interpretation of its code to a fixed point.
//!
//! A state is stored for each jump target. A pass starts at a target and follows the code to the next one, or to where control
//! leaves. There it joins its state with the stored one. If that changes, the target is followed again.
//!
//! Nothing relies on this file. What it leaves is a certificate, which `check.rs` accepts or refuses. So it follows no code behind
//! an instruction that is not allowed, and leaves it to the check to say what is wrong.

use crate::certificate::Certificate;
use crate::image::{Shared, Unit};
use crate::refusal::{Refusal, Rule};
use crate::state::State;
use crate::step::{Interpreter, Problem};
use iced_x86::Instruction;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use wave_contract::image::CodeRange;

/// Maximum number of instructions examined for each byte of a function.
const STEPS_PER_BYTE: u64 = 32;

/// Maximum number of known frame words in all states together, for each byte of a function.
const KNOWN_PER_BYTE: u64 = 16;

/// Marks of a byte of code.
const FOLLOWED: u8 = 1;
const LEADER: u8 = 2;
const QUEUED: u8 = 4;

/// The memory that a thread uses for one function after the other.
#[derive(Default, Debug)]
pub struct Scratch {
    pub(crate) certificate: Certificate,
    marks: Vec<u8>,
    work: BinaryHeap<Reverse<u32>>,
    current: State,
    taken: State,
}

/// One function while it is followed.
struct Walk<'a> {
    interpreter: Interpreter<'a>,
    range: CodeRange,
    certificate: &'a mut Certificate,
    marks: &'a mut [u8],
    work: &'a mut BinaryHeap<Reverse<u32>>,
    /// Maximum number of steps.
    budget: u64,
    /// How many words of the frame may still be remembered.
    memory: u64,
}

/// Follows all paths of a function and leaves a certificate. Returns how many instructions were examined; one that is examined
/// again counts again.
///
/// # Errors
/// If that takes more work than any honest function needs.
pub fn walk(task: &Shared<'_>, unit: &Unit<'_>, scratch: &mut Scratch) -> Result<u64, Refusal> {
    let range = unit.range;
    let Scratch { certificate, marks, work, current, taken } = scratch;
    certificate.begin(range);
    marks.clear();
    marks.resize(range.len as usize, 0);
    work.clear();
    let mut walk = Walk {
        interpreter: Interpreter::new(task, unit),
        range,
        certificate,
        marks,
        work,
        budget: STEPS_PER_BYTE * u64::from(range.len) + 256,
        memory: KNOWN_PER_BYTE * u64::from(range.len) + 65_536,
    };
    let outcome = walk.all_paths(current, taken);
    let Walk { interpreter, .. } = walk;
    match outcome {
        Ok(()) => Ok(interpreter.work),
        Err(problem) => Err(interpreter.refusal(range.start, &Instruction::default(), problem)),
    }
}

impl Walk<'_> {
    fn all_paths(&mut self, current: &mut State, taken: &mut State) -> Result<(), Problem> {
        let entry = self.interpreter.at_entry();
        self.reach(self.range.start, &entry)?;
        while let Some(Reverse(leader)) = self.work.pop() {
            *self.mark(leader) &= !QUEUED;
            if let Some(known) = self.certificate.get(leader) {
                current.copy_from(known);
                self.follow(leader, current, taken)?;
            }
        }
        Ok(())
    }

    /// Follows the code from a leader to the next.
    fn follow(&mut self, leader: u32, state: &mut State, taken: &mut State) -> Result<(), Problem> {
        let mut instruction = Instruction::default();
        let mut at = leader;
        loop {
            self.within_budget()?;
            let Ok(step) = self.interpreter.step(state, at, &mut instruction) else { return Ok(()) };
            *self.mark(at) |= FOLLOWED;
            let goes_on = step.exits(state, taken, |target, state| self.reach(target, state))?;
            if !goes_on {
                return Ok(());
            }
            at = self.interpreter.next();
            if self.range.contains(at) && *self.mark(at) & LEADER != 0 {
                return self.reach(at, state);
            }
        }
    }

    /// Joins a state with the stored state of a leader.
    fn reach(&mut self, leader: u32, state: &State) -> Result<(), Problem> {
        self.interpreter.look_through(state);
        self.within_budget()?;
        if let Some(known) = self.certificate.get_mut(leader) {
            if known.join(state) {
                self.queue(leader);
            }
            return Ok(());
        }
        let left = self.memory.checked_sub(state.known_words() as u64);
        self.memory =
            left.ok_or_else(|| Problem::new(Rule::Budget, "too much of the frame is known in too many places"))?;
        self.certificate.set(leader, state);
        self.queue(leader);
        let mark = self.mark(leader);
        *mark |= LEADER;
        if *mark & FOLLOWED != 0 {
            // Code that was followed already runs through here. What it knows here is found by following it again.
            let before = &self.marks[..(leader - self.range.start) as usize];
            if let Some(before) = before.iter().rposition(|mark| mark & LEADER != 0) {
                self.queue(self.range.start + u32::try_from(before).unwrap_or(0));
            }
        }
        Ok(())
    }

    fn queue(&mut self, leader: u32) {
        let mark = self.mark(leader);
        if *mark & QUEUED == 0 {
            *mark |= QUEUED;
            self.work.push(Reverse(leader));
        }
    }

    fn mark(&mut self, at: u32) -> &mut u8 {
        // Steps and exits are instructions of the function.
        &mut self.marks[(at - self.range.start) as usize]
    }

    fn within_budget(&self) -> Result<(), Problem> {
        match self.interpreter.work > self.budget {
            true => Err(Problem::new(Rule::Budget, "checking takes more steps than any honest function needs")),
            false => Ok(()),
        }
    }
}
