//! Proves of machine code that it stays in its place.
//!
//! The compiler is not trusted: this reads the bytes it made, follows control flow from every entry and refuses what it cannot
//! prove to obey [`wave_contract`]. It knows nothing of how code is made. `docs/verifier.md` states the property and argues for it.
//!
//! | file | what |
//! |---|---|
//! | `declarations.rs` | what the module declares, read from its bytes |
//! | `convention.rs` | how much of the stack calls use |
//! | `places.rs` | where an address leads |
//! | `value.rs`, `state.rs` | what is known of registers and frame |
//! | `instruction.rs` | the instructions that are allowed |
//! | `transfer.rs`, `condition.rs`, `call.rs` | what an instruction changes, and what it must not |
//! | `walk.rs` | one function, all paths |
//! | `image.rs` | all functions, and the tables that describe them |
//! | `record.rs` | verified code as bytes |
#![forbid(unsafe_code)]

mod call;
mod condition;
mod convention;
mod declarations;
mod image;
mod instruction;
mod places;
mod record;
mod refusal;
mod state;
mod transfer;
mod value;
mod walk;

pub use declarations::DeclarationError;
pub use image::{Report, Terms, Unit, Units, Uses, Verified, VerifyError, verify, with_units};
pub use record::{Key, Record, Signature};
pub use refusal::{Refusal, Rule, UnitName};
pub use walk::Scratch;
