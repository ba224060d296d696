//! Arbitrary bytes as a module: refused or valid, never a panic (T76).
#![no_main]

use libfuzzer_sys::fuzz_target;
use wave_compiler::Module;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(module) = Module::parse(bytes) {
        // Either answer will do: what counts is that there is one.
        module.validate(1).ok();
    }
});
