//! Code that was changed at random and is accepted all the same: what it does to itself is its own, and nothing else changes.

mod support;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use support::{example, finish};

/// Mutants that run, unless `WAVE_MUTANT_RUNS` says it.
const FEW: u64 = 120;

/// T72: every run ends in a way that is documented, and what lies around the guest is as before. A fault of which no table speaks ends
/// the process: a mutant that divides has none.
#[test]
fn t72_accepted_mutants_stay_in_their_place() {
    let runs = std::env::var("WAVE_MUTANT_RUNS").map_or(FEW, |runs| runs.parse().expect("a number"));
    let mut ends = BTreeMap::new();
    for seed in 0..runs {
        let mut command = Command::new(example("mutant_runs"));
        command.arg(seed.to_string()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let outcome = finish(command.spawn().expect("it starts"));
        let end = match outcome.status.code() {
            Some(10) => "returned",
            Some(11) => "trapped",
            Some(12) => "deadline",
            Some(139) if outcome.stderr.starts_with("wave: fault outside of guest code\n") => "fault",
            _ => panic!("seed {seed}: {outcome:?}"),
        };
        *ends.entry(end).or_insert(0_u64) += 1;
    }
    println!("{ends:?}");
    assert!(ends.get("returned").is_some_and(|returned| *returned > runs / 4), "{ends:?}");
}
