//! `differential FIRST COUNT [FAULT]`: compares the modules of so many seeds, from the first one on. Prints each difference with
//! its seed, and a line of numbers at the end. With a fault, ends at the first difference. Exit code 1 if there was one.
//!
//! `differential write SEED FILE` writes the module of a seed, and `differential compare SEED FILE` compares the module in a file with
//! the calls of a seed.
//!
//! With `wasmtime` as the first argument, the same with modules that have objects and exceptions, too, and with Wasmtime as the other
//! engine: `WASMTIME_PYTHON` names the Python interpreter whose package `wasmtime` is used.

use std::process::ExitCode;
use wave_test_differential::{Case, Compared, Engine, Fault, Wasmtime, compare};

/// What the arguments must be.
const USAGE: &str = "differential [wasmtime] FIRST COUNT [FAULT] | differential [wasmtime] write|compare SEED FILE";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (mut engine, arguments) = match &*arguments {
        ["wasmtime", rest @ ..] => {
            let python = std::env::var_os(Wasmtime::VARIABLE).expect(Wasmtime::VARIABLE);
            (Engine::Wasmtime(Wasmtime::start(&python).expect("it starts")), rest)
        }
        all => (Engine::Wasmi, all),
    };
    let number = |text: &str| text.parse::<u64>().expect(USAGE);
    let features = engine.features();
    let cases = |first, count| (first..first + count).map(move |seed| Case::of_seed(seed, features));
    match *arguments {
        ["write", seed, file] => {
            std::fs::write(file, Case::of_seed(number(seed), features).bytes).expect("the file can be written");
            ExitCode::SUCCESS
        }
        ["compare", seed, file] => {
            let bytes = std::fs::read(file).expect("the file can be read");
            report(&mut engine, [Case::of_module(number(seed), bytes)].into_iter(), None)
        }
        [first, count] => report(&mut engine, cases(number(first), number(count)), None),
        [first, count, fault] => {
            let fault = Fault::named(fault).expect("a fault's name");
            report(&mut engine, cases(number(first), number(count)), Some(fault))
        }
        _ => panic!("{USAGE}"),
    }
}

fn report(engine: &mut Engine, cases: impl Iterator<Item = Case>, fault: Option<Fault>) -> ExitCode {
    let mut all = Compared::default();
    let mut differences = 0;
    for case in cases {
        match compare(engine, &case, fault) {
            Ok(compared) => all.add(&compared),
            Err(difference) => {
                println!("seed {}: {difference}", case.seed);
                differences += 1;
                if fault.is_some() {
                    break;
                }
            }
        }
    }
    println!("{all}");
    ExitCode::from(u8::from(differences > 0))
}
