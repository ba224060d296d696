//! Modules compiled for addresses such as a run could have, for the tests of the verifier and for `fuzz/`. None of it runs.
#![forbid(unsafe_code)]

use wave_compiler::{CompileOptions, ImportLinkage, Module};
use wave_contract::artifact::CodeSettings;
use wave_contract::context::{Addressing, FixedAddresses};
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_contract::types::SignatureRegistry;
use wave_verifier::Terms;

/// How a module's code reaches its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By addresses in the code.
    Fixed,
    /// By the first argument of each function.
    Arg,
}

/// A compiled module.
pub struct Compiled {
    /// The module.
    pub bytes: Vec<u8>,
    /// Its declarations.
    pub info: ModuleInfo,
    /// What its code is verified against.
    pub terms: Terms,
    /// Its code.
    pub image: CodeImage,
}

/// Compiles a module, given as text or as bytes. All that it imports is the host's.
pub fn compiled(mode: Mode, module: &[u8], threads: usize) -> Compiled {
    compiled_with(CodeSettings::default(), mode, module, threads)
}

/// The same, with settings.
pub fn compiled_with(settings: CodeSettings, mode: Mode, module: &[u8], threads: usize) -> Compiled {
    let bytes = wat::parse_bytes(module).expect("a module").into_owned();
    let module = Module::parse(&bytes).expect("a valid module");
    let info = module.info().clone();
    let mut registry = SignatureRegistry::default();
    let terms = Terms {
        addressing: match mode {
            Mode::Fixed => Addressing::Fixed(FixedAddresses::imagined(&info).expect("a module that has room")),
            Mode::Arg => Addressing::Arg,
        },
        signatures: registry.intern_module(&info),
        host_imports: vec![true; info.imported_functions as usize],
    };
    let options = CompileOptions {
        addressing: terms.addressing.clone(),
        signatures: &terms.signatures,
        imports: &vec![ImportLinkage::Host; terms.host_imports.len()],
        threads,
        verify_ir: true,
        settings,
    };
    let image = module.compile(&options).expect("it compiles");
    Compiled { bytes, info, terms, image }
}
