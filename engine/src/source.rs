//! Where the code of a program comes from: the cache, a compiled file, or the compiler.

use crate::artifact;
use crate::cache::{Cache, CachedCode, Content, EntryName, LARGE_BYTES};
use crate::compile::{self, Compiler};
use crate::failure::Failure;
use crate::input::{self, Module};
use crate::plan::Plan;
use std::path::Path;
use wave_contract::artifact::CodeSettings;
use wave_contract::digest::digest;
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_runtime::DebugFile;
use wave_verifier::Verified;

/// The code of a program before it is loaded.
pub struct Source<'a> {
    /// Where it comes from.
    pub code: CodeSource<'a>,
    /// Where to cache the code after it is verified.
    pub slot: Option<CacheSlot>,
    /// The seed of its addresses, if the code exists already.
    pub seed: Option<u64>,
    /// Number of threads for compiling and verifying.
    pub threads: usize,
}

/// Where code comes from.
pub enum CodeSource<'a> {
    /// The compiler.
    Compile(Compiler),
    /// A compiled file, which anyone could have built. The compiler only reads the declarations of the module in it.
    Precompiled(Compiler, Box<CodeImage>),
    /// The cache: this user's verifier accepted the code in an earlier run. `bytes` are the bytes that the declarations
    /// refer to.
    Cached {
        bytes: Vec<u8>,
        debug: Option<DebugFile>,
        accepted: Box<(Verified<CodeImage>, ModuleInfo)>,
        /// Used if the addresses of the code are in use.
        recompile: Recompile<'a>,
    },
}

/// The cache entry for verified code. Its name is derived from the module or the compiled file.
pub struct CacheSlot {
    pub cache: Cache,
    pub name: EntryName,
}

/// Starts a compiler for a module.
pub type StartCompiler<'a> = &'a dyn Fn(Vec<u8>) -> Result<Compiler, Failure>;

/// Starts a compiler for a program whose cached code cannot be used.
pub type Recompile<'a> = Box<dyn FnOnce() -> Result<Compiler, Failure> + 'a>;

/// What code must have been compiled for.
#[derive(Clone, Copy)]
struct Target {
    processor: &'static str,
    settings: CodeSettings,
}

impl<'a> Source<'a> {
    /// Finds the code of a program in the cache, or starts to compile it. This process must have a single thread.
    ///
    /// # Errors
    /// If the module cannot be read, does not match the pin of the policy, or the compiler cannot be started.
    pub fn find(plan: &Plan, module: Module, cache: Option<Cache>, start: StartCompiler<'a>) -> Result<Self, Failure> {
        let (path, bytes) = (&module.name, module.bytes);
        let target = || {
            let processor = wave_compiler::processor().ok()?;
            Some(Target { processor, settings: plan.code_settings() })
        };
        let cache = cache.zip(target());
        // A pipe can be read only once, and its writer would notice an extra open.
        let is_large = || input::regular_len(path).is_some_and(|len| len >= LARGE_BYTES);
        // A policy pins another hash than the cache uses, so the module has to be read for it.
        let (cache, target) = match cache {
            Some((cache, target)) if bytes.is_none() && plan.policy.is_none() && is_large() => {
                match Self::of_file(path, cache, target, start) {
                    Ok(found) => return Ok(found),
                    Err(cache) => (Some(cache), Some(target)),
                }
            }
            cache => cache.unzip(),
        };

        let bytes = bytes.map_or_else(|| input::read_file_within(path, plan.limits.compile_timeout()), Ok)?;
        if let Some(policy) = &plan.policy {
            policy.check_pin(path, &bytes)?;
        }
        Self::of_bytes(plan, path, bytes, cache.zip(target), start)
    }

    /// Finds the code of a program whose bytes were read and match the policy, or starts to compile it.
    fn of_bytes(
        plan: &Plan,
        path: &Path,
        bytes: Vec<u8>,
        cache: Option<(Cache, Target)>,
        start: StartCompiler<'a>,
    ) -> Result<Self, Failure> {
        let content = Content::of(&bytes);
        if content == Some(Content::Artifact) && !plan.verify {
            return Err(Failure::refused("the code of a compiled file must be verified: anyone could have built it")
                .at(path.display().to_string())
                .fix("drop --no-verify, or run the module"));
        }
        let threads = compile::threads(bytes.len());
        let name = |content, target: Target| target.name(content, &bytes, threads);
        let slot = cache.zip(content);
        let slot = slot.and_then(|((cache, target), content)| Some(CacheSlot { cache, name: name(content, target)? }));
        let cached = slot.as_ref().and_then(|CacheSlot { cache, name }| cache.find(name, threads));
        if let Some(CachedCode { seed, accepted, data, debug }) = cached {
            let recompile: Recompile<'a> = match content {
                // The module in a compiled file may be another program, so it is not compiled instead.
                Some(Content::Artifact) => {
                    let failure = artifact::addresses_are_taken(path);
                    Box::new(move || Err(failure))
                }
                _ => Box::new(move || start(bytes)),
            };
            let code = CodeSource::Cached { bytes: data, debug, accepted, recompile };
            return Ok(Self { code, slot, seed: Some(seed), threads });
        }
        let (code, seed) = match content {
            Some(Content::Artifact) => {
                let artifact = artifact::read(path, &bytes)?;
                artifact::check_settings(path, &artifact, plan.code_settings())?;
                let seed = artifact.origin.seed;
                (CodeSource::Precompiled(start(artifact.module)?, Box::new(artifact.image)), Some(seed))
            }
            _ => (CodeSource::Compile(start(bytes)?), None),
        };
        Ok(Self { code, slot, seed, threads })
    }

    /// Finds the cached code of a large module without reading the module into memory.
    fn of_file(path: &Path, cache: Cache, target: Target, start: StartCompiler<'a>) -> Result<Self, Cache> {
        let find = || {
            let threads = compile::default_threads();
            let name = cache.name_of_file(path, target.processor, target.settings, threads)?;
            Some((name, threads, cache.find(&name, threads)?))
        };
        let Some((name, threads, CachedCode { seed, accepted, data, debug })) = find() else { return Err(cache) };
        let path = path.to_owned();
        let recompile = Box::new(move || {
            let bytes = input::read_file(&path)?;
            if target.name(Content::Module, &bytes, threads) != Some(name) {
                return Err(Failure::refused("the module changed while it was read").at(path.display().to_string()));
            }
            start(bytes)
        });
        let code = CodeSource::Cached { bytes: data, debug, accepted, recompile };
        Ok(Self { code, slot: Some(CacheSlot { cache, name }), seed: Some(seed), threads })
    }
}

impl Target {
    fn name(self, content: Content, bytes: &[u8], threads: usize) -> Option<EntryName> {
        EntryName::new(content, &digest(bytes, threads), self.processor, self.settings, threads)
    }
}
