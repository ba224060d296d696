//! Reading and compiling a module: in a sealed process of its own, or in this one.
//!
//! The bytes of a module are the first thing that nobody trusts. `strict` has them read, validated and compiled by a
//! [`Worker`], which can open, connect and execute nothing and whose memory and time are bounded (T62, T99); this process only
//! checks its answers. The conversation: declarations; then, once their objects have addresses, the [`Job`]; then the code.

use crate::failure::Failure;
use crate::input;
use crate::plan::{self, Plan};
use crate::program;
use crate::shortage::{self, way_out_of};
use crate::text::{chain, clean, note};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wave_compiler::{CompileError, CompileOptions, ImportLinkage, Module};
use wave_contract::context::Addressing;
use wave_contract::encoding::{ImageBounds, read_image, read_value, write_image, write_value};
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_contract::types::SignatureId;
use wave_policy::{Level, Limits, Policy};
use wave_sandbox::{Channel, Ended, State, Worker, WorkerError};

/// Modules below this size are compiled by one thread, so nobody asks how many processors there are.
const SMALL_BYTES: usize = 64 << 10;

/// Descriptors of a worker: the standard streams, and what the seal needs for a moment.
const OPEN_FILES: u64 = 8;

/// Encoded declarations of a module have at most so many times its bytes: a data segment takes two bytes there and up to
/// eleven here.
const EXPANSION: u64 = 8;

/// Encoded declarations that every module may have.
const SMALLEST_BYTES: u64 = 64 << 10;

/// What is to be compiled once the objects of a module have addresses.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// How code reaches its context.
    pub addressing: Addressing,
    /// Identity of every type.
    pub signatures: Vec<SignatureId>,
    /// For every imported function, whether the host implements it.
    pub host_imports: Vec<bool>,
    /// Whether NaNs that are computed have one bit pattern.
    pub canonical_nans: bool,
    /// Most threads to compile with.
    pub threads: usize,
}

/// Why a module was refused. All that a worker says of it, so its texts are from somebody that is not trusted.
#[derive(Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// The bytes are neither a module nor text.
    Format(String),
    /// The text is wrong, at this position.
    Text(String, String),
    /// It is a component.
    Component,
    /// The processor lacks something.
    Processor(String),
    /// It is not valid, or beyond what the compiler takes.
    Module(String),
}

/// Where a module is being read.
pub struct Compiler {
    bytes: Vec<u8>,
    limits: CompileLimits,
    place: Place,
}

enum Place {
    Worker(Worker),
    /// This process, with what the report says of it.
    Here(State),
}

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

/// A compiler that can be asked.
pub enum Ready {
    /// A sealed worker, and what is in force there.
    Worker(Remote, State),
    /// This process: the bytes to compile, and why it is this one.
    Here(Vec<u8>, State),
}

/// A sealed worker with a module.
pub struct Remote {
    worker: BufReader<Worker>,
    bytes: Vec<u8>,
    limits: CompileLimits,
}

impl Compiler {
    /// Starts reading a module. Not before this process has one thread; best before it opens anything.
    ///
    /// # Errors
    /// When `strict` asks for a worker and none can be started.
    pub fn start(limits: CompileLimits, bytes: Vec<u8>, threads: usize) -> Result<Self, Failure> {
        if limits.level == Level::Off {
            return Ok(Self { bytes, limits, place: Place::Here(State::NotRequested) });
        }
        let worker = Worker::start(&limits.policy(threads), limits.timeout, |channel| {
            // What cannot be said to the other side, that side notices.
            drop(serve(&bytes, channel));
        });
        let place = match worker {
            Ok(worker) => Place::Worker(worker),
            Err(error) => Place::Here(limits.without(&error)?),
        };
        Ok(Self { bytes, limits, place })
    }

    /// Waits until the worker is sealed.
    ///
    /// # Errors
    /// When `strict` asks for a worker and it could not be sealed.
    pub fn ready(self) -> Result<Ready, Failure> {
        let Self { bytes, limits, place } = self;
        match place {
            Place::Here(state) => Ok(Ready::Here(bytes, state)),
            Place::Worker(mut worker) => match worker.sealed() {
                Ok(detail) => {
                    let worker = BufReader::new(worker);
                    Ok(Ready::Worker(Remote { worker, bytes, limits }, State::Applied { detail }))
                }
                Err(WorkerError::Ended(ended)) => Err(limits.stopped(ended)),
                Err(error) => Ok(Ready::Here(bytes, limits.without(&error)?)),
            },
        }
    }
}

impl Remote {
    /// What the module declares, checked, and the bytes that the declarations speak of.
    ///
    /// # Errors
    /// 126 for an invalid module, 125 when compiling reaches its limits or the answer makes no sense.
    pub fn declarations(&mut self) -> Result<(ModuleInfo, Vec<u8>), Failure> {
        type Answer = Result<(Option<Vec<u8>>, ModuleInfo), Refusal>;
        let len = self.bytes.len() as u64;
        let max_bytes = len.saturating_mul(EXPANSION).saturating_add(SMALLEST_BYTES).min(self.limits.memory_bytes);
        let answer: io::Result<Answer> = read_value(&mut self.worker, max_bytes);
        let answer = answer.map_err(|error| self.failed(&error))?;
        let (translated, info) = answer.map_err(|refusal| refusal.failure(&self.limits.module))?;
        let bytes = binary_form(std::mem::take(&mut self.bytes), translated);
        let bytes = bytes.map_err(|error| self.limits.senseless(error))?;
        info.check(bytes.len()).map_err(|error| self.limits.senseless(error))?;
        Ok((info, bytes))
    }

    /// The module's code, checked, and the worker, which is about to end.
    ///
    /// # Errors
    /// As for [`declarations`](Self::declarations).
    pub fn compile(mut self, job: Job, info: &ModuleInfo, module_len: usize) -> Result<(CodeImage, Ending), Failure> {
        let bounds = ImageBounds {
            functions: Some(info.functions.len()),
            signatures: info.types.len(),
            bytes: self.limits.memory_bytes,
        };
        let talk = |worker: &mut BufReader<Worker>| {
            let mut to = BufWriter::new(worker.get_mut());
            write_value(&mut to, &job)?;
            to.flush()?;
            drop(to);
            let answer: Result<(), Refusal> = read_value(worker, SMALLEST_BYTES)?;
            Ok(match answer {
                Ok(()) => Ok(read_image(worker, job.addressing.clone(), &bounds)?),
                Err(refusal) => Err(refusal),
            })
        };
        let answer = talk(&mut self.worker).map_err(|error: io::Error| self.failed(&error))?;
        let Self { worker, limits, .. } = self;
        let image = answer.map_err(|refusal| refusal.failure(&limits.module))?;
        image.check(info, &job.signatures, module_len).map_err(|error| limits.senseless(error))?;
        let worker = worker.into_inner();
        worker.kill().map_err(|error| cannot_end(&error))?;
        Ok((image, Ending(worker)))
    }

    /// The code came from elsewhere: the worker is about to end.
    ///
    /// # Errors
    /// 125 when it cannot be ended.
    pub fn dismiss(self) -> Result<Ending, Failure> {
        let worker = self.worker.into_inner();
        worker.kill().map_err(|error| cannot_end(&error))?;
        Ok(Ending(worker))
    }

    fn failed(&mut self, error: &io::Error) -> Failure {
        self.limits.failed(self.worker.get_mut(), error)
    }
}

/// The module that a worker was given, as it says that its text means. Of a binary one, nobody else can say what it is: a worker
/// that was taken over could answer for another module, under this one's name.
fn binary_form(given: Vec<u8>, translated: Option<Vec<u8>>) -> Result<Vec<u8>, &'static str> {
    match translated {
        Some(_) if given.starts_with(b"\0asm") => Err("a binary module was translated"),
        Some(binary) => Ok(binary),
        None => Ok(given),
    }
}

/// A worker that was killed and may take a moment to go.
pub struct Ending(Worker);

impl Ending {
    /// Waits until it is gone.
    ///
    /// # Errors
    /// 125 when the kernel does not say so.
    pub fn wait(self) -> Result<(), Failure> {
        self.0.end().map_err(|error| cannot_end(&error))
    }
}

fn cannot_end(error: &io::Error) -> Failure {
    Failure::refused(format!("cannot end the process that compiled the module: {error}"))
        .fix("give the container CAP_KILL, or CAP_SETUID to become the user of that process; or start it as an ordinary user")
}

impl CompileLimits {
    /// Those of a run.
    pub fn of(plan: &Plan) -> Self {
        Self {
            module: plan.module.clone(),
            level: plan.level,
            timeout: plan.compile_timeout,
            memory_bytes: plan.compile_memory_bytes,
            has_flags: true,
        }
    }

    /// What a command has that has no flags for it.
    pub fn usual(module: &Path, level: Level) -> Self {
        Self {
            module: module.to_owned(),
            level,
            timeout: plan::COMPILE_TIMEOUT,
            memory_bytes: plan::COMPILE_MEMORY_BYTES,
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

    /// There is no worker: an error at `strict`, and for the report otherwise.
    fn without(&self, error: &WorkerError) -> Result<State, Failure> {
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

    /// As [`without`](Self::without), for a command that prints no report.
    pub fn note_without(&self, error: &WorkerError) -> Result<(), Failure> {
        if let State::Waived { reason } = self.without(error)? {
            note(&format!("wave: note: the module is read without a sealed process: {}\n", clean(&reason)));
        }
        Ok(())
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

    fn senseless(&self, why: impl std::fmt::Display) -> Failure {
        Failure::refused(format!("the compiler's answer makes no sense: {why}"))
            .at(self.module.display().to_string())
            .fix("report it as a bug, with the module")
    }
}

/// What a module declares, checked, and the bytes that the declarations speak of: read in a sealed process, as in a run. Not before
/// this process has one thread.
///
/// # Errors
/// As [`Remote::declarations`].
pub fn declarations(limits: CompileLimits, bytes: Vec<u8>) -> Result<(ModuleInfo, Vec<u8>), Failure> {
    let path = limits.module.clone();
    match Compiler::start(limits, bytes, 1)?.ready()? {
        Ready::Worker(mut worker, _) => {
            let declared = worker.declarations()?;
            worker.dismiss()?.wait()?;
            Ok(declared)
        }
        Ready::Here(bytes, state) => {
            if let State::Waived { reason } = state {
                note(&format!("wave: note: the module is read without a sealed process: {}\n", clean(&reason)));
            }
            let bytes = input::binary(&path, bytes)?;
            let info = program::parse(&path, &bytes)?.into_info();
            Ok((info, bytes))
        }
    }
}

/// The worker's part.
fn serve(bytes: &[u8], mut channel: Channel) -> io::Result<()> {
    let binary = match input::to_binary(bytes) {
        Ok(binary) => binary,
        Err(refusal) => return say(&mut channel, &Err::<(), _>(refusal)),
    };
    let module = match Module::parse(&binary) {
        Ok(module) => module,
        Err(error) => return say(&mut channel, &Err::<(), _>(Refusal::from(&error))),
    };
    let translated = match &binary {
        Cow::Owned(binary) => Some(binary),
        Cow::Borrowed(_) => None,
    };
    say(&mut channel, &Ok::<_, Refusal>((translated, module.info())))?;
    let job: Job = read_value(&mut channel, u64::MAX)?;
    match job.compile(&module) {
        Ok(image) => {
            let mut to = BufWriter::new(&mut channel);
            write_value(&mut to, &Ok::<(), Refusal>(()))?;
            write_image(&mut to, &image)?;
            to.flush()
        }
        Err(error) => say(&mut channel, &Err::<(), _>(Refusal::from(&error))),
    }
}

/// Sends a value in one piece.
fn say(channel: &mut Channel, value: &impl Serialize) -> io::Result<()> {
    let mut to = BufWriter::new(channel);
    write_value(&mut to, value)?;
    to.flush()
}

impl Job {
    /// Compiles in this process.
    ///
    /// # Errors
    /// Any [`CompileError`].
    pub fn compile(&self, module: &Module<'_>) -> Result<CodeImage, CompileError> {
        let linkage = |host: &bool| if *host { ImportLinkage::Host } else { ImportLinkage::Guest };
        let imports: Vec<ImportLinkage> = self.host_imports.iter().map(linkage).collect();
        module.compile(&CompileOptions {
            addressing: self.addressing.clone(),
            signatures: &self.signatures,
            imports: &imports,
            threads: self.threads,
            verify_ir: false,
            canonical_nans: self.canonical_nans,
        })
    }
}

/// With how many threads a module is compiled.
pub fn threads(module_len: usize) -> usize {
    if module_len < SMALL_BYTES { 1 } else { default_threads() }
}

/// How many threads compile when nobody says otherwise.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl From<&CompileError> for Refusal {
    fn from(error: &CompileError) -> Self {
        // Names in a module can be long, and the other side takes only so much.
        let text = || chain(error).chars().take(4096).collect();
        match error {
            CompileError::Component => Self::Component,
            CompileError::Processor(_) => Self::Processor(text()),
            _ => Self::Module(text()),
        }
    }
}

impl Refusal {
    /// Says what is wrong with a module.
    pub fn failure(&self, path: &Path) -> Failure {
        let place = path.display().to_string();
        match self {
            Self::Format(found) => Failure::not_runnable(format!("not a WebAssembly module: {found}"))
                .at(place)
                .fix("give a .wasm file, which starts with `\\0asm`, or WebAssembly text"),
            Self::Text(what, position) => {
                Failure::not_runnable(format!("cannot read WebAssembly text: {what}")).at(place + position)
            }
            Self::Component => Failure::not_runnable("this is a component, and wave runs core modules").at(place).fix(
                "build for WASI preview 1: wasm32-wasip1 (Rust, C), GOOS=wasip1 (Go); `wave inspect` shows what it imports",
            ),
            Self::Processor(what) => Failure::refused(what).fix("`wave doctor` lists what is needed"),
            Self::Module(what) => Failure::not_runnable(what).at(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T59: a worker answers for the module that it was given.
    #[test]
    fn t59_a_binary_module_is_itself() {
        let (binary, other) = (b"\0asm\x01\0\0\0".to_vec(), b"\0asm\x01\0\0\0\0\x01\0".to_vec());
        assert_eq!(binary_form(binary.clone(), None), Ok(binary.clone()));
        assert!(binary_form(binary.clone(), Some(other)).is_err());
        assert!(binary_form(binary.clone(), Some(binary.clone())).is_err());
        assert_eq!(binary_form(b"(module)".to_vec(), Some(binary.clone())), Ok(binary));
    }
}
