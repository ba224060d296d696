//! Limits of the compiler, and the failures when it reaches them.

use crate::failure::Failure;
use crate::shortage::{self, limit_fix_of};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wave_policy::limits::{COMPILE_MEMORY_BYTES, COMPILE_TIMEOUT};
use wave_policy::{Level, Policy, ProcessLimits, chain};
use wave_sandbox::{Ended, State, Worker, WorkerError};

/// Descriptors of a worker: the standard streams, and what the seal needs for a moment.
const OPEN_FILES: u64 = 8;

/// The limits for compiling one module.
#[derive(Clone, Debug)]
pub struct CompileLimits {
    /// The module, for messages.
    pub module: PathBuf,
    /// At `Off` this process compiles the module, at `Strict` it never does.
    pub level: Level,
    /// Limit on processor time, of all threads together.
    pub timeout: Duration,
    /// Memory limit.
    pub memory_bytes: u64,
    /// Whether the command has flags for both.
    pub has_flags: bool,
}

impl CompileLimits {
    /// The default limits, for a command without flags for them.
    pub fn with_defaults(module: &Path, level: Level) -> Self {
        Self {
            module: module.to_owned(),
            level,
            timeout: COMPILE_TIMEOUT,
            memory_bytes: COMPILE_MEMORY_BYTES,
            has_flags: false,
        }
    }

    /// The policy of the worker process.
    pub fn policy(&self, threads: usize) -> Policy {
        Policy {
            level: self.level,
            limits: ProcessLimits {
                open_files: OPEN_FILES,
                file_size_bytes: Some(0),
                data_bytes: Some(self.memory_bytes),
                threads: threads as u64,
                // Ends the worker if this process does not look. The kernel counts the time of all threads together, too.
                processor_seconds: Some(self.timeout.as_secs().saturating_add(1)),
            },
            ..Policy::default()
        }
    }

    /// Handles a worker that cannot be started: a failure at `strict`, a line of the report otherwise.
    pub fn without_worker(&self, error: &WorkerError) -> Result<State, Failure> {
        let fix = match error {
            WorkerError::Seal { fix, .. } => fix.clone(),
            error => limit_fix_of(error).unwrap_or_else(|| "--sandbox standard compiles without it".to_owned()),
        };
        if self.level == Level::Strict {
            let what = format!("cannot compile the module in a sealed process: {}", chain(error));
            return Err(Failure::refused(what).at("--sandbox").fix(fix));
        }
        Ok(State::Waived { reason: chain(error) })
    }

    /// The failure for an I/O error in the exchange with a worker.
    pub fn exchange_failure(&self, worker: &mut Worker, error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::InvalidData {
            return self.invalid_answer(error);
        }
        self.ended_failure(worker.autopsy(error))
    }

    /// The failure for a worker that ended early.
    pub fn ended_failure(&self, ended: Ended) -> Failure {
        let work = if self.has_flags { "compiling" } else { "reading the module" };
        let raise = |failure: Failure, flag| if self.has_flags { failure.raise(flag) } else { failure };
        let failure = match ended {
            Ended::Timeout => {
                raise(Failure::refused(format!("{work} takes more than {:?} of processor time", self.timeout)), "compile-timeout")
            }
            // A limit of this process is lower than the limit of the compiler.
            Ended::Memory if shortage::has_less_memory(self.memory_bytes) => {
                Failure::refused(format!("{work} takes more memory than this process may have")).fix(shortage::memory())
            }
            Ended::Memory => raise(
                Failure::refused(format!("{work} takes more than {} bytes of memory", self.memory_bytes)),
                "compile-memory",
            ),
            Ended::Signal(libc::SIGKILL | libc::SIGXCPU) if let Some(limit) = shortage::processor_time() => {
                Failure::refused(format!("the compiler was killed ({ended}): its processor time is limited"))
                    .fix(format!("raise the limit on processor time: {limit} seconds"))
            }
            Ended::Signal(libc::SIGKILL) => Failure::refused(format!(
                "the compiler was killed ({ended}), as the kernel does when a control group or the machine runs out of memory"
            ))
            .fix("give the control group more memory (`memory.max`), or compile on a machine with more"),
            _ => Failure::refused(format!("the compiler stopped: {ended}")).fix("report it as a bug, with the module"),
        };
        failure.at(self.module.display().to_string())
    }

    /// The failure for an answer of the worker that is not valid.
    pub(super) fn invalid_answer(&self, why: impl std::fmt::Display) -> Failure {
        Failure::refused(format!("the compiler's answer is not valid: {why}"))
            .at(self.module.display().to_string())
            .fix("report it as a bug, with the module")
    }
}
