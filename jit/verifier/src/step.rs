//! One step: what an instruction does to what is known, and where control goes from there.
//!
//! Nothing here knows of paths, loops or joins: what follows code from one instruction to the next is elsewhere.

use crate::condition::refine;
use crate::convention::stack_bytes;
use crate::image::{Shared, Unit, Uses};
use crate::instruction::{Kind, kind};
use crate::places::slots_bytes;
use crate::refusal::{Refusal, Rule, UnitName};
use crate::state::{Flags, State};
use crate::value::{Gpr, Object, Value};
use iced_x86::{
    Code, ConditionCode, Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, OpKind, Register,
};
use std::fmt;
use wave_contract::STACK_PROBE_BYTES;
use wave_contract::image::CodeRange;
use wave_contract::types::FuncType;

/// Largest distance of the stack pointer from its start.
pub const LARGEST_FRAME: i32 = 1 << 30;

/// Maximum number of instructions examined for each byte of a function.
const STEPS_PER_BYTE: u64 = 32;

/// How many lines and branches of the words of a frame are joined, compared or searched at the cost of one step.
const NODES_PER_STEP: u64 = 4;

/// Why an instruction is refused. Boxed, because every step can return it and hardly any does.
#[derive(Debug)]
pub struct Problem(Box<(Rule, String)>);

impl Problem {
    #[cold]
    pub(crate) fn new(rule: Rule, what: impl Into<String>) -> Self {
        Self(Box::new((rule, what.into())))
    }

    /// The rule that it breaks.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.0.0
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.1)
    }
}

/// How an instruction may fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It reaches linear memory, and may reach its guard.
    Heap = 4,
    /// It is an undefined instruction.
    Undefined = 8,
    /// It divides.
    Divide = 16,
}

/// What a step notes besides the state: the tables of an image name such instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// How the instruction may fault, a bit for each [`Fault`].
    pub faults: u8,
    /// Whether it is a call: a return address may point behind it.
    pub is_call: bool,
}

/// Where control goes after an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the instruction behind it, which begins at [`Interpreter::next`].
    Next,
    /// To no other instruction of the function.
    Nowhere,
    /// To the instruction at this offset in the text.
    Jump(u32),
    /// There if a condition holds, else to the instruction behind it.
    Branch {
        /// Offset in the text.
        target: u32,
        /// The condition. What follows from it is not yet part of the state: see [`Step::exits`].
        condition: ConditionCode,
    },
    /// To one of these offsets in the text.
    Table(Box<[u32]>),
}

impl Step {
    /// Gives `visit` each place that control may jump to, with what is known there. Returns whether control may also reach the
    /// instruction behind this one; `state` becomes what is known there. The content of `taken` does not matter.
    ///
    /// # Errors
    /// The first of `visit`.
    #[inline]
    pub fn exits(
        &self,
        state: &mut State,
        taken: &mut State,
        mut visit: impl FnMut(u32, &State) -> Result<(), Problem>,
    ) -> Result<bool, Problem> {
        match self {
            Self::Next => return Ok(true),
            Self::Nowhere => {}
            Self::Jump(target) => visit(*target, state)?,
            Self::Branch { target, condition } => {
                if state.flags.can_refine() {
                    taken.copy_from(state);
                    refine(taken, *condition, true);
                    visit(*target, taken)?;
                    refine(state, *condition, false);
                } else {
                    visit(*target, state)?;
                }
                return Ok(true);
            }
            Self::Table(targets) => targets.iter().try_for_each(|target| visit(*target, state))?,
        }
        Ok(false)
    }
}

/// What the instructions of one function do to what is known.
pub struct Interpreter<'a> {
    pub(crate) task: &'a Shared<'a>,
    name: UnitName,
    pub(crate) range: CodeRange,
    code: &'a [u8],
    /// Bytes of arguments on the stack.
    pub(crate) argument_bytes: u32,
    /// Of an entry thunk, the type of the functions it enters.
    pub(crate) entered: Option<&'a FuncType>,
    /// Of an entry thunk, the size of its slots.
    pub(crate) slots: u32,
    decoder: Decoder<'a>,
    notes: Notes,
    /// What the instructions use, as often as they were examined.
    pub(crate) uses: Uses,
    /// What was examined so far: instructions and entries of jump tables.
    examined: u64,
    /// How many lines and branches of words of the frame were looked at.
    pub(crate) visited: u64,
    /// Maximum of [`Self::work`].
    budget: u64,
}

impl fmt::Debug for Interpreter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interpreter").field("name", &self.name).field("range", &self.range).finish_non_exhaustive()
    }
}

impl<'a> Interpreter<'a> {
    /// For a function or an entry thunk.
    #[must_use]
    pub fn new(task: &'a Shared<'a>, unit: &Unit<'a>) -> Self {
        let Unit { name, range, code, ty, .. } = *unit;
        let is_entry = matches!(name, UnitName::Entry(_));
        Self {
            task,
            name,
            range,
            code,
            argument_bytes: if is_entry { 0 } else { stack_bytes(ty, task.leading()) },
            entered: is_entry.then_some(ty),
            slots: if is_entry { slots_bytes(ty.params.len(), ty.results.len()) } else { 0 },
            decoder: Decoder::with_ip(64, code, range.start.into(), DecoderOptions::NONE),
            notes: Notes::default(),
            uses: Uses::default(),
            examined: 0,
            visited: 0,
            budget: u64::MAX,
        }
    }

    /// Refuses to do more than an honest function needs.
    pub(crate) fn within_budget(mut self) -> Self {
        self.budget = STEPS_PER_BYTE * u64::from(self.range.len) + 256;
        self
    }

    /// What is known where the function is entered, at the first of its bytes.
    #[must_use]
    pub fn at_entry(&self) -> State {
        let mut state = State::at_entry();
        if self.entered.is_some() {
            state.set(Gpr::RDI, Value::Into { object: Object::Slots, low: 0, span: 0 });
            state.set(Gpr::RSI, Value::EnteredCode);
            state.set(Gpr::RDX, Value::EnteredContext { field: 0 });
        } else if !self.task.is_fixed {
            state.set(Gpr::RDI, Value::Into { object: Object::Context, low: 0, span: 0 });
        }
        state
    }

    /// Decodes the instruction at an offset in the text and changes `state`, which describes all that may be the case before
    /// it, so that it describes all that may be the case after it.
    ///
    /// # Errors
    /// If the instruction is not allowed there.
    pub fn step(&mut self, state: &mut State, at: u32, instruction: &mut Instruction) -> Result<Step, Problem> {
        self.notes = Notes::default();
        self.examined += 1;
        self.check_budget()?;
        if self.decoder.ip() != u64::from(at) {
            let position = at.checked_sub(self.range.start).ok_or_else(outside)?;
            self.decoder.set_position(position as usize).map_err(|_| outside())?;
            self.decoder.set_ip(at.into());
        }
        self.decoder.decode_out(instruction);
        if instruction.code() == Code::INVALID {
            return Err(Problem::new(
                Rule::Boundary,
                "no instruction, or one that is cut off by the end of the function",
            ));
        }
        let kind = kind(instruction.code()).ok_or_else(|| {
            // The refusal shows the instruction. Its name for `Debug` is left out: that table of iced's fills 20 pages at each start.
            Problem::new(Rule::Instruction, "code has no such instruction")
        })?;
        self.encoding(at, instruction, kind)?;
        let step = self.apply(state, instruction, kind)?;
        assert_consistent(state, instruction);
        Ok(step)
    }

    /// Offset in the text of what is behind the last instruction.
    #[must_use]
    pub fn next(&self) -> u32 {
        u32::try_from(self.decoder.ip()).unwrap_or(u32::MAX)
    }

    /// What the last step has noted.
    #[must_use]
    pub const fn notes(&self) -> Notes {
        self.notes
    }

    /// A refusal of an instruction of this function.
    pub(crate) fn refusal(&self, at: u32, instruction: &Instruction, problem: Problem) -> Refusal {
        let mut text = String::new();
        if instruction.code() == Code::INVALID {
            text = self.bytes(at).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        } else {
            IntelFormatter::new().format(instruction, &mut text);
        }
        let (rule, what) = *problem.0;
        Refusal { unit: self.name, offset: at, instruction: text, rule, what }
    }

    /// A refusal of the function for what is not about one instruction.
    pub(crate) fn fault(&self, at: u32, problem: Problem) -> Refusal {
        self.refusal(at, &Instruction::default(), problem)
    }

    /// The function's bytes from an offset in the text on.
    fn bytes(&self, at: u32) -> &'a [u8] {
        at.checked_sub(self.range.start).and_then(|at| self.code.get(at as usize..)).unwrap_or_default()
    }

    /// Notes that the instruction may fault in some way.
    pub(crate) fn may_fault(&mut self, fault: Fault) {
        self.notes.faults |= fault as u8;
    }

    /// Counts a use of the instruction.
    pub(crate) fn uses(&mut self, count: impl FnOnce(&mut Uses) -> &mut u64) {
        *count(&mut self.uses) += 1;
    }

    /// Forgets every transient value that `is_stale`.
    pub(crate) fn forget(&mut self, state: &mut State, is_stale: impl Fn(Value) -> bool) {
        state.forget(is_stale, &mut self.visited);
    }

    /// Steps so far.
    pub(crate) const fn work(&self) -> u64 {
        self.examined + self.visited / NODES_PER_STEP
    }

    pub(crate) fn check_budget(&self) -> Result<(), Problem> {
        match self.work() > self.budget {
            true => Err(Problem::new(Rule::Budget, "checking takes more steps than any honest function needs")),
            false => Ok(()),
        }
    }

    /// Checks an instruction's encoding.
    fn encoding(&self, at: u32, instruction: &Instruction, kind: Kind) -> Result<(), Problem> {
        let bytes = self.bytes(at);
        let repeats = instruction.has_rep_prefix() || instruction.has_repne_prefix();
        if repeats || !has_plain_prefixes(bytes) || instruction.op_mask() != Register::None {
            return Err(Problem::new(Rule::Encoding, "a prefix that code does not need"));
        }
        let branches = matches!(
            kind,
            Kind::Call | Kind::CallIndirect | Kind::Jump | Kind::JumpIndirect | Kind::JumpIf | Kind::Return
        );
        if branches && has_leading_prefix(bytes) {
            return Err(Problem::new(Rule::Encoding, "a branch with a prefix"));
        }
        Ok(())
    }

    fn apply(&mut self, state: &mut State, instruction: &Instruction, kind: Kind) -> Result<Step, Problem> {
        match kind {
            Kind::Call => {
                self.notes.is_call = true;
                self.call(state, instruction.near_branch64())?;
            }
            Kind::CallIndirect => {
                self.notes.is_call = true;
                let callee = self.read(state, instruction, 0)?;
                self.call_indirect(state, callee)?;
            }
            Kind::Return => {
                let popped = if instruction.code() == Code::Retnq { 0 } else { u32::from(instruction.immediate16()) };
                self.leave(state, popped)?;
                return Ok(Step::Nowhere);
            }
            Kind::Undefined => {
                self.may_fault(Fault::Undefined);
                return Ok(Step::Nowhere);
            }
            Kind::Jump => {
                let target = instruction.near_branch64();
                if let Some(target) = self.inside(target) {
                    return Ok(Step::Jump(target));
                }
                self.notes.is_call = true;
                self.tail_call(state, target)?;
                return Ok(Step::Nowhere);
            }
            Kind::JumpIndirect => {
                let target = self.read(state, instruction, 0)?;
                if let Value::JumpTarget { at, count } = target {
                    return self.jump_table(at, count).map(Step::Table);
                }
                self.notes.is_call = true;
                self.tail_call_indirect(state, target)?;
                return Ok(Step::Nowhere);
            }
            Kind::JumpIf => {
                let target = self.inside(instruction.near_branch64()).ok_or_else(|| {
                    Problem::new(Rule::Target, "a conditional jump out of the function, or to its entry")
                })?;
                return Ok(Step::Branch { target, condition: instruction.condition_code() });
            }
            Kind::Move if is_probe(instruction) && self.probe(state)? => {}
            kind => self.transfer(state, instruction, kind)?,
        }
        Ok(Step::Next)
    }

    /// The target of a jump in the function, which is not its entry.
    fn inside(&self, target: u64) -> Option<u32> {
        let target = u32::try_from(target).ok()?;
        (self.range.contains(target) && target != self.range.start).then_some(target)
    }

    /// Where the entries of a jump table lead, in ascending order.
    fn jump_table(&mut self, at: u32, count: u32) -> Result<Box<[u32]>, Problem> {
        self.uses(|uses| &mut uses.jump_tables);
        self.examined += u64::from(count);
        let entries = self.bytes(at).get(..4 * count as usize).ok_or_else(outside)?.as_chunks::<4>().0;
        let target = |entry: &[u8; 4]| {
            let target = i64::from(at) + i64::from(i32::from_le_bytes(*entry));
            self.inside(target.cast_unsigned()).ok_or_else(|| {
                Problem::new(Rule::Target, format!("an entry of a jump table of {count} leads out of the function"))
            })
        };
        let mut targets = entries.iter().map(target).collect::<Result<Vec<_>, _>>()?;
        targets.sort_unstable();
        targets.dedup();
        Ok(targets.into())
    }

    /// The loop that touches each step of a large frame, as one instruction that goes on behind the first one. The stack pointer
    /// is as far down afterwards as the loop says, and all on the way is touched. What follows code must let nothing jump into
    /// it: [`Self::next`] is behind all of it.
    fn probe(&mut self, state: &mut State) -> Result<bool, Problem> {
        let (position, ip) = (self.decoder.position(), self.decoder.ip());
        let [bound, step, touch, compare, back] = [(); 5].map(|()| self.decoder.decode());
        // None of them has a prefix that processors could read in another way.
        let is_plain = |instruction: &Instruction| {
            let bytes = self.bytes(offset(instruction));
            has_plain_prefixes(bytes) && !has_leading_prefix(bytes)
        };
        let are_plain = [&bound, &step, &touch, &compare, &back].into_iter().all(is_plain);
        let bytes = |instruction: &Instruction, register: Register| {
            let is = instruction.code() == Code::Sub_rm64_imm32
                && instruction.op0_kind() == OpKind::Register
                && instruction.op0_register() == register;
            is.then(|| i64::from(instruction.immediate32().cast_signed())).filter(|bytes| *bytes > 0)
        };
        // Never a multiple of each other if one is missing.
        let (whole, each) = (bytes(&bound, Register::R11).unwrap_or(1), bytes(&step, Register::RSP).unwrap_or(2));
        let touches = touch.code() == Code::Mov_rm32_imm32
            && touch.op0_kind() == OpKind::Memory
            && touch.memory_base() == Register::RSP
            && touch.memory_index() == Register::None
            && touch.memory_displacement64() == 0
            && touch.segment_prefix() == Register::None;
        let compares = matches!(compare.code(), Code::Cmp_rm64_r64 | Code::Cmp_r64_rm64)
            && compare.op0_kind() == OpKind::Register
            && compare.op1_kind() == OpKind::Register
            && [compare.op0_register(), compare.op1_register()]
                .into_iter()
                .all(|side| matches!(side, Register::RSP | Register::R11))
            && compare.op0_register() != compare.op1_register();
        let goes_back =
            matches!(back.code(), Code::Jne_rel8_64 | Code::Jne_rel32_64) && back.near_branch64() == step.ip();
        if !are_plain || !touches || !compares || !goes_back || each > STACK_PROBE_BYTES as i64 || whole % each != 0 {
            self.decoder.set_ip(ip);
            return self.decoder.set_position(position).map(|()| false).map_err(|_| outside());
        }
        let stack = self.stack(state)?;
        let below = i64::from(stack) - whole;
        let below = i32::try_from(below).ok().filter(|below| *below >= -LARGEST_FRAME);
        let below = below.ok_or_else(|| Problem::new(Rule::Frame, "the frame is too large"))?;
        if i64::from(state.touched) - i64::from(stack) + each > STACK_PROBE_BYTES as i64 {
            return Err(Problem::new(Rule::Probe, "the first step goes too far below what was touched of the stack"));
        }
        state.touched = below;
        state.set(Gpr::R11, Value::Frame(below));
        state.set(Gpr::RSP, Value::Frame(below));
        state.flags = Flags::Unknown;
        Ok(true)
    }
}

/// Whether an instruction begins as code does: at most one of 66, F2 and F3, then at most one REX. Processors and decoders
/// disagree about others.
fn has_plain_prefixes(bytes: &[u8]) -> bool {
    let is_rex = |byte: u8| byte & 0xf0 == 0x40;
    let rest = if has_leading_prefix(bytes) { &bytes[1..] } else { bytes };
    let rest = match rest {
        [first, rest @ ..] if is_rex(*first) => rest,
        rest => rest,
    };
    let legacy = |byte: u8| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    rest.first().is_some_and(|byte| !is_rex(*byte) && !legacy(*byte))
}

fn has_leading_prefix(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x66 | 0xf2 | 0xf3))
}

/// Whether an instruction may begin the loop that touches a large frame.
fn is_probe(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op0_register() == Register::R11
        && instruction.op1_kind() == OpKind::Register
        && instruction.op1_register() == Register::RSP
}

/// An instruction's offset in the text.
pub fn offset(instruction: &Instruction) -> u32 {
    u32::try_from(instruction.ip()).unwrap_or(u32::MAX)
}

/// In debug builds, checks the invariants of [`State`].
fn assert_consistent(state: &State, instruction: &Instruction) {
    if cfg!(debug_assertions)
        && let Err(what) = state.check()
    {
        panic!("after `{instruction}`: {what}");
    }
}

/// The refusal of code that goes on where there is none.
fn outside() -> Problem {
    Problem::new(Rule::Boundary, "code leaves the function")
}
