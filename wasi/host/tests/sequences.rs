//! Sequences of hostcalls against a model of the files and descriptors, from fixed seeds.
//!
//! The same generator and oracle as `fuzz/`, which looks for sequences of its own and keeps them in a corpus.
//! `WAVE_SEED=<n> WAVE_SEQUENCES=1` repeats one seed.

use std::fs;
use std::path::{Path, PathBuf};
use wave_test_model::{Call, Machine, smallest};

/// How many sequences; `WAVE_SEQUENCES` asks for another number.
const SEQUENCES: u64 = 2000;

/// SplitMix64: a fixed row of bytes for each seed.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..120).flat_map(|_| next().to_le_bytes()).collect()
}

fn check(machine: &mut Machine, name: &str, bytes: &[u8]) {
    let sequence = machine.sequence(bytes);
    if let Err(violation) = machine.run(&sequence) {
        let (sequence, violation) = smallest(machine, &sequence, violation);
        let calls: Vec<_> = sequence.ops.iter().enumerate().map(|(at, op)| format!("\n  {at}: {op:?}")).collect();
        drop(std::panic::take_hook());
        panic!("{name}: {violation}\n{:?}{}", sequence.limits, calls.concat());
    }
}

/// What the fuzzer found to take new ways through the code, in a fixed order.
fn corpus() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/hostcalls");
    let inputs = fs::read_dir(&directory).expect("the corpus is in the repository");
    let mut inputs: Vec<_> = inputs.map(|input| input.expect("an entry").path()).collect();
    inputs.sort();
    inputs
}

/// Without the harness of libtest, which writes to standard output whenever it likes: that is the guest's here.
fn main() {
    let filters: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if filters.is_empty() || filters.iter().any(|filter| "sequences".contains(filter.as_str())) {
        the_corpus_and_fixed_seeds_do_what_the_model_does();
    }
}

fn the_corpus_and_fixed_seeds_do_what_the_model_does() {
    let mut machine = Machine::new();
    for input in corpus() {
        let bytes = fs::read(&input).expect("a file");
        check(&mut machine, &input.display().to_string(), &bytes);
    }
    let count = std::env::var("WAVE_SEQUENCES").ok().and_then(|text| text.parse().ok()).unwrap_or(SEQUENCES);
    let first = std::env::var("WAVE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    for seed in first..first + count {
        check(&mut machine, &format!("seed {seed}"), &bytes(seed));
    }
    for name in Call::NAMES {
        let ends = machine.tally.get(name).cloned().unwrap_or_default();
        if std::env::args().any(|argument| argument == "--nocapture") {
            println!("{name:24} {ends:?}");
        }
        let control = if *name == "ProcExit" { "stop" } else { "ok" };
        assert!(ends.contains_key(control) || count < SEQUENCES, "the generator never makes {name} succeed");
    }
}
