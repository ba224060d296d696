//! Reading and compiling a module: in a sealed process of its own, or in this one.
//!
//! The bytes of a module are the first thing that nobody trusts. `strict` has them read, validated and compiled by a
//! [`Worker`], which can open, connect and execute nothing and whose memory and time are bounded (T62, T99); this process only
//! checks its answers.

mod job;
mod limits;
mod worker;

pub use job::{Job, default_threads, threads};
pub use limits::CompileLimits;
pub use worker::{CompileWorker, EndingWorker};

use crate::failure::Failure;
use crate::input;
use crate::refusal::Refusal;
use std::path::Path;
use wave_compiler::Module;
use wave_contract::context::Addressing;
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_contract::types::SignatureRegistry;
use wave_policy::Level;
use wave_sandbox::{State, Worker, WorkerError};
use wave_verifier::Terms;

/// Where a module is being read.
pub struct Compiler {
    bytes: Vec<u8>,
    limits: CompileLimits,
    process: Process,
}

enum Process {
    Worker(Worker),
    /// This process, with what the report says of it.
    This(State),
}

/// A compiler that can be asked.
pub enum ReadyCompiler {
    /// A sealed worker, and what is in force there.
    Worker(CompileWorker, State),
    /// This process: the bytes to compile, and why it is this one.
    InProcess(Vec<u8>, State),
}

impl Compiler {
    /// Starts reading a module. Not before this process has one thread; best before it opens anything.
    ///
    /// # Errors
    /// When `strict` asks for a worker and none can be started.
    pub fn start(limits: CompileLimits, bytes: Vec<u8>, threads: usize) -> Result<Self, Failure> {
        if limits.level == Level::Off {
            return Ok(Self { bytes, limits, process: Process::This(State::NotRequested) });
        }
        let worker = Worker::start(&limits.policy(threads), limits.timeout, |channel| {
            // What cannot be said to the other side, that side notices.
            drop(worker::serve(&bytes, channel));
        });
        let process = match worker {
            Ok(worker) => Process::Worker(worker),
            Err(error) => Process::This(limits.without_worker(&error)?),
        };
        Ok(Self { bytes, limits, process })
    }

    /// Waits until the worker is sealed.
    ///
    /// # Errors
    /// When `strict` asks for a worker and it could not be sealed.
    pub fn ready(self) -> Result<ReadyCompiler, Failure> {
        let Self { bytes, limits, process } = self;
        match process {
            Process::This(state) => Ok(ReadyCompiler::InProcess(bytes, state)),
            Process::Worker(mut worker) => match worker.sealed() {
                Ok(detail) => {
                    let worker = CompileWorker::new(worker, bytes, limits);
                    Ok(ReadyCompiler::Worker(worker, State::Applied { detail }))
                }
                Err(WorkerError::Ended(ended)) => Err(limits.stopped(ended)),
                Err(error) => Ok(ReadyCompiler::InProcess(bytes, limits.without_worker(&error)?)),
            },
        }
    }
}

/// What a module declares, and the bytes that the declarations speak of.
pub struct Declared {
    /// The declarations, checked.
    pub info: ModuleInfo,
    /// The binary form of the module.
    pub bytes: Vec<u8>,
    /// Why the module was read in this process, if it was although a sealed one was asked for.
    pub unsealed: Option<String>,
}

/// Reads the declarations of a module in a sealed process, as a run does. Not before this process has one thread.
///
/// # Errors
/// As [`CompileWorker::declarations`].
pub fn declarations(limits: CompileLimits, bytes: Vec<u8>) -> Result<Declared, Failure> {
    let path = limits.module.clone();
    match Compiler::start(limits, bytes, 1)?.ready()? {
        ReadyCompiler::Worker(mut worker, _) => {
            let (info, bytes) = worker.declarations()?;
            worker.dismiss()?.wait()?;
            Ok(Declared { info, bytes, unsealed: None })
        }
        ReadyCompiler::InProcess(bytes, state) => {
            let unsealed = match state {
                State::Waived { reason } => Some(reason),
                _ => None,
            };
            let bytes = input::binary(&path, bytes)?;
            let info = parse(&path, &bytes)?.into_info();
            Ok(Declared { info, bytes, unsealed })
        }
    }
}

/// Parses a module's declarations in this process.
///
/// # Errors
/// 126 for anything that is not a valid module.
pub fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Module<'a>, Failure> {
    Module::parse(bytes).map_err(|error| Refusal::from(&error).failure(path))
}

/// Compiles a module as if it were to run alone, at addresses nobody uses: for measuring.
///
/// # Errors
/// 126 for an invalid function.
pub fn compile_only(path: &Path, module: &Module<'_>, threads: usize) -> Result<CodeImage, Failure> {
    let info = module.info();
    let mut registry = SignatureRegistry::default();
    let terms = Terms {
        addressing: Addressing::Arg,
        signatures: info.types.iter().map(|ty| registry.intern(ty)).collect(),
        host_imports: vec![true; info.imported_functions as usize],
    };
    compile_for(path, module, &terms, threads)
}

/// Compiles a module for these addresses and signatures, in this process.
///
/// # Errors
/// 126 for an invalid function.
pub fn compile_for(path: &Path, module: &Module<'_>, terms: &Terms, threads: usize) -> Result<CodeImage, Failure> {
    let Terms { addressing, signatures, host_imports } = terms.clone();
    let job = Job { addressing, signatures, host_imports, canonical_nans: false, threads };
    job.compile(module).map_err(|error| Refusal::from(&error).failure(path))
}
