//! Proves that machine code reads, writes and calls only what it may.
//!
//! The compiler is not trusted. The verifier reads the bytes that it emitted, follows control flow from every entry and refuses
//! code unless it can prove that the code obeys [`wave_contract`]. It does not know how the code was compiled.
//! `docs/verifier.md` states the property and the argument for it.
//!
//! | file | what |
//! |---|---|
//! | `declarations.rs` | what the module declares, read from its bytes |
//! | `convention.rs` | how much of the stack calls use |
//! | `places.rs` | what lies at an address |
//! | `value.rs`, `state.rs`, `words.rs` | what is known about registers and frame |
//! | `instruction.rs` | the instructions that are allowed |
//! | `transfer.rs`, `condition.rs`, `call.rs` | what an instruction changes, and what it must not change |
//! | `step.rs` | one instruction, and where control goes from there |
//! | `leaders.rs` | what is known where blocks begin |
//! | `check.rs`, `certificate.rs`, `function.rs` | all blocks of one function |
//! | `image.rs` | all functions, and the tables that describe them |
//! | `record.rs` | verified code as bytes |
#![forbid(unsafe_code)]

mod call;
mod certificate;
mod check;
mod condition;
mod convention;
mod declarations;
mod function;
mod image;
mod instruction;
mod leaders;
mod places;
mod record;
mod refusal;
pub mod rules;
mod state;
mod step;
mod transfer;
mod value;
mod words;

pub use declarations::DeclarationError;
pub use function::Scratch;
pub use image::{Report, Terms, Unit, Units, Uses, Verified, VerifyError, verify, verify_watched, with_units};
pub use record::{Key, Record, Signature};
pub use refusal::{Refusal, Rule, UnitName};
