//! Finds out what is known where loops begin, and has it checked.
//!
//! A function without jumps back needs nothing more than the check: that is nearly half of all code. If the check comes to a jump
//! back, or missed code that a table speaks of, an abstract interpretation goes on from there to a fixed point: it follows the code from each leader to the next, or to
//! where control leaves, and joins its state with the one there. If that changes, the leader is followed again.
//!
//! Nothing relies on what it finds: it leaves a certificate, which the check uses or refuses. So it follows no code behind an
//! instruction that is not allowed, and leaves it to the check to say what is wrong.

use crate::certificate::Certificate;
use crate::check::{Accepted, Memory, check};
use crate::image::{Shared, Unit};
use crate::leaders::Leaders;
use crate::refusal::{Refusal, Rule};
use crate::state::State;
use crate::step::{Interpreter, Problem};
use iced_x86::Instruction;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// The memory that a thread uses for one function after the other.
#[derive(Default, Debug)]
pub struct Scratch {
    pub(crate) memory: Memory,
    pub(crate) certificate: Certificate,
    /// For each byte of the code, whether a leader begins there that is to be followed.
    queued: Vec<bool>,
    work: BinaryHeap<Reverse<u32>>,
    current: State,
    taken: State,
}

impl Scratch {
    /// What the check knew of the last unit that it has accepted: where blocks begin, by their offset in the text, in ascending
    /// order. For proofs.
    pub fn known(&self) -> impl Iterator<Item = (u32, &State)> {
        self.memory.leaders.all()
    }
}

/// Verifies a function. Also returns how many instructions were examined to find a certificate.
pub fn verify(task: &Shared<'_>, unit: &Unit<'_>, scratch: &mut Scratch) -> Result<(Accepted, u64), Refusal> {
    scratch.certificate.clear();
    match check(task, unit, &scratch.certificate, &mut scratch.memory) {
        // A table that speaks of what was passed over: perhaps only jumps back lead there.
        Err(refusal) if matches!(refusal.rule, Rule::Certificate | Rule::Metadata) => {
            let steps = walk(task, unit, refusal.offset, scratch)?;
            Ok((check(task, unit, &scratch.certificate, &mut scratch.memory)?, steps))
        }
        outcome => Ok((outcome?, 0)),
    }
}

/// Goes on from a jump back, which the check had come to, and leaves a certificate. Returns how many instructions were examined;
/// one that is examined again counts again.
fn walk(task: &Shared<'_>, unit: &Unit<'_>, from: u32, scratch: &mut Scratch) -> Result<u64, Refusal> {
    let Scratch { memory, certificate, queued, work, current, taken } = scratch;
    queued.clear();
    queued.resize(unit.range.len as usize, false);
    work.clear();
    let mut walk = Walk {
        interpreter: Interpreter::new(task, unit).within_budget(),
        start: unit.range.start,
        leaders: &mut memory.leaders,
        queued,
        work,
        followed: from,
        heads: BTreeSet::new(),
    };
    let outcome = walk.all_paths(from, unit.range.start + unit.range.len, current, taken);
    outcome.map_err(|problem| walk.interpreter.refusal(from, &Instruction::default(), problem))?;
    for head in walk.heads {
        if let Some(state) = walk.leaders.get(head) {
            certificate.claim(head, state.clone());
        }
    }
    Ok(walk.interpreter.work())
}

/// One function while it is followed.
struct Walk<'a> {
    interpreter: Interpreter<'a>,
    /// Offset in the text of the function's first byte.
    start: u32,
    leaders: &'a mut Leaders,
    queued: &'a mut [bool],
    work: &'a mut BinaryHeap<Reverse<u32>>,
    /// All code that was followed lies up to this offset.
    followed: u32,
    /// Where jumps back lead.
    heads: BTreeSet<u32>,
}

impl Walk<'_> {
    /// Follows the block with a jump back, all that may come behind it, and what that leads to.
    fn all_paths(&mut self, from: u32, end: u32, current: &mut State, taken: &mut State) -> Result<(), Problem> {
        if let Some(leader) = self.leaders.last(from + 1) {
            self.queue(leader);
        }
        let mut at = from + 1;
        while let Some(leader) = self.leaders.first(at, end) {
            self.queue(leader);
            at = leader + 1;
        }
        while let Some(Reverse(leader)) = self.work.pop() {
            self.queued[(leader - self.start) as usize] = false;
            if let Some(known) = self.leaders.get(leader) {
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
            let step = match self.interpreter.step(state, at, &mut instruction) {
                Ok(step) => step,
                Err(problem) if problem.rule() == Rule::Budget => return Err(problem),
                Err(_) => return Ok(()),
            };
            self.followed = self.followed.max(at);
            let goes_on = step.exits(state, taken, |target, state| {
                if target <= at {
                    self.heads.insert(target);
                }
                self.reach(target, state)
            })?;
            if !goes_on {
                return Ok(());
            }
            at = self.interpreter.next();
            if self.leaders.get(at).is_some() {
                return self.reach(at, state);
            }
        }
    }

    /// Joins a state with the stored state of a leader.
    fn reach(&mut self, leader: u32, state: &State) -> Result<(), Problem> {
        self.interpreter.check_budget()?;
        let is_new = self.leaders.get(leader).is_none();
        if self.leaders.join(leader, state, &mut self.interpreter.visited)? {
            self.queue(leader);
        }
        // If code was followed through here, what it knows here is found by following it again.
        if is_new
            && leader <= self.followed
            && let Some(before) = self.leaders.last(leader)
        {
            self.queue(before);
        }
        Ok(())
    }

    fn queue(&mut self, leader: u32) {
        // Leaders are instructions of the function.
        let is_queued = &mut self.queued[(leader - self.start) as usize];
        if !*is_queued {
            *is_queued = true;
            self.work.push(Reverse(leader));
        }
    }
}
