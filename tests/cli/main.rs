//! What the command says and does: arguments, help, messages, reports, documents.

mod advice;
mod arguments;
mod deterministic;
mod documents;
mod examples;
mod images;
mod inputs;
mod outcome;
mod readme;
mod report;
mod trace;
mod traps;
