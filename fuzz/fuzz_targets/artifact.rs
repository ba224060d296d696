//! Files that say they are compiled programs: refused or accepted, never a panic, and in little memory (T59, T76).
#![no_main]

use libfuzzer_sys::fuzz_target;
use wave_test_hostile as hostile;

fuzz_target!(|script: &[u8]| {
    if let Some(file) = hostile::file::changed(script) {
        hostile::file::check(&file);
    }
});
