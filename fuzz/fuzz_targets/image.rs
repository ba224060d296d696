//! Changes of real code and of what the tables say of it: refused or accepted within the budget, never a panic (T71, T72).
#![no_main]

use libfuzzer_sys::fuzz_target;
use wave_test_hostile as hostile;

fuzz_target!(|script: &[u8]| {
    let Some(input) = hostile::image::changed(script) else { return };
    // Threads cost more than all the rest.
    let outcome = match script.len() % 16 {
        0 => hostile::image::check_order(&input),
        _ => hostile::image::check(&input),
    };
    drop(outcome);
});
