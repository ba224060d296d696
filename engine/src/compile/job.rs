//! The compile job, and the number of its threads.

use crate::progress::{Step, Watch, counted};
use serde::{Deserialize, Serialize};
use wave_compiler::{CompileError, CompileOptions, ImportLinkage, Module};
use wave_contract::artifact::CodeSettings;
use wave_contract::context::Addressing;
use wave_contract::image::CodeImage;
use wave_contract::types::TypeIds;
use wave_runtime::Placement;

/// Modules below this size are compiled by one thread. That also saves the call that counts the processors.
const SMALL_BYTES: usize = 64 << 10;

/// What the compiler needs besides the module, once the objects of the module have addresses.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// How code reaches its context.
    pub addressing: Addressing,
    /// Identity of every type.
    pub signatures: Vec<TypeIds>,
    /// For every imported function, whether the host implements it.
    pub host_imports: Vec<bool>,
    /// What is asked of the code beyond what the module says.
    pub settings: CodeSettings,
    /// Maximum threads for compiling.
    pub threads: usize,
    /// Whether somebody waits for it.
    pub watched: bool,
}

impl Job {
    /// The job for a module whose objects are placed.
    pub fn at(placement: &Placement, settings: CodeSettings, threads: usize) -> Self {
        Self {
            addressing: placement.addressing.clone(),
            signatures: placement.signatures.clone(),
            host_imports: placement.host_imports.clone(),
            settings,
            threads,
            watched: false,
        }
    }

    /// Compiles in this process. `watch` is called with each step.
    ///
    /// # Errors
    /// Any [`CompileError`].
    pub fn compile(&self, module: &Module<'_>, watch: Watch<'_>) -> Result<CodeImage, CompileError> {
        let linkage = |host: &bool| if *host { ImportLinkage::Host } else { ImportLinkage::Guest };
        let imports: Vec<ImportLinkage> = self.host_imports.iter().map(linkage).collect();
        let options = CompileOptions {
            addressing: self.addressing.clone(),
            signatures: &self.signatures,
            imports: &imports,
            threads: self.threads,
            verify_ir: false,
            settings: self.settings,
        };
        counted(watch, Step::Compiling, |each| module.compile_watched(&options, each))
    }
}

/// The number of threads to compile a module with.
pub fn threads(module_len: usize) -> usize {
    if module_len < SMALL_BYTES { 1 } else { default_threads() }
}

/// The number of threads for a large module: one for each processor.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
