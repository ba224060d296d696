//! A random module does the same here and on another engine: results, traps, globals and memories.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wave_test_differential::{Case, Engine, Features, compare};

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, entropy)) = bytes.split_first() else { return };
    let Some(case) = Case::of_bytes((*seed).into(), entropy, Features::Common) else { return };
    if let Err(difference) = compare(&mut Engine::Wasmi, &case, None) {
        panic!("{difference}");
    }
});
