//! The specification of each decision, and tests that decisions satisfy it.
//!
//! A specification is an executable predicate in plain terms: a range is a set of bytes, a set of rights is a set of bit
//! numbers, a path is a list of components, sums have 128 bits. It was written from the interface and the threats, not from
//! the code. So a mistake would have to be made twice. The tests compare both on inputs near the points where decisions
//! change. The seed is fixed, so each run tests the same inputs.

mod addresses;
mod connections;
mod inputs;
mod limits;
mod lists;
mod numbers;
mod opens;
mod paths;
mod polls;
mod ranges;
mod rights;
mod table;

use proptest::test_runner::{Config, RngSeed};

/// Configuration of a comparison: this many inputs, the same ones each time. No file is written.
fn config(cases: u32) -> Config {
    // Miri interprets the program, which takes a thousand times as long.
    let cases = if cfg!(miri) { 1 } else { cases };
    Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(0x77_61_76_65), ..Config::default() }
}
