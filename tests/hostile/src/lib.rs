//! What somebody could hand to the verifier, from a script of bytes, and what must hold of every answer. For the tests of
//! `wave-verifier` with fixed seeds and for `fuzz/`.

#![allow(missing_docs, reason = "for tests alone")]

pub mod file;
pub mod image;
pub mod memory;
pub mod record;
mod script;

use std::sync::LazyLock;
use wave_test_imagined::{Compiled, Mode, compiled};

/// Most steps for a byte of code, and what each function has besides; see `walk.rs`.
const STEPS_PER_BYTE: u64 = 32;
const STEPS: u64 = 256;

/// Most memory that is taken for a byte of what is read, and whatever is read.
const MEMORY_PER_BYTE: usize = 1024;
const MEMORY: usize = 4 << 20;

/// Real programs in both modes: what the mutants are made of, two examples, and one with many live values.
fn programs() -> impl Iterator<Item = Compiled> {
    let texts: [&[u8]; 4] = [
        include_bytes!("guest.wat"),
        include_bytes!("../../../examples/echo.wat"),
        include_bytes!("../../../examples/args.wat"),
        include_bytes!("wide.wat"),
    ];
    texts.into_iter().flat_map(|text| [Mode::Fixed, Mode::Arg].map(|mode| compiled(mode, text, 1)))
}

/// They are compiled once.
static PROGRAMS: LazyLock<Vec<Compiled>> = LazyLock::new(|| programs().collect());

/// Bytes that look random, always the same for a seed.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(len).collect()
}
