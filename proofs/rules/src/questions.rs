//! Which instructions are asked about, in which states.

use crate::bench::{AT, Bench, MADE, MEMORY, TABLE_OF_JUMPS};
use crate::encodings::{Memory, Operands, allowed, assemble, at, has_immediate, has_memory, has_registers, registers};
use crate::{json, values};
use iced_x86::{
    Code, ConditionCode, Instruction, InstructionInfoFactory, OpAccess, OpCodeOperandKind, OpKind, Register,
};
use serde_json::{Value as Json, json};
use std::io::{self, Write};
use wave_contract::context::{ContextLayout, GlobalSlot};
use wave_contract::types::SignatureId;
use wave_verifier::rules::{
    Checked, Entry, Flags, Gpr, Home, Interpreter, Kind, Object, Operand, Shared, State, Value, refine,
};

const RAX: Gpr = Gpr::RAX;
const RCX: Gpr = Gpr(1);
const RDX: Gpr = Gpr::RDX;
const RSP: Gpr = Gpr::RSP;
const RBP: Gpr = Gpr::RBP;
const RSI: Gpr = Gpr::RSI;
const RDI: Gpr = Gpr::RDI;
const R8: Gpr = Gpr(8);
const R9: Gpr = Gpr(9);
const R10: Gpr = Gpr(10);
const R12: Gpr = Gpr(12);
const R13: Gpr = Gpr(13);
const R14: Gpr = Gpr(14);
const R15: Gpr = Gpr(15);

/// The stack pointer, from its start.
const STACK: i32 = -64;
/// A word of the frame.
const WORD: i32 = -48;

/// Immediates at the bounds where rules change.
const IMMEDIATES: [i64; 14] =
    [0, 1, 4, 16, 31, 32, 33, 63, 0x7f, -128, -1, i32::MAX as i64, i32::MIN as i64, 0x1234_5678_9abc];

/// Prints every question with its answer.
pub fn print(out: &mut impl Write) -> io::Result<()> {
    for bench in &Bench::all() {
        writeln!(out, "{}", bench.layout())?;
        let shared = bench.shared();
        let mut asker =
            Asker { bench, shared: &shared, out: &mut *out, factory: InstructionInfoFactory::new(), edges: 0 };
        asker.encodings()?;
        if bench.name == "arg" {
            asker.moves()?;
        }
        if bench.name != "entry" {
            asker.products()?;
        }
        if bench.name == "arg" {
            asker.choices()?;
            asker.conditions()?;
            // Nothing to prove there; how many they are is told.
            writeln!(asker.out, "{}", json!({ "rule": "edges", "count": asker.edges }))?;
        }
    }
    joins(out)
}

/// Asks about instructions in one function.
struct Asker<'a, W> {
    bench: &'a Bench,
    shared: &'a Shared<'a>,
    out: &'a mut W,
    factory: InstructionInfoFactory,
    /// Edges on which nothing follows from the condition.
    edges: u64,
}

/// A state with a frame and nothing else.
fn framed() -> State {
    let mut state = State::at_entry();
    state.set(RSP, Value::Frame(STACK));
    state.touched = STACK;
    state
}

/// As `framed`, with two operands in RAX and RCX.
fn with_operands(left: Value, right: Value) -> State {
    let mut state = framed();
    state.set(RAX, left);
    state.set(RCX, right);
    state
}

/// Writes a register with what a home holds.
fn copy(state: &mut State, from: Home, to: Gpr, value: Value) {
    state.set(to, value);
    state.copied(from, Home::register(to));
}

impl<W: Write> Asker<'_, W> {
    /// A state in which much is known.
    fn mixed(&self) -> State {
        let is_fixed = self.bench.compiled.terms.addressing.fixed().is_some();
        let address =
            |object, fixed| if is_fixed { Value::exactly(fixed) } else { Value::Into { object, low: 0, span: 0 } };
        let fixed = self.bench.compiled.terms.addressing.fixed().cloned().unwrap_or_default();
        let made = Entry::Made(MADE);
        let mut state = framed();
        state.set(RAX, Value::U32);
        state.set(RCX, Value::Index(0));
        state.set(RDX, Value::Number { low: 1, span: 254 });
        state.set(RBP, Value::Frame(-16));
        state.set(RSI, address(Object::Memory(0), MEMORY));
        state.set(RDI, address(Object::Context, fixed.context));
        state.set(R9, Value::Text { low: TABLE_OF_JUMPS, span: 0 });
        state.set(R10, Value::EntryOffset { table: 0, entry: made });
        state.set(R14, address(Object::Table(0), fixed.tables.first().copied().unwrap_or_default()));
        state.set(R15, address(Object::Results, fixed.results));
        state.write(WORD, 8, Value::Index(0));
        state.copied(Home::register(RCX), Home::word(WORD));
        state.write(-56, 8, Value::Saved(Gpr::RBX));
        state.write(-36, 8, Value::exactly(7));
        copy(&mut state, Home::register(RAX), R13, Value::U32);
        copy(&mut state, Home::register(R8), R12, Value::Any);
        state.flags = Flags::Compared {
            left: Operand { register: Some(RAX), value: Value::U32 },
            right: Operand { register: None, value: Value::Length(0) },
            bytes: 4,
        };
        state.checked = Some(Checked { table: 0, entry: made, signature: SignatureId(1) });
        state.longer = Some((0, 5));
        state.room = STACK - 64;
        state
    }

    /// One instruction in one state.
    fn ask(&mut self, bytes: &[u8], instruction: &Instruction, kind: Kind, before: &State) -> io::Result<()> {
        let mut after = before.clone();
        let unit = self.bench.unit(bytes);
        let mut interpreter = Interpreter::new(self.shared, &unit);
        let has_operand = (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
        let reaches = has_operand && !matches!(kind, Kind::Address | Kind::Nothing);
        let place = interpreter.claimed(before, instruction).filter(|_| reaches);
        let place = place.map(|(address, place)| json!([json::value(address), place.map(json::place)]));
        let encoding = format!("{:?}", instruction.code());
        let stepped = interpreter.step(&mut after, AT, &mut Instruction::default());
        if let Err(why) = stepped.map_err(|problem| problem.to_string()) {
            let line = json!({ "rule": "refused", "encoding": encoding, "bytes": hex(bytes), "why": why });
            return writeln!(self.out, "{line}");
        }
        let line = json!({
            "rule": "transfer",
            "encoding": encoding,
            "kind": format!("{kind:?}"),
            "bytes": hex(bytes),
            "writes": written(&mut self.factory, instruction),
            "place": place,
            "access": instruction.memory_size().size(),
            "operands": (kind == Kind::Compare).then(|| [0, 1].map(|number| operand(instruction, number))),
            "before": json::state(before),
            "after": json::state(&after),
        });
        writeln!(self.out, "{line}")
    }

    /// An instruction by its encoding and operands, if there is one.
    fn ask_about(&mut self, code: Code, kind: Kind, operands: &Operands, before: &State) -> io::Result<()> {
        match assemble(code, operands) {
            Some((bytes, instruction)) => self.ask(&bytes, &instruction, kind, before),
            None => Ok(()),
        }
    }

    /// Places of all kinds, as operands in memory of the mixed state.
    fn places(&self) -> Vec<Memory> {
        let indexed = |base, index, scale, displacement| Memory {
            base,
            index: Some((index, scale)),
            displacement,
            relative: false,
        };
        let absolute = |address: u64| {
            i32::try_from(address).ok().map(|displacement| Memory {
                base: None,
                index: None,
                displacement,
                relative: false,
            })
        };
        let relative = |to: u32| Memory { base: None, index: None, displacement: to.cast_signed(), relative: true };
        let layout = ContextLayout::new(&self.bench.compiled.info).expect("a small module");
        let offset = |at: u32| i32::try_from(at).expect("a small context");
        let cell = |global| match layout.global(global) {
            GlobalSlot::Cell(at) | GlobalSlot::Pointer(at) => offset(at),
        };
        let mut places = vec![
            at(RSP, 0),
            at(RSP, 8),
            at(RSP, 13),
            at(RSP, 16),
            at(RSP, 20),
            at(RSP, 28),
            at(RBP, -8),
            at(RBP, 16),
            at(RBP, 24),
            at(RBP, 49),
            at(RSP, -8),
            at(RSI, 8),
            at(RSI, -8),
            at(RDI, cell(2)),
            at(RDI, cell(3)),
            at(RDI, cell(3) + 8),
            at(R15, 0),
            at(R15, 16_376),
            at(R14, 0),
            at(R14, 64),
            at(R14, 72),
            at(R14, 64 + 80 + 8),
            at(R8, 0),
            indexed(Some(RSI), RAX, 1, 16),
            indexed(Some(RSI), RDX, 8, 0),
            indexed(Some(R14), R10, 1, 64),
            indexed(Some(R14), R10, 1, 72),
            indexed(Some(R14), R10, 1, 76),
            indexed(Some(RSP), RDX, 1, 0),
            indexed(Some(R9), RDX, 4, 0),
            relative(TABLE_OF_JUMPS),
            relative(AT),
        ];
        let fields = (0..offset(layout.size())).step_by(8);
        places.extend(fields.map(|field| at(RDI, field)));
        if let Some(fixed) = self.bench.compiled.terms.addressing.fixed() {
            let memory = i32::try_from(MEMORY).expect("a low address");
            let tables = i32::try_from(fixed.tables[0]).expect("a low address");
            places.extend([
                at(RAX, memory),
                at(RAX, i32::MAX),
                indexed(None, RDX, 8, memory),
                indexed(Some(RAX), RCX, 1, memory),
                at(R10, tables + 72),
                at(R10, tables + 64),
                at(R10, tables + 76),
            ]);
            let addresses = [fixed.memories[0].base, fixed.memories[0].descriptor, fixed.tables[0], fixed.globals[0]];
            places.extend(addresses.into_iter().filter_map(absolute));
        }
        places
    }

    /// Every encoding, with operands in registers and in each place.
    fn encodings(&mut self) -> io::Result<()> {
        let (mixed, mut pending, mut entered) = (self.mixed(), self.mixed(), self.mixed());
        pending.pending = true;
        entered.set(RSI, Value::Into { object: Object::Slots, low: 0, span: 0 });
        entered.set(RDI, Value::EnteredContext { field: 0 });
        let places = self.places();
        let is_entry = self.bench.name == "entry";
        for (code, kind) in allowed().filter(|(_, kind)| !is_control(*kind)) {
            let immediates: &[i64] = if has_immediate(code) { &[1, -1, 33] } else { &[0] };
            for immediate in immediates {
                let numbers = [
                    [0, 1, 2, 3],
                    [1, 0, 2, 3],
                    [8, 13, 2, 1],
                    [13, 8, 9, 10],
                    [3, 3, 3, 3],
                    [2, 4, 0, 1],
                    [4, 1, 1, 1],
                ];
                for numbers in numbers.iter().filter(|_| has_registers(code) && self.bench.name == "arg") {
                    self.ask_about(code, kind, &registers(*numbers, *immediate), &mixed)?;
                }
            }
            // Each place with some encodings, each encoding with some places.
            let every = match code {
                Code::Mov_r64_rm64 | Code::Mov_rm64_r64 | Code::Mov_r32_rm32 | Code::Mov_rm32_r32 => 1,
                _ if is_followed(kind) => 8,
                _ => 24,
            };
            let is_asked = |number: usize| number < 3 || (number + code as usize).is_multiple_of(every);
            let asked = places.iter().enumerate().filter(|(number, _)| has_memory(code) && is_asked(*number));
            for (number, memory) in asked {
                let operands = Operands { registers: [2, 2, 3, 1], memory: Some(*memory), immediate: immediates[0] };
                // An entry thunk differs in what lies behind two registers.
                if is_entry {
                    if [Some(RSI), Some(RDI)].contains(&memory.base) {
                        self.ask_about(code, kind, &operands, &entered)?;
                    }
                    continue;
                }
                self.ask_about(code, kind, &operands, &mixed)?;
                if number % 5 == 1 {
                    self.ask_about(code, kind, &operands, &pending)?;
                }
            }
        }
        for (code, kind) in allowed().filter(|(_, kind)| is_control(*kind)) {
            self.control(code, kind)?;
        }
        Ok(())
    }

    /// Instructions after which another than the next may be executed: what they do to registers and stack is in `call.rs` and
    /// `walk.rs`.
    fn control(&mut self, code: Code, kind: Kind) -> io::Result<()> {
        let target = u64::from(AT) + 0x40;
        let branch = Instruction::with_branch(code, target).ok();
        let operands = [registers([0, 1, 2, 3], 32), Operands { memory: Some(at(RSP, 8)), ..registers([0; 4], 0) }];
        let made = match (kind, branch) {
            (Kind::JumpIndirect | Kind::CallIndirect, _) => {
                operands.iter().filter_map(|of| assemble(code, of)).collect()
            }
            (Kind::Return | Kind::Undefined, _) => Vec::from_iter(assemble(code, &operands[0])),
            (_, Some(branch)) => Vec::from_iter(crate::encodings::encode(&branch)),
            _ => Vec::new(),
        };
        for (bytes, instruction) in made {
            let popped = if instruction.op_count() > 0 && kind == Kind::Return { instruction.immediate16() } else { 0 };
            let line = json!({
                "rule": "control",
                "encoding": format!("{code:?}"),
                "kind": format!("{kind:?}"),
                "bytes": hex(&bytes),
                "target": matches!(kind, Kind::Call | Kind::Jump | Kind::JumpIf).then(|| instruction.near_branch64()),
                "popped": popped,
            });
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// Moves of 64 bits, and whatever else moves the stack pointer, where registers and words are copies of each other.
    fn moves(&mut self) -> io::Result<()> {
        let mut states = vec![self.mixed()];
        // A register and a word below others are copies of a register.
        let mut state = self.mixed();
        state.write(STACK, 8, Value::U32);
        state.copied(Home::register(RAX), Home::word(STACK));
        state.set(R8, Value::Frame(-24));
        state.write(-32, 8, Value::Frame(-24));
        state.copied(Home::register(R8), Home::word(-32));
        states.push(state);
        self.made_again()?;
        let homes: [u8; 9] = [0, 1, 3, 4, 5, 8, 12, 13, 14];
        let words =
            [at(RSP, 0), at(RSP, 4), at(RSP, 8), at(RSP, 16), at(RSP, 28), at(RSP, 32), at(RBP, 0), at(RBP, 16)];
        for before in &states {
            for to in homes {
                for from in homes {
                    for code in [Code::Mov_rm64_r64, Code::Mov_r64_rm64, Code::Mov_rm32_r32, Code::Mov_rm8_r8] {
                        self.ask_about(code, Kind::Move, &registers([to, from, 0, 0], 0), before)?;
                    }
                    self.ask_about(Code::Xor_rm64_r64, Kind::Compute, &registers([to, from, 0, 0], 0), before)?;
                    self.ask_about(Code::Xor_rm32_r32, Kind::Compute, &registers([to, from, 0, 0], 0), before)?;
                    self.ask_about(Code::Sub_rm64_r64, Kind::Subtract, &registers([to, from, 0, 0], 0), before)?;
                    self.ask_about(Code::Cmp_rm64_r64, Kind::Compare, &registers([to, from, 0, 0], 0), before)?;
                    self.ask_about(Code::Test_rm64_r64, Kind::Test, &registers([to, from, 0, 0], 0), before)?;
                }
                for word in words {
                    for code in [Code::Mov_rm64_r64, Code::Mov_r64_rm64, Code::Mov_rm32_r32, Code::Mov_rm16_r16] {
                        let operands = Operands { memory: Some(word), ..registers([to; 4], 0) };
                        self.ask_about(code, Kind::Move, &operands, before)?;
                    }
                    let operands = Operands { memory: Some(word), ..registers([to; 4], 0) };
                    self.ask_about(Code::Lea_r64_m, Kind::Address, &operands, before)?;
                }
                self.ask_about(Code::Push_r64, Kind::Push, &registers([to; 4], 0), before)?;
                self.ask_about(Code::Pop_r64, Kind::Pop, &registers([to; 4], 0), before)?;
                for immediate in [8, 24, 64, -8, -128] {
                    for (code, kind) in [(Code::Add_rm64_imm8, Kind::Add), (Code::Sub_rm64_imm8, Kind::Subtract)] {
                        self.ask_about(code, kind, &registers([to; 4], immediate), before)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// An offset into a table that is made again, where values of the entry that it stood for are still known.
    fn made_again(&mut self) -> io::Result<()> {
        let entry = Entry::Made(AT);
        let values = [
            Value::EntryOffset { table: 0, entry },
            Value::EntryField { table: 0, entry, field: 72 },
            Value::Signature { table: 0, entry },
            Value::Code { signature: SignatureId(1), entry },
            Value::CalleeOffset(entry),
            Value::CalleeContext(entry),
            Value::Index(0),
        ];
        for value in values {
            let mut state = self.mixed();
            state.set(R10, value);
            state.write(-32, 8, value);
            state.set(RBP, value);
            state.copied(Home::word(-32), Home::register(RBP));
            state.checked = Some(Checked { table: 0, entry, signature: SignatureId(1) });
            state.flags = Flags::Unknown;
            for (to, immediate) in [(1, 4), (10, 4), (5, 4), (1, 3), (1, 68)] {
                self.ask_about(Code::Shl_rm64_imm8, Kind::ShiftLeft, &registers([to; 4], immediate), &state)?;
                self.ask_about(Code::Shl_rm32_imm8, Kind::ShiftLeft, &registers([to; 4], immediate), &state)?;
            }
        }
        Ok(())
    }

    /// Two operands of all kinds.
    fn products(&mut self) -> io::Result<()> {
        for (code, kind) in allowed().filter(|(_, kind)| is_followed(*kind)) {
            for (left, right) in pairs(code, kind, self.bench.name) {
                let immediates: &[i64] = if has_immediate(code) { &IMMEDIATES } else { &[0] };
                let is_repeated = has_immediate(code) && right != Value::Any;
                for immediate in immediates.iter().filter(|_| !is_repeated) {
                    self.ask_about(code, kind, &registers([0, 1, 2, 3], *immediate), &with_operands(left, right))?;
                }
            }
            if self.bench.name == "fixed" {
                continue;
            }
            let is_wide = code.op_code().operand_size() >= 32;
            for value in if is_wide { values::all() } else { values::few().to_vec() } {
                // An operand in the frame; the same register twice; a register and its copy.
                let mut in_frame = with_operands(value, Value::U32);
                in_frame.write(WORD, 8, value);
                let operands = Operands { memory: Some(at(RSP, WORD - STACK)), ..registers([0, 1, 2, 3], 1) };
                self.ask_about(code, kind, &operands, &in_frame)?;
                self.ask_about(code, kind, &registers([0, 0, 0, 0], 1), &with_operands(value, Value::Any))?;
                let mut copied = with_operands(value, Value::Any);
                copy(&mut copied, Home::register(RAX), RCX, value);
                self.ask_about(code, kind, &registers([1, 0, 2, 3], 1), &copied)?;
            }
        }
        // Addresses of two registers.
        let rights = if self.bench.name == "arg" { &values::few()[..] } else { &values::few()[2..4] };
        for (left, right) in cross(&values::all(), rights) {
            for (scale, displacement) in [(1, 0), (1, -8), (2, 1), (4, 0), (8, i32::MAX), (1, i32::MIN)] {
                let memory = Memory { base: Some(RAX), index: Some((RCX, scale)), displacement, relative: false };
                for code in [Code::Lea_r64_m, Code::Lea_r32_m] {
                    let operands = Operands { memory: Some(memory), ..registers([2; 4], 0) };
                    self.ask_about(code, Kind::Address, &operands, &with_operands(left, right))?;
                }
            }
        }
        Ok(())
    }

    /// Conditional moves behind a comparison.
    fn choices(&mut self) -> io::Result<()> {
        let sides = [
            (Value::U32, Value::exactly(5)),
            (Value::exactly(5), Value::U32),
            (Value::Number { low: 3, span: 10 }, Value::exactly(0x8000_0000)),
            (Value::U32, Value::Length(0)),
            (Value::Length(0), Value::exactly(5)),
            (Value::Any, Value::exactly(u64::MAX)),
        ];
        let operands = [
            Value::Any,
            Value::U32,
            Value::exactly(0),
            Value::exactly(5),
            Value::Number { low: 3, span: 10 },
            Value::Index(0),
            Value::Length(0),
        ];
        for (code, kind) in allowed().filter(|(_, kind)| *kind == Kind::MoveIf) {
            let (_, sample) = assemble(code, &registers([0, 1, 0, 0], 0)).expect("it has two registers");
            let is_order = matches!(
                sample.condition_code(),
                ConditionCode::b
                    | ConditionCode::ae
                    | ConditionCode::e
                    | ConditionCode::ne
                    | ConditionCode::be
                    | ConditionCode::a
            );
            for (number, (first, second)) in cross(&operands, &operands).into_iter().enumerate() {
                for (left, right) in sides.into_iter().filter(|_| number % if is_order { 1 } else { 7 } == 0) {
                    for (register, bytes, longer) in [
                        (Some(RAX), 4, None),
                        (Some(RCX), 4, Some((0, 5))),
                        (Some(RAX), 8, None),
                        (None, 8, Some((0, 4))),
                    ] {
                        let mut state = with_operands(first, second);
                        state.longer = longer;
                        let right_register = register.filter(|_| right == Value::U32);
                        let left_register = register.filter(|_| right != Value::U32);
                        state.flags = Flags::Compared {
                            left: Operand { register: left_register, value: left },
                            right: Operand { register: right_register, value: right },
                            bytes,
                        };
                        self.ask_about(code, kind, &registers([0, 1, 0, 0], 0), &state)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What follows from a comparison on both edges of a branch.
    fn conditions(&mut self) -> io::Result<()> {
        let made = Entry::Made(MADE);
        let sides = [
            Value::Any,
            Value::U32,
            Value::exactly(0),
            Value::exactly(5),
            Value::exactly(1 << 32),
            Value::Index(0),
            Value::Length(0),
            Value::Length(1),
            Value::Signature { table: 0, entry: made },
            Value::StackLimit,
            Value::Frame(-24),
            Value::Status,
        ];
        let jumps: Vec<_> = allowed().filter(|(_, kind)| *kind == Kind::JumpIf).map(|(code, _)| code).collect();
        let compare =
            [Code::Cmp_rm8_r8, Code::Cmp_rm16_r16, Code::Cmp_rm32_r32, Code::Cmp_rm64_r64, Code::Test_rm64_r64];
        for (left, right) in cross(&sides, &sides) {
            for code in compare {
                let kind = if code == Code::Test_rm64_r64 { Kind::Test } else { Kind::Compare };
                let (bytes, instruction) = assemble(code, &registers([0, 1, 0, 0], 0)).expect("it has two registers");
                let mut state = with_operands(left, right);
                // A register and a word are copies of the first operand.
                copy(&mut state, Home::register(RAX), R13, left);
                state.write(WORD, 8, left);
                state.copied(Home::register(RAX), Home::word(WORD));
                if kind == Kind::Test {
                    copy(&mut state, Home::word(WORD), RCX, left);
                    state.pending = true;
                }
                self.ask(&bytes, &instruction, kind, &state)?;
                let unit = self.bench.unit(&bytes);
                let stepped = Interpreter::new(self.shared, &unit).step(&mut state, AT, &mut Instruction::default());
                stepped.expect("comparisons of registers are allowed");
                for jump in &jumps {
                    self.branch(*jump, &state)?;
                }
            }
        }
        Ok(())
    }

    /// Both edges of a conditional branch.
    fn branch(&mut self, code: Code, before: &State) -> io::Result<()> {
        let branch = Instruction::with_branch(code, u64::from(AT) + 0x40).expect("it is a branch");
        let (bytes, branch) = crate::encodings::encode(&branch).expect("a short branch");
        for held in [true, false] {
            let mut after = before.clone();
            refine(&mut after, branch.condition_code(), held);
            if after == *before {
                self.edges += 1;
                continue;
            }
            let line = json!({
                "rule": "condition",
                "encoding": format!("{code:?}"),
                "bytes": hex(&bytes),
                "held": held,
                "before": json::state(before),
                "after": json::state(&after),
            });
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }
}

/// The values of two operands: all that matter for the most used encodings, a few for the others.
fn pairs(code: Code, kind: Kind, bench: &str) -> Vec<(Value, Value)> {
    let (few, others, numbers, all) = (values::few(), values::others(), values::numbers(), values::all());
    if bench == "fixed" {
        // Only sums of an offset and the address of a table differ.
        let addresses = [0x2000_0000, 0x2000_0040, 0x2010_0000].map(Value::exactly);
        return match kind {
            Kind::Add => [cross(&others, &addresses), cross(&addresses, &others)].concat(),
            _ => Vec::new(),
        };
    }
    let is_arithmetic = matches!(kind, Kind::Add | Kind::Subtract | Kind::And);
    let is_canonical = matches!(
        code,
        Code::Add_rm64_r64
            | Code::Add_rm32_r32
            | Code::Sub_rm64_r64
            | Code::Sub_rm32_r32
            | Code::And_rm64_r64
            | Code::And_rm32_r32
            | Code::Cmp_rm64_r64
            | Code::Cmp_rm32_r32
    );
    let is_wide = code.op_code().operand_size() >= 32;
    let has_fixed_register = matches!(code.op_code().op0_kind(), OpCodeOperandKind::eax | OpCodeOperandKind::rax);
    match kind {
        _ if is_canonical => {
            let mut mixed = [cross(&few, &others), cross(&others, &few)].concat();
            if code == Code::Add_rm64_r64 || kind == Kind::Compare {
                mixed.extend(cross(&others, &others));
            }
            let every = if code.op_code().operand_size() == 64 { 1 } else { 3 };
            let pairs = cross(&numbers, &numbers).into_iter().step_by(every).collect();
            if is_arithmetic { [pairs, mixed].concat() } else { mixed }
        }
        Kind::Add | Kind::Subtract | Kind::And | Kind::ShiftLeft | Kind::ShiftRight
            if has_immediate(code) && is_wide && !has_fixed_register =>
        {
            cross(&all, &[Value::Any])
        }
        Kind::ShiftLeft | Kind::ShiftRight => cross(&all, &[Value::Any]),
        Kind::Move | Kind::MoveZero | Kind::MoveSign | Kind::Search | Kind::Push => {
            [cross(&few[..2], &all), cross(&all, &few[..1])].concat()
        }
        _ if !is_wide || !is_arithmetic => cross(&few, &few),
        _ => [cross(&few, &few), cross(&all, &[Value::U32]), cross(&[Value::U32], &all)].concat(),
    }
}

fn cross(one: &[Value], other: &[Value]) -> Vec<(Value, Value)> {
    one.iter().flat_map(|left| other.iter().map(|right| (*left, *right))).collect()
}

/// Joins of values and of states.
fn joins(out: &mut impl Write) -> io::Result<()> {
    for (one, other) in cross(&values::all(), &values::all()) {
        let (join, hull) = (one.join(other), one.hull(other));
        let line = json!({
            "rule": "join",
            "values": [json::value(one), json::value(other)],
            "join": json::value(join),
            "hull": json::value(hull),
            "implies": one.implies(other),
        });
        writeln!(out, "{line}")?;
    }
    let states = joined();
    for one in &states {
        for other in &states {
            let mut state = one.clone();
            state.join(other, &mut 0);
            let line = json!({
                "rule": "states",
                "one": json::state(one),
                "other": json::state(other),
                "joined": json::state(&state),
            "implies": one.implies(other, &mut 0),
            });
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// States that differ in what they know, for each thing that can be known.
fn joined() -> Vec<State> {
    let change = |change: &dyn Fn(&mut State)| {
        let mut state = with_operands(Value::U32, Value::Index(0));
        state.write(WORD, 8, Value::Index(0));
        state.copied(Home::register(RCX), Home::word(WORD));
        copy(&mut state, Home::register(RAX), R13, Value::U32);
        state.checked = Some(Checked { table: 0, entry: Entry::Made(MADE), signature: SignatureId(1) });
        state.longer = Some((0, 5));
        state.room = STACK - 64;
        state.flags = Flags::Tested;
        change(&mut state);
        state
    };
    let compared = |register| Flags::Compared {
        left: Operand { register, value: Value::U32 },
        right: Operand { register: None, value: Value::Length(0) },
        bytes: 4,
    };
    vec![
        framed(),
        change(&|_| {}),
        change(&|state| state.longer = Some((0, 4))),
        change(&|state| state.longer = Some((1, 4))),
        change(&|state| state.longer = None),
        change(&|state| state.room = STACK),
        change(&|state| state.room = State::default().room),
        change(&|state| state.checked = None),
        change(&|state| state.checked = state.checked.map(|of| Checked { signature: SignatureId(2), ..of })),
        change(&|state| state.checked = state.checked.map(|of| Checked { entry: Entry::Made(MADE + 4), ..of })),
        change(&|state| state.pending = true),
        change(&|state| state.flags = compared(Some(RAX))),
        change(&|state| state.flags = compared(None)),
        change(&|state| state.flags = Flags::Unknown),
        change(&|state| state.set(RSP, Value::Frame(STACK + 24))),
        change(&|state| state.set(RAX, Value::exactly(3))),
        change(&|state| state.set(RCX, Value::exactly(0))),
        change(&|state| state.write(WORD, 8, Value::U32)),
        change(&|state| state.write(WORD, 4, Value::Any)),
        change(&|state| copy(state, Home::register(RCX), R13, Value::Index(0))),
        change(&|state| state.touched = STACK - 32),
    ]
}

fn is_control(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Call
            | Kind::CallIndirect
            | Kind::Jump
            | Kind::JumpIndirect
            | Kind::JumpIf
            | Kind::Return
            | Kind::Undefined
    )
}

/// Whether the result depends on the values of the operands.
fn is_followed(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Move
            | Kind::MoveZero
            | Kind::MoveSign
            | Kind::Add
            | Kind::Subtract
            | Kind::And
            | Kind::ShiftLeft
            | Kind::ShiftRight
            | Kind::Search
            | Kind::Compare
            | Kind::Push
    )
}

/// The general-purpose registers that an instruction writes, as the decoder knows it.
pub fn written(factory: &mut InstructionInfoFactory, instruction: &Instruction) -> Vec<usize> {
    let writes = |access| {
        matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
    };
    let used = factory.info(instruction).used_registers();
    let used = used.iter().filter(|used| used.register().is_gpr() && writes(used.access()));
    let mut numbers: Vec<_> =
        used.map(|used| used.register().full_register() as usize - Register::RAX as usize).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// What is compared.
fn operand(instruction: &Instruction, number: u32) -> Json {
    match instruction.op_kind(number) {
        OpKind::Register => {
            let register = instruction.op_register(number);
            json!(["Register", register.full_register() as usize - Register::RAX as usize, register.size()])
        }
        OpKind::Memory => json!(["Memory"]),
        _ => json!(["Immediate", instruction.immediate(number)]),
    }
}

pub fn hex(bytes: &[u8]) -> Json {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
