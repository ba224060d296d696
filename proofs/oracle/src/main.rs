//! Runs the oracle and prints what it did: `wave-oracle --steps N --seed S [--json FILE] [--sample FILE COUNT]`.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]

use std::process::ExitCode;
use std::time::Instant;
use wave_oracle::run;
use wave_oracle::sample::Sample;

/// What was typed.
struct Arguments {
    steps: u64,
    seed: u64,
    json: Option<String>,
    sample: Option<(String, u64)>,
}

fn arguments() -> Option<Arguments> {
    let mut found = Arguments { steps: 1_000_000, seed: 1, json: None, sample: None };
    let mut typed = std::env::args().skip(1);
    while let Some(flag) = typed.next() {
        match flag.as_str() {
            "--steps" => found.steps = typed.next()?.parse().ok()?,
            "--seed" => found.seed = typed.next()?.parse().ok()?,
            "--json" => found.json = Some(typed.next()?),
            "--sample" => found.sample = Some((typed.next()?, typed.next()?.parse().ok()?)),
            _ => return None,
        }
    }
    Some(found)
}

fn main() -> ExitCode {
    let Some(Arguments { steps, seed, json, sample }) = arguments() else {
        eprintln!("usage: wave-oracle [--steps N] [--seed S] [--json FILE] [--sample FILE COUNT]");
        return ExitCode::from(2);
    };
    let begin = Instant::now();
    let mut sample = sample.map(|(path, count)| Sample::new(&path, count).expect("the sample's file can be written"));
    let report = run(steps, seed, &mut sample);
    let seconds = begin.elapsed();
    print!("{}", report.text(seconds));
    for problem in &report.problems {
        println!("\nFAILED after {} steps, {:.1} s: {problem}", report.steps, seconds.as_secs_f64());
    }
    if let Some(path) = json {
        std::fs::write(path, report.json(seconds).to_string()).expect("the report can be written");
    }
    if let Some(sample) = sample {
        sample.finish().expect("the sample can be written");
    }
    ExitCode::from(u8::from(!report.problems.is_empty()))
}
