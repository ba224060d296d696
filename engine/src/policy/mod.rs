//! Policy files of a run: what one says, where, and whether a module is the one it is for.

mod document;
pub mod pin;

pub use document::{Findings, PolicyDocument, can_grow, read_text, refuse};
