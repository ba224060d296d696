//! Commands read the bytes of a module in a sealed process. It returns text, which this process prints.
//!
//! The process has every layer that this kernel has, `--sandbox strict` demands them all, and `--sandbox off` does without. Its
//! time and memory are those of compiling. Its text is not trusted: control characters are escaped.

use crate::args::Sandbox;
use crate::progress;
use crate::text::{clean, note, out, remark};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::BufReader;
use std::path::Path;
use wave_contract::artifact::Artifact;
use wave_engine::Failure;
use wave_engine::compile::CompileLimits;
use wave_engine::progress::{Answering, Step, Watch, read_answer};
use wave_policy::Level;
use wave_sandbox::{State, Worker, WorkerError};

/// What a command prints, and how it ends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Output {
    /// On standard output.
    pub out: String,
    /// On standard error.
    pub note: String,
    /// The exit code.
    pub code: u8,
}

impl Output {
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

/// Works on a module in a sealed process and prints the output. Returns the exit code. This process must have one thread.
///
/// # Errors
/// The failure of the work; 125 if a sealed process is required and cannot be started, or if it reaches its limits.
pub fn run(
    limits: &CompileLimits,
    threads: usize,
    work: impl Fn(Watch<'_>) -> Result<Output, Failure>,
) -> Result<u8, Failure> {
    value(limits, threads, work).map(Output::print)
}

/// Works in a sealed process and returns what it made, which is not trusted. This process must have one thread.
///
/// # Errors
/// As for [`run`].
pub fn value<T: Serialize + DeserializeOwned>(
    limits: &CompileLimits,
    threads: usize,
    work: impl Fn(Watch<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // Gone before anything else is printed.
    let line = progress::line();
    match sealed(limits, threads, line.as_deref(), &work)? {
        Some(said) => said,
        None => work(line.as_deref()),
    }
}

/// What came of the work in a sealed process. `None` if there is none and it can be done without.
fn sealed<T: Serialize + DeserializeOwned>(
    limits: &CompileLimits,
    threads: usize,
    watch: Watch<'_>,
    work: &impl Fn(Watch<'_>) -> Result<T, Failure>,
) -> Result<Option<Result<T, Failure>>, Failure> {
    if limits.level == Level::Off {
        return Ok(None);
    }
    let started = Worker::start(&limits.policy(threads), limits.timeout, |channel| {
        let answering = Answering::new(channel);
        let step = |step| answering.step(step);
        let said = work(watch.is_some().then_some(&step));
        // If sending fails, the other side notices.
        drop(answering.answer(&said));
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
    let answer = read_answer(&mut from, limits.memory_bytes, watch, Step::Reading);
    answer.map(Some).map_err(|error| limits.exchange_failure(from.get_mut(), &error))
}

/// Prints why a module is read in this process, if it is.
pub fn note_unsealed(reason: Option<&str>) {
    if let Some(reason) = reason {
        note(&format!("wave: note: the module is read without a sealed process: {}\n", clean(reason)));
    }
}

/// Prints that a compiled file has code of its own beside the module in it.
pub fn announce(path: &Path, file: &[u8]) {
    if Artifact::is_one(file) {
        remark(&format!(
            "wave: note: `{}` is a compiled file: this describes the module in it. Its code has access to what that module declares, \
             and need not do what the module does\n",
            clean(&path.display().to_string())
        ));
    }
}

/// The limits of such work.
pub fn limits(sandbox: Option<Sandbox>, module: &Path) -> CompileLimits {
    CompileLimits::with_defaults(module, level(sandbox))
}

/// Every layer that this kernel has, unless a flag sets another level: no code of the module runs here.
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
