//! What the command says and does: arguments, help, messages, reports, documents.

mod advice;
mod arguments;
mod deterministic;
mod documents;
mod examples;
mod inputs;
mod memory;
mod outcome;
mod readme;
mod report;
mod terminal;
mod trace;
mod traps;
