//! How much compiling may use, and what is said when it reaches that.

use crate::failure::Failure;
use crate::shortage::{self, way_out_of};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wave_policy::limits::{COMPILE_MEMORY_BYTES, COMPILE_TIMEOUT};
use wave_policy::{Level, Limits, Policy, chain};
use wave_sandbox::{Ended, State, Worker, WorkerError};

/// Descriptors of a worker: the standard streams, and what the seal needs for a moment.
const OPEN_FILES: u64 = 8;

/// What is compiled, and how much that may use.
#[derive(Clone, Debug)]
pub struct CompileLimits {
    /// The module, for messages.
    pub module: PathBuf,
    /// At `Off`, this process compiles; at `Strict`, never.
    pub level: Level,
    /// How long it may take.
    pub timeout: Duration,
    /// How much memory it may take.
    pub memory_bytes: u64,
    /// Whether the command has flags for both.
    pub has_flags: bool,
}

impl CompileLimits {
    /// What a command has that has no flags for it.
    pub fn usual(module: &Path, level: Level) -> Self {
        Self {
            module: module.to_owned(),
            level,
            timeout: COMPILE_TIMEOUT,
            memory_bytes: COMPILE_MEMORY_BYTES,
            has_flags: false,
        }
    }

    /// What holds a worker.
    pub fn policy(&self, threads: usize) -> Policy {
        Policy {
            level: self.level,
            limits: Limits {
                open_files: OPEN_FILES,
                file_size_bytes: Some(0),
                data_bytes: Some(self.memory_bytes),
                threads: threads as u64,
                // In case nobody is left who could end it: all its threads together.
                processor_seconds: Some(self.timeout.as_secs().saturating_add(1).saturating_mul(threads as u64)),
            },
            ..Policy::default()
        }
    }

    /// What follows if there is no worker: an error at `strict`, and a line of the report otherwise.
    pub fn without_worker(&self, error: &WorkerError) -> Result<State, Failure> {
        let fix = match error {
            WorkerError::Seal { fix, .. } => fix.clone(),
            error => way_out_of(error).unwrap_or_else(|| "--sandbox standard compiles without it".to_owned()),
        };
        if self.level == Level::Strict {
            let what = format!("no sealed process to compile the module in: {}", chain(error));
            return Err(Failure::refused(what).at("--sandbox").fix(fix));
        }
        Ok(State::Waived { reason: chain(error) })
    }

    /// Why talking to a worker failed.
    pub fn failed(&self, worker: &mut Worker, error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::InvalidData {
            return self.senseless(error);
        }
        self.stopped(worker.autopsy(error))
    }

    /// Why a worker has ended.
    pub fn stopped(&self, ended: Ended) -> Failure {
        let work = if self.has_flags { "compiling" } else { "reading the module" };
        let raise = |failure: Failure, flag| if self.has_flags { failure.raise(flag) } else { failure };
        let failure = match ended {
            Ended::Timeout => {
                raise(Failure::refused(format!("{work} takes longer than {:?}", self.timeout)), "compile-timeout")
            }
            // This process has less to give than it was told.
            Ended::Memory if shortage::smaller_memory(self.memory_bytes) => {
                Failure::refused(format!("{work} takes more memory than this process may have")).fix(shortage::memory())
            }
            Ended::Memory => raise(
                Failure::refused(format!("{work} takes more than {} bytes of memory", self.memory_bytes)),
                "compile-memory",
            ),
            Ended::Signal(libc::SIGKILL | libc::SIGXCPU) if let Some(limit) = shortage::processor_time() => {
                Failure::refused(format!("the compiler was killed ({ended}): its time on the processor is limited"))
                    .fix(format!("raise the limit on the time of the processor: {limit} seconds"))
            }
            Ended::Signal(libc::SIGKILL) => Failure::refused(format!(
                "the compiler was killed ({ended}), as the kernel does where a control group or the machine has no memory left"
            ))
            .fix("let the control group have more memory (`memory.max`), or compile where there is more"),
            _ => Failure::refused(format!("the compiler stopped: {ended}")).fix("report it as a bug, with the module"),
        };
        failure.at(self.module.display().to_string())
    }

    pub(super) fn senseless(&self, why: impl std::fmt::Display) -> Failure {
        Failure::refused(format!("the compiler's answer makes no sense: {why}"))
            .at(self.module.display().to_string())
            .fix("report it as a bug, with the module")
    }
}
