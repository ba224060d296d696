//! One function, all paths: an abstract interpretation of its code to a fixed point.
//!
//! A state is stored for each jump target. A pass starts at a target and follows the code to the next one, or to where control
//! leaves. There it joins its state with the stored one. If that changes, the target is followed again.

use crate::condition::refine;
use crate::convention::stack_bytes;
use crate::image::{Part, Shared, Unit, Uses};
use crate::instruction::{Kind, kind};
use crate::places::slots_bytes;
use crate::refusal::{Refusal, Rule, UnitName};
use crate::state::{Flags, State};
use crate::transfer::offset;
use crate::value::{Gpr, Object, Value};
use iced_x86::{Code, Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, OpKind, Register};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use wave_contract::STACK_PROBE_BYTES;
use wave_contract::image::CodeRange;
use wave_contract::trap::TrapCode;
use wave_contract::types::FuncType;

/// Maximum number of instructions examined for each byte of a function.
const STEPS_PER_BYTE: u64 = 32;

/// How many known frame words are copied, joined or searched at the cost of one step.
const WORDS_PER_STEP: u64 = 64;

/// Maximum number of known frame words in all states together, for each byte of a function.
const KNOWN_PER_BYTE: u64 = 16;

/// Why an instruction is refused. Boxed, because every step can return it and hardly any does.
#[derive(Debug)]
pub struct Problem(Box<(Rule, String)>);

impl Problem {
    #[cold]
    pub fn new(rule: Rule, what: impl Into<String>) -> Self {
        Self(Box::new((rule, what.into())))
    }
}

/// How an instruction may fault.
#[derive(Clone, Copy)]
pub enum Fault {
    Heap = 4,
    Undefined = 8,
    Divide = 16,
}

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

/// What was found about the functions of one thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Instructions, each counted once.
    pub instructions: u64,
    /// Instructions examined; one that is examined again counts again.
    pub steps: u64,
    pub uses: Uses,
}

/// One function while it is verified.
pub struct Function<'a> {
    pub task: &'a Shared<'a>,
    name: UnitName,
    pub range: CodeRange,
    code: &'a [u8],
    traps: Part<'a, u8>,
    sources: Part<'a, u32>,
    /// Bytes of arguments on the stack.
    pub argument_bytes: u32,
    /// Of an entry thunk, the type of the functions it enters.
    pub entered: Option<&'a FuncType>,
    /// Of an entry thunk, the size of its slots.
    pub slots: u32,
    scratch: &'a mut Scratch,
    /// How many of the states are this function's.
    known: usize,
    /// Maximum number of steps.
    budget: u64,
    /// How many words of the frame may still be remembered.
    memory: u64,
    /// Whether the instruction is examined for the first time.
    is_new: bool,
    pub counts: Counts,
}

/// Where control goes after an instruction.
enum Next {
    Following,
    Nowhere,
}

impl<'a> Function<'a> {
    /// A unit of the image.
    pub fn new(task: &'a Shared<'a>, scratch: &'a mut Scratch, unit: &Unit<'a>) -> Self {
        let Unit { name, range, code, ty, traps, sources } = *unit;
        let len = range.len as usize;
        scratch.marks.clear();
        scratch.marks.resize(len, 0);
        scratch.leaders.resize(scratch.leaders.len().max(len), 0);
        scratch.work.clear();
        let is_entry = matches!(name, UnitName::Entry(_));
        Self {
            task,
            name,
            range,
            code,
            traps,
            sources,
            argument_bytes: if is_entry { 0 } else { stack_bytes(ty, task.leading()) },
            entered: is_entry.then_some(ty),
            slots: if is_entry { slots_bytes(ty.params.len(), ty.results.len()) } else { 0 },
            scratch,
            known: 0,
            budget: STEPS_PER_BYTE * u64::from(range.len) + 256,
            memory: KNOWN_PER_BYTE * u64::from(range.len) + 65_536,
            is_new: false,
            counts: Counts::default(),
        }
    }

    /// Largest distance of the stack pointer from its start.
    pub const fn largest_frame(&self) -> i32 {
        1 << 30
    }

    /// Follows all paths.
    pub fn verify(&mut self) -> Result<(), Refusal> {
        let mut state = State::at_entry();
        if self.entered.is_some() {
            state.set(Gpr::RDI, Value::Into { object: Object::Slots, low: 0, span: 0 });
            state.set(Gpr::RSI, Value::EnteredCode);
            state.set(Gpr::RDX, Value::EnteredContext { field: 0 });
        } else if !self.task.is_fixed {
            state.set(Gpr::RDI, Value::Into { object: Object::Context, low: 0, span: 0 });
        }
        let start = self.range.start;
        let nothing = Instruction::default();
        self.reach(start, &state).map_err(|problem| self.refusal(start, &nothing, problem))?;
        let mut current = std::mem::take(&mut self.scratch.current);
        let mut decoder = self.decoder();
        let mut outcome = Ok(());
        while outcome.is_ok()
            && let Some(Reverse(from)) = self.scratch.work.pop()
        {
            *self.mark(from) &= !QUEUED;
            outcome = self.run(&mut decoder, &mut current, from, None).map(drop);
        }
        self.scratch.current = current;
        outcome.and_then(|()| self.metadata())
    }

    fn refusal(&self, at: u32, instruction: &Instruction, problem: Problem) -> Refusal {
        let mut text = String::new();
        if instruction.code() == Code::INVALID {
            text = self.bytes(at).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        } else {
            IntelFormatter::new().format(instruction, &mut text);
        }
        let (rule, what) = *problem.0;
        Refusal { unit: self.name, offset: at, instruction: text, rule, what }
    }

    /// The function's bytes from an offset in the text on.
    fn bytes(&self, at: u32) -> &'a [u8] {
        at.checked_sub(self.range.start).and_then(|at| self.code.get(at as usize..)).unwrap_or_default()
    }

    fn mark(&mut self, at: u32) -> &mut u8 {
        // Offsets come from the decoder, which has no more than the function's bytes.
        &mut self.scratch.marks[(at - self.range.start) as usize]
    }

    /// Notes that an instruction may fault in some way.
    pub fn mark_fault(&mut self, instruction: &Instruction, fault: Fault) {
        *self.mark(offset(instruction)) |= fault as u8;
    }

    /// Counts a use of the instruction.
    pub fn uses(&mut self, count: impl FnOnce(&mut Uses) -> &mut u64) {
        *count(&mut self.counts.uses) += u64::from(self.is_new);
    }

    /// Notes where a call ends: return addresses point there.
    fn mark_call(&mut self, instruction: &Instruction) {
        let last = offset(instruction) + u32::try_from(instruction.len()).unwrap_or(0).saturating_sub(1);
        *self.mark(last) |= CALL_END;
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
        self.look_through(state);
        self.within_budget()
    }

    /// Counts the work of searching each known word.
    pub fn look_through(&mut self, state: &State) {
        self.counts.steps += state.known_words() as u64 / WORDS_PER_STEP;
    }

    fn within_budget(&self) -> Result<(), Problem> {
        match self.counts.steps > self.budget {
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
        if !self.range.contains(target) {
            return Err(Problem::new(Rule::Target, "a jump out of the function"));
        }
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
                let ran = self.run(&mut self.decoder(), &mut known, self.range.start + from, Some(target));
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

    /// A decoder of the function's bytes.
    fn decoder(&self) -> Decoder<'a> {
        Decoder::with_ip(64, self.code, self.range.start.into(), DecoderOptions::NONE)
    }

    /// Follows the code from a jump target. With `until`, only to find the state there, and whether control reaches it.
    fn run(
        &mut self,
        decoder: &mut Decoder<'a>,
        state: &mut State,
        from: u32,
        until: Option<u32>,
    ) -> Result<bool, Refusal> {
        state.copy_from(self.known_at(from));
        let end = (self.range.start + self.range.len) as usize;
        // A place in the function, so it is one in its bytes.
        decoder.set_ip(from.into());
        drop(decoder.set_position((from - self.range.start) as usize));
        let mut instruction = Instruction::default();
        let mut at = from;
        loop {
            if until == Some(at) {
                return Ok(true);
            }
            if at != from && (at as usize) < end && *self.mark(at) & LEADER != 0 {
                if until.is_none() {
                    self.reach(at, state).map_err(|problem| self.refusal(at, &instruction, problem))?;
                }
                return Ok(false);
            }
            decoder.decode_out(&mut instruction);
            self.counts.steps += 1;
            let next = self
                .within_budget()
                .and_then(|()| self.begin(at, &instruction))
                .and_then(|kind| self.step(state, decoder, &instruction, kind, until.is_some()))
                .map_err(|problem| self.refusal(at, &instruction, problem))?;
            assert_consistent(state, &instruction);
            match next {
                Next::Following => at = u32::try_from(decoder.ip()).unwrap_or(u32::MAX),
                Next::Nowhere => return Ok(false),
            }
        }
    }

    /// The kind of an instruction. At its first visit, its encoding is checked as well.
    fn begin(&mut self, at: u32, instruction: &Instruction) -> Result<Kind, Problem> {
        self.is_new = self.scratch.marks.get((at - self.range.start) as usize).is_none_or(|mark| mark & START == 0);
        if self.is_new && instruction.code() == Code::INVALID {
            return Err(Problem::new(
                Rule::Boundary,
                "no instruction, or one that is cut off by the end of the function",
            ));
        }
        let kind = kind(instruction.code()).ok_or_else(|| {
            Problem::new(Rule::Instruction, format!("{:?} is not among the instructions of code", instruction.code()))
        })?;
        if self.is_new {
            self.encoding(at, instruction, kind)?;
        }
        Ok(kind)
    }

    /// Checks an instruction's encoding and notes its bytes.
    fn encoding(&mut self, at: u32, instruction: &Instruction, kind: Kind) -> Result<(), Problem> {
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
        let from = (at - self.range.start) as usize;
        let bytes = self.scratch.marks[from..].get_mut(..instruction.len()).and_then(<[u8]>::split_first_mut);
        let Some((first, rest)) = bytes else { return Err(outside()) };
        if *first & COVERED != 0 || rest.iter().any(|mark| *mark != 0) {
            return Err(Problem::new(Rule::Boundary, "it overlaps another instruction"));
        }
        *first |= COVERED | START;
        rest.fill(COVERED);
        self.counts.instructions += 1;
        Ok(())
    }

    /// Follows one instruction. `dry`: without its jumps, which were followed already.
    fn step(
        &mut self,
        state: &mut State,
        decoder: &mut Decoder<'_>,
        instruction: &Instruction,
        kind: Kind,
        dry: bool,
    ) -> Result<Next, Problem> {
        match kind {
            Kind::Call | Kind::CallIndirect => {
                self.mark_call(instruction);
                if kind == Kind::Call {
                    self.call(state, instruction.near_branch64())?;
                } else {
                    let callee = self.read(state, instruction, 0)?;
                    self.call_indirect(state, callee)?;
                }
            }
            Kind::Return => {
                let popped = if instruction.code() == Code::Retnq { 0 } else { u32::from(instruction.immediate16()) };
                self.leave(state, popped)?;
                return Ok(Next::Nowhere);
            }
            Kind::Undefined => {
                self.mark_fault(instruction, Fault::Undefined);
                return Ok(Next::Nowhere);
            }
            Kind::Jump => {
                let target = instruction.near_branch64();
                match u32::try_from(target) {
                    Ok(target) if self.range.contains(target) && target != self.range.start => {
                        if !dry {
                            self.reach(target, state)?;
                        }
                    }
                    _ => {
                        self.mark_call(instruction);
                        self.tail_call(state, target)?;
                    }
                }
                return Ok(Next::Nowhere);
            }
            Kind::JumpIndirect => {
                let target = self.read(state, instruction, 0)?;
                match target {
                    Value::JumpTarget { at, count } if !dry => self.jump_table(state, at, count)?,
                    Value::JumpTarget { .. } => {}
                    _ => {
                        self.mark_call(instruction);
                        self.tail_call_indirect(state, target)?;
                    }
                }
                return Ok(Next::Nowhere);
            }
            Kind::JumpIf => {
                let target = u32::try_from(instruction.near_branch64())
                    .map_err(|_| Problem::new(Rule::Target, "a jump out of the text"))?;
                if target == self.range.start {
                    return Err(Problem::new(Rule::Target, "a conditional jump to an entry"));
                }
                if !dry && !state.flags.can_refine() {
                    self.reach(target, state)?;
                } else if !dry {
                    let mut taken = std::mem::take(&mut self.scratch.taken);
                    taken.copy_from(state);
                    refine(&mut taken, instruction.condition_code(), true);
                    let reached = self.reach(target, &taken);
                    self.scratch.taken = taken;
                    reached?;
                }
                refine(state, instruction.condition_code(), false);
            }
            Kind::Move if is_probe(instruction) && self.probe(state, decoder, instruction)? => {}
            kind => self.transfer(state, instruction, kind)?,
        }
        Ok(Next::Following)
    }

    /// Follows the entries of a jump table.
    fn jump_table(&mut self, state: &State, at: u32, count: u32) -> Result<(), Problem> {
        self.uses(|uses| &mut uses.jump_tables);
        self.counts.steps += u64::from(count);
        self.within_budget()?;
        let entries = self.bytes(at).get(..4 * count as usize).unwrap_or_default();
        let entries = entries.as_chunks::<4>().0;
        let targets: BTreeSet<i64> =
            entries.iter().map(|entry| i64::from(at) + i64::from(i32::from_le_bytes(*entry))).collect();
        for target in targets {
            let target = u32::try_from(target).ok().filter(|target| *target != self.range.start);
            let target = target.ok_or_else(|| {
                Problem::new(Rule::Target, format!("an entry of a jump table of {count} leads out of the function"))
            })?;
            self.reach(target, state)?;
        }
        Ok(())
    }

    /// The loop that touches each step of a large frame, as one instruction. The stack pointer is as far down afterwards as
    /// the loop says, and all on the way is touched.
    fn probe(&mut self, state: &mut State, decoder: &mut Decoder<'_>, first: &Instruction) -> Result<bool, Problem> {
        let (position, ip) = (decoder.position(), decoder.ip());
        let [bound, step, touch, compare, back] = [(); 5].map(|()| decoder.decode());
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
            decoder.set_ip(ip);
            return decoder.set_position(position).map(|()| false).map_err(|_| outside());
        }
        let stack = self.stack(state)?;
        let below = i64::from(stack) - whole;
        let below = i32::try_from(below).ok().filter(|below| *below >= -self.largest_frame());
        let below = below.ok_or_else(|| Problem::new(Rule::Frame, "the frame is too large"))?;
        if i64::from(state.touched) - i64::from(stack) + each > STACK_PROBE_BYTES as i64 {
            return Err(Problem::new(Rule::Probe, "the first step goes too far below what was touched of the stack"));
        }
        // Nothing may jump into the loop: none of its instructions begins for anybody else.
        let (from, to) = (offset(first), u32::try_from(decoder.ip()).map_err(|_| outside())?);
        for byte in from + u32::try_from(first.len()).unwrap_or(0)..to {
            let mark = self.mark(byte);
            if *mark & (START | LEADER) != 0 {
                return Err(Problem::new(Rule::Boundary, "a jump into the loop that touches the frame"));
            }
            *mark |= COVERED;
        }
        state.touched = below;
        state.set(Gpr::R11, Value::Frame(below));
        state.set(Gpr::RSP, Value::Frame(below));
        state.flags = Flags::Unknown;
        Ok(true)
    }

    /// Checks that the tables of the image have entries only for instructions that were reached, and of the right kind.
    fn metadata(&self) -> Result<(), Refusal> {
        let wrong = |at: u32, what: &str| {
            let problem = Problem::new(Rule::Metadata, what);
            self.refusal(at, &Instruction::default(), problem)
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

/// Whether an instruction begins as code does: at most one of 66, F2 and F3, then at most one REX. Processors and decoders
/// disagree about others.
fn has_plain_prefixes(bytes: &[u8]) -> bool {
    let is_rex = |byte: u8| byte & 0xf0 == 0x40;
    let skipped = |bytes: &[u8], is: fn(u8) -> bool| usize::from(bytes.first().is_some_and(|byte| is(*byte)));
    let rest = &bytes[skipped(bytes, |byte| matches!(byte, 0x66 | 0xf2 | 0xf3))..];
    let rest = &rest[skipped(rest, is_rex)..];
    let legacy = |byte: u8| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    rest.first().is_some_and(|byte| !is_rex(*byte) && !legacy(*byte))
}

fn has_leading_prefix(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x66 | 0xf2 | 0xf3))
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

/// Whether an instruction may begin the loop that touches a large frame.
fn is_probe(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op0_register() == Register::R11
        && instruction.op1_kind() == OpKind::Register
        && instruction.op1_register() == Register::RSP
}
