//! Where the code of a program comes from: the cache, a compiled program, or the compiler.

use crate::artefact;
use crate::cache::{Cache, Kept, Name};
use crate::compiler::{self, Compiler};
use crate::failure::Failure;
use crate::input;
use crate::plan::Plan;
use std::path::Path;
use wave_contract::artefact::Artefact;
use wave_contract::digest::digest;
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_verifier::{Recalled, Verified};

/// What is known of a program's code before it is loaded.
pub struct Origin<'a> {
    /// Where it comes from.
    pub source: Source<'a>,
    /// Where it goes once it is proved.
    pub keep: Keep,
    /// What its addresses follow from, if it is there.
    pub seed: Option<u64>,
    /// With how many threads it is worked on.
    pub threads: usize,
}

/// Where code comes from.
pub enum Source<'a> {
    /// From a compiler, unless somebody made it that nobody trusts.
    Compiler(Compiler, Option<Box<Made>>),
    /// From an earlier run, in which this user's verifier accepted it. `bytes` are what the declarations speak of.
    Cache { bytes: Vec<u8>, accepted: Box<(Verified<CodeImage>, ModuleInfo)>, otherwise: Otherwise<'a> },
}

/// Code of unknown origin.
pub struct Made {
    pub image: CodeImage,
    /// Whether no other will do.
    pub must: bool,
}

/// Where code goes that was proved now.
pub type Keep = Option<(Cache, Name)>;

/// Starts a compiler for a module.
pub type Start<'a> = &'a dyn Fn(Vec<u8>) -> Result<Compiler, Failure>;

/// Starts a compiler after all.
pub type Otherwise<'a> = Box<dyn FnOnce() -> Result<Compiler, Failure> + 'a>;

/// How code must have been made.
#[derive(Clone, Copy)]
struct Wanted {
    processor: &'static str,
    canonical_nans: bool,
}

impl<'a> Origin<'a> {
    /// Looks for the code of a program, else starts to compile it. `bytes`: the module, if it was read already. Not before this
    /// process has one thread.
    ///
    /// # Errors
    /// When the module cannot be read, is not the one of the policy, or the compiler cannot be started.
    pub fn find(plan: &Plan, bytes: Option<Vec<u8>>, start: Start<'a>) -> Result<Self, Failure> {
        let path = &plan.module;
        let wanted = || {
            let processor = wave_compiler::processor().ok()?;
            Some(Wanted { processor, canonical_nans: plan.deterministic })
        };
        let cache = plan.cache.then(Cache::open).and_then(Result::ok).zip(wanted());
        // The hash in a policy is another one, for which the module is read.
        let (cache, wanted) = match cache {
            Some((cache, wanted)) if bytes.is_none() && path != Path::new("-") && plan.policy.is_none() => {
                match Self::of_file(path, cache, wanted, start) {
                    Ok(found) => return Ok(found),
                    Err(cache) => (Some(cache), Some(wanted)),
                }
            }
            cache => cache.unzip(),
        };

        let bytes = bytes.map_or_else(|| input::read_file(path), Ok)?;
        let (bytes, made) = match Artefact::is_one(&bytes) {
            true => {
                let artefact = artefact::read(path, &bytes)?;
                artefact::agrees(path, &artefact, plan.deterministic)?;
                (artefact.module, Some((artefact.image, artefact.origin.seed)))
            }
            false => (bytes, None),
        };
        if let Some(policy) = &plan.policy {
            policy.check_pin(path, &bytes)?;
        }
        let threads = compiler::threads(bytes.len());
        // Of text, the compiler makes a module first.
        let cache = cache.zip(wanted).filter(|_| bytes.starts_with(b"\0asm"));
        let keep = cache.and_then(|(cache, wanted)| Some((cache, wanted.name(&bytes, threads)?)));
        let kept = keep.as_ref().and_then(|(cache, name)| cache.find(name, threads));
        let (source, seed) = match (kept, made) {
            (Some(Kept { seed, code: Recalled::Verified(accepted), data }), _) => {
                let otherwise = Box::new(move || start(bytes));
                (Source::Cache { bytes: data, accepted, otherwise }, Some(seed))
            }
            (_, Some((image, seed))) => {
                (Source::Compiler(start(bytes)?, Some(Box::new(Made { image, must: true }))), Some(seed))
            }
            (Some(Kept { seed, code: Recalled::Unproved(image), .. }), None) => {
                (Source::Compiler(start(bytes)?, Some(Box::new(Made { image: *image, must: false }))), Some(seed))
            }
            (None, None) => (Source::Compiler(start(bytes)?, None), None),
        };
        Ok(Self { source, keep, seed, threads })
    }

    /// Code of the large module in a file, without reading that into memory.
    fn of_file(path: &Path, cache: Cache, wanted: Wanted, start: Start<'a>) -> Result<Self, Cache> {
        let find = || {
            let threads = compiler::default_threads();
            let name = cache.name_of_file(path, wanted.processor, wanted.canonical_nans, threads)?;
            Some((name, threads, cache.find(&name, threads)?))
        };
        let Some((name, threads, Kept { seed, code: Recalled::Verified(accepted), data })) = find() else {
            return Err(cache);
        };
        let path = path.to_owned();
        let otherwise = Box::new(move || {
            let bytes = input::read(&path)?;
            if wanted.name(&bytes, threads) != Some(name) {
                return Err(Failure::refused("the module changes while it is read").at(path.display().to_string()));
            }
            start(bytes)
        });
        let source = Source::Cache { bytes: data, accepted, otherwise };
        Ok(Self { source, keep: Some((cache, name)), seed: Some(seed), threads })
    }
}

impl Wanted {
    fn name(self, module: &[u8], threads: usize) -> Option<Name> {
        Name::new(&digest(module, threads), self.processor, self.canonical_nans)
    }
}
