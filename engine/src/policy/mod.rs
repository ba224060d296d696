//! Policy files of a run: their values and lines, and whether a module matches.

mod document;
pub mod pin;

pub use document::{Findings, PolicyDocument, can_grow, read_text, refuse};
