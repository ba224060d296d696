//! What is known about a 64-bit register or a word of the frame.
//!
//! A value stands for a set of bit patterns; [`Value::Any`] is the set of all. [`Value::join`] gives a value that stands for
//! at least both, and after two joins a value no longer changes.

use wave_contract::types::SignatureId;

/// A general-purpose register, by the number the processor gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpr(pub u8);

#[allow(missing_docs, reason = "their names say it")]
impl Gpr {
    pub const RAX: Self = Self(0);
    pub const RDX: Self = Self(2);
    pub const RBX: Self = Self(3);
    pub const RSP: Self = Self(4);
    pub const RBP: Self = Self(5);
    pub const RSI: Self = Self(6);
    pub const RDI: Self = Self(7);
    pub const R11: Self = Self(11);

    /// Registers that a callee preserves, in both conventions.
    pub const SAVED: [Self; 6] = [Self::RBX, Self::RBP, Self(12), Self(13), Self(14), Self(15)];

    /// The numbers of all others but RSP, which a callee may change.
    pub const CLOBBERED: [u8; 9] = [0, 1, 2, 6, 7, 8, 9, 10, 11];
}

/// Which entry of a table: the instruction that made the offset, so that within one pass over it two values with the same
/// number are the same entry; or a constant index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Made by the instruction at this offset.
    Made(u32),
    /// This index of this table.
    Constant {
        /// Number of the table.
        table: u8,
        /// Number of the entry.
        index: u32,
    },
}

/// An object that mode arg reaches by an address out of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// Byte 0 of a linear memory.
    Memory(u8),
    /// A memory's descriptor.
    Descriptor(u8),
    /// A table's header.
    Table(u8),
    /// An imported global's cell.
    Global {
        /// Whether code may write it.
        mutable: bool,
    },
    /// The result area.
    Results,
    /// The argument and result slots of an entry thunk.
    Slots,
    /// The instance's own context.
    Context,
}

/// What is known about 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Any,
    /// A number from `low` to `low + span`, which does not wrap.
    Number {
        /// The lowest.
        low: u64,
        /// From the lowest to the highest.
        span: u32,
    },
    /// The stack pointer at entry, plus this.
    Frame(i32),
    /// What the register held at entry.
    Saved(Gpr),
    /// This function's return address.
    Return,
    /// An address from `low` to `low + span` bytes into an object.
    Into {
        /// Which object.
        object: Object,
        /// The lowest number of bytes.
        low: u64,
        /// From the lowest to the highest.
        span: u32,
    },
    /// Where contexts are counted from.
    Arena,
    /// The lowest stack pointer at which code may call the host.
    StackLimit,
    /// How many entries a table has had at some time: 32 bits, the upper half zero.
    Length(u8),
    /// An index below the length of a table, or 0; the upper half zero.
    Index(u8),
    /// As `Index`, with anything in the upper half.
    LowIndex(u8),
    /// Sixteen times an `Index`.
    EntryOffset {
        /// The table.
        table: u8,
        /// Which of its entries.
        entry: Entry,
    },
    /// The address of a table's header, plus an `EntryOffset`, plus a constant.
    EntryField {
        /// The table.
        table: u8,
        /// Which of its entries.
        entry: Entry,
        /// The constant.
        field: u32,
    },
    /// The signature id found in an entry; the upper half zero.
    Signature {
        /// The table.
        table: u8,
        /// Which of its entries.
        entry: Entry,
    },
    /// Code of guest convention, found in an entry.
    Code {
        /// The signature found there.
        signature: SignatureId,
        /// Which entry, of a table that is not named here.
        entry: Entry,
    },
    /// The callee's context as found in an entry: an offset in the arena.
    CalleeOffset(Entry),
    /// The callee's context.
    CalleeContext(Entry),
    /// Code of an imported function.
    Import(u32),
    /// The context of an imported function.
    ImportContext(u32),
    /// Code of a library call.
    Libcall(u8),
    /// What a hostcall has left in RDX.
    Status,
    /// The code that an entry thunk is given.
    EnteredCode,
    /// The context that an entry thunk is given, plus a constant.
    EnteredContext {
        /// The constant.
        field: u32,
    },
    /// An address in the text, from `low` to `low + span` bytes behind its start.
    Text {
        /// The lowest number of bytes.
        low: u32,
        /// From the lowest to the highest.
        span: u32,
    },
    /// An entry of a jump table, extended by its sign.
    JumpOffset {
        /// Where the table begins: an offset in the text.
        at: u32,
        /// How many entries it has.
        count: u32,
    },
    /// The sum of a jump table's address and one of its entries.
    JumpTarget {
        /// Where the table begins: an offset in the text.
        at: u32,
        /// How many entries it has.
        count: u32,
    },
}

impl Value {
    /// Any 32-bit number.
    pub const U32: Self = Self::Number { low: 0, span: u32::MAX };

    /// This number.
    pub const fn exactly(number: u64) -> Self {
        Self::Number { low: number, span: 0 }
    }

    /// Any number of so many bytes.
    pub const fn of_bytes(bytes: usize) -> Self {
        match bytes {
            1 => Self::Number { low: 0, span: 0xff },
            2 => Self::Number { low: 0, span: 0xffff },
            4 => Self::U32,
            _ => Self::Any,
        }
    }

    /// The number, if it is one.
    pub const fn constant(self) -> Option<u64> {
        match self {
            Self::Number { low, span: 0 } => Some(low),
            _ => None,
        }
    }

    /// The largest number it can be.
    #[inline]
    pub const fn highest(self) -> Option<u64> {
        match self {
            Self::Number { low, span } => Some(low + span as u64),
            _ => None,
        }
    }

    /// Where a range ends; `None` if it would wrap.
    pub const fn highest_checked(self) -> Option<u64> {
        match self {
            Self::Number { low, span } | Self::Into { low, span, .. } => low.checked_add(span as u64),
            _ => None,
        }
    }

    /// Whether the upper half is zero.
    #[inline]
    pub fn is_32_bit(self) -> bool {
        match self {
            Self::Number { low, span } => low + u64::from(span) <= u64::from(u32::MAX),
            Self::Length(_) | Self::Index(_) | Self::Signature { .. } | Self::CalleeOffset(_) => true,
            _ => false,
        }
    }

    /// Whether it may be stored where the guest can read it.
    pub const fn is_data(self) -> bool {
        matches!(
            self,
            Self::Any
                | Self::Number { .. }
                | Self::Length(_)
                | Self::Index(_)
                | Self::LowIndex(_)
                | Self::EntryOffset { .. }
                | Self::Status
        )
    }

    /// The table entry that it belongs to.
    pub const fn entry(self) -> Option<Entry> {
        match self {
            Self::EntryOffset { entry, .. }
            | Self::EntryField { entry, .. }
            | Self::Signature { entry, .. }
            | Self::Code { entry, .. }
            | Self::CalleeOffset(entry)
            | Self::CalleeContext(entry) => Some(entry),
            _ => None,
        }
    }

    /// Whether what code does elsewhere can make it stale, so that it has to be forgotten.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Status) || self.entry().is_some()
    }

    /// A number between two bounds. `None` if they are too far apart.
    fn between(low: u64, high: u64) -> Option<Self> {
        let span = u32::try_from(high.checked_sub(low)?).ok()?;
        Some(Self::Number { low, span })
    }

    /// At least both, for values that meet at an instruction with two sources.
    pub fn hull(self, other: Self) -> Self {
        match (self, other) {
            (one, same) if one == same => one,
            (Self::Number { low: a, .. }, Self::Number { low: b, .. }) => {
                let high = self.highest().max(other.highest()).unwrap_or(u64::MAX);
                Self::between(a.min(b), high).unwrap_or(Self::Any)
            }
            // Entry 0 of every table can be read; see the contract.
            (Self::Index(table), Self::Number { low: 0, span: 0 })
            | (Self::Number { low: 0, span: 0 }, Self::Index(table)) => Self::Index(table),
            (a, b) if a.is_32_bit() && b.is_32_bit() => Self::U32,
            _ => Self::Any,
        }
    }

    /// At least both, for values that meet where paths do. A value changes twice at most: numbers widen to all of 32 bits, and
    /// everything else to `Any`.
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (one, same) if one == same => one,
            (Self::Index(_), Self::Number { low: 0, span: 0 }) | (Self::Number { low: 0, span: 0 }, Self::Index(_)) => {
                self.hull(other)
            }
            (a, b) if a.is_32_bit() && b.is_32_bit() => Self::U32,
            _ => Self::Any,
        }
    }

    /// Becomes the [join](Self::join) of both. Whether that is a change.
    #[inline]
    pub fn join_with(&mut self, other: Self) -> bool {
        // Most are one of these.
        let stays = match (*self, other) {
            (Self::Any, _) => true,
            (Self::Number { low, span }, Self::Number { low: other, span: other_span }) => {
                low == other && span == other_span
            }
            (own, other) => own == other,
        };
        if stays {
            return false;
        }
        let joined = self.join(other);
        let changed = joined != *self;
        *self = joined;
        changed
    }

    /// Whether all bits that this value stands for are among those of another. Where it says so, a join with that other leaves
    /// the other as it is.
    pub fn implies(self, other: Self) -> bool {
        self == other
            || match other {
                Self::Any => true,
                Self::U32 => self.is_32_bit(),
                Self::Index(_) => self == Self::exactly(0),
                _ => false,
            }
    }

    /// The lowest 32 bits, the upper half zero.
    #[inline]
    pub fn truncated(self) -> Self {
        match self {
            Self::LowIndex(table) => Self::Index(table),
            value if value.is_32_bit() => value,
            _ => Self::U32,
        }
    }

    /// After a write of so few bytes that the rest stays.
    pub fn partly_overwritten(self) -> Self {
        if self.is_32_bit() { Self::U32 } else { Self::Any }
    }

    /// The sum of a value and a constant that is given as the processor sees it.
    #[inline]
    pub fn offset(self, by: i64) -> Option<Self> {
        let moved = |low: u64| low.checked_add_signed(by);
        Some(match self {
            value if by == 0 => value,
            Self::Number { low, span } => {
                let low = moved(low)?;
                low.checked_add(u64::from(span))?;
                Self::Number { low, span }
            }
            Self::Frame(at) => Self::Frame(i32::try_from(i64::from(at).checked_add(by)?).ok()?),
            Self::Into { object, low, span } => {
                let low = moved(low)?;
                low.checked_add(u64::from(span))?;
                Self::Into { object, low, span }
            }
            Self::EnteredContext { field } => {
                Self::EnteredContext { field: u32::try_from(i64::from(field).checked_add(by)?).ok()? }
            }
            Self::EntryField { table, entry, field } => {
                let field = u32::try_from(i64::from(field).checked_add(by)?).ok()?;
                Self::EntryField { table, entry, field }
            }
            _ => return None,
        })
    }
}

const _: () = assert!(size_of::<Value>() == 16);
