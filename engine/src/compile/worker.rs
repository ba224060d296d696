//! The protocol with the sealed worker that compiles. The worker sends the declarations, gets the [`Job`] once the objects have
//! addresses, and sends the code. Its answers are not trusted, so each one is checked.

use super::job::Job;
use super::limits::CompileLimits;
use crate::failure::Failure;
use crate::input;
use crate::progress::{self, Answering, Step, Watch, read_answer};
use crate::refusal::Refusal;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, BufReader, BufWriter, Write};
use wave_compiler::Module;
use wave_contract::encoding::{ImageBounds, read_image, read_value, write_image, write_value};
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_sandbox::{Channel, Worker};

/// Maximum size of encoded declarations, as a multiple of the module's size. A data segment takes at least two bytes in
/// a module and up to eleven when encoded.
const EXPANSION: u64 = 8;

/// Size of encoded declarations that is always accepted, however small the module is.
const SMALLEST_BYTES: u64 = 64 << 10;

/// How much more that of a component may take: the lowering copies modules that are instantiated again.
const COPIES_BYTES: u64 = 32 << 20;

/// A sealed worker that has read a module.
pub struct CompileWorker {
    worker: BufReader<Worker>,
    bytes: Vec<u8>,
    limits: CompileLimits,
}

impl CompileWorker {
    /// Wraps a sealed worker and the bytes that it got.
    pub(super) fn new(worker: Worker, bytes: Vec<u8>, limits: CompileLimits) -> Self {
        Self { worker: BufReader::new(worker), bytes, limits }
    }

    /// The declarations of the module, checked, and the bytes that they refer to.
    ///
    /// # Errors
    /// 126 for an invalid module, 125 if compiling reaches a limit or the answer is not valid.
    pub fn declarations(&mut self, watch: Watch<'_>) -> Result<(ModuleInfo, Vec<u8>), Failure> {
        type Answer = Result<(Option<Vec<u8>>, ModuleInfo), Refusal>;
        let len = self.bytes.len() as u64;
        let copies = if wave_lower::is_component(&self.bytes) { COPIES_BYTES } else { 0 };
        let max_bytes =
            len.saturating_mul(EXPANSION).saturating_add(SMALLEST_BYTES + copies).min(self.limits.memory_bytes);
        progress::wait(&self.worker, watch, Step::Reading);
        let answer: io::Result<Answer> = read_value(&mut self.worker, max_bytes);
        let answer = answer.map_err(|error| self.failure(&error))?;
        let (translated, info) = answer.map_err(|refusal| refusal.failure(&self.limits.module))?;
        let bytes = binary_form(std::mem::take(&mut self.bytes), translated);
        let bytes = bytes.map_err(|error| self.limits.invalid_answer(error))?;
        info.check(bytes.len()).map_err(|error| self.limits.invalid_answer(error))?;
        Ok((info, bytes))
    }

    /// The module's code, checked, and the worker, which was killed. `watch` is called with each step.
    ///
    /// # Errors
    /// As for [`declarations`](Self::declarations).
    pub fn compile(
        mut self,
        mut job: Job,
        info: &ModuleInfo,
        module_len: usize,
        watch: Watch<'_>,
    ) -> Result<(CodeImage, EndingWorker), Failure> {
        job.watched = watch.is_some();
        let bounds = ImageBounds {
            functions: Some(info.functions.len()),
            signatures: info.types.len(),
            bytes: self.limits.memory_bytes,
        };
        let exchange = |worker: &mut BufReader<Worker>| {
            let mut to = BufWriter::new(worker.get_mut());
            write_value(&mut to, &job)?;
            to.flush()?;
            drop(to);
            let answer: Result<(), Refusal> = read_answer(worker, SMALLEST_BYTES, watch, Step::Compiling(0, 0))?;
            Ok(match answer {
                Ok(()) => Ok(read_image(worker, job.addressing.clone(), &bounds)?),
                Err(refusal) => Err(refusal),
            })
        };
        let answer = exchange(&mut self.worker).map_err(|error: io::Error| self.failure(&error))?;
        let Self { worker, limits, .. } = self;
        let image = answer.map_err(|refusal| refusal.failure(&limits.module))?;
        image.check(info, &job.signatures, module_len).map_err(|error| limits.invalid_answer(error))?;
        let worker = worker.into_inner();
        worker.kill().map_err(|error| cannot_end(&error))?;
        Ok((image, EndingWorker(worker)))
    }

    /// Kills the worker. Its code is not needed, because there is code already.
    ///
    /// # Errors
    /// 125 if it cannot be killed.
    pub fn dismiss(self) -> Result<EndingWorker, Failure> {
        let worker = self.worker.into_inner();
        worker.kill().map_err(|error| cannot_end(&error))?;
        Ok(EndingWorker(worker))
    }

    fn failure(&mut self, error: &io::Error) -> Failure {
        self.limits.exchange_failure(self.worker.get_mut(), error)
    }
}

/// The core module: the given bytes, or what the worker made of text or of a component. A translation of a core module is
/// refused, because a compromised worker could return another module under this one's name.
fn binary_form(given: Vec<u8>, translated: Option<Vec<u8>>) -> Result<Vec<u8>, &'static str> {
    let is_core = given.starts_with(b"\0asm") && !wave_lower::is_component(&given);
    match translated {
        Some(_) if is_core => Err("a binary module was translated"),
        None if !is_core => Err("no module was made of text or of a component"),
        Some(binary) => Ok(binary),
        None => Ok(given),
    }
}

/// A worker that was killed and may not have ended yet.
pub struct EndingWorker(Worker);

impl EndingWorker {
    /// Waits until it has ended.
    ///
    /// # Errors
    /// 125 if the kernel cannot confirm that.
    pub fn wait(self) -> Result<(), Failure> {
        self.0.end().map_err(|error| cannot_end(&error))
    }
}

fn cannot_end(error: &io::Error) -> Failure {
    Failure::refused(format!("cannot end the process that compiled the module: {error}"))
        .fix("give the container CAP_KILL, or CAP_SETUID to become the user of that process; or start it as an ordinary user")
}

/// What a worker is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The module is compiled afterwards, unless its code is cached.
    Compile,
    /// Only the declarations are asked for. The bodies are validated before they are sent.
    Declare,
}

/// Runs the worker's side of the protocol.
pub(super) fn serve(bytes: &[u8], purpose: Purpose, mut channel: Channel) -> io::Result<()> {
    let binary = match input::to_binary(bytes) {
        Ok(binary) => binary,
        Err(refusal) => return send(&mut channel, &Err::<(), _>(refusal)),
    };
    let module = match Module::parse(&binary) {
        Ok(module) => module,
        Err(error) => return send(&mut channel, &Err::<(), _>(Refusal::of(&error, &binary))),
    };
    if purpose == Purpose::Declare
        && let Err(error) = module.validate(1)
    {
        return send(&mut channel, &Err::<(), _>(Refusal::of(&error, &binary)));
    }
    let translated = match &binary {
        Cow::Owned(binary) => Some(binary),
        Cow::Borrowed(_) => None,
    };
    send(&mut channel, &Ok::<_, Refusal>((translated, module.info())))?;
    let job: Job = read_value(&mut channel, u64::MAX)?;
    let answering = Answering::new(channel);
    let step = |step| answering.step(step);
    let compiled = job.compile(&module, job.watched.then_some(&step));
    let channel = answering.answer(&compiled.as_ref().map(|_| ()).map_err(|error| Refusal::of(error, &binary)))?;
    let Ok(image) = compiled else { return Ok(()) };
    let mut to = BufWriter::new(channel);
    write_image(&mut to, &image)?;
    to.flush()
}

/// Sends a value in one write.
fn send(channel: &mut Channel, value: &impl Serialize) -> io::Result<()> {
    let mut to = BufWriter::new(channel);
    write_value(&mut to, value)?;
    to.flush()
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
        assert_eq!(binary_form(b"(module)".to_vec(), Some(binary.clone())), Ok(binary.clone()));
        let component = b"\0asm\x0d\0\x01\0".to_vec();
        assert_eq!(binary_form(component.clone(), Some(binary.clone())), Ok(binary));
        assert!(binary_form(component, None).is_err());
    }
}
