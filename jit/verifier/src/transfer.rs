//! What an instruction changes, and whether that is allowed.

use crate::condition::choose;
use crate::instruction::Kind;
use crate::places::Place;
use crate::refusal::Rule;
use crate::state::{Flags, Home, Operand, State};
use crate::step::{Fault, Interpreter, LARGEST_FRAME, Problem, offset};
use crate::value::{Entry, Gpr, Object, Value};
use iced_x86::{Code, Instruction, OpKind, Register};
use wave_contract::STACK_PROBE_BYTES;
use wave_contract::context::{TABLE_ENTRY_CODE, TABLE_ENTRY_CONTEXT, TABLE_ENTRY_SIGNATURE};

/// How memory is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// A general-purpose register and how many of its bytes are used.
#[derive(Clone, Copy)]
struct Named {
    gpr: Gpr,
    bytes: u8,
}

/// A general-purpose register; not AH to BH, which have no use in code.
#[inline(always)]
fn general(register: Register) -> Option<Named> {
    GENERAL[usize::from(register as u8)]
}

/// By their places among the decoder's registers: a test compares each with what the decoder says.
const GENERAL: [Option<Named>; 256] = {
    let mut all = [None; 256];
    let mut name = 0;
    while name < 16 {
        let (gpr, number) = (Gpr(name), name as usize);
        // AH to BH stand between BL and SPL.
        let of_bytes = if number < 4 { number } else { number + 4 };
        all[Register::AL as usize + of_bytes] = Some(Named { gpr, bytes: 1 });
        all[Register::AX as usize + number] = Some(Named { gpr, bytes: 2 });
        all[Register::EAX as usize + number] = Some(Named { gpr, bytes: 4 });
        all[Register::RAX as usize + number] = Some(Named { gpr, bytes: 8 });
        name += 1;
    }
    all
};

#[inline(always)]
fn immediate(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Immediate8
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64
    )
}

impl Interpreter<'_> {
    /// Applies an instruction that does not transfer control. An error if it is not allowed.
    pub fn transfer(&mut self, state: &mut State, instruction: &Instruction, kind: Kind) -> Result<(), Problem> {
        match kind {
            Kind::Nothing => {}
            Kind::Move => {
                let (value, from) = self.read_home(state, instruction, 1)?;
                let to = self.write_home(state, instruction, value)?;
                if let (Some(from), Some(to)) = (from, to) {
                    state.copied(from, to);
                }
            }
            Kind::MoveZero => {
                let value = self.read(state, instruction, 1)?.truncated();
                self.write(state, instruction, value)?;
            }
            Kind::MoveSign => {
                let value = match self.jump_offset(state, instruction)? {
                    Some(value) => value,
                    None => self.signed(state, instruction)?,
                };
                self.write(state, instruction, value)?;
            }
            Kind::Address => {
                let mut value = self.address(state, instruction)?;
                if general(instruction.op0_register()).is_some_and(|register| register.bytes == 4) {
                    value = value.truncated();
                }
                self.write(state, instruction, value)?;
            }
            Kind::Add | Kind::Subtract | Kind::And | Kind::ShiftLeft | Kind::ShiftRight => {
                let (left, right) = (self.read(state, instruction, 0)?, self.read(state, instruction, 1)?);
                let value = self.arithmetic(state, instruction, kind, left, right);
                state.flags = Flags::Unknown;
                self.write(state, instruction, value)?;
            }
            Kind::Compute | Kind::Produce => {
                let first = if kind == Kind::Compute { 0 } else { 1 };
                for operand in first..instruction.op_count() {
                    self.read(state, instruction, operand)?;
                }
                state.flags = Flags::Unknown;
                let is_zero = instruction.mnemonic() == iced_x86::Mnemonic::Xor && same_registers(state, instruction);
                self.write(state, instruction, if is_zero { Value::exactly(0) } else { Value::Any })?;
            }
            Kind::Search => {
                self.read(state, instruction, 1)?;
                state.flags = Flags::Unknown;
                let register = self.register(instruction, 0)?;
                let value = state.get(register.gpr).partly_overwritten();
                self.assign(state, Named { bytes: 8, ..register }, value)?;
            }
            Kind::Multiply2 => {
                self.read(state, instruction, 2)?;
                for operand in [1, 0] {
                    let register = self.register(instruction, operand)?;
                    self.assign(state, register, Value::Any)?;
                }
            }
            Kind::Multiply | Kind::Divide => {
                self.read(state, instruction, 0)?;
                if kind == Kind::Divide {
                    self.may_fault(Fault::Divide);
                }
                state.flags = Flags::Unknown;
                let bytes = self.operand_bytes(instruction);
                let halves: &[Gpr] = if bytes == 1 { &[Gpr::RAX] } else { &[Gpr::RAX, Gpr::RDX] };
                for gpr in halves {
                    // Narrow results leave the rest of a register as it was.
                    let value = if bytes < 4 { Value::Any } else { Value::of_bytes(bytes) };
                    state.set(*gpr, value);
                }
            }
            Kind::SignToRdx => {
                let bytes = if instruction.code() == Code::Cqo { 8 } else { 4 };
                state.set(Gpr::RDX, Value::of_bytes(bytes));
            }
            Kind::Compare => {
                let [left, right] = [self.side(state, instruction, 0)?, self.side(state, instruction, 1)?];
                let bytes = u8::try_from(self.operand_bytes(instruction)).unwrap_or(0);
                state.flags = Flags::Compared { left, right, bytes };
            }
            Kind::BitTest => {
                // In memory, an index in a register would lead to another place.
                if !immediate(instruction.op1_kind()) {
                    self.register(instruction, 0)?;
                }
                self.read(state, instruction, 0)?;
                self.read(state, instruction, 1)?;
                state.flags = Flags::Unknown;
            }
            Kind::Test => {
                let (left, _) = (self.read(state, instruction, 0)?, self.read(state, instruction, 1)?);
                let whole = same_registers(state, instruction) && instruction.op0_register().is_gpr64();
                state.flags = if left == Value::Status && whole { Flags::Tested } else { Flags::Unknown };
            }
            Kind::MoveIf => {
                let [first, second] = [self.side(state, instruction, 0)?, self.side(state, instruction, 1)?];
                let bytes = u8::try_from(self.operand_bytes(instruction)).unwrap_or(0);
                let value = choose(state, instruction.condition_code(), first, second, bytes);
                self.write(state, instruction, value)?;
            }
            Kind::SetIf => self.write(state, instruction, Value::Number { low: 0, span: 1 })?,
            Kind::VectorCompare => {
                self.vectors(state, instruction, 0)?;
                state.flags = Flags::Unknown;
            }
            Kind::Vector => {
                self.vectors(state, instruction, 1)?;
                match instruction.op0_kind() {
                    OpKind::Memory => self.write(state, instruction, Value::Any)?,
                    // Narrower results leave zeros above them, and so does writing 32 bits.
                    OpKind::Register if instruction.op0_register().is_gpr() => {
                        self.write(state, instruction, Value::Any)?;
                    }
                    _ => {}
                }
            }
            Kind::Push => {
                let value = self.read(state, instruction, 0)?;
                let at = self
                    .stack(state)?
                    .checked_sub(8)
                    .ok_or_else(|| Problem::new(Rule::Frame, "the frame is too large"))?;
                self.move_stack(state, Value::Frame(at))?;
                self.write_frame(state, at, 8, value)?;
            }
            Kind::Pop => {
                let at = self.stack(state)?;
                let value = self.read_frame(state, at, 8)?;
                let register = self.register(instruction, 0)?;
                let above = at.checked_add(8).ok_or_else(|| Problem::new(Rule::Frame, "the frame is too large"))?;
                self.move_stack(state, Value::Frame(above))?;
                self.assign(state, register, value)?;
            }
            Kind::Call
            | Kind::CallIndirect
            | Kind::Jump
            | Kind::JumpIndirect
            | Kind::JumpIf
            | Kind::Return
            | Kind::Undefined => return Err(Problem::new(Rule::Instruction, "control goes elsewhere")),
        }
        Ok(())
    }

    /// The stack pointer.
    pub fn stack(&self, state: &State) -> Result<i32, Problem> {
        state.stack().ok_or_else(|| Problem::new(Rule::Frame, "the stack pointer is unknown"))
    }

    /// An operand that must be a general-purpose register.
    #[inline(always)]
    fn register(&self, instruction: &Instruction, operand: u32) -> Result<Named, Problem> {
        match instruction.op_kind(operand) {
            OpKind::Register => general(instruction.op_register(operand)),
            _ => None,
        }
        .ok_or_else(|| Problem::new(Rule::Encoding, "a register of a kind that has no place here"))
    }

    /// Size of the operands of a comparison or a move.
    #[inline(always)]
    fn operand_bytes(&self, instruction: &Instruction) -> usize {
        match instruction.op0_kind() {
            OpKind::Register => instruction.op0_register().size(),
            _ => instruction.memory_size().size(),
        }
    }

    /// One side of a comparison.
    #[inline(always)]
    fn side(&mut self, state: &mut State, instruction: &Instruction, operand: u32) -> Result<Operand, Problem> {
        let value = self.read(state, instruction, operand)?;
        let register = match instruction.op_kind(operand) {
            OpKind::Register => general(instruction.op_register(operand)).map(|register| register.gpr),
            _ => None,
        };
        // The stack pointer is known exactly, so there is nothing to learn about it.
        Ok(Operand { register: register.filter(|register| *register != Gpr::RSP), value })
    }

    /// As `read`; also where the value is kept, if that is 64 bits wide.
    #[inline(always)]
    fn read_home(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        operand: u32,
    ) -> Result<(Value, Option<Home>), Problem> {
        let home = match instruction.op_kind(operand) {
            OpKind::Register => {
                let register = self.register(instruction, operand)?;
                (register.bytes == 8).then_some(Home::register(register.gpr))
            }
            OpKind::Memory => {
                let (place, bytes) = self.place(state, instruction, Access::Read)?;
                return Ok((self.loaded(state, place, bytes)?, word(place, bytes)));
            }
            _ => None,
        };
        Ok((self.read(state, instruction, operand)?, home))
    }

    /// As `write`; also where the value is kept from now on, if that is 64 bits wide.
    #[inline(always)]
    fn write_home(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        value: Value,
    ) -> Result<Option<Home>, Problem> {
        if instruction.op0_kind() == OpKind::Memory {
            let (place, bytes) = self.place(state, instruction, Access::Write)?;
            self.stored(state, place, bytes, value)?;
            return Ok(word(place, bytes));
        }
        let register = self.register(instruction, 0)?;
        self.write(state, instruction, value)?;
        Ok((register.bytes == 8).then_some(Home::register(register.gpr)))
    }

    /// An operand's value, the bits beyond its width zero. Memory is checked.
    #[inline(always)]
    pub fn read(&mut self, state: &mut State, instruction: &Instruction, operand: u32) -> Result<Value, Problem> {
        match instruction.op_kind(operand) {
            OpKind::Register => {
                let register = self.register(instruction, operand)?;
                let value = state.get(register.gpr);
                Ok(match register.bytes {
                    8 => value,
                    // What is compared is the lower half: an index stays one.
                    4 => value.truncated(),
                    bytes => match value.highest() {
                        Some(highest) if highest < 1 << (8 * bytes) => value,
                        _ => Value::of_bytes(bytes.into()),
                    },
                })
            }
            OpKind::Memory => self.load(state, instruction),
            kind if immediate(kind) => {
                let bits = instruction.immediate(operand);
                let bytes = self.operand_bytes(instruction);
                let mask = if bytes >= 8 { u64::MAX } else { (1 << (8 * bytes)) - 1 };
                Ok(Value::exactly(bits & mask))
            }
            _ => Err(Problem::new(Rule::Encoding, "an operand of a kind that has no place here")),
        }
    }

    /// Writes the first operand.
    #[inline(always)]
    fn write(&mut self, state: &mut State, instruction: &Instruction, value: Value) -> Result<(), Problem> {
        match instruction.op0_kind() {
            OpKind::Register => {
                let register = self.register(instruction, 0)?;
                match register {
                    Named { gpr: Gpr::RSP, bytes: 8 } if moves_stack(instruction) => self.move_stack(state, value),
                    register => self.assign(state, register, value),
                }
            }
            OpKind::Memory => self.store(state, instruction, value),
            _ => Err(Problem::new(Rule::Encoding, "an operand of a kind that has no place here")),
        }
    }

    /// Writes a register that is not the stack pointer; narrow writes as the processor does them.
    #[inline(always)]
    fn assign(&self, state: &mut State, register: Named, value: Value) -> Result<(), Problem> {
        let value = match register.bytes {
            8 => value,
            4 => value.truncated(),
            _ => state.get(register.gpr).partly_overwritten(),
        };
        if register.gpr == Gpr::RSP {
            return Err(Problem::new(Rule::Frame, "code does not write the stack pointer in this way"));
        }
        state.set(register.gpr, value);
        Ok(())
    }

    /// Moves the stack pointer.
    fn move_stack(&self, state: &mut State, to: Value) -> Result<(), Problem> {
        let Value::Frame(at) = to else {
            return Err(Problem::new(Rule::Frame, "the stack pointer is set to something unknown"));
        };
        let Some(distance) = state.touched.checked_sub(at).filter(|_| at >= -LARGEST_FRAME) else {
            return Err(Problem::new(Rule::Frame, "the frame is too large"));
        };
        if i64::from(distance) > STACK_PROBE_BYTES as i64 {
            return Err(Problem::new(Rule::Probe, format!("{distance} bytes below what was touched of the stack")));
        }
        state.set(Gpr::RSP, to);
        Ok(())
    }

    #[inline(always)]
    fn arithmetic(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        kind: Kind,
        left: Value,
        right: Value,
    ) -> Value {
        let whole = self.operand_bytes(instruction) == 8;
        let sized = |value: Option<Value>| match value {
            // A sum of 32 bits wraps; one that does not reach 2^32 is exact.
            Some(value) if whole || value.is_32_bit() => value,
            _ if whole => Value::Any,
            _ => Value::U32,
        };
        match kind {
            Kind::Add => sized(self.sum(left, right)),
            Kind::Subtract if same_registers(state, instruction) => Value::exactly(0),
            Kind::Subtract => match right.constant() {
                // An immediate was cut to the width of the operation: of 64 bits it is signed.
                Some(bits) => sized(bits.cast_signed().checked_neg().and_then(|by| left.offset(by))),
                None => sized(None),
            },
            Kind::And => {
                let bound = [left, right].into_iter().filter_map(|value| match value {
                    value if value.is_32_bit() => Some(value.highest().unwrap_or(u64::from(u32::MAX))),
                    _ => None,
                });
                let bound = bound.min().and_then(|bound| u32::try_from(bound).ok());
                sized(bound.map(|span| Value::Number { low: 0, span }))
            }
            Kind::ShiftLeft => {
                let by = shift(right, whole);
                match left {
                    Value::Index(table) if whole && by == 4 => {
                        let made = Entry::Made(offset(instruction));
                        self.forget(state, |value| value.entry() == Some(made));
                        if state.checked.is_some_and(|checked| checked.entry == made) {
                            state.checked = None;
                        }
                        Value::EntryOffset { table, entry: made }
                    }
                    _ => sized(number(left).and_then(|(low, span)| {
                        let (low, span) = (u128::from(low) << by, u128::from(span) << by);
                        Some(Value::Number { low: u64::try_from(low).ok()?, span: u32::try_from(span).ok()? })
                            .filter(|value| value.highest_checked().is_some())
                    })),
                }
            }
            Kind::ShiftRight => {
                let by = shift(right, whole);
                let high = match number(left) {
                    Some((low, span)) => (low + u64::from(span)) >> by,
                    None if whole => u64::MAX >> by,
                    None => u64::from(u32::MAX) >> by,
                };
                sized(u32::try_from(high).ok().map(|span| Value::Number { low: 0, span }))
            }
            _ => Value::Any,
        }
    }

    /// The sum of two values of 64 bits.
    fn sum(&self, left: Value, right: Value) -> Option<Value> {
        match (left, right) {
            (Value::Text { low: at, span: 0 }, Value::JumpOffset { at: table, count })
            | (Value::JumpOffset { at: table, count }, Value::Text { low: at, span: 0 })
                if at == table =>
            {
                Some(Value::JumpTarget { at, count })
            }
            // A row of a table of constants.
            (Value::Text { low, span }, index) | (index, Value::Text { low, span }) => {
                let (first, further) = number(index)?;
                let low = low.checked_add(u32::try_from(first).ok()?)?;
                let span = span.checked_add(further)?;
                low.checked_add(span).map(|_| Value::Text { low, span })
            }
            (Value::Arena, Value::CalleeOffset(entry)) | (Value::CalleeOffset(entry), Value::Arena) => {
                Some(Value::CalleeContext(entry))
            }
            (Value::EntryOffset { table, entry }, address) | (address, Value::EntryOffset { table, entry }) => {
                let field = match address {
                    Value::Into { object: Object::Table(own), low, span: 0 } if own == table => low,
                    address => address.constant()?.checked_sub(self.task.places.table(table)?)?,
                };
                Some(Value::EntryField { table, entry, field: u32::try_from(field).ok()? })
            }
            (value, by) | (by, value) if by.constant().is_some() => {
                let by = by.constant()?;
                let Some((low, span)) = number(value) else { return value.offset(by.cast_signed()) };
                // Without a sign if that does not wrap; else with one, if that does not.
                let sum = low.checked_add(by).map(|low| Value::Number { low, span });
                sum.filter(|sum| sum.highest_checked().is_some())
                    .or_else(|| Value::Number { low, span }.offset(by.cast_signed()))
            }
            (Value::Into { object, low, span }, by) | (by, Value::Into { object, low, span }) => {
                let (more, further) = number(by)?;
                let sum = Value::Into { object, low: low.checked_add(more)?, span: span.checked_add(further)? };
                sum.highest_checked().map(|_| sum)
            }
            (left, right) => {
                let ((a, a_span), (b, b_span)) = (number(left)?, number(right)?);
                let sum = Value::Number { low: a.checked_add(b)?, span: a_span.checked_add(b_span)? };
                sum.highest_checked().map(|_| sum)
            }
        }
    }

    /// The address of the memory operand.
    #[inline(always)]
    fn address(&self, state: &State, instruction: &Instruction) -> Result<Value, Problem> {
        if instruction.is_ip_rel_memory_operand() {
            let at = instruction.ip_rel_memory_address();
            return u32::try_from(at)
                .map(|low| Value::Text { low, span: 0 })
                .map_err(|_| Problem::new(Rule::Memory, "it leads out of the text"));
        }
        let mut sum = Some(Value::exactly(0));
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        if base != Register::None {
            sum = Some(state.get(self.address_register(base)?));
        }
        if index != Register::None {
            let value = state.get(self.address_register(index)?);
            let scaled = match instruction.memory_index_scale() {
                1 => Some(value),
                scale => number(value).and_then(|(low, span)| {
                    let value = Value::Number { low: low.checked_mul(scale.into())?, span: span.checked_mul(scale)? };
                    value.highest_checked().map(|_| value)
                }),
            };
            sum = sum.zip(scaled).and_then(|(sum, scaled)| self.sum(sum, scaled));
        }
        let displacement = instruction.memory_displacement64().cast_signed();
        let sum = sum.and_then(|sum| match sum {
            Value::EntryOffset { .. } => self.sum(sum, Value::exactly(displacement.cast_unsigned())),
            sum if displacement == 0 => Some(sum),
            sum => match number(sum) {
                Some((low, span)) => Value::Number { low, span }.offset(displacement),
                None => sum.offset(displacement),
            },
        });
        Ok(sum.unwrap_or(Value::Any))
    }

    #[inline(always)]
    fn address_register(&self, register: Register) -> Result<Gpr, Problem> {
        match general(register) {
            Some(Named { gpr, bytes: 8 }) => Ok(gpr),
            _ => Err(Problem::new(Rule::Encoding, "an address of another kind than base and index of 64 bits")),
        }
    }

    /// The address of an instruction's memory operand, and what all its bytes lie in. For what checks the rules: [`Self::step`]
    /// also decides whether the instruction may read or write there.
    #[must_use]
    pub fn claimed(&self, state: &State, instruction: &Instruction) -> Option<(Value, Option<Place>)> {
        let bytes = u32::try_from(instruction.memory_size().size()).ok()?;
        let address = self.address(state, instruction).ok()?;
        Some((address, self.task.places.find(address, bytes, self.slots)))
    }

    /// Where all bytes of the memory operand lie.
    #[inline(always)]
    fn place(&mut self, state: &State, instruction: &Instruction, access: Access) -> Result<(Place, u32), Problem> {
        let bytes = u32::try_from(instruction.memory_size().size()).unwrap_or(0);
        if bytes == 0 {
            return Err(Problem::new(Rule::Encoding, "an access of no certain size"));
        }
        let address = self.address(state, instruction)?;
        let place = self.task.places.find(address, bytes, self.slots);
        let Some(place) = place else {
            let what = format!("{bytes} bytes at {address:?}: nothing that code may reach");
            return Err(Problem::new(Rule::Memory, what));
        };
        let writable = match place {
            Place::Memory | Place::Results | Place::Slots | Place::Frame(_) => true,
            Place::Global { mutable } => mutable,
            Place::MemoryLength
            | Place::TableLength(_)
            | Place::Entry { .. }
            | Place::Field(_)
            | Place::Text { .. } => false,
        };
        if access == Access::Write && !writable {
            return Err(Problem::new(Rule::Memory, "a write of what code may only read"));
        }
        if place == Place::Memory {
            self.may_fault(Fault::Heap);
        }
        self.uses(|uses| match place {
            Place::Memory => &mut uses.memory,
            Place::MemoryLength | Place::TableLength(_) => &mut uses.lengths,
            Place::Entry { .. } => &mut uses.entries,
            Place::Global { .. } => &mut uses.globals,
            Place::Results | Place::Slots => &mut uses.results,
            Place::Field(_) => &mut uses.context,
            Place::Frame(_) => &mut uses.frame,
            Place::Text { .. } => &mut uses.constants,
        });
        Ok((place, bytes))
    }

    #[inline(always)]
    fn load(&mut self, state: &mut State, instruction: &Instruction) -> Result<Value, Problem> {
        let (place, bytes) = self.place(state, instruction, Access::Read)?;
        self.loaded(state, place, bytes)
    }

    #[inline(always)]
    fn loaded(&self, state: &mut State, place: Place, bytes: u32) -> Result<Value, Problem> {
        Ok(match place {
            Place::Frame(at) => self.read_frame(state, at, bytes)?,
            Place::Text { start, end } => {
                if start < self.range.start || end > self.range.start + self.range.len {
                    return Err(Problem::new(Rule::Memory, "a constant outside of the function"));
                }
                Value::of_bytes(bytes as usize)
            }
            Place::TableLength(table) => Value::Length(table),
            Place::Entry { table, entry, field } => self.entry(state, table, entry, field, bytes)?,
            Place::Field(value) => value,
            Place::Memory | Place::MemoryLength | Place::Global { .. } | Place::Results | Place::Slots => {
                Value::of_bytes(bytes as usize)
            }
        })
    }

    /// Reads a field of a table entry.
    fn entry(&self, state: &State, table: u8, entry: Entry, field: u32, bytes: u32) -> Result<Value, Problem> {
        let Some(least) = self.task.places.entries(table) else {
            return Err(Problem::new(Rule::Memory, "a table that code does not read"));
        };
        if let Entry::Constant { index, .. } = entry {
            let compared = matches!(state.longer, Some((own, least)) if own == table && index <= least);
            // Entry 0 of every table can be read; see the contract.
            if index >= least && !compared && index != 0 {
                return Err(Problem::new(Rule::TableBound, format!("entry {index} of table {table}")));
            }
        }
        if field == TABLE_ENTRY_SIGNATURE && bytes == 4 {
            return Ok(Value::Signature { table, entry });
        }
        let checked = state.checked.filter(|checked| checked.table == table && checked.entry == entry);
        let Some(checked) = checked else {
            return Err(Problem::new(Rule::Signature, "a table entry is read before its signature was compared"));
        };
        match (field, bytes) {
            (TABLE_ENTRY_CODE, 8) => Ok(Value::Code { signature: checked.signature, entry }),
            (TABLE_ENTRY_CONTEXT, 4) if !self.task.is_fixed => Ok(Value::CalleeOffset(entry)),
            _ => Err(Problem::new(Rule::Memory, "a part of a table entry that code does not need")),
        }
    }

    #[inline(always)]
    fn store(&mut self, state: &mut State, instruction: &Instruction, value: Value) -> Result<(), Problem> {
        let (place, bytes) = self.place(state, instruction, Access::Write)?;
        self.stored(state, place, bytes, value)
    }

    #[inline(always)]
    fn stored(&mut self, state: &mut State, place: Place, bytes: u32, value: Value) -> Result<(), Problem> {
        match place {
            Place::Frame(at) => self.write_frame(state, at, bytes, value),
            _ if !value.is_data() => {
                Err(Problem::new(Rule::Leak, format!("{value:?} goes where the guest can read it")))
            }
            _ if state.pending => {
                Err(Problem::new(Rule::Status, "something changes before the status of a hostcall was looked at"))
            }
            _ => Ok(()),
        }
    }

    /// Whether `bytes` from `at` on are in the part of the stack that is this function's.
    fn in_frame(&self, state: &State, at: i32, bytes: u32) -> Result<(), Problem> {
        let end = i64::from(at) + i64::from(bytes);
        if at < self.stack(state)? {
            return Err(Problem::new(Rule::Frame, "an access below the stack pointer"));
        }
        if end > 8 + i64::from(self.argument_bytes) {
            return Err(Problem::new(Rule::Frame, "an access above the frame"));
        }
        Ok(())
    }

    fn read_frame(&self, state: &mut State, at: i32, bytes: u32) -> Result<Value, Problem> {
        self.in_frame(state, at, bytes)?;
        state.touched = state.touched.min(at);
        Ok(match bytes {
            8 => state.slot(at),
            4 => state.slot(at).truncated(),
            bytes => Value::of_bytes(bytes as usize),
        })
    }

    fn write_frame(&mut self, state: &mut State, at: i32, bytes: u32, value: Value) -> Result<(), Problem> {
        self.in_frame(state, at, bytes)?;
        state.touched = state.touched.min(at);
        state.write(at, bytes, value);
        Ok(())
    }

    /// The sign-extended second operand.
    fn signed(&mut self, state: &mut State, instruction: &Instruction) -> Result<Value, Problem> {
        let value = self.read(state, instruction, 1)?;
        let bytes = match instruction.op1_kind() {
            OpKind::Memory => instruction.memory_size().size(),
            _ => instruction.op1_register().size(),
        };
        // What has no sign bit set is extended by zeros.
        Ok(match value.highest() {
            Some(highest) if highest < 1 << (8 * bytes - 1) => value,
            _ => Value::Any,
        })
    }

    /// The offset that an instruction loads from a jump table, if that is what it does.
    fn jump_offset(&mut self, state: &State, instruction: &Instruction) -> Result<Option<Value>, Problem> {
        let is_offset = instruction.code() == Code::Movsxd_r64_rm32 && instruction.op1_kind() == OpKind::Memory;
        if !is_offset || instruction.is_ip_rel_memory_operand() {
            return Ok(None);
        }
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        if base == Register::None || index == Register::None || instruction.memory_index_scale() != 4 {
            return Ok(None);
        }
        let Value::Text { low: at, span: 0 } = state.get(self.address_register(base)?) else { return Ok(None) };
        let index = state.get(self.address_register(index)?);
        let most = index.highest().and_then(|most| u32::try_from(most).ok()).filter(|most| *most < self.range.len);
        let Some(most) = most.filter(|_| instruction.memory_displacement64() == 0) else {
            return Err(Problem::new(Rule::Target, "a jump table is read with an index that has no bound"));
        };
        let count = most + 1;
        let end = u64::from(at) + 4 * u64::from(count);
        if at < self.range.start || end > u64::from(self.range.start) + u64::from(self.range.len) {
            return Err(Problem::new(Rule::Target, format!("a jump table of {count} entries leaves the function")));
        }
        Ok(Some(Value::JumpOffset { at, count }))
    }

    /// Reads the operands of a vector instruction from the one given on.
    fn vectors(&mut self, state: &mut State, instruction: &Instruction, first: u32) -> Result<(), Problem> {
        for operand in first..instruction.op_count() {
            match instruction.op_kind(operand) {
                OpKind::Memory => drop(self.load(state, instruction)?),
                OpKind::Register if instruction.op_register(operand).is_gpr() => {
                    let register = self.register(instruction, operand)?;
                    // It can come back out of the vector register as data.
                    if !state.get(register.gpr).is_data() && register.bytes == 8 {
                        return Err(Problem::new(Rule::Leak, "an address goes to a vector register"));
                    }
                }
                OpKind::Register if instruction.op_register(operand).is_vector_register() => {}
                kind if immediate(kind) => {}
                _ => return Err(Problem::new(Rule::Encoding, "an operand of a kind that has no place here")),
            }
        }
        Ok(())
    }
}

/// Whether code may write the stack pointer with this instruction: it adds or subtracts a constant, or copies an address from
/// another register. `push`, `pop`, calls and returns move it by themselves.
#[inline(always)]
fn moves_stack(instruction: &Instruction) -> bool {
    use Code::{Add_rm64_imm8, Add_rm64_imm32, Lea_r64_m, Mov_r64_rm64, Mov_rm64_r64, Sub_rm64_imm8, Sub_rm64_imm32};
    match instruction.code() {
        Add_rm64_imm8 | Add_rm64_imm32 | Sub_rm64_imm8 | Sub_rm64_imm32 => true,
        Lea_r64_m => instruction.memory_index() == Register::None,
        Mov_r64_rm64 | Mov_rm64_r64 => instruction.op1_kind() == OpKind::Register,
        _ => false,
    }
}

/// A value as the number it is.
#[inline(always)]
fn number(value: Value) -> Option<(u64, u32)> {
    match value {
        Value::Number { low, span } => Some((low, span)),
        value if value.is_32_bit() => Some((0, u32::MAX)),
        _ => None,
    }
}

/// A place as a word of the frame.
#[inline(always)]
fn word(place: Place, bytes: u32) -> Option<Home> {
    match place {
        Place::Frame(at) if bytes == 8 => Some(Home::word(at)),
        _ => None,
    }
}

/// By how much a shift with an immediate, or by one, shifts.
fn shift(by: Value, whole: bool) -> u32 {
    let mask = if whole { 63 } else { 31 };
    u32::try_from(by.constant().unwrap_or(0)).unwrap_or(0) & mask
}

#[inline(always)]
fn same_registers(state: &State, instruction: &Instruction) -> bool {
    if instruction.op0_kind() != OpKind::Register || instruction.op1_kind() != OpKind::Register {
        return false;
    }
    match (general(instruction.op0_register()), general(instruction.op1_register())) {
        (Some(one), Some(other)) => one.bytes == other.bytes && state.same(one.gpr, other.gpr),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_what_the_decoder_says() {
        let mut found = 0;
        for register in Register::values() {
            let named = general(register).map(|named| (usize::from(named.gpr.0), usize::from(named.bytes)));
            let is_high = matches!(register, Register::AH | Register::BH | Register::CH | Register::DH);
            let expected =
                (register.is_gpr() && !is_high).then(|| (register.full_register().number(), register.size()));
            assert_eq!(named, expected, "{register:?}");
            found += usize::from(named.is_some());
        }
        assert_eq!(found, 4 * 16);
    }
}
