//! Where the code of a program comes from: the cache, a compiled file, or the compiler.

use crate::artefact;
use crate::cache::{Cache, CachedCode, Content, EntryName};
use crate::compile::{self, Compiler};
use crate::failure::Failure;
use crate::input::{self, Module};
use crate::plan::Plan;
use std::path::Path;
use wave_contract::digest::digest;
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_verifier::Verified;

/// What is known of a program's code before it is loaded.
pub struct Source<'a> {
    /// Where it comes from.
    pub code: CodeSource<'a>,
    /// Where it is cached once it is verified.
    pub slot: Option<CacheSlot>,
    /// What its addresses follow from, if it is there.
    pub seed: Option<u64>,
    /// With how many threads it is worked on.
    pub threads: usize,
}

/// Where code comes from.
pub enum CodeSource<'a> {
    /// The compiler.
    Compile(Compiler),
    /// A compiled file, by anybody. The compiler only reads what the module in it declares.
    Precompiled(Compiler, Box<CodeImage>),
    /// An earlier run, in which this user's verifier accepted it. `bytes` are what the declarations speak of.
    Cached {
        bytes: Vec<u8>,
        accepted: Box<(Verified<CodeImage>, ModuleInfo)>,
        /// If something else is at its addresses.
        recompile: Recompile<'a>,
    },
}

/// Where in the cache verified code goes. The name is that of the bytes it comes from.
pub struct CacheSlot {
    pub cache: Cache,
    pub name: EntryName,
}

/// Starts a compiler for a module.
pub type StartCompiler<'a> = &'a dyn Fn(Vec<u8>) -> Result<Compiler, Failure>;

/// Starts a compiler for a program whose cached code cannot be used.
pub type Recompile<'a> = Box<dyn FnOnce() -> Result<Compiler, Failure> + 'a>;

/// With which settings code must have been compiled.
#[derive(Clone, Copy)]
struct Settings {
    processor: &'static str,
    canonical_nans: bool,
}

impl<'a> Source<'a> {
    /// Looks for the code of a program, else starts to compile it. Not before this process has one thread.
    ///
    /// # Errors
    /// When the module cannot be read, is not the one of the policy, or the compiler cannot be started.
    pub fn find(plan: &Plan, module: Module, start: StartCompiler<'a>) -> Result<Self, Failure> {
        let (path, bytes) = (&module.name, module.bytes);
        let settings = || {
            let processor = wave_compiler::processor().ok()?;
            Some(Settings { processor, canonical_nans: plan.deterministic })
        };
        let cache = plan.cache.then(Cache::open).and_then(Result::ok).zip(settings());
        // The hash in a policy is another one, for which the module is read.
        let (cache, settings) = match cache {
            // A pipe is read once: who writes to it would notice that it was opened before.
            Some((cache, settings)) if bytes.is_none() && input::is_regular(path) && plan.policy.is_none() => {
                match Self::of_file(path, cache, settings, start) {
                    Ok(found) => return Ok(found),
                    Err(cache) => (Some(cache), Some(settings)),
                }
            }
            cache => cache.unzip(),
        };

        let bytes = bytes.map_or_else(|| input::read_file_within(path, plan.limits.compile_timeout()), Ok)?;
        if let Some(policy) = &plan.policy {
            policy.check_pin(path, &bytes)?;
        }
        let content = Content::of(&bytes);
        if content == Some(Content::Artefact) && !plan.verify {
            return Err(Failure::refused(
                "the code of a compiled file runs verified or not at all: anybody can have made it",
            )
            .at(path.display().to_string())
            .fix("drop --no-verify, or run the module"));
        }
        let threads = compile::threads(bytes.len());
        let name = |content, settings: Settings| settings.name(content, &bytes, threads);
        let slot = cache.zip(settings).zip(content);
        let slot =
            slot.and_then(|((cache, settings), content)| Some(CacheSlot { cache, name: name(content, settings)? }));
        let cached = slot.as_ref().and_then(|CacheSlot { cache, name }| cache.find(name, threads));
        if let Some(CachedCode { seed, accepted, data }) = cached {
            let recompile: Recompile<'a> = match content {
                // The module in it is another program.
                Some(Content::Artefact) => {
                    let failure = artefact::addresses_are_taken(path);
                    Box::new(move || Err(failure))
                }
                _ => Box::new(move || start(bytes)),
            };
            let code = CodeSource::Cached { bytes: data, accepted, recompile };
            return Ok(Self { code, slot, seed: Some(seed), threads });
        }
        let (code, seed) = match content {
            Some(Content::Artefact) => {
                let artefact = artefact::read(path, &bytes)?;
                artefact::check_settings(path, &artefact, plan.deterministic)?;
                let seed = artefact.origin.seed;
                (CodeSource::Precompiled(start(artefact.module)?, Box::new(artefact.image)), Some(seed))
            }
            _ => (CodeSource::Compile(start(bytes)?), None),
        };
        Ok(Self { code, slot, seed, threads })
    }

    /// Code of the large module in a file, without reading that into memory.
    fn of_file(path: &Path, cache: Cache, settings: Settings, start: StartCompiler<'a>) -> Result<Self, Cache> {
        let find = || {
            let threads = compile::default_threads();
            let name = cache.name_of_file(path, settings.processor, settings.canonical_nans, threads)?;
            Some((name, threads, cache.find(&name, threads)?))
        };
        let Some((name, threads, CachedCode { seed, accepted, data })) = find() else { return Err(cache) };
        let path = path.to_owned();
        let recompile = Box::new(move || {
            let bytes = input::read_file(&path)?;
            if settings.name(Content::Module, &bytes, threads) != Some(name) {
                return Err(Failure::refused("the module changes while it is read").at(path.display().to_string()));
            }
            start(bytes)
        });
        let code = CodeSource::Cached { bytes: data, accepted, recompile };
        Ok(Self { code, slot: Some(CacheSlot { cache, name }), seed: Some(seed), threads })
    }
}

impl Settings {
    fn name(self, content: Content, bytes: &[u8], threads: usize) -> Option<EntryName> {
        EntryName::new(content, &digest(bytes, threads), self.processor, self.canonical_nans, threads)
    }
}
