//! The codes with which code may fault.

/// Why an instruction may fault. One byte in the image's trap table. The numbers from 251 on are Cranelift's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TrapCode {
    /// `unreachable`.
    Unreachable = 1,
    /// A call through a null table entry.
    IndirectCallToNull = 2,
    /// A call through a table entry of another signature.
    BadSignature = 3,
    /// An indirect call past the end of the table.
    TableOutOfBounds = 4,
    /// A hostcall or library call stops the guest. The runtime knows the reason.
    Host = 5,
    /// The fuel is used up, see [`crate::abi`].
    OutOfFuel = 6,
    /// A call through a null reference.
    NullFunction = 16,
    /// A null reference where there must be none.
    NullReference = 17,
    /// An atomic access at an address that is no multiple of its size.
    UnalignedAtomic = 7,
    /// `memory.atomic.wait` on a memory that is not shared.
    ExpectedSharedMemory = 8,
    /// `throw_ref` of null.
    NullException = 12,
    /// A field of null.
    NullStruct = 18,
    /// An element or the length of null.
    NullArray = 19,
    /// The number of null.
    NullI31 = 20,
    /// A reference is not of the type that it is cast to.
    CastFailure = 21,
    /// An element past the end of an array.
    ArrayOutOfBounds = 22,
    /// The heap has no room for an object.
    HeapFull = 23,
    /// No object can be so large.
    ObjectTooLarge = 24,
    /// An access past the end of linear memory, found by a comparison: where memory need not end at a page of the host, and where
    /// indexes are 64-bit.
    MemoryOutOfBounds = 9,
    /// Too little stack.
    StackOverflow = 251,
    /// Integer overflow: `INT_MIN / -1`, or a float too large to convert.
    IntegerOverflow = 252,
    /// An access past the end of linear memory.
    HeapOutOfBounds = 253,
    /// Integer division by zero.
    IntegerDivisionByZero = 254,
    /// Conversion of NaN to an integer.
    BadConversionToInteger = 255,
}

impl TrapCode {
    /// Every code.
    pub const ALL: [Self; 24] = [
        Self::Unreachable,
        Self::IndirectCallToNull,
        Self::BadSignature,
        Self::TableOutOfBounds,
        Self::Host,
        Self::OutOfFuel,
        Self::NullFunction,
        Self::NullReference,
        Self::UnalignedAtomic,
        Self::ExpectedSharedMemory,
        Self::NullException,
        Self::NullStruct,
        Self::NullArray,
        Self::NullI31,
        Self::CastFailure,
        Self::ArrayOutOfBounds,
        Self::HeapFull,
        Self::ObjectTooLarge,
        Self::MemoryOutOfBounds,
        Self::StackOverflow,
        Self::IntegerOverflow,
        Self::HeapOutOfBounds,
        Self::IntegerDivisionByZero,
        Self::BadConversionToInteger,
    ];

    /// The code with this number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u8 == number)
    }
}
