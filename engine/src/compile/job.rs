//! What is compiled once the objects of a module have addresses, and with how many threads.

use serde::{Deserialize, Serialize};
use wave_compiler::{CompileError, CompileOptions, ImportLinkage, Module};
use wave_contract::context::Addressing;
use wave_contract::image::CodeImage;
use wave_contract::types::SignatureId;

/// Modules below this size are compiled by one thread, so nobody asks how many processors there are.
const SMALL_BYTES: usize = 64 << 10;

/// What is to be compiled once the objects of a module have addresses.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// How code reaches its context.
    pub addressing: Addressing,
    /// Identity of every type.
    pub signatures: Vec<SignatureId>,
    /// For every imported function, whether the host implements it.
    pub host_imports: Vec<bool>,
    /// Whether NaNs that are computed have one bit pattern.
    pub canonical_nans: bool,
    /// Most threads to compile with.
    pub threads: usize,
}

impl Job {
    /// Compiles in this process.
    ///
    /// # Errors
    /// Any [`CompileError`].
    pub fn compile(&self, module: &Module<'_>) -> Result<CodeImage, CompileError> {
        let linkage = |host: &bool| if *host { ImportLinkage::Host } else { ImportLinkage::Guest };
        let imports: Vec<ImportLinkage> = self.host_imports.iter().map(linkage).collect();
        module.compile(&CompileOptions {
            addressing: self.addressing.clone(),
            signatures: &self.signatures,
            imports: &imports,
            threads: self.threads,
            verify_ir: false,
            canonical_nans: self.canonical_nans,
        })
    }
}

/// With how many threads a module is compiled.
pub fn threads(module_len: usize) -> usize {
    if module_len < SMALL_BYTES { 1 } else { default_threads() }
}

/// How many threads compile when nobody says otherwise.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
