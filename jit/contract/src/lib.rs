//! What compiled code may assume and must obey.
//!
//! Plain data shared by the compiler (which produces code), the runtime (which maps and enters it) and the verifier (which
//! will prove, from the bytes alone, that the rules below hold; its place is `jit/verifier`). Nothing here depends on
//! Cranelift, on the operating system, or on how either side works.
//!
//! | file | rule |
//! |---|---|
//! | [`types`] | WebAssembly types and the process-wide identity of a signature |
//! | [`module`] | what a validated module declares |
//! | [`context`] | where code finds memory, tables, globals, imports and library calls |
//! | [`abi`] | how functions, hostcalls and entry thunks pass arguments and results |
//! | [`trap`] | the codes at which code may fault |
//! | [`libcall`] | the operations compiled code asks of the runtime |
//! | [`image`] | linked code and the tables that describe it |
//! | [`offsets`] | what is known of single instructions |
//! | [`encoding`] | both as bytes, between processes |
//! | [`artefact`] | a module and its code as a file |
//! | [`digest`] | hashes of large data |
//! | `check` | whether what came from elsewhere is consistent |
#![forbid(unsafe_code)]

pub mod abi;
pub mod artefact;
mod check;
pub mod context;
pub mod digest;
pub mod encoding;
pub mod image;
pub mod libcall;
pub mod module;
pub mod offsets;
pub mod trap;
pub mod types;

pub use check::Inconsistent;

/// Bytes in a page of linear memory.
pub const PAGE_BYTES: u64 = 65_536;

/// Address space reserved for one linear memory: any 32-bit index plus any 32-bit offset plus the widest access stays
/// inside, so 32-bit accesses need no check (T51).
pub const MEMORY_RESERVATION_BYTES: u64 = (8 << 30) + PAGE_BYTES;

/// Inaccessible bytes below the guest stack. At least twice [`STACK_PROBE_BYTES`].
pub const STACK_GUARD_BYTES: u64 = 1 << 20;

/// Largest distance between two touches of the stack while a function sets up its frame.
pub const STACK_PROBE_BYTES: u64 = 1 << 16;

/// Stack that must be left when code calls the host; less is a stack overflow (T55).
pub const HOST_STACK_BYTES: u64 = 256 << 10;
