//! From bytes to an instance: parse, resolve imports, place, compile, load. No guest instruction runs here.

use crate::failure::Failure;
use crate::text::chain;
use crate::trace::Trace;
use std::path::Path;
use std::sync::Arc;
use wave_compiler::{CompileError, CompileOptions, ImportLinkage, Module};
use wave_contract::context::Addressing;
use wave_contract::image::CodeImage;
use wave_contract::module::{ImportType, ModuleInfo};
use wave_contract::types::{SignatureId, SignatureRegistry};
use wave_runtime::{Binding, InstanceId, LinkError, MemoryError, Store, StoreOptions};
use wave_wasi::Wasi;

/// How a program is loaded.
#[derive(Debug)]
pub struct Options {
    /// Stack, memory, addresses.
    pub store: StoreOptions,
    /// Whether NaNs that are computed have one bit pattern.
    pub canonical_nans: bool,
    /// Which hostcalls are traced.
    pub trace: Trace,
}

/// A loaded program.
pub struct Program {
    /// Owner of the instance.
    pub store: Store<Wasi>,
    /// The instance.
    pub instance: InstanceId,
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

/// How many threads compile when nobody says otherwise.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Parses a module's declarations.
///
/// # Errors
/// 126 for anything that is not a valid module.
pub fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Module<'a>, Failure> {
    Module::parse(bytes).map_err(|error| explain(path, &error))
}

/// Compiles a module as if it were to run alone, at addresses nobody uses: for measuring.
///
/// # Errors
/// 126 for an invalid function.
pub fn compile_only(path: &Path, module: &Module, threads: usize) -> Result<CodeImage, Failure> {
    let info = module.info();
    let mut registry = SignatureRegistry::default();
    let signatures: Vec<SignatureId> = info.types.iter().map(|ty| registry.intern(ty)).collect();
    let imports = vec![ImportLinkage::Host; info.imported_functions as usize];
    let options = options(Addressing::Arg, &signatures, &imports, threads);
    module.compile(&options).map_err(|error| explain(path, &error))
}

/// Makes an instance of a module, its imports bound to WASI.
///
/// # Errors
/// 126 for an invalid module or unknown import, 137 when it starts with more memory than allowed, 125 when this host lacks
/// something.
pub fn load(path: &Path, bytes: Vec<u8>, options: Options, wasi: Wasi) -> Result<Program, Failure> {
    let Options { store, canonical_nans, trace } = options;
    let mut store = Store::new(store, wasi).map_err(|error| {
        Failure::refused(format!("cannot reserve the guest's address space: {error}"))
            .fix("raise the limit on virtual memory (ulimit -v), or choose a smaller --max-stack")
    })?;
    let bytes = Arc::new(bytes);
    let module = parse(path, &bytes)?;
    let info = module.info();
    let bindings = bind(path, info, &trace)?;
    let placement = store.place(info, &bindings).map_err(|error| refuse(path, &error))?;
    let linkage = |host: &bool| if *host { ImportLinkage::Host } else { ImportLinkage::Guest };
    let imports: Vec<ImportLinkage> = placement.host_imports.iter().map(linkage).collect();
    let options = CompileOptions {
        canonical_nans,
        ..self::options(placement.addressing.clone(), &placement.signatures, &imports, default_threads())
    };
    let image = module.compile(&options).map_err(|error| explain(path, &error))?;
    let info = module.into_info();
    let instance = store.load(placement, info, image, Arc::clone(&bytes)).map_err(|error| refuse(path, &error))?;
    Ok(Program { store, instance })
}

fn options<'a>(
    addressing: Addressing,
    signatures: &'a [SignatureId],
    imports: &'a [ImportLinkage],
    threads: usize,
) -> CompileOptions<'a> {
    CompileOptions { addressing, signatures, imports, threads, verify_ir: false, canonical_nans: false }
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

/// Says what is wrong with a module.
fn explain(path: &Path, error: &CompileError) -> Failure {
    let place = path.display().to_string();
    match error {
        CompileError::Component => {
            Failure::not_runnable("this is a component, and wave runs core modules").at(place).fix(
                "build for WASI preview 1: wasm32-wasip1 (Rust, C), GOOS=wasip1 (Go); `wave inspect` shows what it imports",
            )
        }
        CompileError::Processor(_) => Failure::refused(chain(error)).fix("`wave doctor` lists what is needed"),
        _ => Failure::not_runnable(chain(error)).at(place),
    }
}

/// Says why a module cannot be instantiated.
fn refuse(path: &Path, error: &LinkError) -> Failure {
    let place = path.display().to_string();
    match error {
        LinkError::Memory(MemoryError::Limit { .. }) => {
            Failure::memory_limit(chain(error)).at(place).fix("raise --max-memory")
        }
        LinkError::Import { .. } => Failure::not_runnable(chain(error)).at(place),
        _ => Failure::refused(chain(error)).at(place),
    }
}
