//! Whether a function keeps to the rules: one pass over its code, without a loop over paths.
//!
//! The pass goes through the text once, in ascending order. Where it comes to a leader, it takes the join of all states that it
//! has seen going there, and of what the certificate claims. It follows the code from there to the next leader. At a jump to a
//! later place, it joins its state with the one there. At a jump to an earlier place, its state must imply the one that it had
//! there: nothing is followed again.
//!
//! So at its end this holds of each instruction that the pass has seen: its state there describes whatever may be the case
//! there. By induction over the steps that a processor takes: it is so at the entry. If it is so before a step, the rules allow
//! that step, and it is so after it: in a block the pass took the same step; and whether control went on to a later place or to
//! an earlier one, the state from there implies the one that the pass had here. The certificate is part of a join, so a wrong
//! one leads to a refusal or to nothing.

use crate::certificate::Certificate;
use crate::image::{Part, Shared, Unit, Uses};
use crate::leaders::Leaders;
use crate::refusal::{Refusal, Rule};
use crate::state::State;
use crate::step::{Fault, Interpreter, Notes, Problem};
use iced_x86::Instruction;
use wave_contract::trap::TrapCode;

/// That a function was accepted, and what it consists of. Only [`check`] constructs one.
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

/// Memory that a thread uses for one function after the other.
#[derive(Debug, Default)]
pub struct Memory {
    /// The states that the last pass had at leaders, as far as it came.
    pub leaders: Leaders,
    current: State,
    taken: State,
}

/// Checks a function with the help of a certificate.
///
/// # Errors
/// The first instruction, in the order of the text, that is not allowed or not as the certificate says.
pub fn check(
    task: &Shared<'_>,
    unit: &Unit<'_>,
    certificate: &Certificate,
    memory: &mut Memory,
) -> Result<Accepted, Refusal> {
    let Unit { range, traps, sources, .. } = *unit;
    let Memory { leaders, current, taken } = memory;
    leaders.begin(range);
    let interpreter = Interpreter::new(task, unit).within_budget();
    let mut pass = Pass { interpreter, leaders, traps, sources, taken, instructions: 0 };
    let mut at = range.start;
    let nothing = Instruction::default();
    let begun = pass.begin(range.start, certificate).map_err(|problem| pass.interpreter.refusal(at, &nothing, problem));
    begun?;
    while let Some(leader) = pass.leaders.first(at, range.start + range.len) {
        at = pass.block(leader, current)?;
    }
    if let Some(place) = pass.unused() {
        return Err(pass.interpreter.refusal(place, &nothing, wrong_table(place)));
    }
    let Interpreter { uses, .. } = pass.interpreter;
    Ok(Accepted { instructions: pass.instructions, steps: pass.interpreter.work(), uses, _private: () })
}

struct Pass<'a> {
    interpreter: Interpreter<'a>,
    leaders: &'a mut Leaders,
    /// The entries of the table of traps for what follows in the text.
    traps: Part<'a, u8>,
    /// Those of the table of positions.
    sources: Part<'a, u32>,
    taken: &'a mut State,
    instructions: u64,
}

impl Pass<'_> {
    /// Takes over what is known at the entry, and what is claimed.
    fn begin(&mut self, start: u32, certificate: &Certificate) -> Result<(), Problem> {
        let entry = self.interpreter.at_entry();
        let visited = &mut self.interpreter.visited;
        self.leaders.join(start, &entry, visited)?;
        for (leader, claimed) in certificate.claims() {
            claimed.check().map_err(|what| Problem::new(Rule::Certificate, what))?;
            self.leaders.join(leader, claimed, visited)?;
        }
        Ok(())
    }

    /// Passes over the block that begins with a leader. Returns the offset of what is behind it.
    fn block(&mut self, leader: u32, state: &mut State) -> Result<u32, Refusal> {
        if let Some(known) = self.leaders.get(leader) {
            state.copy_from(known);
        }
        let mut instruction = Instruction::default();
        let mut at = leader;
        loop {
            let passed = self.instruction(at, state, &mut instruction);
            let goes_on = passed.map_err(|problem| self.interpreter.refusal(at, &instruction, problem))?;
            let behind = self.interpreter.next();
            if !goes_on {
                return Ok(behind);
            }
            at = behind;
        }
    }

    /// Passes over an instruction. Whether the block goes on behind it.
    fn instruction(&mut self, at: u32, state: &mut State, instruction: &mut Instruction) -> Result<bool, Problem> {
        let step = self.interpreter.step(state, at, instruction)?;
        let behind = self.interpreter.next();
        self.instructions += 1;
        self.tables(at, behind)?;
        let Self { interpreter, leaders, taken, .. } = self;
        let goes_on = step.exits(state, taken, |target, state| {
            let visited = &mut interpreter.visited;
            match leaders.get(target) {
                _ if target > at => leaders.join(target, state, visited).map(drop),
                Some(known) if state.implies(known, visited) => Ok(()),
                _ => Err(Problem::new(Rule::Certificate, "a jump back to where something else is known")),
            }?;
            interpreter.check_budget()
        })?;
        match leaders.first(at + 1, behind.saturating_add(1)) {
            Some(leader) if leader < behind => Err(Problem::new(Rule::Boundary, "a jump into it")),
            Some(leader) if goes_on => {
                leaders.join(leader, state, &mut interpreter.visited)?;
                Ok(false)
            }
            _ => Ok(goes_on),
        }
    }

    /// Takes the entries of the tables up to the end of an instruction: each must be about this one, and right. The entries of a
    /// table are in ascending order; one that is not is about none.
    fn tables(&mut self, at: u32, behind: u32) -> Result<(), Problem> {
        let Notes { faults, is_call } = self.interpreter.notes();
        while let Some((&(place, code), rest)) = self.traps.split_first()
            && place < behind
        {
            if place != at || faults & faults_of(code) == 0 {
                return Err(wrong_table(place));
            }
            self.traps = rest;
        }
        while let Some((&(place, _), rest)) = self.sources.split_first()
            && place < behind
        {
            // A return address points behind the call, and the runtime looks up the byte before.
            let is_right = place == at && faults != 0 || place + 1 == behind && is_call;
            if !is_right {
                return Err(wrong_table(place));
            }
            self.sources = rest;
        }
        Ok(())
    }

    /// An entry of a table that no instruction has taken.
    fn unused(&self) -> Option<u32> {
        self.traps.first().map(|(place, _)| *place).or(self.sources.first().map(|(place, _)| *place))
    }
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
