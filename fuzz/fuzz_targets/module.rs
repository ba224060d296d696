//! Arbitrary bytes as a module: refused or valid, never a panic (T76).
#![no_main]

use libfuzzer_sys::fuzz_target;
use wave_compiler::Module;

fuzz_target!(|bytes: &[u8]| {
    for module in [Module::parse(bytes), Module::parse_multi_memory(bytes)].into_iter().flatten() {
        // Either answer will do: what counts is that there is one.
        module.validate(1).ok();
    }
});
