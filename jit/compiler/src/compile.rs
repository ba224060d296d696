//! Compiles all functions of a module to one image.

use crate::emit::Environment;
use crate::error::CompileError;
use crate::hints::FunctionHints;
use crate::link::{self, Chunk};
use crate::module::{MAX_MODULE_BYTES, Module};
use crate::target::{Settings, Target, target};
use crate::throwing::Throwing;
use crate::translate::{self, Outcome, Scratch, Shape, Source};
use crate::{parallel, throwing, thunk};
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::print_errors::pretty_error;
use cranelift_codegen::{CodegenError, Context};
use cranelift_frontend::FunctionBuilderContext;
use std::collections::HashMap;
use wasmparser::WasmFeatures;
use wave_contract::artifact::CodeSettings;
use wave_contract::context::{Addressing, ContextLayout};
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_contract::types::{SignatureId, TypeIds};

/// How to compile a module.
#[derive(Debug, Clone)]
pub struct CompileOptions<'a> {
    /// How code finds its context.
    pub addressing: Addressing,
    /// Process-wide ids of each type, by type index.
    pub signatures: &'a [TypeIds],
    /// What each imported function is.
    pub imports: &'a [ImportLinkage],
    /// Maximum number of threads, this one included.
    pub threads: usize,
    /// Whether Cranelift checks the code it is given: for tests, it costs 40 % of the time.
    pub verify_ir: bool,
    /// What is asked of the code beyond what the module says.
    pub settings: CodeSettings,
}

/// What an imported function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportLinkage {
    /// A function of the host, see [`wave_contract::abi`].
    Host,
    /// A function of another instance.
    Guest,
}

/// Size that stands for a thunk when work is distributed.
const THUNK_BYTES: usize = 40;

/// Validates all bodies.
pub(crate) fn validate(module: &Module<'_>, threads: usize) -> Result<(), CompileError> {
    let Some(resources) = &module.resources else { return Ok(()) };
    throwing::check(module, threads)?;
    let weights: Vec<usize> = module.bodies.iter().map(|body| body.as_bytes().len()).collect();
    parallel::run(&weights, threads, Scratch::default, |scratch, body| {
        let function = module.info.imported_functions + body;
        let ty = module.info.functions[function as usize];
        let (body, features) = (&module.bodies[body as usize], module.features);
        let hints = FunctionHints::default();
        translate::validate(Source { function, ty, body, hints, resources, features, collector: None }, scratch)
    })
    .map(drop)
}

/// Compiles all functions.
pub(crate) fn compile(
    module: &Module<'_>,
    options: &CompileOptions<'_>,
    each: &(dyn Fn(usize) + Sync),
) -> Result<CodeImage, CompileError> {
    let info = &module.info;
    check(info, options)?;
    let &CompileOptions { verify_ir, settings: CodeSettings { canonical_nans, .. }, .. } = options;
    let settings = Settings { verify_ir, canonical_nans, optimize: true };
    let target = target(settings)?;
    let layout = ContextLayout::new(info).ok_or(CompileError::TooLarge {
        what: "context",
        len_bytes: u64::from(u32::MAX),
        max_bytes: MAX_MODULE_BYTES as u64,
    })?;
    let throwing = Throwing::of(module, options)?;
    let env = Environment { info, layout, options, throwing, objects: module.objects.as_ref() };
    let entries = entries(info, options.signatures);

    let imports = info.imported_functions as usize;
    let mut weights = vec![THUNK_BYTES; info.functions.len() + entries.len()];
    for (weight, body) in weights[imports..].iter_mut().zip(module.all_bodies()) {
        *weight = body.as_bytes().len();
    }
    let job = Job { module, env, entries: &entries, settings, target };
    let chunks = parallel::run(&weights, options.threads, Worker::default, |worker, index| {
        worker.compile(&job, index)?;
        each(weights.len());
        Ok(())
    })?;
    let chunks = chunks.into_iter().map(|worker| worker.chunk).collect();
    link::link(chunks, info.functions.len(), &entries, options.addressing.clone(), target.processor.clone())
}

/// Refuses options for another module, so that no index can be out of bounds later.
fn check(info: &ModuleInfo, options: &CompileOptions<'_>) -> Result<(), CompileError> {
    let mut sizes = vec![
        ("signatures", info.types.len(), options.signatures.len()),
        ("imports", info.imported_functions as usize, options.imports.len()),
    ];
    if let Some(fixed) = options.addressing.fixed() {
        sizes.push(("memory addresses", info.memories.len(), fixed.memories.len()));
        sizes.push(("table addresses", info.tables.len(), fixed.tables.len()));
        sizes.push(("global addresses", info.globals.len(), fixed.globals.len()));
    }
    match sizes.into_iter().find(|&(_, expected, found)| expected != found) {
        Some((what, expected, found)) => Err(CompileError::Options { what, expected, found }),
        None => Ok(()),
    }
}

/// The distinct signatures of the module's functions, each with a type index, in order of first use.
fn entries(info: &ModuleInfo, signatures: &[TypeIds]) -> Vec<(SignatureId, u32)> {
    let mut entries = Vec::new();
    let mut seen = HashMap::new();
    for &ty in &info.functions {
        let signature = signatures[ty as usize].exact;
        seen.entry(signature).or_insert_with(|| entries.push((signature, ty)));
    }
    entries
}

/// What all workers read.
struct Job<'a, 'm> {
    module: &'a Module<'m>,
    env: Environment<'a>,
    entries: &'a [(SignatureId, u32)],
    settings: Settings,
    target: &'static Target,
}

impl<'m> Job<'_, 'm> {
    /// The body of a function that is not imported.
    fn source(&self, function: u32) -> Source<'_, 'm> {
        let module = self.module;
        let ty = self.env.function_type_index(function);
        let number = (function - self.env.info.imported_functions) as usize;
        if let (Some(objects), Some(number)) = (&module.objects, number.checked_sub(module.bodies.len())) {
            let (body, resources, collector) =
                (&objects.bodies[number], &objects.resources, objects.types.get(number).copied());
            let (hints, features) = (FunctionHints::default(), WasmFeatures::WASM2);
            return Source { function, ty, body, hints, resources, features, collector };
        }
        let resources = module.resources.as_ref().expect("a body was validated against them");
        let (body, hints) = (&module.bodies[number], module.hints.of(function));
        Source { function, ty, body, hints, resources, features: module.features, collector: None }
    }
}

/// One thread's compiler, and the functions it has compiled.
struct Worker {
    context: Context,
    builders: FunctionBuilderContext,
    scratch: Scratch,
    chunk: Chunk,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            context: Context::new(),
            builders: FunctionBuilderContext::new(),
            scratch: Scratch::default(),
            chunk: Chunk::default(),
        }
    }
}

impl Worker {
    /// Compiles one function of the index space. Indexes past the functions are entry thunks.
    fn compile(&mut self, job: &Job<'_, '_>, index: u32) -> Result<(), CompileError> {
        let mut isa = &*job.target.isa;
        let (env, config) = (&job.env, isa.frontend_config());
        let func = &mut self.context.func;
        if let Some(number) = (index as usize).checked_sub(env.info.functions.len()) {
            let (_, ty) = job.entries[number];
            let number = index - u32::try_from(env.info.functions.len()).expect("fewer functions than indexes");
            thunk::entry(env, number, ty, func, &mut self.builders, &mut self.scratch.emit, config);
        } else if let Some(linkage) = env.linkage(index) {
            thunk::import(env, index, linkage, func, &mut self.builders, &mut self.scratch.emit, config)?;
        } else {
            let source = job.source(index);
            let Self { context, builders, scratch, .. } = self;
            let outcome =
                translate::translate(env, source, Shape::Usual, &mut context.func, builders, scratch, config)?;
            if matches!(outcome, Outcome::TooDeep) {
                *builders = FunctionBuilderContext::new();
                context.clear();
                translate::translate(env, source, Shape::Deep, &mut context.func, builders, scratch, config)?;
                isa = &*target(Settings { optimize: false, ..job.settings })?.isa;
            }
        }
        let failure = |message| CompileError::Codegen { function: index, message };
        if let Err(error) = self.context.compile(isa, &mut ControlPlane::default()) {
            return Err(failure(match error.inner {
                CodegenError::Verifier(_) => pretty_error(error.func, error.inner),
                other => other.to_string(),
            }));
        }
        let compiled = self.context.compiled_code().expect("it was compiled just now");
        self.chunk.push(index, compiled, &self.context.func).map_err(failure)?;
        self.context.clear();
        Ok(())
    }
}
