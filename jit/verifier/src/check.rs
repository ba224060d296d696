//! Whether a certificate is right: one pass over the code, block by block, without loops, joins or a budget.
//!
//! The argument, by induction over the steps that a processor takes: whenever it is at a leader, what is the case is described
//! by the certificate; whenever it is in a block, by the state that this pass had there. It holds at the entry, where the state
//! of [`Interpreter::at_entry`] implies that of the certificate. A step keeps it, if the rules are right: within a block the
//! pass takes the same step, and wherever control leaves a block, the state there implies the one that the certificate has. So
//! each instruction that is ever executed is one that the pass has allowed, where it was decoded.
//!
//! Nothing here depends on how the certificate was found. A wrong one is refused.

use crate::certificate::Certificate;
use crate::image::{Part, Shared, Unit, Uses};
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
    /// What they use.
    pub uses: Uses,
    _private: (),
}

/// Checks a function against a certificate.
///
/// # Errors
/// The first instruction, in the order of the text, that is not allowed or not as the certificate says.
pub fn check(task: &Shared<'_>, unit: &Unit<'_>, certificate: &Certificate) -> Result<Accepted, Refusal> {
    let Unit { range, traps, sources, .. } = *unit;
    let interpreter = Interpreter::new(task, unit);
    let mut state = interpreter.at_entry();
    let taken = State::default();
    let mut checker = Checker { interpreter, certificate, traps, sources, taken, instructions: 0 };
    arrive(certificate, range.start, &state).map_err(|problem| checker.refusal(range.start, problem))?;
    let mut leaders = certificate.leaders().peekable();
    while let Some(leader) = leaders.next() {
        checker.block(&mut state, leader, leaders.peek().copied())?;
    }
    if let Some(place) = checker.unused() {
        return Err(checker.refusal(place, wrong_table(place)));
    }
    Ok(Accepted { instructions: checker.instructions, uses: checker.interpreter.uses, _private: () })
}

struct Checker<'a> {
    interpreter: Interpreter<'a>,
    certificate: &'a Certificate,
    /// The entries of the table of traps for what follows in the text.
    traps: Part<'a, u8>,
    /// Those of the table of positions.
    sources: Part<'a, u32>,
    /// Memory for a state.
    taken: State,
    instructions: u64,
}

impl Checker<'_> {
    /// Passes over the block that begins with a leader. `next`: the leader behind it, if there is one.
    fn block(&mut self, state: &mut State, leader: u32, next: Option<u32>) -> Result<(), Refusal> {
        let Some(known) = self.certificate.get(leader) else { return Ok(()) };
        known.check().map_err(|what| self.refusal(leader, Problem::new(Rule::Certificate, what)))?;
        state.copy_from(known);
        let mut instruction = Instruction::default();
        let mut at = leader;
        loop {
            let passed = self.pass(state, at, next, &mut instruction);
            let passed = passed.map_err(|problem| self.interpreter.refusal(at, &instruction, problem))?;
            match passed {
                Some(behind) if Some(behind) == next => {
                    let arrived = arrive(self.certificate, behind, state);
                    return arrived.map_err(|problem| self.interpreter.refusal(at, &instruction, problem));
                }
                Some(behind) => at = behind,
                None => return Ok(()),
            }
        }
    }

    /// Passes over an instruction. Returns the offset of what is behind it, if control may go there.
    fn pass(
        &mut self,
        state: &mut State,
        at: u32,
        leader: Option<u32>,
        instruction: &mut Instruction,
    ) -> Result<Option<u32>, Problem> {
        let step = self.interpreter.step(state, at, instruction)?;
        let behind = self.interpreter.next();
        if leader.is_some_and(|leader| behind > leader) {
            return Err(Problem::new(Rule::Boundary, "a jump into it, or another instruction that overlaps it"));
        }
        self.instructions += 1;
        self.tables(at, behind)?;
        let certificate = self.certificate;
        let goes_on = step.exits(state, &mut self.taken, |target, state| arrive(certificate, target, state))?;
        Ok(goes_on.then_some(behind))
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

    fn refusal(&self, at: u32, problem: Problem) -> Refusal {
        self.interpreter.refusal(at, &Instruction::default(), problem)
    }
}

/// Control comes to a place where a certificate must know what is the case.
fn arrive(certificate: &Certificate, leader: u32, state: &State) -> Result<(), Problem> {
    match certificate.get(leader) {
        Some(known) if state.implies(known) => Ok(()),
        Some(_) => Err(Problem::new(Rule::Certificate, format!("what the walk knows at {leader:#x} is not all true"))),
        None => Err(Problem::new(Rule::Certificate, format!("the walk knows nothing of {leader:#x}"))),
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
