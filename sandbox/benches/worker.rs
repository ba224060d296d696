//! What does a sealed worker cost, by itself? `cargo bench -p wave-sandbox --bench worker`.
//!
//! The time from its start until it has answered and has been waited for, unsealed and sealed in turn, as minimum and median. `wave run`
//! waits less: it prepares the run while the worker seals itself, and loads the code while the worker ends.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use wave_policy::{Level, Policy, ProcessLimits};
use wave_sandbox::Worker;

const ROUNDS: usize = 300;

fn main() {
    // `cargo test` runs benchmarks too, with this argument left out.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let limits = ProcessLimits { data_bytes: Some(1 << 30), file_size_bytes: Some(0), ..ProcessLimits::default() };
    let policy = |level| Policy { level, limits: limits.clone(), ..Policy::default() };
    let (unsealed, sealed) = (policy(Level::Off), policy(Level::Strict));
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (times, policy) in times.iter_mut().zip([&unsealed, &sealed]) {
            times.push(round(policy));
        }
    }
    println!("| what | minimum | median |\n|---|---|---|");
    for (what, times) in ["a process that answers", "the same, sealed"].into_iter().zip(&mut times) {
        times.sort_unstable();
        println!("| {what} | {:.0?} | {:.0?} |", times[0], times[ROUNDS / 2]);
    }
}

fn round(policy: &Policy) -> Duration {
    let start = Instant::now();
    let mut worker = Worker::start(policy, Duration::from_secs(10), |mut channel| {
        let mut byte = [0];
        channel.read_exact(&mut byte).and_then(|()| channel.write_all(&byte)).expect("the channel works");
    })
    .expect("a process");
    worker.sealed().expect("this kernel has every layer");
    let mut byte = [7];
    worker.write_all(&byte).and_then(|()| worker.read_exact(&mut byte)).expect("the worker answers");
    worker.end().expect("own process");
    start.elapsed()
}
