//! What a command does with the bytes of a module, in a sealed process: it comes back as text, which this process prints.
//!
//! The process has every layer that this kernel has, `--sandbox strict` demands them all, and `--sandbox off` does without. Its
//! time and memory are those of compiling. What it says is from somebody that nobody trusts: nothing in it steers a terminal.

use crate::args::Sandbox;
use crate::text::{clean, note, out};
use serde::{Deserialize, Serialize};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use wave_contract::artefact::Artefact;
use wave_contract::encoding::{read_value, write_value};
use wave_engine::Failure;
use wave_engine::compile::CompileLimits;
use wave_policy::Level;
use wave_sandbox::{State, Worker, WorkerError};

/// What a command prints, and how it ends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Said {
    /// On standard output.
    pub out: String,
    /// On standard error.
    pub note: String,
    /// The exit code.
    pub code: u8,
}

impl Said {
    /// What is printed on standard output, and success.
    pub fn new(out: String) -> Self {
        Self { out, note: String::new(), code: 0 }
    }

    /// Prints it; the result is the exit code.
    fn print(self) -> u8 {
        out(&harmless(&self.out));
        note(&harmless(&self.note));
        self.code
    }
}

/// Does the work on a module, and prints what comes of it; the result is the exit code. Not before this process has one thread.
///
/// # Errors
/// What the work says; 125 if there is no sealed process where one is demanded, or it reaches its limits.
pub fn say(limits: &CompileLimits, threads: usize, work: impl Fn() -> Result<Said, Failure>) -> Result<u8, Failure> {
    match sealed(limits, threads, &work)? {
        Some(said) => said.map(Said::print),
        None => work().map(Said::print),
    }
}

/// What came of the work in a sealed process. `None` if there is none and it can be done without.
fn sealed(
    limits: &CompileLimits,
    threads: usize,
    work: &impl Fn() -> Result<Said, Failure>,
) -> Result<Option<Result<Said, Failure>>, Failure> {
    if limits.level == Level::Off {
        return Ok(None);
    }
    let started = Worker::start(&limits.policy(threads), limits.timeout, |mut channel| {
        let mut to = BufWriter::new(&mut channel);
        // What cannot be said to the other side, that side notices.
        drop(write_value(&mut to, &work()).and_then(|()| to.flush()));
    });
    let without = |error: &WorkerError| -> Result<_, Failure> {
        if let State::Waived { reason } = limits.without_worker(error)? {
            note_unsealed(Some(&reason));
        }
        Ok(None)
    };
    let mut worker = match started {
        Ok(worker) => worker,
        Err(error) => return without(&error),
    };
    match worker.sealed() {
        Ok(_) => {}
        Err(WorkerError::Ended(ended)) => return Err(limits.ended_failure(ended)),
        Err(error) => return without(&error),
    }
    let mut from = BufReader::new(worker);
    let answer = read_value(&mut from, limits.memory_bytes);
    answer.map(Some).map_err(|error| limits.exchange_failure(from.get_mut(), &error))
}

/// Says why a module is read in this process, if it is.
pub fn note_unsealed(reason: Option<&str>) {
    if let Some(reason) = reason {
        note(&format!("wave: note: the module is read without a sealed process: {}\n", clean(reason)));
    }
}

/// Says of a compiled file that its code is another matter than the module in it.
pub fn announce(path: &Path, file: &[u8]) {
    if Artefact::is_one(file) {
        note(&format!(
            "wave: note: `{}` is a compiled file: this is about the module in it. Its code keeps to what that module declares, and may \
             do anything within\n",
            clean(&path.display().to_string())
        ));
    }
}

/// The limits of such work.
pub fn limits(sandbox: Option<Sandbox>, module: &Path) -> CompileLimits {
    CompileLimits::with_defaults(module, level(sandbox))
}

/// Every layer that this kernel has, unless a flag says otherwise: nothing of the module runs here.
pub fn level(sandbox: Option<Sandbox>) -> Level {
    sandbox.map_or(Level::Standard, crate::plan::level)
}

/// Text whose lines are harmless each.
fn harmless(text: &str) -> String {
    text.split_inclusive('\n').fold(String::with_capacity(text.len()), |mut all, line| {
        match line.strip_suffix('\n') {
            Some(line) => all.extend([&*clean(line), "\n"]),
            None => all.push_str(&clean(line)),
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_says_steers_no_terminal() {
        assert_eq!(harmless("a\nb\u{1b}[2J\r\n\nc"), "a\nb\\u{1b}[2J\\u{d}\n\nc");
    }
}
