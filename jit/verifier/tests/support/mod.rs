//! Functions written by hand, in the place of one that was compiled.

#![allow(dead_code, reason = "each test uses its part")]

use iced_x86::IcedError;
use iced_x86::code_asm::CodeAssembler;
use std::ops::Deref;
use wave_contract::image::{CodeImage, CodeRange, TEXT_PADDING};
use wave_contract::offsets::{OffsetTable, OffsetValue};
use wave_contract::types::SignatureId;
use wave_test_imagined::{Compiled, compiled};
use wave_verifier::{Refusal, Report, Rule, VerifyError, verify};

pub use wave_test_imagined::Mode;

/// `FixedAddresses::imagined`, which the tests below rely on.
pub const CONTEXT: u64 = 0x1000_0000;
pub const RESULTS: u64 = 0x1800_0000;
pub const DESCRIPTOR: u64 = 0x1900_0000;
pub const CELL: u64 = 0x1a00_0000;
pub const FUNCTIONS: u64 = 0x1c00_0000;
pub const TABLES: u64 = 0x2000_0000;
pub const MEMORY: u64 = 0x4000_0000;

/// A compiled module.
pub struct Bench(Compiled);

impl Deref for Bench {
    type Target = Compiled;

    fn deref(&self) -> &Compiled {
        &self.0
    }
}

impl Bench {
    pub fn new(mode: Mode, module: &[u8]) -> Self {
        Self(compiled(mode, module, 1))
    }

    /// Where a function begins.
    pub fn function(&self, index: usize) -> u64 {
        self.image.functions[index].start.into()
    }

    pub fn signature(&self, ty: usize) -> SignatureId {
        self.terms.signatures[ty].exact
    }

    /// The image with other code in the place of a function, behind all the rest.
    pub fn with(&self, function: usize, code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> CodeImage {
        let mut assembler = CodeAssembler::new(64).expect("64 bits are known");
        code(&mut assembler).expect("instructions that exist");
        let start = self.image.text.len().next_multiple_of(64);
        let bytes = assembler.assemble(start as u64).expect("labels are set");
        self.with_bytes(function, &bytes)
    }

    pub fn with_bytes(&self, function: usize, code: &[u8]) -> CodeImage {
        let mut image = self.image.clone();
        let old = image.functions[function];
        image.text[old.start as usize..][..old.len as usize].fill(TEXT_PADDING);
        image.text.resize(image.text.len().next_multiple_of(64), TEXT_PADDING);
        let start = u32::try_from(image.text.len()).expect("a small image");
        image.text.extend_from_slice(code);
        image.functions[function] = CodeRange { start, len: u32::try_from(code.len()).expect("a small function") };
        image.traps = without(&image.traps, old);
        image.sources = without(&image.sources, old);
        image
    }

    pub fn verify(&self, image: CodeImage) -> Result<Report, Vec<Refusal>> {
        match verify(image, &self.bytes, self.terms.clone(), 1) {
            Ok((_, report)) => Ok(report),
            Err(VerifyError::Refused(refusals)) => Err(refusals),
            Err(error) => panic!("{error}"),
        }
    }

    /// It is in order.
    #[track_caller]
    pub fn accepts(&self, what: &str, image: CodeImage) {
        if let Err(refusals) = self.verify(image) {
            panic!("{what}: {}", refusals[0]);
        }
    }

    /// It breaks this rule, and no other function any.
    #[track_caller]
    pub fn refuses(&self, rule: Rule, what: &str, image: CodeImage) -> Refusal {
        match self.verify(image).map_err(<[_; 1]>::try_from) {
            Ok(_) => panic!("{what} is accepted"),
            Err(Ok([refusal])) => {
                assert_eq!(refusal.rule, rule, "{what}: {refusal}");
                refusal
            }
            Err(Err(refusals)) => panic!("{what}: {} refusals, first {}", refusals.len(), refusals[0]),
        }
    }
}

/// A table that does not speak of a range.
fn without<V: OffsetValue>(table: &OffsetTable<V>, range: CodeRange) -> OffsetTable<V> {
    let mut rest = OffsetTable::default();
    for (offset, value) in table.iter().filter(|(offset, _)| !range.contains(*offset)) {
        rest.push(offset, value);
    }
    rest
}
