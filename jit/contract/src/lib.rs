//! What compiled code may assume and must obey.
//!
//! Plain data that three crates share: the compiler generates code, the verifier proves from its bytes alone that the
//! rules below hold (`jit/verifier`), and the runtime maps and enters it. Nothing here depends on Cranelift, on the
//! operating system, or on how these crates work.
//!
//! | file | rule |
//! |---|---|
//! | [`types`] | WebAssembly types and the process-wide identity of a signature |
//! | [`module`] | what a validated module declares |
//! | [`context`] | where code finds memory, tables, globals, imports and library calls |
//! | [`abi`] | how functions, hostcalls and entry thunks pass arguments and results |
//! | [`trap`] | the codes at which code may fault |
//! | [`libcall`] | the operations that compiled code calls the runtime for |
//! | [`image`] | linked code and the tables that describe it |
//! | [`offsets`] | tables of text offsets: trap codes, source positions |
//! | [`encoding`] | declarations and code as bytes, between processes |
//! | [`artifact`] | a module and its code as a file |
//! | [`digest`] | hashes of large data |
//! | `check` | whether declarations and code from another process are consistent |
#![forbid(unsafe_code)]

pub mod abi;
pub mod artifact;
mod check;
pub mod context;
pub mod digest;
pub mod encoding;
pub mod image;
pub mod libcall;
pub mod module;
pub mod object;
pub mod offsets;
pub mod trap;
pub mod types;

/// The layout of the heap of objects, and the module that collects it.
pub use wave_collector as collector;

pub use check::Inconsistent;

/// Bytes in a page of linear memory.
pub const PAGE_BYTES: u64 = 65_536;

/// Address space reserved for one linear memory. The sum of any 32-bit index, any 32-bit offset and the widest access stays
/// inside, so accesses need no bounds check (T51).
pub const MEMORY_RESERVATION_BYTES: u64 = (8 << 30) + PAGE_BYTES;

/// Inaccessible bytes below the guest stack. At least twice [`STACK_PROBE_BYTES`].
pub const STACK_GUARD_BYTES: u64 = 1 << 20;

/// Largest distance between two touches of the stack while a function sets up its frame.
pub const STACK_PROBE_BYTES: u64 = 1 << 16;

/// Stack that must be left when code calls the host. Less is a stack overflow (T55).
pub const HOST_STACK_BYTES: u64 = 256 << 10;
