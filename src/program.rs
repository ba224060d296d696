//! From bytes to an instance: parse, resolve imports, place, compile, load. No guest instruction runs here.

use crate::compiler::{Compiler, Job, Ready, Refusal};
use crate::failure::Failure;
use crate::input;
use crate::text::chain;
use crate::trace::Trace;
use std::path::Path;
use wave_compiler::Module;
use wave_contract::context::Addressing;
use wave_contract::image::CodeImage;
use wave_contract::module::{ImportType, ModuleInfo};
use wave_contract::types::SignatureRegistry;
use wave_runtime::{Binding, InstanceId, LinkError, MemoryError, Placement, Store, StoreOptions};
use wave_sandbox::State;
use wave_verifier::{Terms, Verified, VerifyError};
use wave_wasi::Wasi;

/// How a program is loaded.
#[derive(Debug)]
pub struct Options {
    /// Stack, memory, addresses.
    pub store: StoreOptions,
    /// Whether NaNs that are computed have one bit pattern.
    pub canonical_nans: bool,
    /// Whether code is verified before it is loaded.
    pub verify: bool,
    /// Most threads to compile and to verify with.
    pub threads: usize,
    /// Which hostcalls are traced.
    pub trace: Trace,
}

/// A loaded program.
pub struct Program {
    /// Owner of the instance.
    pub store: Store<Wasi>,
    /// The instance.
    pub instance: InstanceId,
    /// Whether it was compiled in a sealed process of its own.
    pub compiler: State,
    /// Whether its code was verified.
    pub verifier: State,
}

impl Program {
    /// The instance's declarations.
    ///
    /// # Errors
    /// Never for an instance of this store.
    pub fn info(&self) -> Result<&ModuleInfo, Failure> {
        self.store.info(self.instance).ok_or_else(|| Failure::refused("the instance is gone"))
    }
}

/// Parses a module's declarations.
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
pub fn compile_only(path: &Path, module: &Module, threads: usize) -> Result<CodeImage, Failure> {
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
pub fn compile_for(path: &Path, module: &Module, terms: &Terms, threads: usize) -> Result<CodeImage, Failure> {
    let Terms { addressing, signatures, host_imports } = terms.clone();
    let job = Job { addressing, signatures, host_imports, canonical_nans: false, threads };
    job.compile(module).map_err(|error| Refusal::from(&error).failure(path))
}

/// Makes an instance of a module, its imports bound to WASI. `allowed` sees its declarations before anything is compiled.
///
/// # Errors
/// What `allowed` says, 126 for an invalid module or unknown import, 137 when it starts with more memory than allowed, 125 when this host lacks
/// something or compiling reaches its limits.
pub fn load(
    path: &Path,
    compiler: Compiler,
    options: Options,
    wasi: Wasi,
    allowed: impl FnOnce(&ModuleInfo) -> Result<(), Failure>,
) -> Result<Program, Failure> {
    let mut store = Store::new(options.store, wasi).map_err(|error| {
        Failure::refused(format!("cannot reserve the guest's address space: {error}"))
            .fix("raise the limit on virtual memory (ulimit -v), or choose a smaller --max-stack")
    })?;
    let refused = |error| refuse(path, &error);
    // While the worker is busy, too.
    wave_runtime::prepare_loading().map_err(|error| refuse(path, &error.into()))?;
    let (instance, compiler, verifier) = match compiler.ready()? {
        Ready::Worker(mut worker, state) => {
            let (info, bytes) = worker.declarations()?;
            allowed(&info)?;
            let (placement, job) = place(path, &mut store, &info, &options)?;
            let (image, worker) = worker.compile(job, &info, bytes.len())?;
            let (image, verified) = verify(path, image, &bytes, &placement, &options)?;
            let instance = store.load(placement, info, image, bytes).map_err(refused)?;
            // Before the seal, whose filter has no such call.
            worker.wait()?;
            (instance, state, verified)
        }
        Ready::Here(bytes, state) => {
            let bytes = input::binary(path, bytes)?;
            let module = parse(path, &bytes)?;
            allowed(module.info())?;
            let (placement, job) = place(path, &mut store, module.info(), &options)?;
            let image = job.compile(&module).map_err(|error| Refusal::from(&error).failure(path))?;
            let info = module.into_info();
            let (image, verified) = verify(path, image, &bytes, &placement, &options)?;
            (store.load(placement, info, image, bytes).map_err(refused)?, state, verified)
        }
    };
    Ok(Program { store, instance, compiler, verifier })
}

/// Has the code of a module proved to keep to its place.
///
/// # Errors
/// When it is not proved: 125.
fn verify(
    path: &Path,
    image: CodeImage,
    bytes: &[u8],
    placement: &Placement,
    options: &Options,
) -> Result<(Verified<CodeImage>, State), Failure> {
    let terms = placement.terms();
    if !options.verify {
        let image = Verified::unproved(image, bytes, terms).map_err(|error| unproved(path, &error.into()))?;
        return Ok((image, State::NotRequested));
    }
    let (image, report) =
        wave_verifier::verify(image, bytes, terms, options.threads).map_err(|error| unproved(path, &error))?;
    let detail = format!("{} functions, {} instructions", report.functions, report.instructions);
    Ok((image, State::Applied { detail }))
}

/// What the verifier found first.
pub fn first_refusal(error: &VerifyError) -> String {
    match error {
        VerifyError::Refused(refusals) if let Some(first) = refusals.first() => chain(first),
        _ => chain(error),
    }
}

/// Says why code does not run.
fn unproved(path: &Path, error: &VerifyError) -> Failure {
    Failure::refused(format!("the verifier refuses the compiled code: {}", first_refusal(error)))
        .at(path.display().to_string())
        .fix("the compiler is at fault, or has been taken over: report it as a bug, with the module")
}

/// Makes the objects that a module declares; with their addresses, it can be compiled.
fn place(
    path: &Path,
    store: &mut Store<Wasi>,
    info: &ModuleInfo,
    options: &Options,
) -> Result<(Placement, Job), Failure> {
    let bindings = bind(path, info, &options.trace)?;
    let placement = store.place(info, &bindings).map_err(|error| refuse(path, &error))?;
    let job = Job {
        addressing: placement.addressing.clone(),
        signatures: placement.signatures.clone(),
        host_imports: placement.host_imports.clone(),
        canonical_nans: options.canonical_nans,
        threads: options.threads,
    };
    Ok((placement, job))
}

fn bind(path: &Path, info: &ModuleInfo, trace: &Trace) -> Result<Vec<Binding<Wasi>>, Failure> {
    let function = |module: &str, name: &str| match trace.covers(name) {
        true => wave_wasi::traced_function(module, name),
        false => wave_wasi::host_function(module, name),
    };
    let bind = |import: &wave_contract::module::Import| match import.ty {
        ImportType::Function(_) => function(&import.module, &import.name).map(Binding::Host),
        ImportType::Table(_) | ImportType::Memory(_) | ImportType::Global(_) => None,
    };
    info.imports
        .iter()
        .map(|import| {
            bind(import).ok_or_else(|| {
                Failure::not_runnable(format!("unknown import `{}` `{}`", import.module, import.name))
                    .at(path.display().to_string())
                    .fix("wave provides the functions of wasi_snapshot_preview1 and wasi_unstable: build for wasm32-wasip1")
            })
        })
        .collect()
}

/// Says why a module cannot be instantiated.
fn refuse(path: &Path, error: &LinkError) -> Failure {
    let place = path.display().to_string();
    match error {
        LinkError::Memory(MemoryError::Limit { .. }) => {
            Failure::memory_limit(chain(error)).at(place).raise("max-memory")
        }
        LinkError::Import { .. } => Failure::not_runnable(chain(error)).at(place),
        _ => Failure::refused(chain(error)).at(place),
    }
}
