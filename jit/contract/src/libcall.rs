//! Library calls: the operations that compiled code calls the runtime for. They have the ABI of host imports.

use crate::types::ValType::{self, ExternRef, I32};

/// A library call. Its number is its place among the context's slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Libcall {
    /// `(memory, delta pages) -> old pages or -1`
    MemoryGrow,
    /// `(destination memory, source memory, destination, source, length)`
    MemoryCopy,
    /// `(memory, destination, byte, length)`
    MemoryFill,
    /// `(segment, memory, destination, source, length)`
    MemoryInit,
    /// `(segment)`
    DataDrop,
    /// `(table, index) -> reference`
    TableGet,
    /// `(table, index, reference)`
    TableSet,
    /// `(table, reference, delta) -> old length or -1`
    TableGrow,
    /// `(table, destination, reference, length)`
    TableFill,
    /// `(destination table, source table, destination, source, length)`
    TableCopy,
    /// `(segment, table, destination, source, length)`
    TableInit,
    /// `(segment)`
    ElemDrop,
    /// `(function) -> reference`
    RefFunc,
    /// `(tag) -> reference` to a new exception, which carries what is in the result area, a slot for each value of the tag.
    Throw,
    /// `(reference, tag) -> 1` if the exception has this tag, and then its values are in the result area; otherwise 0.
    Catch,
    /// `(lower half of the timeout, upper half) -> 2`: `memory.atomic.wait` on a shared memory that has the expected value. The
    /// timeout is in nanoseconds and signed; a negative one is none.
    AtomicWait,
    /// `(reference to a function, type) -> 1 if it is one of this type, which is not null; else 0`
    FunctionIs,
    /// `(element segment, destination in the heap, source, length)`: copies references into an array.
    ArrayInit,
    /// `(1 to begin anew, destination in the heap, number of words) -> number of words written`: what may be references to
    /// objects, or point into them, and lies outside of the heap: on the stack, in globals, tables and exceptions. 0 at the end.
    Roots,
}

impl Libcall {
    /// Every library call, in order of its number.
    pub const ALL: [Self; 19] = [
        Self::MemoryGrow,
        Self::MemoryCopy,
        Self::MemoryFill,
        Self::MemoryInit,
        Self::DataDrop,
        Self::TableGet,
        Self::TableSet,
        Self::TableGrow,
        Self::TableFill,
        Self::TableCopy,
        Self::TableInit,
        Self::ElemDrop,
        Self::RefFunc,
        Self::Throw,
        Self::Catch,
        Self::AtomicWait,
        Self::FunctionIs,
        Self::ArrayInit,
        Self::Roots,
    ];

    /// Parameters after the context. All are 32-bit: `ExternRef` stands for any reference.
    #[must_use]
    pub const fn params(self) -> &'static [ValType] {
        match self {
            Self::DataDrop | Self::ElemDrop | Self::RefFunc | Self::Throw => &[I32],
            Self::MemoryGrow | Self::TableGet | Self::AtomicWait => &[I32, I32],
            Self::Catch | Self::FunctionIs => &[ExternRef, I32],
            Self::TableSet => &[I32, I32, ExternRef],
            Self::TableGrow => &[I32, ExternRef, I32],
            Self::TableFill => &[I32, I32, ExternRef, I32],
            Self::Roots => &[I32, I32, I32],
            Self::MemoryFill | Self::ArrayInit => &[I32, I32, I32, I32],
            Self::MemoryCopy | Self::MemoryInit | Self::TableCopy | Self::TableInit => &[I32, I32, I32, I32, I32],
        }
    }

    /// Whether `value` of the [`HostReturn`](crate::abi::HostReturn) carries a 32-bit result.
    #[must_use]
    pub const fn has_result(self) -> bool {
        matches!(
            self,
            Self::MemoryGrow
                | Self::TableGet
                | Self::TableGrow
                | Self::RefFunc
                | Self::Throw
                | Self::Catch
                | Self::AtomicWait
                | Self::FunctionIs
                | Self::Roots
        )
    }
}
