//! Whether a function keeps to the rules, and what is known where its blocks begin.
//!
//! The code is followed from each leader to the next, or to where control leaves. A state that goes to a leader is joined with
//! the one there. A leader at which less is known than before is stale, and followed again. The lowest comes first.
//!
//! A function is accepted by a pass that follows each leader once, and at whose end none is stale. So what was known at a leader when it
//! was followed is known there still, and this holds of each instruction: what is the case before it is what the state says in which
//! it was followed. By induction over the steps that a processor takes: it is so at the entry. If it is so before a step, the rules
//! allow that step, and what is known after it describes what is the case after it. Where control goes on in the block, that
//! was followed next. Where it goes to a leader, that state became part of the leader's, or implied it.
//!
//! A loop mostly changes what is known where it begins. Then its leaders are followed again, until no more changes, and that pass accepts
//! nothing. What it has found where jumps back lead is taken as claims, and a strict pass begins from nothing else. It follows the leaders in
//! the order of the text, and at a jump back, its state must imply the one that it had there. A claim is part of a join: a wrong
//! one leads to a refusal or to nothing.

use crate::certificate::Certificate;
use crate::image::{Shared, Unit, Uses};
use crate::leaders::Leaders;
use crate::refusal::{Refusal, Rule};
use crate::state::State;
use crate::step::{Fault, Interpreter, Notes, Problem};
use iced_x86::Instruction;
use std::collections::BTreeSet;
use wave_contract::trap::TrapCode;

/// That a function was accepted, and what it consists of. Only this module constructs one.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// Instructions that can be reached.
    pub instructions: u64,
    /// What it took to see that: see [`Interpreter`].
    pub steps: u64,
    /// What they use.
    pub uses: Uses,
    _private: (),
}

/// What came of following a function.
#[derive(Debug)]
pub enum Outcome {
    /// It keeps to the rules.
    Accepted(Accepted),
    /// Something was followed more than once, and perhaps not allowed with what was known there, which may be less than is true. So many
    /// steps were taken.
    Unclear(u64),
}

/// Memory that a thread uses for one function after the other.
#[derive(Debug, Default)]
pub struct Memory {
    /// What was known at leaders of the last function, as far as it was followed.
    pub leaders: Leaders,
    /// Where its jumps back lead.
    heads: BTreeSet<u32>,
    marks: Vec<u8>,
    current: State,
    taken: State,
}

impl Memory {
    /// What is known where jumps back lead.
    pub fn claims(&self) -> Certificate {
        let mut certificate = Certificate::default();
        for head in &self.heads {
            if let Some(state) = self.leaders.get(*head) {
                certificate.claim(*head, state.clone());
            }
        }
        certificate
    }
}

/// Follows a function until nothing more is to be known about it.
///
/// # Errors
/// The first instruction, in the order of the text, that is not allowed.
pub fn follow(task: &Shared<'_>, unit: &Unit<'_>, memory: &mut Memory) -> Result<Outcome, Refusal> {
    pass(task, unit, None, memory)
}

/// Checks a function with the help of a certificate, in one pass.
///
/// # Errors
/// The first instruction, in the order of the text, that is not allowed or not as the certificate says.
pub fn check(
    task: &Shared<'_>,
    unit: &Unit<'_>,
    certificate: &Certificate,
    memory: &mut Memory,
) -> Result<Accepted, Refusal> {
    match pass(task, unit, Some(certificate), memory)? {
        Outcome::Accepted(accepted) => Ok(accepted),
        Outcome::Unclear(_) => Err(Interpreter::new(task, unit).fault(unit.range.start, unsettled())),
    }
}

fn pass(
    task: &Shared<'_>,
    unit: &Unit<'_>,
    certificate: Option<&Certificate>,
    memory: &mut Memory,
) -> Result<Outcome, Refusal> {
    let Unit { range, .. } = *unit;
    let Memory { leaders, heads, marks, current, taken } = memory;
    leaders.begin(range);
    heads.clear();
    marks.clear();
    marks.resize(range.len as usize, 0);
    let interpreter = Interpreter::new(task, unit).within_budget();
    let (is_strict, start) = (certificate.is_some(), range.start);
    let mut pass = Pass {
        interpreter,
        leaders,
        heads,
        marks,
        instructions: 0,
        start,
        edge: start,
        end: start,
        is_strict,
        has_changed: false,
        is_repeated: false,
        is_unclear: false,
    };
    let begun = pass.begin(certificate);
    begun.map_err(|problem| pass.interpreter.fault(start, problem))?;
    while let Some(leader) = pass.leaders.take(current) {
        pass.block(leader, current, taken)?;
    }
    let Pass { interpreter, leaders, marks, instructions, is_repeated, is_unclear, .. } = pass;
    if is_repeated || is_unclear {
        return Ok(Outcome::Unclear(interpreter.work()));
    }
    if !leaders.are_settled() {
        return Err(interpreter.fault(start, unsettled()));
    }
    if let Some(place) = wrong_entry(unit, marks) {
        return Err(interpreter.fault(place, wrong_table(place)));
    }
    let (steps, uses) = (interpreter.work(), interpreter.uses);
    Ok(Outcome::Accepted(Accepted { instructions, steps, uses, _private: () }))
}

/// In what is marked of a byte, beside the bits of a [`Fault`]: an instruction begins there.
const BEGINS: u8 = 1;

/// A call ends with it.
const ENDS_CALL: u8 = 2;

/// How far ahead leaders are looked for, in bytes: not so far that it takes longer than a block does.
const FAR: u32 = 4096;

struct Pass<'a> {
    interpreter: Interpreter<'a>,
    leaders: &'a mut Leaders,
    heads: &'a mut BTreeSet<u32>,
    /// What was found out about each byte.
    marks: &'a mut [u8],
    instructions: u64,
    /// Offset in the text of the function's first byte.
    start: u32,
    /// No leader begins behind the instruction that is followed and before this offset.
    edge: u32,
    /// All instructions that were followed end before this offset or at it.
    end: u32,
    /// Whether nothing may be followed again.
    is_strict: bool,
    /// Whether a jump back has changed what is known where it leads.
    has_changed: bool,
    /// Whether something was followed again.
    is_repeated: bool,
    is_unclear: bool,
}

impl Pass<'_> {
    /// Takes over what is known at the entry, and what is claimed.
    fn begin(&mut self, certificate: Option<&Certificate>) -> Result<(), Problem> {
        let entry = self.interpreter.at_entry();
        let visited = &mut self.interpreter.visited;
        self.leaders.join(self.start, &entry, visited)?;
        for (leader, claimed) in certificate.into_iter().flat_map(Certificate::claims) {
            claimed.check().map_err(|what| Problem::new(Rule::Certificate, what))?;
            self.leaders.join(leader, claimed, visited)?;
        }
        Ok(())
    }

    /// Follows the block that begins with a leader, in the state that is known there.
    fn block(&mut self, leader: u32, state: &mut State, taken: &mut State) -> Result<(), Refusal> {
        let mut instruction = Instruction::default();
        let mut at = leader;
        self.look_ahead(leader);
        // What is followed again is counted once.
        let counted = (self.mark(leader) & BEGINS != 0).then_some(self.interpreter.uses);
        self.is_repeated |= counted.is_some();
        loop {
            match self.instruction(at, state, taken, &mut instruction) {
                Ok(true) => at = self.interpreter.next(),
                Ok(false) => break,
                Err(problem) if self.has_changed && !self.is_strict && problem.rule() != Rule::Budget => {
                    self.is_unclear = true;
                    break;
                }
                Err(problem) => return Err(self.interpreter.refusal(at, &instruction, problem)),
            }
        }
        if let Some(counted) = counted {
            self.interpreter.uses = counted;
        }
        Ok(())
    }

    /// Follows an instruction. Whether the block goes on behind it.
    fn instruction(
        &mut self,
        at: u32,
        state: &mut State,
        taken: &mut State,
        instruction: &mut Instruction,
    ) -> Result<bool, Problem> {
        let step = self.interpreter.step(state, at, instruction)?;
        let behind = self.interpreter.next();
        self.note(at, behind);
        let goes_on = step.exits(state, taken, |target, state| self.reach(at, target, state))?;
        if self.edge <= behind {
            match self.leaders.next(at, behind) {
                Some(leader) if leader < behind => return Err(Problem::new(Rule::Boundary, "a jump into it")),
                Some(_) if goes_on => {
                    self.leaders.join(behind, state, &mut self.interpreter.visited)?;
                    return Ok(false);
                }
                _ => self.look_ahead(behind),
            }
        }
        Ok(goes_on)
    }

    /// Finds out up to where no leader begins behind an instruction.
    fn look_ahead(&mut self, at: u32) {
        let far = at.saturating_add(FAR);
        self.edge = self.leaders.next(at, far).unwrap_or(far);
    }

    /// Control may jump from an instruction to another, in this state.
    fn reach(&mut self, at: u32, target: u32, state: &State) -> Result<(), Problem> {
        self.interpreter.check_budget()?;
        let visited = &mut self.interpreter.visited;
        let known = self.leaders.get(target);
        let (is_back, is_new) = (target <= at, known.is_none());
        if is_back {
            self.heads.insert(target);
        }
        if is_back && self.is_strict {
            return match known.is_some_and(|known| state.implies(known, visited)) {
                true => Ok(()),
                false => Err(Problem::new(Rule::Certificate, "a jump back to where something else is known")),
            };
        }
        let has_changed = self.leaders.join(target, state, visited)?;
        self.has_changed |= is_back && has_changed;
        if target > at {
            self.edge = self.edge.min(target);
        }
        // Code that was followed through here ends here if it is followed again. If here is in an instruction, that shows it.
        if is_new
            && target < self.end
            && let Some(before) = self.leaders.last(target)
        {
            self.leaders.spoil(before);
        }
        Ok(())
    }

    fn mark(&self, at: u32) -> u8 {
        self.marks.get((at - self.start) as usize).copied().unwrap_or(0)
    }

    /// Marks the bytes of an instruction that was followed.
    fn note(&mut self, at: u32, behind: u32) {
        let Notes { faults, is_call } = self.interpreter.notes();
        let begin = (at - self.start) as usize;
        if let Some(mark) = self.marks.get_mut(begin) {
            self.instructions += u64::from(*mark & BEGINS == 0);
            *mark = BEGINS | faults | *mark & ENDS_CALL;
        }
        if is_call && let Some(mark) = self.marks.get_mut((behind - 1 - self.start) as usize) {
            *mark |= ENDS_CALL;
        }
        self.end = self.end.max(behind);
    }
}

/// The first entry of a function's tables that is not about an instruction, or wrong about it. The entries of a table are in
/// ascending order; one that is not is about none.
fn wrong_entry(unit: &Unit<'_>, marks: &[u8]) -> Option<u32> {
    let Unit { range, traps, sources, .. } = *unit;
    let mark = |place: u32| place.checked_sub(range.start).and_then(|at| marks.get(at as usize).copied()).unwrap_or(0);
    let is_right = |(place, code): &(u32, u8)| mark(*place) & faults_of(*code) != 0;
    // A return address points behind the call, and the runtime looks up the byte before.
    let is_of_call_or_fault = |(place, _): &(u32, u32)| mark(*place) & !BEGINS != 0;
    let wrong = traps.iter().find(|entry| !is_right(entry)).map(|(place, _)| *place);
    let wrong = wrong.or_else(|| sources.iter().find(|entry| !is_of_call_or_fault(entry)).map(|(place, _)| *place));
    wrong.or_else(|| unordered(traps)).or_else(|| unordered(sources))
}

/// The first entry that comes before another with a lower offset.
fn unordered<V>(table: &[(u32, V)]) -> Option<u32> {
    table.iter().zip(table.get(1..)?).find(|(one, next)| one.0 > next.0).map(|(one, _)| one.0)
}

/// The faults that a trap code can stand for, a bit for each [`Fault`].
fn faults_of(code: u8) -> u8 {
    match TrapCode::from_u8(code) {
        Some(TrapCode::HeapOutOfBounds) => Fault::Heap as u8,
        Some(TrapCode::IntegerDivisionByZero | TrapCode::IntegerOverflow) => {
            Fault::Divide as u8 | Fault::Undefined as u8
        }
        Some(_) => Fault::Undefined as u8,
        None => 0,
    }
}

fn wrong_table(place: u32) -> Problem {
    let what = format!("a table speaks of {place:#x}, where no instruction faults so, and no call ends");
    Problem::new(Rule::Metadata, what)
}

fn unsettled() -> Problem {
    Problem::new(Rule::Certificate, "what is known of the function was not settled")
}
