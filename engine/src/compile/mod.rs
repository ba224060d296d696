//! Reads and compiles a module in a sealed worker process, or in this process.
//!
//! The bytes of a module are not trusted, so a [`Worker`] reads, validates and compiles them. It cannot open files,
//! connect or execute programs, and its memory and time are limited (T62, T99). This process only checks its answers.
//! `strict` refuses to run without a worker. At `off`, this process compiles.

mod job;
mod limits;
mod worker;

pub use job::{Job, default_threads, threads};
pub use limits::CompileLimits;
pub use worker::{CompileWorker, EndingWorker};

use crate::failure::Failure;
use crate::input;
use crate::progress::Watch;
use crate::refusal::Refusal;
use std::path::Path;
use wave_compiler::Module;
use wave_contract::artifact::CodeSettings;
use wave_contract::context::Addressing;
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_contract::types::SignatureRegistry;
use wave_lower::LowerError;
use wave_policy::Level;
use wave_sandbox::{State, Worker, WorkerError};
use wave_verifier::Terms;
use worker::Purpose;

/// A compiler that is reading a module.
pub struct Compiler {
    bytes: Vec<u8>,
    limits: CompileLimits,
    process: Process,
}

enum Process {
    Worker(Worker),
    /// This process compiles. The state goes into the report.
    InProcess(State),
}

/// A compiler that is ready for a job.
pub enum ReadyCompiler {
    /// A sealed worker, and the state of its seal.
    Worker(CompileWorker, State),
    /// This process compiles these bytes. The state says why there is no worker.
    InProcess(Vec<u8>, State),
}

impl Compiler {
    /// Starts to read a module. This process must have a single thread, and should have opened nothing yet.
    ///
    /// # Errors
    /// If `strict` requires a worker and none can be started.
    pub fn start(limits: CompileLimits, bytes: Vec<u8>, threads: usize) -> Result<Self, Failure> {
        Self::start_for(Purpose::Compile, limits, bytes, threads)
    }

    fn start_for(purpose: Purpose, limits: CompileLimits, bytes: Vec<u8>, threads: usize) -> Result<Self, Failure> {
        if limits.level == Level::Off {
            return Ok(Self { bytes, limits, process: Process::InProcess(State::NotRequested) });
        }
        let worker = Worker::start(&limits.policy(threads), limits.timeout, |channel| {
            // If an answer cannot be sent, the other process sees the end of the channel.
            drop(worker::serve(&bytes, purpose, channel));
        });
        let process = match worker {
            Ok(worker) => Process::Worker(worker),
            Err(error) => Process::InProcess(limits.without_worker(&error)?),
        };
        Ok(Self { bytes, limits, process })
    }

    /// Waits until the worker is sealed.
    ///
    /// # Errors
    /// If `strict` requires a worker and it could not be sealed.
    pub fn ready(self) -> Result<ReadyCompiler, Failure> {
        let Self { bytes, limits, process } = self;
        match process {
            Process::InProcess(state) => Ok(ReadyCompiler::InProcess(bytes, state)),
            Process::Worker(mut worker) => match worker.sealed() {
                Ok(detail) => {
                    let worker = CompileWorker::new(worker, bytes, limits);
                    Ok(ReadyCompiler::Worker(worker, State::Applied { detail }))
                }
                Err(WorkerError::Ended(ended)) => Err(limits.ended_failure(ended)),
                Err(error) => Ok(ReadyCompiler::InProcess(bytes, limits.without_worker(&error)?)),
            },
        }
    }
}

/// The declarations of a module, and the bytes that they refer to.
pub struct Declared {
    /// The declarations, checked.
    pub info: ModuleInfo,
    /// The binary form of the module.
    pub bytes: Vec<u8>,
    /// Why this process read the module, if a sealed process should have.
    pub unsealed: Option<String>,
}

/// Reads the declarations of a module in a sealed process, as a run does, and validates all of it. This process must have a single thread.
///
/// # Errors
/// As [`CompileWorker::declarations`].
pub fn declarations(limits: CompileLimits, bytes: Vec<u8>) -> Result<Declared, Failure> {
    let path = limits.module.clone();
    match Compiler::start_for(Purpose::Declare, limits, bytes, 1)?.ready()? {
        ReadyCompiler::Worker(mut worker, _) => {
            let (info, bytes) = worker.declarations(None)?;
            worker.dismiss()?.wait()?;
            Ok(Declared { info, bytes, unsealed: None })
        }
        ReadyCompiler::InProcess(bytes, state) => {
            let unsealed = match state {
                State::Waived { reason } => Some(reason),
                _ => None,
            };
            let bytes = input::binary(&path, bytes)?;
            let module = parse(&path, &bytes)?;
            validate(&path, &module, 1)?;
            let info = module.into_info();
            Ok(Declared { info, bytes, unsealed })
        }
    }
}

/// Parses a module's declarations in this process.
///
/// # Errors
/// 126 for anything that is not a valid module.
pub fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Module<'a>, Failure> {
    Module::parse(bytes).map_err(|error| Refusal::of(&error, bytes).failure(path))
}

/// Validates the function bodies of a module in this process, with up to `threads` threads.
///
/// # Errors
/// 126 for an invalid function.
pub fn validate(path: &Path, module: &Module<'_>, threads: usize) -> Result<(), Failure> {
    module.validate(threads).map_err(|error| Refusal::of(&error, module.bytes()).failure(path))
}

/// The functions of WASI 0.2, as a module that calls those of preview 1.
pub const ADAPTER: &[u8] = wave_adapter::MODULE;

/// Lowers a component to a core module, in this process. `adapter` has functions of its interfaces.
///
/// # Errors
/// 126 if it is no valid component, or uses what is not supported.
pub fn lower(path: &Path, component: &[u8], adapter: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
    let component = input::encoded(component).map_err(|refusal| refusal.failure(path))?;
    wave_lower::lower_with(&component, adapter).map_err(|error| {
        let failure = Refusal::from(&error).failure(path);
        match error {
            LowerError::NoComponent => failure.fix("`wave run` runs core modules as they are"),
            _ => failure,
        }
    })
}

/// Compiles a module for measurements. Its code cannot be loaded.
///
/// # Errors
/// 126 for an invalid function.
pub fn compile_only(path: &Path, module: &Module<'_>, threads: usize, watch: Watch<'_>) -> Result<CodeImage, Failure> {
    let info = module.info();
    let mut registry = SignatureRegistry::default();
    let terms = Terms {
        addressing: Addressing::Arg,
        signatures: registry.intern_module(info),
        host_imports: vec![true; info.imported_functions as usize],
    };
    compile_for(path, module, &terms, CodeSettings::default(), threads, watch)
}

/// Compiles a module for these addresses and signatures, in this process.
///
/// # Errors
/// 126 for an invalid function.
pub fn compile_for(
    path: &Path,
    module: &Module<'_>,
    terms: &Terms,
    settings: CodeSettings,
    threads: usize,
    watch: Watch<'_>,
) -> Result<CodeImage, Failure> {
    let Terms { addressing, signatures, host_imports } = terms.clone();
    let job = Job { addressing, signatures, host_imports, settings, threads, watched: false };
    job.compile(module, watch).map_err(|error| Refusal::of(&error, module.bytes()).failure(path))
}
