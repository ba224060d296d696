//! The form for CI: a fixed seed, some 20 seconds.

use std::time::{Duration, Instant};
use wave_oracle::random::Random;
use wave_oracle::report::VALUES;
use wave_oracle::run;

/// Steps of this test.
const STEPS: u64 = 1_500_000;

#[test]
fn what_is_known_is_what_is_there() {
    let begin = Instant::now();
    let report = run(STEPS, 16, &mut None);
    println!("{}", report.text(begin.elapsed()));
    assert!(report.problems.is_empty(), "{}", report.problems.join("\n"));
    assert!(report.steps >= STEPS, "{} steps", report.steps);
    assert!(report.never().is_empty(), "never executed: {:?}", report.never());
    assert_eq!(report.kinds_of_values(), VALUES.len(), "a kind of value was never known");
    let events = ["call of a guest", "call of the host", "join", "jump", "read of the heap", "return", "tail call"];
    for event in events.into_iter().chain(["write of the heap"]) {
        assert!(report.events(event) > 0, "no {event}");
    }
    assert!(begin.elapsed() < Duration::from_secs(300), "it hangs");
}

#[test]
fn random_numbers_are_the_same_for_the_same_seed() {
    let numbers = |seed| (0..8).map(|_| Random::new(seed).next()).collect::<Vec<_>>();
    assert_eq!(numbers(3), numbers(3));
    assert_ne!(numbers(3), numbers(4));
}
