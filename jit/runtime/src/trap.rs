//! Why a guest stopped.

use std::fmt;
use wave_contract::trap::TrapCode;

/// A WebAssembly trap. Displays as the specification's test scripts name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// `unreachable` was executed.
    Unreachable,
    /// A load, store or bulk operation past the end of linear memory.
    MemoryOutOfBounds,
    /// A table operation past the end of a table.
    TableOutOfBounds,
    /// An indirect call past the end of a table.
    UndefinedElement,
    /// An indirect call through a null entry.
    UninitializedElement,
    /// An indirect call through an entry of another signature.
    IndirectCallTypeMismatch,
    /// Division or remainder by zero.
    IntegerDivideByZero,
    /// A result that its integer type cannot hold.
    IntegerOverflow,
    /// Conversion of NaN to an integer.
    InvalidConversionToInteger,
    /// A call through a null reference.
    NullFunction,
    /// A null reference where there must be none.
    NullReference,
    /// The guest's stack is full.
    StackExhausted,
    /// A call of an import that nobody has: of the one with this number among them, or of any past the last that is told apart.
    UnknownImport(u8),
    /// A field of null.
    NullStruct,
    /// An element or the length of null.
    NullArray,
    /// The number of null.
    NullI31,
    /// A reference is not of the type that it is cast to.
    CastFailure,
    /// An element past the end of an array.
    ArrayOutOfBounds,
    /// The heap has no room for an object, even after a collection.
    HeapFull,
    /// No object can be so large.
    ObjectTooLarge,
    /// `throw_ref` of null.
    NullException,
    /// An exception that nothing in the guest caught.
    UncaughtException,
    /// More exceptions exist at once than the runtime keeps, or they carry more.
    TooManyExceptions,
    /// An atomic access at an address that is no multiple of its size.
    UnalignedAtomic,
    /// `memory.atomic.wait` on a memory that is not shared.
    ExpectedSharedMemory,
    /// `memory.atomic.wait` without a timeout: there is no other thread that could end it.
    Deadlock,
}

impl Trap {
    /// The trap that a code stands for. `None` for those that are none: for [`TrapCode::Host`] the store knows the reason.
    pub(crate) const fn from_code(code: TrapCode) -> Option<Self> {
        Some(match code {
            TrapCode::Unreachable => Self::Unreachable,
            TrapCode::IndirectCallToNull => Self::UninitializedElement,
            TrapCode::BadSignature => Self::IndirectCallTypeMismatch,
            TrapCode::TableOutOfBounds => Self::UndefinedElement,
            TrapCode::NullFunction => Self::NullFunction,
            TrapCode::NullReference => Self::NullReference,
            TrapCode::StackOverflow => Self::StackExhausted,
            TrapCode::IntegerOverflow => Self::IntegerOverflow,
            TrapCode::HeapOutOfBounds | TrapCode::MemoryOutOfBounds => Self::MemoryOutOfBounds,
            TrapCode::IntegerDivisionByZero => Self::IntegerDivideByZero,
            TrapCode::BadConversionToInteger => Self::InvalidConversionToInteger,
            TrapCode::NullStruct => Self::NullStruct,
            TrapCode::NullArray => Self::NullArray,
            TrapCode::NullI31 => Self::NullI31,
            TrapCode::CastFailure => Self::CastFailure,
            TrapCode::ArrayOutOfBounds => Self::ArrayOutOfBounds,
            TrapCode::HeapFull => Self::HeapFull,
            TrapCode::ObjectTooLarge => Self::ObjectTooLarge,
            TrapCode::NullException => Self::NullException,
            TrapCode::UnalignedAtomic => Self::UnalignedAtomic,
            TrapCode::ExpectedSharedMemory => Self::ExpectedSharedMemory,
            TrapCode::Host | TrapCode::OutOfFuel => return None,
        })
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable",
            Self::MemoryOutOfBounds => "out of bounds memory access",
            Self::TableOutOfBounds => "out of bounds table access",
            Self::UndefinedElement => "undefined element",
            Self::UninitializedElement => "uninitialized element",
            Self::IndirectCallTypeMismatch => "indirect call type mismatch",
            Self::IntegerDivideByZero => "integer divide by zero",
            Self::IntegerOverflow => "integer overflow",
            Self::InvalidConversionToInteger => "invalid conversion to integer",
            Self::NullFunction => "null function reference",
            Self::NullReference => "null reference",
            Self::StackExhausted => "call stack exhausted",
            Self::UnknownImport(_) => "call of an import that nobody provides",
            Self::NullStruct => "null structure reference",
            Self::NullArray => "null array reference",
            Self::NullI31 => "null i31 reference",
            Self::CastFailure => "cast failure",
            Self::ArrayOutOfBounds => "out of bounds array access",
            Self::HeapFull => "no memory for an object",
            Self::ObjectTooLarge => "allocation size too large",
            Self::NullException => "null exception reference",
            Self::UncaughtException => "uncaught exception",
            Self::TooManyExceptions => "too many exceptions at once",
            Self::UnalignedAtomic => "unaligned atomic",
            Self::ExpectedSharedMemory => "expected shared memory",
            Self::Deadlock => "deadlock: memory.atomic.wait without a timeout, and no other thread could wake it",
        })
    }
}

/// Why a hostcall or library call ends the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A trap.
    Trap(Trap),
    /// The guest asked to exit with this code.
    Exit(u32),
    /// The guest raised this signal (host number) on itself.
    Signal(u8),
    /// The time limit was reached.
    Deadline,
    /// The fuel is used up.
    OutOfFuel,
}

/// How a call into the guest ended, when it did not return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Why.
    pub stop: Stop,
    /// Innermost frame first.
    pub backtrace: Vec<Frame>,
    /// Name of the tag of an uncaught exception.
    pub tag: Option<String>,
}

/// One frame of a backtrace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Function index in its module, if the address belongs to one.
    pub function: Option<u32>,
    /// Its name in the name section.
    pub name: Option<String>,
    /// Offset in the module's bytes of the instruction or call.
    pub position: Option<u32>,
    /// Its source line, `FILE:LINE`, if somebody has looked it up.
    pub line: Option<String>,
}
