//! Modules compiled for addresses such as a run could have. Also for the mutants and `fuzz/`.

use wave_compiler::{CompileOptions, ImportLinkage, Module};
use wave_contract::context::{Addressing, FixedAddresses};
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_contract::types::SignatureRegistry;

// Of the crate, or of this one where the tests are part of it.
use super::Terms;

/// How a module's code reaches its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Fixed,
    Arg,
}

/// A compiled module.
#[allow(dead_code, reason = "each user takes its part")]
pub struct Compiled {
    pub bytes: Vec<u8>,
    pub info: ModuleInfo,
    pub terms: Terms,
    pub image: CodeImage,
}

/// Compiles a module, given as text or as bytes. All that it imports is the host's.
pub fn compiled(mode: Mode, module: &[u8], threads: usize) -> Compiled {
    let bytes = wat::parse_bytes(module).expect("a module").into_owned();
    let module = Module::parse(&bytes).expect("a valid module");
    let info = module.info().clone();
    let mut registry = SignatureRegistry::default();
    let terms = Terms {
        addressing: match mode {
            Mode::Fixed => Addressing::Fixed(FixedAddresses::imagined(&info).expect("a module that has room")),
            Mode::Arg => Addressing::Arg,
        },
        signatures: info.types.iter().map(|ty| registry.intern(ty)).collect(),
        host_imports: vec![true; info.imported_functions as usize],
    };
    let options = CompileOptions {
        addressing: terms.addressing.clone(),
        signatures: &terms.signatures,
        imports: &vec![ImportLinkage::Host; terms.host_imports.len()],
        threads,
        verify_ir: true,
        canonical_nans: false,
    };
    let image = module.compile(&options).expect("it compiles");
    Compiled { bytes, info, terms, image }
}
