//! Why code was refused.

use std::fmt;

/// The rule that an instruction breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// It is not among the instructions that code may consist of.
    Instruction,
    /// It has a prefix, a register or an encoding that code does not need.
    Encoding,
    /// Its bytes overlap those of another instruction, or lie outside the function.
    Boundary,
    /// It reads or writes where code may not.
    Memory,
    /// It reaches an entry of a table that was not compared with the table's length.
    TableBound,
    /// It reads code from a table entry whose signature was not compared.
    Signature,
    /// It leaves the frame, or makes the stack pointer unknown.
    Frame,
    /// It moves the stack pointer too far from what was touched.
    Probe,
    /// It puts an address where the guest can read it.
    Leak,
    /// It jumps or calls where no code begins that it may enter.
    Target,
    /// It calls without the context that the callee relies on.
    Context,
    /// It calls with a stack pointer that is not aligned.
    Alignment,
    /// It calls the host without checking the stack limit.
    StackLimit,
    /// It continues without checking the status of a hostcall.
    Status,
    /// It returns to another address than its caller's, or with the caller's registers changed.
    Return,
    /// A table of the image has an entry for an instruction that does not exist.
    Metadata,
    /// What the verifier has found out about the code is not true of it: the verifier is at fault, not the code.
    Certificate,
    /// The function takes more steps to verify than any honest function.
    Budget,
}

impl Rule {
    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instruction => "instruction",
            Self::Encoding => "encoding",
            Self::Boundary => "boundary",
            Self::Memory => "memory",
            Self::TableBound => "table-bound",
            Self::Signature => "signature",
            Self::Frame => "frame",
            Self::Probe => "probe",
            Self::Leak => "leak",
            Self::Target => "target",
            Self::Context => "context",
            Self::Alignment => "alignment",
            Self::StackLimit => "stack-limit",
            Self::Status => "status",
            Self::Return => "return",
            Self::Metadata => "metadata",
            Self::Certificate => "certificate",
            Self::Budget => "budget",
        }
    }
}

/// A function or an entry thunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnitName {
    /// A function of the module's index space; of an import, its thunk.
    Function(u32),
    /// An entry thunk, by its place among them.
    Entry(u32),
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(index) => write!(f, "function {index}"),
            Self::Entry(number) => write!(f, "entry thunk {number}"),
        }
    }
}

/// Why code was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{unit}, offset {offset:#x}: `{instruction}`: {what} ({})", .rule.name())]
pub struct Refusal {
    /// Where.
    pub unit: UnitName,
    /// Offset in the text.
    pub offset: u32,
    /// The instruction there.
    pub instruction: String,
    /// The rule that it breaks.
    pub rule: Rule,
    /// In words.
    pub what: String,
}
