//! Entries of the cache: verified only as they were signed, never a panic, and in little memory (T59).
#![no_main]

use libfuzzer_sys::fuzz_target;
use wave_test_hostile as hostile;

fuzz_target!(|script: &[u8]| {
    hostile::record::check(script);
});
