//! Turns bytes into an instance: parse, resolve imports, place, compile, verify, load. No guest instruction runs here.

use crate::artifact;
use crate::cache;
use crate::compile::{Compiler, Job, ReadyCompiler, parse};
use crate::failure::Failure;
use crate::input;
use crate::progress::{Step, Watch, counted};
use crate::refusal::Refusal;
use crate::shortage::{limit_fix, limit_fix_of};
use crate::source::{CacheSlot, CodeSource, Recompile};
use std::path::Path;
use wave_contract::artifact::{Artifact, CodeSettings, Provenance};
use wave_contract::image::CodeImage;
use wave_contract::module::{Import, ImportType, ModuleInfo};
use wave_policy::{chain, short};
use wave_runtime::{
    Binding, DebugFile, InstanceId, Item, LinkError, MemoryError, Placement, Store, StoreOptions, Stub,
};
use wave_sandbox::State;
use wave_verifier::{Terms, Verified, VerifyError};
use wave_wasi::{Config, Wasi};

/// Whether calls of a WASI function are reported to an observer.
pub type Observes<'a> = &'a dyn Fn(&str) -> bool;

/// How a program is loaded.
pub struct Options<'a> {
    /// Stack, memory, addresses.
    pub store: StoreOptions,
    /// What is asked of the code beyond what the module says.
    pub settings: CodeSettings,
    /// What stands for imported functions that nobody has. `None`: such a module is refused.
    pub unknown_imports: Option<Stub>,
    /// Whether code is verified before it is loaded.
    pub verify: bool,
    /// Maximum threads for compiling and verifying.
    pub threads: usize,
    /// Which hostcalls are reported to an observer.
    pub observes: Observes<'a>,
    /// Who waits for it.
    pub watch: Watch<'a>,
}

/// A loaded program.
pub struct Program {
    /// The store that owns the instance.
    pub store: Store<Wasi>,
    /// The instance.
    pub instance: InstanceId,
    /// Whether a sealed process compiled it.
    pub compiler: State,
    /// Whether its code was verified.
    pub verifier: State,
}

impl Program {
    /// The imported functions that nobody has, by both their names, in their order.
    pub fn unknown_imports(&self) -> Vec<String> {
        let imports = self.store.info(self.instance).into_iter().flat_map(|info| &info.imports);
        let is_stub = |import: &&Import| {
            matches!(import.ty, ImportType::Function(_))
                && wave_wasi::host_function(&import.module, &import.name).is_none()
        };
        let unknown = imports.filter(is_stub);
        unknown.map(|import| format!("{} {}", short(&import.module), short(&import.name))).collect()
    }

    /// The instance's declarations.
    ///
    /// # Errors
    /// Never for an instance of this store.
    pub fn info(&self) -> Result<&ModuleInfo, Failure> {
        self.store.info(self.instance).ok_or_else(|| Failure::refused("the instance is gone"))
    }
}

/// Compiles and verifies a module for a compiled file, at newly chosen addresses.
///
/// # Errors
/// As [`load`].
pub fn compile_artifact(
    path: &Path,
    compiler: Compiler,
    settings: CodeSettings,
    threads: usize,
    watch: Watch<'_>,
) -> Result<Artifact, Failure> {
    let options = Options {
        store: StoreOptions::default(),
        settings,
        // The code is the same, whatever stands for them.
        unknown_imports: Some(Stub::Trap),
        verify: true,
        threads,
        observes: &|_| false,
        watch,
    };
    let wasi = Wasi::new(Config::default()).map_err(|error| Failure::refused(chain(&error)))?;
    let mut store = Store::new(options.store, wasi).map_err(|error| store_failure(&error))?;
    let mut loader = Loader { path, store: &mut store, options: &options, slot: None };
    let VerifiedCode { bytes, image, .. } = loader.compile_for(compiler, None, Loader::place)?;
    let Terms { signatures, host_imports, .. } = image.terms().clone();
    let origin = Provenance {
        wave: artifact::VERSION.to_owned(),
        module: *blake3::hash(&bytes).as_bytes(),
        settings,
        seed: store.seed(),
    };
    Ok(Artifact { origin, module: bytes, signatures, host_imports, image: image.into_code() })
}

/// Instantiates a module and binds its imports to WASI. `allowed` checks its declarations before anything is compiled.
///
/// # Errors
/// The error of `allowed`, 126 for an invalid module or an unknown import, 137 if its initial memory exceeds the limit,
/// 125 if this host lacks something or compiling reaches a limit.
pub fn load(
    path: &Path,
    code: CodeSource<'_>,
    slot: Option<CacheSlot>,
    options: &Options<'_>,
    wasi: Wasi,
    allowed: impl FnOnce(&ModuleInfo) -> Result<(), Failure>,
) -> Result<Program, Failure> {
    let mut store = Store::new(options.store, wasi).map_err(|error| store_failure(&error))?;
    store.set_wait(&wave_wasi::atomic_wait()).map_err(|error| link_failure(path, &error))?;
    // Done here, because the compiler worker is still busy.
    wave_runtime::prepare_loading().map_err(|error| link_failure(path, &error.into()))?;
    let loader = Loader { path, store: &mut store, options, slot };
    let (instance, compiler, verifier) = match code {
        CodeSource::Compile(compiler) => loader.compile(compiler, None, allowed)?,
        CodeSource::Precompiled(compiler, image) => loader.compile(compiler, Some(*image), allowed)?,
        CodeSource::Cached { bytes, debug, accepted, recompile } => {
            loader.load_cached((bytes, debug), *accepted, recompile, allowed)?
        }
    };
    Ok(Program { store, instance, compiler, verifier })
}

/// An instance, with the compiler's and the verifier's lines of the report.
type Loaded = (InstanceId, State, State);

/// Verified code for the addresses of `placement`. It is not loaded yet.
struct VerifiedCode {
    placement: Placement,
    info: ModuleInfo,
    bytes: Vec<u8>,
    image: Verified<CodeImage>,
    compiler: State,
    verifier: State,
}

struct Loader<'a> {
    path: &'a Path,
    store: &'a mut Store<Wasi>,
    options: &'a Options<'a>,
    slot: Option<CacheSlot>,
}

impl Loader<'_> {
    /// Loads cached code. If its addresses are in use, the module is compiled again.
    fn load_cached(
        mut self,
        (bytes, debug): (Vec<u8>, Option<DebugFile>),
        (code, info): (Verified<CodeImage>, ModuleInfo),
        recompile: Recompile<'_>,
        allowed: impl FnOnce(&ModuleInfo) -> Result<(), Failure>,
    ) -> Result<Loaded, Failure> {
        allowed(&info)?;
        let (placement, job) = self.place(&info)?;
        if *code.terms() != placement.terms() {
            let compiled = self.compile_for(recompile()?, None, |_, _| Ok((placement, job)))?;
            return self.load_compiled(compiled);
        }
        let applied = |detail: &str| State::Applied { detail: detail.to_owned() };
        let (compiler, verifier) = (applied("code from the cache"), applied("signed by an earlier run"));
        let loaded = self.store.load_cached(placement, info, code, bytes, debug);
        Ok((loaded.map_err(|error| link_failure(self.path, &error))?, compiler, verifier))
    }

    /// Compiles the module, or takes the code of a compiled file. Then verifies, caches and loads the code.
    fn compile(
        mut self,
        compiler: Compiler,
        precompiled: Option<CodeImage>,
        allowed: impl FnOnce(&ModuleInfo) -> Result<(), Failure>,
    ) -> Result<Loaded, Failure> {
        let is_precompiled = precompiled.is_some();
        let mut compiled = self.compile_for(compiler, precompiled, |loader, info| {
            allowed(info)?;
            loader.place(info)
        })?;
        if let State::Applied { detail } = &mut compiled.compiler
            && is_precompiled
        {
            *detail = format!("code of the compiled file; its declarations: {detail}");
        }
        if let Some(CacheSlot { cache, name }) = &self.slot {
            let VerifiedCode { image, info, bytes, .. } = &compiled;
            let program = cache::Program { seed: self.store.seed(), code: image, info, module: bytes };
            cache.store(name, &program, self.options.threads);
        }
        self.load_compiled(compiled)
    }

    fn load_compiled(self, compiled: VerifiedCode) -> Result<Loaded, Failure> {
        let VerifiedCode { placement, info, bytes, image, compiler, verifier, .. } = compiled;
        let instance =
            self.store.load(placement, info, image, bytes).map_err(|error| link_failure(self.path, &error))?;
        Ok((instance, compiler, verifier))
    }

    /// Compiles code for the addresses that `place` chooses, or takes `precompiled` code, and verifies it.
    fn compile_for(
        &mut self,
        compiler: Compiler,
        precompiled: Option<CodeImage>,
        place: impl FnOnce(&mut Self, &ModuleInfo) -> Result<(Placement, Job), Failure>,
    ) -> Result<VerifiedCode, Failure> {
        let (path, watch) = (self.path, self.options.watch);
        match compiler.ready()? {
            ReadyCompiler::Worker(mut worker, compiler) => {
                let (info, bytes) = worker.declarations(watch)?;
                let (placement, job) = place(self, &info)?;
                let ((image, verifier), worker) = match precompiled {
                    Some(image) => (self.verify_precompiled(image, &info, &bytes, &placement)?, worker.dismiss()?),
                    None => {
                        let (image, worker) = worker.compile(job, &info, bytes.len(), watch)?;
                        (verify(path, image, &bytes, &placement, self.options)?, worker)
                    }
                };
                // Wait before the seal, because its filter allows no call to wait for a process.
                worker.wait()?;
                Ok(VerifiedCode { placement, info, bytes, image, compiler, verifier })
            }
            ReadyCompiler::InProcess(bytes, compiler) => {
                let bytes = input::binary(path, bytes)?;
                let module = parse(path, &bytes)?;
                let (placement, job) = place(self, module.info())?;
                let (image, verifier) = match precompiled {
                    Some(image) => self.verify_precompiled(image, module.info(), &bytes, &placement)?,
                    None => {
                        let image =
                            job.compile(&module, watch).map_err(|error| Refusal::of(&error, &bytes).failure(path))?;
                        verify(path, image, &bytes, &placement, self.options)?
                    }
                };
                let info = module.into_info();
                Ok(VerifiedCode { placement, info, bytes, image, compiler, verifier })
            }
        }
    }

    /// Verifies the code of a compiled file.
    fn verify_precompiled(
        &self,
        image: CodeImage,
        info: &ModuleInfo,
        bytes: &[u8],
        placement: &Placement,
    ) -> Result<(Verified<CodeImage>, State), Failure> {
        artifact::check_image(self.path, &image, info, placement, bytes.len())?;
        verify(self.path, image, bytes, placement, self.options)
    }

    /// Creates the objects that a module declares. The compiler needs their addresses.
    fn place(&mut self, info: &ModuleInfo) -> Result<(Placement, Job), Failure> {
        let Self { path, store, options, .. } = self;
        let bindings = bind(path, store, info, options)?;
        let placement = store.place(info, &bindings).map_err(|error| link_failure(path, &error))?;
        let job = Job::at(&placement, options.settings, options.threads);
        Ok((placement, job))
    }
}

/// Verifies the code of a module.
///
/// # Errors
/// 125 if the verifier refuses it.
fn verify(
    path: &Path,
    image: CodeImage,
    bytes: &[u8],
    placement: &Placement,
    options: &Options<'_>,
) -> Result<(Verified<CodeImage>, State), Failure> {
    let terms = placement.terms();
    if !options.verify {
        let image =
            Verified::unproved(image, bytes, terms).map_err(|error| verification_failure(path, &error.into()))?;
        return Ok((image, State::NotRequested));
    }
    let (image, report) = counted(options.watch, Step::Verifying, |each| {
        wave_verifier::verify_watched(image, bytes, terms, options.threads, each)
    })
    .map_err(|error| verification_failure(path, &error))?;
    let detail = format!("{} functions, {} instructions", report.functions, report.instructions);
    Ok((image, State::Applied { detail }))
}

/// The first reason why the verifier refused code.
pub fn first_refusal(error: &VerifyError) -> String {
    match error {
        VerifyError::Refused(refusals) if let Some(first) = refusals.first() => chain(first),
        _ => chain(error),
    }
}

/// The failure for code that the verifier refused.
fn verification_failure(path: &Path, error: &VerifyError) -> Failure {
    Failure::refused(format!("the verifier refuses the compiled code: {}", first_refusal(error)))
        .at(path.display().to_string())
        .fix("the compiler that built the code has a bug or was compromised: report it, with the module")
}

/// What the imports of a module are. A shared memory is created for whoever imports one, as for programs that are built for
/// threads: all of them import theirs, under no name that is agreed on.
fn bind(
    path: &Path,
    store: &mut Store<Wasi>,
    info: &ModuleInfo,
    options: &Options<'_>,
) -> Result<Vec<Binding<Wasi>>, Failure> {
    let mut bindings = Vec::with_capacity(info.imports.len());
    let function = |module: &str, name: &str| match (options.observes)(name) {
        true => wave_wasi::traced_function(module, name),
        false => wave_wasi::host_function(module, name),
    };
    for import in &info.imports {
        let (module, name) = (&*import.module, &*import.name);
        let binding = match import.ty {
            ImportType::Function(_) => {
                function(module, name).map(Binding::Host).or_else(|| options.unknown_imports.map(Binding::Stub))
            }
            ImportType::Memory(ty) if ty.shared => {
                let memory = store.new_memory(ty).map_err(|error| link_failure(path, &error))?;
                Some(Binding::Item(Item::Memory(memory)))
            }
            ImportType::Table(_) | ImportType::Memory(_) | ImportType::Global(_) | ImportType::Tag(_) => None,
        };
        bindings.push(binding.ok_or_else(|| {
            Failure::not_runnable(format!("unknown import `{}` `{}`", short(module), short(name)))
                .at(path.display().to_string())
                .fix(unknown_fix(import.ty))
        })?);
    }
    Ok(bindings)
}

/// What to do about an import that nobody has.
fn unknown_fix(ty: ImportType) -> &'static str {
    match ty {
        ImportType::Function(_) => {
            "wave provides the functions of wasi_snapshot_preview1 and wasi_unstable: build for wasm32-wasip1; or run it with \
             --unknown-imports trap, if it does without them"
        }
        _ => "wave provides the functions of wasi_snapshot_preview1 and wasi_unstable: build for wasm32-wasip1",
    }
}

/// The failure if no store can be created.
fn store_failure(error: &std::io::Error) -> Failure {
    let fix = match limit_fix(error) {
        Some(fix) => format!("{fix}; or choose a smaller --max-stack"),
        None => "choose a smaller --max-stack".to_owned(),
    };
    Failure::refused(format!("cannot reserve the guest's address space: {error}")).fix(fix)
}

/// The failure for a module that cannot be instantiated.
fn link_failure(path: &Path, error: &LinkError) -> Failure {
    let place = path.display().to_string();
    match error {
        LinkError::Memory(MemoryError::Limit { .. }) => {
            Failure::memory_limit(chain(error)).at(place).raise("max-memory")
        }
        LinkError::Import { .. } => Failure::not_runnable(chain(error)).at(place),
        _ => {
            let failure = Failure::refused(chain(error)).at(place);
            match limit_fix_of(error) {
                Some(fix) => failure.fix(fix),
                None => failure,
            }
        }
    }
}
