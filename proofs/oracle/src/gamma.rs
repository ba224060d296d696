//! What a state of the verifier means: whether registers, flags, stack and tables are among those that it describes.

use crate::native::Registers;
use crate::world::{ARENA_BASE, ENTERED_CODE, World};
use iced_x86::ConditionCode;
use wave_contract::context::{TABLE_ENTRY_CONTEXT, TABLE_ENTRY_SIGNATURE};
use wave_contract::libcall::Libcall;
use wave_verifier::rules::{Flags, Gpr, NO_ROOM, Operand, State, Value, refine};

const CARRY: u64 = 1;
const ZERO: u64 = 0x40;

/// The conditions that something can follow from.
const CONDITIONS: [ConditionCode; 6] =
    [ConditionCode::b, ConditionCode::ae, ConditionCode::e, ConditionCode::ne, ConditionCode::be, ConditionCode::a];

/// Whether an unsigned condition holds.
#[must_use]
fn holds(condition: ConditionCode, flags: u64) -> bool {
    let (carry, zero) = (flags & CARRY != 0, flags & ZERO != 0);
    match condition {
        ConditionCode::b => carry,
        ConditionCode::ae => !carry,
        ConditionCode::e => zero,
        ConditionCode::ne => !zero,
        ConditionCode::be => carry || zero,
        _ => !carry && !zero,
    }
}

impl World {
    /// The address at an offset in the frame.
    #[must_use]
    pub const fn in_frame(&self, at: i32) -> u64 {
        self.frame.wrapping_add_signed(at as i64)
    }

    /// Whether a value stands for these bits.
    #[must_use]
    pub fn stands_for(&self, value: Value, bits: u64) -> bool {
        let within = |base: u64, low: u64, span: u32| {
            let at = bits.wrapping_sub(base);
            at >= low && at - low <= u64::from(span)
        };
        let number = |field: u32| bits == u64::from(field);
        let entry = |entry| self.meaning(entry).map(|(table, index)| (table, index, self.entry_at(table, index)));
        match value {
            Value::Any => true,
            Value::Number { low, span } => within(0, low, span),
            Value::Frame(at) => bits == self.in_frame(at),
            Value::Saved(Gpr(register)) => bits == self.entry.general[usize::from(register)],
            Value::Return => bits == self.return_address,
            Value::Into { object, low, span } => within(self.object(object), low, span),
            Value::Arena => bits == ARENA_BASE,
            Value::StackLimit => bits == self.limit,
            Value::Length(table) => bits <= u64::from(self.lengths[usize::from(table)]),
            Value::Index(table) => self.is_index(table, bits),
            Value::LowIndex(table) => self.is_index(table, bits & u64::from(u32::MAX)),
            Value::EntryOffset { table, entry: name } => {
                entry(name).is_some_and(|(own, index, _)| own == table && bits == 16 * u64::from(index))
            }
            Value::EntryField { table, entry: name, field } => entry(name).is_some_and(|(own, index, _)| {
                let header = self.header_at(table);
                own == table && bits == header + 16 * u64::from(index) + u64::from(field)
            }),
            Value::Signature { table, entry: name } => entry(name).is_some_and(|(own, _, at)| {
                own == table && number(self.memory.u32(at + u64::from(TABLE_ENTRY_SIGNATURE)))
            }),
            Value::Code { signature, entry: name } => entry(name).is_some_and(|(_, _, at)| {
                let found = self.memory.u32(at + u64::from(TABLE_ENTRY_SIGNATURE));
                found == signature.0 && bits == self.memory.u64(at)
            }),
            Value::CalleeOffset(name) => {
                entry(name).is_some_and(|(_, _, at)| number(self.memory.u32(at + u64::from(TABLE_ENTRY_CONTEXT))))
            }
            Value::CalleeContext(name) => entry(name).is_some_and(|(_, _, at)| {
                bits == ARENA_BASE + u64::from(self.memory.u32(at + u64::from(TABLE_ENTRY_CONTEXT)))
            }),
            Value::Import(import) => bits == self.field(self.layout.function(import)),
            Value::ImportContext(import) => bits == self.field(self.layout.function(import) + 8),
            Value::Libcall(call) => {
                Libcall::ALL.get(usize::from(call)).is_some_and(|call| bits == self.field(self.layout.libcall(*call)))
            }
            Value::Status => bits == self.status,
            Value::EnteredCode => bits == ENTERED_CODE,
            Value::EnteredContext { field } => bits == self.addresses.context + u64::from(field),
            Value::Text { low, span } => within(self.text, low.into(), span),
            Value::JumpOffset { at, count } => (0..count).any(|index| bits == self.jump_offset(at, index)),
            Value::JumpTarget { at, count } => (0..count)
                .any(|index| bits == self.jump_offset(at, index).wrapping_add(self.text).wrapping_add(at.into())),
        }
    }

    /// An entry of a jump table, as a register holds it.
    fn jump_offset(&self, at: u32, index: u32) -> u64 {
        let entry = self.memory.u32(self.text + u64::from(at) + 4 * u64::from(index));
        i64::from(entry.cast_signed()).cast_unsigned()
    }

    /// Whether a state describes these registers and this world, and so does what follows from each condition.
    ///
    /// # Errors
    /// What it says that is not so.
    pub fn is_described(&self, state: &State, registers: &Registers) -> Result<(), String> {
        self.is_described_now(state, registers)?;
        self.are_flags(state, registers)?;
        if !state.flags.can_refine() {
            return Ok(());
        }
        for condition in CONDITIONS {
            let mut refined = state.clone();
            let holds = holds(condition, registers.flags);
            refine(&mut refined, condition, holds);
            self.is_described_now(&refined, registers)
                .map_err(|what| format!("if {condition:?} is {holds}, after {:?}: {what}", state.flags))?;
        }
        Ok(())
    }

    fn is_described_now(&self, state: &State, registers: &Registers) -> Result<(), String> {
        for (number, bits) in (0..).zip(registers.general) {
            let value = state.get(Gpr(number));
            if !self.stands_for(value, bits) {
                return Err(format!("register {number} is {bits:#x}, known as {value:?}"));
            }
            let Some(home) = state.copy_of(Gpr(number)) else { continue };
            let other = match (home.as_register(), home.as_word()) {
                (Some(other), _) => registers.general[usize::from(other.0)],
                (None, Some(word)) => self.memory.u64(self.in_frame(word)),
                (None, None) => unreachable!("it is one of the two"),
            };
            if other != bits {
                return Err(format!("register {number} is {bits:#x}, known as a copy of {home:?}, {other:#x}"));
            }
        }
        for (at, value) in state.words() {
            let bits = self.memory.u64(self.in_frame(at));
            if !self.stands_for(value, bits) {
                return Err(format!("word {at} is {bits:#x}, known as {value:?}"));
            }
            if self.in_frame(at) < registers.general[4] {
                return Err(format!("word {at} is known, and lies below the stack pointer"));
            }
        }
        if let Some(checked) = state.checked {
            let found = self.meaning(checked.entry).filter(|(table, _)| *table == checked.table);
            let found = found.map(|(table, index)| self.memory.u32(self.entry_at(table, index) + 8));
            if found != Some(checked.signature.0) {
                return Err(format!("{checked:?}, and the signature is {found:?}"));
            }
        }
        if let Some((table, index)) = state.longer
            && self.lengths[usize::from(table)] <= index
        {
            return Err(format!("table {table} is not longer than {index}"));
        }
        if state.room != NO_ROOM && self.in_frame(state.room) < self.limit {
            return Err(format!("room for the host is known from {} on, below the limit", state.room));
        }
        if self.in_frame(state.touched) < self.touched {
            return Err(format!("{} is known as touched, and nothing so low was", state.touched));
        }
        if !state.pending && self.status != 0 {
            return Err(format!("no status is pending, and the last was {:#x}", self.status));
        }
        Ok(())
    }

    /// Whether the flags are those that the state says.
    fn are_flags(&self, state: &State, registers: &Registers) -> Result<(), String> {
        let (carry, zero) = (registers.flags & CARRY != 0, registers.flags & ZERO != 0);
        match state.flags {
            Flags::Unknown => Ok(()),
            Flags::Tested if zero == (self.status == 0) => Ok(()),
            Flags::Tested => Err(format!("the status {:#x} is known as tested, and ZF is {zero}", self.status)),
            Flags::Compared { left, right, bytes } => {
                let (l, r, own) = self.compared;
                if bytes != own || carry != (l < r) || zero != (l == r) {
                    return Err(format!("{bytes} bytes are known as compared: {l:#x} and {r:#x}, {own} bytes"));
                }
                self.is_side(left, l, bytes, registers)?;
                self.is_side(right, r, bytes, registers)
            }
        }
    }

    /// Whether one side of the last comparison is what the state says.
    fn is_side(&self, side: Operand, bits: u64, bytes: u8, registers: &Registers) -> Result<(), String> {
        let mask = u64::MAX >> (64 - 8 * u32::from(bytes));
        let held = side.register.map(|register| registers.general[usize::from(register.0)] & mask);
        if held.is_some_and(|held| held != bits) || !self.stands_for(side.value, bits) {
            return Err(format!("{side:?} is known as compared, and it was {bits:#x}"));
        }
        Ok(())
    }
}
