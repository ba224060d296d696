//! What is known where an instruction begins.

use crate::value::{Entry, Gpr, Value};
use crate::words::{NODE_BYTES, Words};
use wave_contract::types::SignatureId;

/// One side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The register that still holds it.
    pub register: Option<Gpr>,
    /// What was known of it.
    pub value: Value,
}

/// What is known about the processor's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    /// Nothing.
    Unknown,
    /// How the lowest bytes of two operands compare.
    Compared {
        /// The operand that the other is subtracted from.
        left: Operand,
        /// The other.
        right: Operand,
        /// How many bytes.
        bytes: u8,
    },
    /// Whether the status of a hostcall is zero.
    Tested,
}

impl Flags {
    /// Whether anything follows from a condition.
    pub fn can_refine(&self) -> bool {
        let counts = |value| matches!(value, Value::Length(_) | Value::Signature { .. } | Value::StackLimit);
        match self {
            Self::Unknown => false,
            Self::Tested => true,
            Self::Compared { left, right, .. } => counts(left.value) || counts(right.value),
        }
    }
}

/// That an entry's signature was found to be this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The table.
    pub table: u8,
    /// Which of its entries.
    pub entry: Entry,
    /// The signature.
    pub signature: SignatureId,
}

/// No hostcall may follow: the stack limit was not checked.
pub const NO_ROOM: i32 = i32::MAX;

/// Where 64 bits are kept: a register, or a word of the frame. A register's number, counted from the lowest number, or the
/// word's offset, which is far above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home(i32);

impl Home {
    /// A register that is not a known copy of another location.
    const ALONE: Self = Self(i32::MAX);

    /// A register.
    pub const fn register(register: Gpr) -> Self {
        Self(i32::MIN + (register.0 & 15) as i32)
    }

    /// The word at an offset in the frame.
    pub const fn word(at: i32) -> Self {
        Self(at)
    }

    /// The offset of the word that it is.
    pub const fn as_word(self) -> Option<i32> {
        if self.as_register().is_some() { None } else { Some(self.0) }
    }

    /// The register that it is.
    pub const fn as_register(self) -> Option<Gpr> {
        match self.0.wrapping_sub(i32::MIN).to_le_bytes() {
            [number @ 0..16, 0, 0, 0] => Some(Gpr(number)),
            _ => None,
        }
    }
}

/// What is known where an instruction begins. Offsets in the frame count from the stack pointer at entry, where the return
/// address lies.
///
/// Nothing is ever known about words below the stack pointer: none has a value, and no register is a copy of one. A callee or the
/// kernel may write there. The methods below keep this invariant; [`State::check`] checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    registers: [Value; 16],
    /// For each register, another home that holds the same.
    copies: [Home; 16],
    /// Registers of which others are copies, a bit for each.
    originals: u16,
    /// Known words of the frame.
    words: Words,
    /// The lowest place of the stack that was touched.
    pub touched: i32,
    /// A stack pointer here or higher was found to leave room for the host.
    pub room: i32,
    /// About the processor's flags.
    pub flags: Flags,
    /// The entry whose signature was compared last.
    pub checked: Option<Checked>,
    /// The table is longer than this.
    pub longer: Option<(u8, u32)>,
    /// A hostcall's status was not checked yet.
    pub pending: bool,
}

impl Default for State {
    /// Nothing at all.
    fn default() -> Self {
        Self {
            registers: [Value::Any; 16],
            copies: [Home::ALONE; 16],
            originals: 0,
            words: Words::default(),
            touched: 0,
            room: NO_ROOM,
            flags: Flags::Unknown,
            checked: None,
            longer: None,
            pending: false,
        }
    }
}

impl State {
    /// Nothing but where the frame begins.
    pub fn at_entry() -> Self {
        let mut registers = [Value::Any; 16];
        registers[usize::from(Gpr::RSP.0)] = Value::Frame(0);
        for register in Gpr::SAVED {
            registers[usize::from(register.0)] = Value::Saved(register);
        }
        let mut state = Self { registers, ..Self::default() };
        state.words.set(0, Value::Return);
        state
    }

    /// Becomes a copy of another state, which shares the words of the frame with it.
    pub fn copy_from(&mut self, other: &Self) {
        let Self { registers, copies, originals, words, touched, room, flags, checked, longer, pending } = self;
        (*registers, *copies, *originals) = (other.registers, other.copies, other.originals);
        words.copy_from(&other.words);
        (*touched, *room, *flags) = (other.touched, other.room, other.flags);
        (*checked, *longer, *pending) = (other.checked, other.longer, other.pending);
    }

    /// A copy, which shares the words of the frame.
    pub fn share(&self) -> Self {
        let Self { registers, copies, originals, touched, room, flags, checked, longer, pending, .. } = *self;
        let words = self.words.share();
        Self { registers, copies, originals, words, touched, room, flags, checked, longer, pending }
    }

    /// The known words of the frame, in ascending order of their offsets.
    pub fn words(&self) -> Vec<(i32, Value)> {
        self.words.all()
    }

    /// Where else all 64 bits of a register are, if that is known.
    pub fn copy_of(&self, register: Gpr) -> Option<Home> {
        Some(self.copies[usize::from(register.0 & 15)]).filter(|home| *home != Home::ALONE)
    }

    /// How many bytes its words of the frame add to the memory in use, beside those that were counted before.
    pub fn take_words(&self) -> u64 {
        NODE_BYTES * self.words.take_made()
    }

    /// What a register holds.
    #[inline]
    pub fn get(&self, register: Gpr) -> Value {
        self.registers[usize::from(register.0 & 15)]
    }

    /// Notes that a register was written. If it is the stack pointer, forgets the words below it.
    #[inline]
    pub fn set(&mut self, register: Gpr, value: Value) {
        let number = usize::from(register.0 & 15);
        self.registers[number] = value;
        if register == Gpr::RSP
            && let Value::Frame(at) = value
        {
            self.release(at);
        }
        self.copies[number] = Home::ALONE;
        if self.originals & 1 << number != 0 {
            self.originals &= !(1 << number);
            self.lose(|home| home == Home::register(register));
        }
        if let Flags::Compared { left, right, .. } = &mut self.flags {
            for side in [left, right] {
                if side.register == Some(register) {
                    side.register = None;
                }
            }
        }
    }

    /// Forgets the registers that a callee need not restore, and the flags.
    pub fn clobber(&mut self) {
        for number in Gpr::CLOBBERED {
            self.registers[usize::from(number)] = Value::Any;
            self.copies[usize::from(number)] = Home::ALONE;
        }
        let is_lost = |number: u8| Gpr::CLOBBERED.contains(&number);
        let lost = Gpr::CLOBBERED.into_iter().fold(0, |lost, number| lost | 1 << number);
        if self.originals & lost != 0 {
            self.originals &= !lost;
            self.lose(|home| home.as_register().is_some_and(|register| is_lost(register.0)));
        }
        self.flags = Flags::Unknown;
    }

    /// No register is a copy of these homes any more, only of another that was.
    fn lose(&mut self, is_lost: impl Fn(Home) -> bool) {
        for number in 0..16_u8 {
            let home = self.copies[usize::from(number)];
            if home == Home::ALONE || !is_lost(home) {
                continue;
            }
            self.copies[usize::from(number)] = Home::ALONE;
            let heir = Home::register(Gpr(number));
            for copy in &mut self.copies[usize::from(number) + 1..] {
                if *copy == home {
                    *copy = heir;
                    self.originals |= 1 << number;
                }
            }
        }
    }

    /// The home that all copies of a home's value name.
    #[inline]
    fn original(&self, home: Home) -> Home {
        match home.as_register().map(|register| self.copies[usize::from(register.0)]) {
            None | Some(Home::ALONE) => home,
            Some(original) => original,
        }
    }

    /// Whether two registers are known to hold the same.
    #[inline]
    pub fn same(&self, one: Gpr, other: Gpr) -> bool {
        self.original(Home::register(one)) == self.original(Home::register(other))
    }

    /// Notes that `to` was just written with all that `from` holds. Both are looked at as they are now: the write may have moved
    /// the stack pointer, and a word that lies below it is no longer there.
    #[inline]
    pub fn copied(&mut self, from: Home, to: Home) {
        if !self.lasts(from) || !self.lasts(to) {
            return;
        }
        let original = self.original(from);
        match (to.as_register(), original.as_register()) {
            (Some(to), original_register) => {
                self.copies[usize::from(to.0)] = original;
                self.originals |= original_register.map_or(0, |register| 1 << register.0);
            }
            // The register and its other copies are copies of the word from now on: it is what lasts.
            (None, Some(register)) => {
                self.originals &= !(1 << register.0);
                for copy in &mut self.copies {
                    if *copy == original {
                        *copy = to;
                    }
                }
                self.copies[usize::from(register.0)] = to;
            }
            (None, None) => {}
        }
    }

    /// Whether what a home holds stays until it is written. The stack pointer has its own rules and is no copy of anything.
    #[inline]
    fn lasts(&self, home: Home) -> bool {
        match home.as_register() {
            Some(register) => register != Gpr::RSP,
            None => self.stack().is_some_and(|stack| home.0 >= stack),
        }
    }

    /// Notes more about what a register holds, and so about its copies. Flags stay about the same operands.
    pub fn learn(&mut self, register: Gpr, value: Value) {
        let number = usize::from(register.0 & 15);
        self.registers[number] = value;
        let original = self.original(Home::register(register));
        for (own, copy) in self.registers.iter_mut().zip(self.copies) {
            if copy == original {
                *own = value;
            }
        }
        match original.as_register() {
            Some(register) => self.registers[usize::from(register.0)] = value,
            None => self.words.set(original.0, value),
        }
    }

    /// The stack pointer.
    pub fn stack(&self) -> Option<i32> {
        match self.get(Gpr::RSP) {
            Value::Frame(at) => Some(at),
            _ => None,
        }
    }

    /// The word at an offset.
    pub fn slot(&self, at: i32) -> Value {
        self.words.get(at)
    }

    /// Notes that `bytes` from `at` on were written: a word that is known, or anything.
    pub fn write(&mut self, at: i32, bytes: u32, value: Value) {
        let end = i64::from(at) + i64::from(bytes);
        self.lose(|Home(word)| i64::from(word) < end && i64::from(word) + 8 > i64::from(at));
        if bytes == 8 && value != Value::Any && Words::can_know(at) && self.stack().is_some_and(|stack| at >= stack) {
            self.words.set(at, value);
        } else {
            self.words.clear(at.into(), end);
        }
    }

    /// Forgets what lies below a stack pointer.
    fn release(&mut self, stack: i32) {
        self.words.clear(i32::MIN.into(), stack.into());
        self.lose(|home| home.as_register().is_none() && home.0 < stack);
    }

    /// Forgets every [transient](Value::is_transient) value that `is_stale`. Adds to `visited` how many lines and branches of
    /// words were looked at.
    pub fn forget(&mut self, is_stale: impl Fn(Value) -> bool, visited: &mut u64) {
        let is_lost = |value: Value| value.is_transient() && is_stale(value);
        for value in &mut self.registers {
            if is_lost(*value) {
                *value = Value::Any;
            }
        }
        self.words.forget(&is_stale, visited);
        if let Flags::Compared { left, right, .. } = self.flags
            && (is_lost(left.value) || is_lost(right.value))
        {
            self.flags = Flags::Unknown;
        }
    }

    /// Whether the state is one that its methods leave: an error says what is not. Tests and fuzzers ask after every step.
    pub fn check(&self) -> Result<(), String> {
        self.words.check()?;
        let stack = self.stack();
        let below = |at: i32| stack.is_some_and(|stack| at < stack);
        if let Some((at, value)) = self.words().iter().find(|(at, value)| below(*at) || *value == Value::Any) {
            return Err(format!("word {at} is known as {value:?}, and the stack pointer is {stack:?}"));
        }
        for (number, home) in (0..).zip(self.copies).filter(|(_, home)| *home != Home::ALONE) {
            let wrong = match home.as_register() {
                None => below(home.0),
                Some(original) => {
                    let is_noted = self.originals & 1 << original.0 != 0;
                    original == Gpr::RSP || !is_noted || self.original(home) != home
                }
            };
            if wrong || Gpr(number) == Gpr::RSP {
                return Err(format!("register {number} is a copy of {home:?}, and the stack pointer is {stack:?}"));
            }
        }
        Ok(())
    }

    /// Whether all that another state says follows from this one: whatever this one describes, the other describes. Where it says
    /// so, a join of the other with this one leaves the other as it is. Adds to `visited` as [`Self::forget`] does.
    pub fn implies(&self, other: &Self, visited: &mut u64) -> bool {
        // What the other says nothing about is most of it.
        let register = |(own, other): (&Value, &Value)| matches!(other, Value::Any) || own.implies(*other);
        let copy = |(own, other): (&Home, &Home)| *other == Home::ALONE || own == other;
        let is_longer =
            |(table, least): (u8, u32)| self.longer.is_some_and(|(own, entries)| own == table && entries >= least);
        self.registers.iter().zip(&other.registers).all(register)
            && self.copies.iter().zip(&other.copies).all(copy)
            && self.touched <= other.touched
            && self.room <= other.room
            && (other.flags == Flags::Unknown || self.flags == other.flags)
            && (other.checked.is_none() || self.checked == other.checked)
            && other.longer.is_none_or(is_longer)
            && self.pending <= other.pending
            && self.words.implies(&other.words, visited)
    }

    /// Joins this state with another. Returns whether it changed. Adds to `visited` as [`Self::forget`] does.
    pub fn join(&mut self, other: &Self, visited: &mut u64) -> bool {
        let mut changed = self.words.join(&other.words, visited);
        for (own, other) in self.registers.iter_mut().zip(other.registers) {
            changed |= own.join_with(other);
        }
        for (own, other) in self.copies.iter_mut().zip(other.copies) {
            if *own != other && *own != Home::ALONE {
                *own = Home::ALONE;
                changed = true;
            }
        }
        let mut replace = |differs: bool| {
            changed |= differs;
            differs
        };
        if replace(other.touched > self.touched) {
            self.touched = other.touched;
        }
        if replace(other.room > self.room) {
            self.room = other.room;
        }
        if replace(self.flags != other.flags && self.flags != Flags::Unknown) {
            self.flags = Flags::Unknown;
        }
        if replace(self.checked != other.checked && self.checked.is_some()) {
            self.checked = None;
        }
        let longer = match (self.longer, other.longer) {
            (Some((own, a)), Some((table, b))) if own == table => Some((own, a.min(b))),
            _ => None,
        };
        if replace(longer != self.longer) {
            self.longer = longer;
        }
        if replace(other.pending && !self.pending) {
            self.pending = true;
        }
        changed
    }
}

#[cfg(test)]
mod tests;
