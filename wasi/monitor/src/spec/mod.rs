//! What each decision has to be, and tests that it is.
//!
//! A specification here is an executable predicate in the plainest terms there are: a range is all
//! of its bytes, a set of rights is a set of bit numbers, a path is a list of components, sums are
//! made in 128 bits. It is written from the interface and the threats, not from the code it judges,
//! so that one mistake would have to be made twice. The tests compare the two on inputs that lie
//! where decisions change; the seed is fixed, so a run repeats.

mod addresses;
mod inputs;
mod limits;
mod numbers;
mod opens;
mod paths;
mod polls;
mod ranges;
mod rights;
mod table;

use proptest::test_runner::{Config, RngSeed};

/// How every comparison runs: this many inputs, the same ones each time, no file written.
fn config(cases: u32) -> Config {
    // Miri interprets the program, which takes a thousand times as long.
    let cases = if cfg!(miri) { 1 } else { cases };
    Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(0x77_61_76_65), ..Config::default() }
}
