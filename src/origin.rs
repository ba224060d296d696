//! Where the code of a program comes from: the cache, a compiled program, or the compiler.

use crate::artefact;
use crate::cache::{Cache, Content, Kept, Name};
use crate::compiler::{self, Compiler};
use crate::failure::Failure;
use crate::input;
use crate::plan::Plan;
use crate::program;
use std::path::Path;
use wave_contract::digest::digest;
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_verifier::Verified;

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
    /// From a compiler.
    Compiler(Compiler),
    /// From a compiled file, by anybody. The compiler only reads what the module in it declares.
    Artefact(Compiler, Box<CodeImage>),
    /// From an earlier run, in which this user's verifier accepted it. `bytes` are what the declarations speak of.
    Cache { bytes: Vec<u8>, accepted: Box<(Verified<CodeImage>, ModuleInfo)>, otherwise: Otherwise<'a> },
}

/// Where code goes that was compiled or read now, and proved. The name is that of the bytes it comes from.
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
            // A pipe is read once: who writes to it would notice that it was opened before.
            Some((cache, wanted)) if bytes.is_none() && input::is_regular(path) && plan.policy.is_none() => {
                match Self::of_file(path, cache, wanted, start) {
                    Ok(found) => return Ok(found),
                    Err(cache) => (Some(cache), Some(wanted)),
                }
            }
            cache => cache.unzip(),
        };

        let bytes = bytes.map_or_else(|| input::read_file_within(path, plan.compile_timeout), Ok)?;
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
        let threads = compiler::threads(bytes.len());
        let name = |content, wanted: Wanted| wanted.name(content, &bytes, threads);
        let keep = cache.zip(wanted).zip(content);
        let keep = keep.and_then(|((cache, wanted), content)| Some((cache, name(content, wanted)?)));
        let kept = keep.as_ref().and_then(|(cache, name)| cache.find(name, threads));
        if let Some(Kept { seed, accepted, data }) = kept {
            let otherwise: Otherwise<'a> = match content {
                // The module in it is another program.
                Some(Content::Artefact) => {
                    let failure = program::addresses_are_taken(path);
                    Box::new(move || Err(failure))
                }
                _ => Box::new(move || start(bytes)),
            };
            let source = Source::Cache { bytes: data, accepted, otherwise };
            return Ok(Self { source, keep, seed: Some(seed), threads });
        }
        let (source, seed) = match content {
            Some(Content::Artefact) => {
                let artefact = artefact::read(path, &bytes)?;
                artefact::agrees(path, &artefact, plan.deterministic)?;
                (Source::Artefact(start(artefact.module)?, Box::new(artefact.image)), Some(artefact.origin.seed))
            }
            _ => (Source::Compiler(start(bytes)?), None),
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
        let Some((name, threads, Kept { seed, accepted, data })) = find() else { return Err(cache) };
        let path = path.to_owned();
        let otherwise = Box::new(move || {
            let bytes = input::read_file(&path)?;
            if wanted.name(Content::Module, &bytes, threads) != Some(name) {
                return Err(Failure::refused("the module changes while it is read").at(path.display().to_string()));
            }
            start(bytes)
        });
        let source = Source::Cache { bytes: data, accepted, otherwise };
        Ok(Self { source, keep: Some((cache, name)), seed: Some(seed), threads })
    }
}

impl Wanted {
    fn name(self, content: Content, bytes: &[u8], threads: usize) -> Option<Name> {
        Name::new(content, &digest(bytes, threads), self.processor, self.canonical_nans, threads)
    }
}
