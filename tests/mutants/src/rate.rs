//! How many of two families of mutants are refused, of programs of this repository or of any others.
//!
//! `WAVE_MUTANTS=FILE:FILE… WAVE_MUTANTS_COUNT=1000000 cargo test --release -p wave-test-mutants rate -- --nocapture` takes those
//! programs, and so many mutants of each family, instead of the ones here.

use super::dangerous::{self, Operator};
use super::subject::{Subject, Surroundings};
use super::{Random, describe, random};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use wave_contract::artifact::CodeSettings;
use wave_test_imagined::{Compiled, Mode, compiled_with};
use wave_verifier::{Scratch, Unit, Units, with_units};

/// Survivors that are printed.
const SHOWN: usize = 40;

#[derive(Clone, Copy, Default)]
struct Tally {
    mutants: u64,
    accepted: u64,
}

#[derive(Default)]
struct Outcome {
    tallies: BTreeMap<&'static str, Tally>,
    /// Of accepted changes: what they are about.
    classes: BTreeMap<&'static str, u64>,
    survivors: Vec<String>,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        for (name, tally) in other.tallies {
            let own = self.tallies.entry(name).or_default();
            own.mutants += tally.mutants;
            own.accepted += tally.accepted;
        }
        for (name, count) in other.classes {
            *self.classes.entry(name).or_default() += count;
        }
        self.survivors.extend(other.survivors);
    }

    fn total(&self) -> Tally {
        let sum = |count: fn(&Tally) -> u64| self.tallies.values().map(count).sum();
        Tally { mutants: sum(|tally| tally.mutants), accepted: sum(|tally| tally.accepted) }
    }

    fn print(&self, title: &str) {
        println!("| {title} | mutants | refused |");
        println!("|---|---|---|");
        for (name, tally) in &self.tallies {
            println!("| {name} | {} | {} |", tally.mutants, tally.mutants - tally.accepted);
        }
        let Tally { mutants, accepted } = self.total();
        println!("| all | {mutants} | {} |", mutants - accepted);
        self.classes.iter().for_each(|(name, count)| println!("accepted: {name}: {count}"));
        self.survivors.iter().take(SHOWN).for_each(|survivor| println!("{survivor}"));
    }
}

struct Program {
    name: String,
    bytes: Vec<u8>,
    /// How many mutants of each family, unless the environment says it.
    count: usize,
}

/// Mutates each function of a program in turn. `count`: mutants of both families.
fn mutate(program: &Program, (fixed, fuel): (bool, bool), count: usize, threads: usize) -> [Outcome; 2] {
    let mode = if fixed { Mode::Fixed } else { Mode::Arg };
    let settings = CodeSettings { fuel, ..CodeSettings::default() };
    let Compiled { bytes, info, terms, image } = compiled_with(settings, mode, &program.bytes, threads);
    let mutate = |units: &Units<'_>| {
        let all = Surroundings::new(units, &image, &info, &terms);
        mutate_units(&program.name, units.all(), &all, count, threads)
    };
    with_units(&image, &bytes, &terms, mutate).expect("an image of that module")
}

fn mutate_units(name: &str, units: &[Unit<'_>], all: &Surroundings<'_>, count: usize, threads: usize) -> [Outcome; 2] {
    let share = count.div_ceil(units.len());
    let (next, outcome) = (AtomicUsize::new(0), Mutex::new([Outcome::default(), Outcome::default()]));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut scratch = Scratch::default();
                let (mut own, mut number) =
                    ([Outcome::default(), Outcome::default()], next.fetch_add(1, Ordering::Relaxed));
                while let Some(unit) = units.get(number) {
                    let mut random = Random::new(number as u64);
                    let subject = Subject::new(all, &mut scratch, unit);
                    let subject = subject.unwrap_or_else(|| panic!("{name}: {} is refused", unit.name));
                    for (family, outcome) in [dangerous::OPERATORS, random::OPERATORS].iter().zip(&mut own) {
                        mutants(&subject, family, share, &mut random, &mut scratch, outcome);
                    }
                    number = next.fetch_add(1, Ordering::Relaxed);
                }
                let mut all = outcome.lock().expect("no thread failed");
                all.iter_mut().zip(own).for_each(|(all, own)| all.add(own));
            });
        }
    });
    outcome.into_inner().expect("no thread failed")
}

/// `share` mutants of a function: of each operator that applies about as many.
fn mutants(
    subject: &Subject<'_>,
    operators: &[Operator],
    share: usize,
    random: &mut Random,
    scratch: &mut Scratch,
    outcome: &mut Outcome,
) {
    let places = |operator: &Operator, random: &mut Random| -> Vec<usize> {
        let all = 0..subject.instructions.len();
        all.filter(|at| (operator.make)(subject, *at, random).is_some()).collect()
    };
    let places: Vec<_> = operators.iter().map(|operator| (operator, places(operator, random))).collect();
    let places: Vec<_> = places.iter().filter(|(_, places)| !places.is_empty()).collect();
    let mut code = subject.unit.code.to_vec();
    let (mut made, mut tries) = (0, 0);
    while made < share && tries < 8 * share {
        tries += 1;
        let Some((operator, at)) =
            random.pick(&places).and_then(|(operator, places)| Some((operator, *random.pick(places)?)))
        else {
            continue;
        };
        let Some(patch) = (operator.make)(subject, at, random) else { continue };
        let Some(accepted) = patch.is_accepted(subject, scratch, &mut code) else { continue };
        made += 1;
        let tally = outcome.tallies.entry(operator.name).or_default();
        tally.mutants += 1;
        tally.accepted += u64::from(accepted);
        if accepted {
            *outcome.classes.entry(random::class(subject, at, &code, operator.name)).or_default() += 1;
            if outcome.survivors.len() < SHOWN {
                outcome.survivors.push(describe(subject, at, &code, operator.name));
            }
        }
        patch.undo(subject, &mut code);
    }
}

/// Functions with frames of several sizes.
fn frames() -> Vec<u8> {
    let frame = |locals: usize| {
        let each = |text: fn(usize) -> String| (0..locals).map(text).collect::<String>();
        format!(
            "(func (result v128) {} {} (call $next) (v128.const i64x2 0 0) {})",
            each(|n| format!("(local $l{n} v128)")),
            each(|n| format!("(local.set $l{n} (v128.load offset={} (i32.const 0)))", n * 7)),
            each(|n| format!("(v128.xor (local.get $l{n}))")),
        )
    };
    format!("(module (memory 1) (func $next) {} {})", frame(30), frame(4200)).into_bytes()
}

fn own_programs() -> Vec<Program> {
    let text = |name: &str, bytes: &[u8], count| Program {
        name: name.to_owned(),
        bytes: wat::parse_bytes(bytes).expect("a module").into_owned(),
        count,
    };
    vec![
        text("guest.wat", include_bytes!("../../hostile/src/guest.wat"), 100_000),
        // The largest takes a hundred times as long as others.
        text("frames", &frames(), 200),
        text("proposals.wat", include_bytes!("../guests/proposals.wat"), 40_000),
        // With the collector.
        text("objects.wat", include_bytes!("../guests/objects.wat"), 40_000),
        text("examples/echo.wat", include_bytes!("../../../examples/echo.wat"), 10_000),
        text("examples/args.wat", include_bytes!("../../../examples/args.wat"), 10_000),
    ]
}

/// T72: nothing that breaks the contract for certain is accepted.
#[test]
fn t72_mutants_that_break_the_contract_are_refused() {
    let named = std::env::var("WAVE_MUTANTS").ok();
    let programs = match &named {
        Some(files) => {
            let files: Vec<&str> = files.split(':').collect();
            let count = std::env::var("WAVE_MUTANTS_COUNT").map_or(1_000_000, |count| count.parse().expect("a number"));
            let program = |file: &&str| Program {
                name: (*file).to_owned(),
                bytes: std::fs::read(file).expect("a file that can be read"),
                count: count / files.len(),
            };
            files.iter().map(program).collect()
        }
        None => own_programs(),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut sums = [Outcome::default(), Outcome::default()];
    for program in &programs {
        for (fixed, fuel) in [(true, false), (false, false), (true, true), (false, true)] {
            let start = std::time::Instant::now();
            // A quarter of them for each way to reach the context, with and without fuel.
            let outcome = mutate(program, (fixed, fuel), program.count.div_ceil(4), threads);
            let [certain, any] = [0, 1].map(|family: usize| outcome[family].total());
            println!(
                "{}, {}{}: {} mutants break the contract, {} accepted; {} at random, {} accepted; {:.1} s",
                program.name,
                if fixed { "fixed" } else { "arg" },
                if fuel { ", fuel" } else { "" },
                certain.mutants,
                certain.accepted,
                any.mutants,
                any.accepted,
                start.elapsed().as_secs_f64()
            );
            sums.iter_mut().zip(outcome).for_each(|(sum, outcome)| sum.add(outcome));
        }
    }
    let [certain, any] = sums;
    certain.print("breaks the contract");
    any.print("at random");
    assert_eq!(certain.total().accepted, 0, "{}", certain.survivors.join("\n"));
    // Each kind of change was made somewhere.
    for Operator { name, .. } in dangerous::OPERATORS.iter().filter(|_| named.is_none()) {
        assert!(certain.tallies.contains_key(name), "{name} has no mutants");
    }
}
