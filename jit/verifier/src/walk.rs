//! One function, all paths: an abstract interpretation of its code to a fixed point.
//!
//! A state is stored for each jump target. A pass starts at a target and follows the code to the next one, or to where control
//! leaves. There it joins its state with the stored one. If that changes, the target is followed again.

use crate::image::{Part, Shared, Unit, Uses};
use crate::refusal::{Refusal, Rule};
use crate::state::State;
use crate::step::{Fault, Interpreter, Notes, Problem};
use iced_x86::Instruction;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use wave_contract::image::CodeRange;
use wave_contract::trap::TrapCode;

/// Maximum number of instructions examined for each byte of a function.
const STEPS_PER_BYTE: u64 = 32;

/// Maximum number of known frame words in all states together, for each byte of a function.
const KNOWN_PER_BYTE: u64 = 16;

/// Marks of a byte of code.
const COVERED: u8 = 1;
const START: u8 = 2;
const CALL_END: u8 = 32;
const LEADER: u8 = 64;
const QUEUED: u8 = 128;

/// The memory that a thread uses for one function after the other.
#[derive(Default, Debug)]
pub struct Scratch {
    marks: Vec<u8>,
    /// For each byte of the code, which of the states is known there.
    leaders: Vec<u32>,
    states: Vec<State>,
    work: BinaryHeap<Reverse<u32>>,
    current: State,
    taken: State,
}

/// One function while it is verified.
pub struct Function<'a> {
    interpreter: Interpreter<'a>,
    range: CodeRange,
    traps: Part<'a, u8>,
    sources: Part<'a, u32>,
    scratch: &'a mut Scratch,
    /// How many of the states are this function's.
    known: usize,
    /// Maximum number of steps.
    budget: u64,
    /// How many words of the frame may still be remembered.
    memory: u64,
    instructions: u64,
}

impl<'a> Function<'a> {
    /// A unit of the image.
    pub fn new(task: &'a Shared<'a>, scratch: &'a mut Scratch, unit: &Unit<'a>) -> Self {
        let Unit { range, traps, sources, .. } = *unit;
        let len = range.len as usize;
        scratch.marks.clear();
        scratch.marks.resize(len, 0);
        scratch.leaders.resize(scratch.leaders.len().max(len), 0);
        scratch.work.clear();
        Self {
            interpreter: Interpreter::new(task, unit),
            range,
            traps,
            sources,
            scratch,
            known: 0,
            budget: STEPS_PER_BYTE * u64::from(range.len) + 256,
            memory: KNOWN_PER_BYTE * u64::from(range.len) + 65_536,
            instructions: 0,
        }
    }

    /// Instructions, each counted once.
    pub const fn instructions(&self) -> u64 {
        self.instructions
    }

    /// Instructions examined; one that is examined again counts again.
    pub const fn steps(&self) -> u64 {
        self.interpreter.work
    }

    /// What the instructions use, each counted once.
    pub const fn uses(&self) -> &Uses {
        &self.interpreter.uses
    }

    /// Follows all paths.
    pub fn verify(&mut self) -> Result<(), Refusal> {
        let start = self.range.start;
        let nothing = Instruction::default();
        let entry = self.interpreter.at_entry();
        self.reach(start, &entry).map_err(|problem| self.interpreter.refusal(start, &nothing, problem))?;
        let mut current = std::mem::take(&mut self.scratch.current);
        let mut outcome = Ok(());
        while outcome.is_ok()
            && let Some(Reverse(from)) = self.scratch.work.pop()
        {
            *self.mark(from) &= !QUEUED;
            outcome = self.run(&mut current, from, None).map(drop);
        }
        self.scratch.current = current;
        outcome.and_then(|()| self.metadata())
    }

    fn mark(&mut self, at: u32) -> &mut u8 {
        // Offsets come from the decoder, which has no more than the function's bytes.
        &mut self.scratch.marks[(at - self.range.start) as usize]
    }

    /// The state that is known at a place.
    fn known_at(&mut self, leader: u32) -> &mut State {
        let at = self.scratch.leaders[(leader - self.range.start) as usize] as usize;
        &mut self.scratch.states[at]
    }

    /// Stores the state of a jump target.
    fn remember(&mut self, leader: u32, state: &State) -> Result<(), Problem> {
        let number = u32::try_from(self.known).map_err(|_| Problem::new(Rule::Budget, "too many places to jump to"))?;
        let left = self.memory.checked_sub(state.known_words() as u64);
        self.memory =
            left.ok_or_else(|| Problem::new(Rule::Budget, "too much of the frame is known in too many places"))?;
        self.scratch.leaders[(leader - self.range.start) as usize] = number;
        if self.known == self.scratch.states.len() {
            self.scratch.states.push(State::default());
        }
        self.scratch.states[self.known].copy_from(state);
        self.known += 1;
        self.spend(state)
    }

    /// Counts the work of copying or joining a state.
    fn spend(&mut self, state: &State) -> Result<(), Problem> {
        self.interpreter.look_through(state);
        self.within_budget()
    }

    fn within_budget(&self) -> Result<(), Problem> {
        match self.interpreter.work > self.budget {
            true => Err(Problem::new(Rule::Budget, "checking takes more steps than any honest function needs")),
            false => Ok(()),
        }
    }

    fn queue(&mut self, leader: u32) {
        let mark = self.mark(leader);
        if *mark & QUEUED == 0 {
            *mark |= QUEUED;
            self.scratch.work.push(Reverse(leader));
        }
    }

    /// Joins a state with the stored state of a jump target.
    fn reach(&mut self, target: u32, state: &State) -> Result<(), Problem> {
        let mark = *self.mark(target);
        if mark & LEADER != 0 {
            self.spend(state)?;
            let known = self.known_at(target);
            let has_changed = known.join(state);
            assert_consistent(known, &Instruction::default());
            if has_changed {
                self.queue(target);
            }
            return Ok(());
        }
        *self.mark(target) |= LEADER;
        if mark & START == 0 {
            if mark & COVERED != 0 {
                return Err(Problem::new(Rule::Boundary, "a jump into an instruction"));
            }
            self.remember(target, state)?;
            self.queue(target);
            return Ok(());
        }
        // Code that was followed already runs through here. What it knows here is found by following it again.
        let before = &self.scratch.marks[..(target - self.range.start) as usize];
        let from = before.iter().rposition(|mark| mark & LEADER != 0).and_then(|at| u32::try_from(at).ok());
        let mut known = State::default();
        let through = match from {
            Some(from) => {
                let ran = self.run(&mut known, self.range.start + from, Some(target));
                ran.map_err(|refusal| Problem::new(refusal.rule, refusal.what))?
            }
            None => false,
        };
        // If that target is still queued, the code from here on was followed with an older state.
        let is_older = from.is_some_and(|from| self.scratch.marks[from as usize] & QUEUED != 0);
        if !through || known.join(state) || is_older {
            if !through {
                known.copy_from(state);
            }
            self.queue(target);
        }
        self.remember(target, &known)
    }

    /// Follows the code from a jump target. With `until`, only to find the state there, and whether control reaches it.
    fn run(&mut self, state: &mut State, from: u32, until: Option<u32>) -> Result<bool, Refusal> {
        state.copy_from(self.known_at(from));
        let mut taken = std::mem::take(&mut self.scratch.taken);
        let mut instruction = Instruction::default();
        let mut at = from;
        let outcome = loop {
            if until == Some(at) {
                break Ok(true);
            }
            if at != from && self.range.contains(at) && *self.mark(at) & LEADER != 0 {
                break if until.is_none() { self.reach(at, state).map(|()| false) } else { Ok(false) };
            }
            match self.pass(state, &mut taken, at, &mut instruction, until.is_some()) {
                Ok(Some(next)) => at = next,
                Ok(None) => break Ok(false),
                Err(problem) => break Err(problem),
            }
        };
        self.scratch.taken = taken;
        outcome.map_err(|problem| self.interpreter.refusal(at, &instruction, problem))
    }

    /// Follows one instruction. `dry`: without its jumps, which were followed already. Where control goes on behind it, if
    /// it may.
    fn pass(
        &mut self,
        state: &mut State,
        taken: &mut State,
        at: u32,
        instruction: &mut Instruction,
        dry: bool,
    ) -> Result<Option<u32>, Problem> {
        self.within_budget()?;
        let mark = self.scratch.marks.get((at - self.range.start) as usize);
        let is_new = mark.is_none_or(|mark| mark & START == 0);
        self.interpreter.is_counting = is_new;
        let step = self.interpreter.step(state, at, instruction)?;
        assert_consistent(state, instruction);
        self.cover(at, is_new)?;
        // Jumps can lead into code that is followed again at once.
        let next = self.interpreter.next();
        let goes_on = step.exits(state, taken, |target, state| if dry { Ok(()) } else { self.reach(target, state) })?;
        Ok(goes_on.then_some(next))
    }

    /// Checks that the instruction at `at` overlaps no other, and notes its bytes and what was noted about it.
    fn cover(&mut self, at: u32, is_new: bool) -> Result<(), Problem> {
        let Notes { faults, is_call } = self.interpreter.notes();
        let (from, to) = ((at - self.range.start) as usize, (self.interpreter.next() - self.range.start) as usize);
        let bytes = self.scratch.marks.get_mut(from..to).and_then(<[u8]>::split_first_mut);
        let Some((first, rest)) = bytes else { return Err(outside()) };
        // The loop that touches the frame is longer than its first instruction.
        if is_new && *first & COVERED != 0 || rest.iter().any(|mark| *mark & (START | LEADER) != 0) {
            return Err(Problem::new(Rule::Boundary, "it overlaps another instruction"));
        }
        if is_new {
            *first |= COVERED | START;
            rest.iter_mut().for_each(|mark| *mark |= COVERED);
            self.instructions += 1;
        }
        *first |= faults;
        *rest.last_mut().unwrap_or(first) |= if is_call { CALL_END } else { 0 };
        Ok(())
    }

    /// Checks that the tables of the image have entries only for instructions that were reached, and of the right kind.
    fn metadata(&self) -> Result<(), Refusal> {
        let wrong = |at: u32, what: &str| {
            let problem = Problem::new(Rule::Metadata, what);
            self.interpreter.refusal(at, &Instruction::default(), problem)
        };
        let mark = |at: u32| self.scratch.marks[(at - self.range.start) as usize];
        for &(at, code) in self.traps {
            let faults = match TrapCode::from_u8(code) {
                Some(TrapCode::HeapOutOfBounds) => Fault::Heap as u8,
                Some(TrapCode::IntegerDivisionByZero | TrapCode::IntegerOverflow) => {
                    Fault::Divide as u8 | Fault::Undefined as u8
                }
                Some(_) => Fault::Undefined as u8,
                None => 0,
            };
            if mark(at) & START == 0 || mark(at) & faults == 0 {
                return Err(wrong(at, "the trap table speaks of an instruction that does not fault so"));
            }
        }
        for &(at, _) in self.sources {
            let any = Fault::Heap as u8 | Fault::Undefined as u8 | Fault::Divide as u8;
            if mark(at) & CALL_END == 0 && (mark(at) & START == 0 || mark(at) & any == 0) {
                return Err(wrong(
                    at,
                    "the table of positions speaks of an instruction that is neither a call nor faults",
                ));
            }
        }
        Ok(())
    }
}

/// In debug builds, checks the invariants of [`State`].
fn assert_consistent(state: &State, instruction: &Instruction) {
    if cfg!(debug_assertions)
        && let Err(what) = state.check()
    {
        panic!("after `{instruction}`: {what}");
    }
}

fn outside() -> Problem {
    Problem::new(Rule::Boundary, "code leaves the function")
}
