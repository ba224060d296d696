//! What the command says and does: arguments, help, messages, reports, documents.

mod advice;
mod arguments;
mod atomics;
mod coredump;
mod cpu_time;
mod cwd;
mod deterministic;
mod documents;
mod env_file;
mod examples;
mod fuel;
mod images;
mod inputs;
mod lower;
mod macos;
mod memory;
mod outcome;
mod profile;
mod readme;
mod records;
mod report;
mod terminal;
mod trace;
mod traps;
