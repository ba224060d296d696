//! Module bytes to code image, by Cranelift.
//!
//! WebAssembly 2.0 plus tail calls, extended constant expressions and exceptions. What the code may assume and must obey is fixed in
//! [`wave_contract`]; this crate makes no system call, runs nothing and is not trusted.
//!
//! | file | what |
//! |---|---|
//! | `module.rs` | bytes to declarations, checked by the validator |
//! | `target.rs` | processor and settings of the code generator |
//! | `compile.rs` | all functions, on several threads |
//! | `emit.rs` | where code finds things, calls to the host |
//! | `translate/` | one function body, operator by operator |
//! | `throwing.rs` | which calls may throw an exception |
//! | `thunk.rs` | thunks of imports and entries |
//! | `link.rs` | functions to one text with its tables |
#![forbid(unsafe_code)]

mod compile;
mod emit;
mod error;
mod link;
mod module;
mod parallel;
mod target;
mod throwing;
mod thunk;
mod translate;

#[cfg(test)]
mod tests;

pub use compile::{CompileOptions, ImportLinkage};
pub use error::CompileError;
pub use module::Module;
pub use target::processor;
