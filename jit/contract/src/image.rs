//! Linked code and the tables that describe it.

use crate::context::Addressing;
use crate::offsets::OffsetTable;
use crate::types::SignatureId;

/// One module's machine code: position-independent text with direct calls resolved, and what the runtime needs to enter
/// it and to understand its faults. Nothing in it is trusted.
#[derive(Clone, Debug)]
pub struct CodeImage {
    /// How the code reaches its context.
    pub addressing: Addressing,
    /// Machine code with its constants and jump tables, for any address aligned to [`TEXT_ALIGN`].
    pub text: Vec<u8>,
    /// Range of each function in the module's index space. An import has a thunk with the convention of guest functions.
    pub functions: Vec<CodeRange>,
    /// One entry thunk per signature that the module's functions use.
    pub entries: Vec<EntryThunk>,
    /// Where code may fault, and why.
    pub traps: TrapTable,
    /// Position in the module of every trapping instruction, at its start, and of every call, at its last byte.
    pub sources: SourceTable,
    /// The processor features that the code needs, in the compiler's words.
    pub processor: String,
}

/// Alignment that the text needs.
pub const TEXT_ALIGN: usize = 64;

/// The byte between functions. Nothing executes it; if something did, it would stop: `int3` on x86-64.
pub const TEXT_PADDING: u8 = if cfg!(target_arch = "x86_64") { 0xcc } else { 0 };

/// A range of the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRange {
    /// Offset of the first byte, which is the entry.
    pub start: u32,
    /// Length, constants and jump tables included.
    pub len: u32,
}

impl CodeRange {
    /// Whether a text offset lies inside.
    #[must_use]
    #[inline]
    pub const fn contains(&self, offset: u32) -> bool {
        offset >= self.start && offset - self.start < self.len
    }
}

/// An entry thunk, see [`crate::abi`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryThunk {
    /// Signature of the functions it can enter.
    pub signature: SignatureId,
    /// Its range in the text.
    pub code: CodeRange,
}

/// Where code may fault, with the number of a [`TrapCode`](crate::trap::TrapCode) each.
pub type TrapTable = OffsetTable<u8>;

/// Where code comes from, with an offset in the module's bytes each.
pub type SourceTable = OffsetTable<u32>;
