//! `differential FIRST COUNT [FAULT]`: compares the modules of so many seeds, from the first one on. Prints each difference with
//! its seed, and a line of numbers at the end. With a fault, ends at the first difference. Exit code 1 if there was one.
//!
//! `differential write SEED FILE` writes the module of a seed, and `differential compare SEED FILE` compares the module in a file with
//! the calls of a seed.
//!
//! With `wasmtime` as the first argument, the same with modules that have objects and exceptions, too, and with Wasmtime as the other
//! engine: `WASMTIME_PYTHON` names the Python interpreter whose package `wasmtime` is used.
//!
//! `differential objects here|there FIRST COUNT [FAULT]` runs programs over objects, whose answers are known, here or in Wasmtime;
//! `differential objects write SEED` prints one.
//!
//! With `WAVE_SECONDS=N` it ends after that time, and says on standard error with which seed the next run goes on.

use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wave_test_differential::{Case, Compared, Engine, Fault, ObjectFault, Program, Wasmtime, compare};

/// What the arguments must be.
const USAGE: &str = "differential [wasmtime] FIRST COUNT [FAULT] | differential [wasmtime] write|compare SEED FILE \
     | differential objects here|there FIRST COUNT [FAULT] | differential objects write SEED";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["objects", rest @ ..] = &*arguments {
        return objects(rest);
    }
    let (mut engine, arguments) = match &*arguments {
        ["wasmtime", rest @ ..] => (Engine::Wasmtime(wasmtime()), rest),
        all => (Engine::Wasmi, all),
    };
    let features = engine.features();
    let mut compare_all = |first: u64, count: u64, fault: Option<Fault>| {
        run(first..first + count, fault.is_some(), |seed| compare(&mut engine, &Case::of_seed(seed, features), fault))
    };
    match *arguments {
        ["write", seed, file] => {
            std::fs::write(file, Case::of_seed(number(seed), features).bytes).expect("the file can be written");
            ExitCode::SUCCESS
        }
        ["compare", seed, file] => {
            let bytes = std::fs::read(file).expect("the file can be read");
            let seed = number(seed);
            run(seed..seed + 1, false, |seed| compare(&mut engine, &Case::of_module(seed, bytes.clone()), None))
        }
        [first, count] => compare_all(number(first), number(count), None),
        [first, count, fault] => {
            let fault = Fault::named(fault).expect("a fault's name");
            compare_all(number(first), number(count), Some(fault))
        }
        _ => panic!("{USAGE}"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect(USAGE)
}

fn wasmtime() -> Wasmtime {
    let python = std::env::var_os(Wasmtime::VARIABLE).expect(Wasmtime::VARIABLE);
    Wasmtime::start(&python).expect("it starts")
}

/// Programs whose answers are known.
fn objects(arguments: &[&str]) -> ExitCode {
    let (side, first, count, fault) = match *arguments {
        ["write", seed] => {
            print!("{}", Program::of_seed(number(seed), None).text);
            return ExitCode::SUCCESS;
        }
        [side @ ("here" | "there"), first, count] => (side, number(first), number(count), None),
        [side @ ("here" | "there"), first, count, fault] => {
            let fault = ObjectFault::ALL.into_iter().find(|known| format!("{known:?}") == fault);
            (side, number(first), number(count), Some(fault.expect("a fault's name")))
        }
        _ => panic!("{USAGE}"),
    };
    let mut there = (side == "there").then(wasmtime);
    run(first..first + count, fault.is_some(), |seed| {
        let program = Program::of_seed(seed, fault);
        match &mut there {
            None => program.check_here(),
            Some(there) => program.check_there(there),
        }
    })
}

/// Runs each seed, and prints what differs and how much was compared. With a fault, the first difference is enough.
fn run(mut seeds: Range<u64>, has_fault: bool, mut compare: impl FnMut(u64) -> Result<Compared, String>) -> ExitCode {
    let begin = Instant::now();
    let limit = std::env::var("WAVE_SECONDS").ok().map(|seconds| Duration::from_secs(number(&seconds)));
    let mut all = Compared::default();
    let mut differences = 0;
    while limit.is_none_or(|limit| begin.elapsed() < limit)
        && let Some(seed) = seeds.next()
    {
        match compare(seed) {
            Ok(compared) => all.add(&compared),
            Err(difference) => {
                println!("seed {seed}: {difference}");
                differences += 1;
                if has_fault {
                    break;
                }
            }
        }
    }
    println!("{all}");
    if limit.is_some() {
        eprintln!("{:.0} s; it goes on with seed {}", begin.elapsed().as_secs_f64(), seeds.start);
    }
    ExitCode::from(u8::from(differences > 0))
}
