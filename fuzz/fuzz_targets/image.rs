//! Arbitrary bytes as the code of a function, and as what the tables say of it: refused or accepted within the budget, never a
//! panic (T71, T72).
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use wave_compiler::{CompileOptions, ImportLinkage, Module};
use wave_contract::context::{Addressing, FixedAddresses};
use wave_contract::image::{CodeImage, CodeRange};
use wave_contract::types::SignatureRegistry;
use wave_verifier::{Terms, verify};

/// What the mutants of the verifier's own tests are made of.
const MODULE: &[u8] = include_bytes!("../../jit/verifier/src/mutants/guest.wat");

/// Most steps for a byte of code, and what each function has besides; see `walk.rs`.
const STEPS_PER_BYTE: u64 = 32;
const STEPS: u64 = 256;

/// The module's bytes; and its image in both modes.
static GUEST: LazyLock<(Vec<u8>, [(CodeImage, Terms); 2])> = LazyLock::new(|| {
    let bytes = wat::parse_bytes(MODULE).expect("a module").into_owned();
    let module = Module::parse(&bytes).expect("a valid module");
    let info = module.info();
    let fixed = Addressing::Fixed(FixedAddresses::imagined(info).expect("a small module"));
    let images = [fixed, Addressing::Arg].map(|addressing| {
        let mut registry = SignatureRegistry::default();
        let terms = Terms {
            addressing,
            signatures: info.types.iter().map(|ty| registry.intern(ty)).collect(),
            host_imports: vec![true; info.imported_functions as usize],
        };
        let options = CompileOptions {
            addressing: terms.addressing.clone(),
            signatures: &terms.signatures,
            imports: &vec![ImportLinkage::Host; terms.host_imports.len()],
            threads: 1,
            verify_ir: false,
            canonical_nans: false,
        };
        (module.compile(&options).expect("it compiles"), terms)
    });
    drop(module);
    (bytes, images)
});

fuzz_target!(|input: &[u8]| {
    let [mode, function, tables, rest @ ..] = input else { return };
    let (module, images) = &*GUEST;
    let (image, terms) = &images[usize::from(mode & 1)];
    let mut image = image.clone();
    let function = usize::from(*function) % image.functions.len();
    let (tables, code) = rest.split_at(rest.len().min(3 * usize::from(*tables)));
    let start = u32::try_from(image.text.len().next_multiple_of(64)).expect("a small text");
    image.text.resize(start as usize, 0xcc);
    image.text.extend_from_slice(code);
    image.functions[function] = CodeRange { start, len: u32::try_from(code.len()).expect("a small input") };
    for entry in tables.as_chunks::<3>().0 {
        let [low, high, value] = *entry;
        let at = start + u32::from(u16::from_le_bytes([low, high]));
        match mode & 2 {
            0 => image.traps.push(at, value),
            _ => image.sources.push(at, value.into()),
        }
    }
    if let Ok((_, report)) = verify(image, module, terms.clone(), 1) {
        assert!(report.steps <= STEPS_PER_BYTE * report.bytes + STEPS * report.functions);
    }
});
