//! Module bytes to code image, by Cranelift.
//!
//! `features.rs` lists the features that it compiles. What the code may assume and must obey is fixed in
//! [`wave_contract`]; this crate makes no system call, runs nothing and is not trusted.
//!
//! | file | what |
//! |---|---|
//! | `features.rs` | features of WebAssembly, and what is said of those that are not supported |
//! | `module.rs` | bytes to declarations, checked by the validator |
//! | `edition.rs` | what a version of the specification accepts |
//! | `hints.rs` | which side of a branch is the likely one |
//! | `target.rs` | processor and settings of the code generator |
//! | `compile.rs` | all functions, on several threads |
//! | `emit.rs` | where code finds things, calls to the host |
//! | `translate/` | one function body, operator by operator |
//! | `throwing.rs` | which calls may throw an exception |
//! | `thunk.rs` | thunks of imports and entries |
//! | `link.rs` | functions to one text with its tables |
#![forbid(unsafe_code)]

mod compile;
mod edition;
mod emit;
mod error;
pub mod features;
mod hints;
mod link;
mod module;
mod objects;
mod parallel;
mod target;
mod throwing;
mod thunk;
mod translate;

#[cfg(test)]
mod tests;

pub use compile::{CompileOptions, ImportLinkage};
pub use edition::Edition;
pub use error::CompileError;
pub use module::Module;
pub use target::processor;
