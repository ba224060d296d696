//! `differential FIRST COUNT [FAULT]`: compares the modules of so many seeds, from the first one on. Prints each difference with
//! its seed, and a line of numbers at the end. With a fault, ends at the first difference. Exit code 1 if there was one.
//!
//! `differential write SEED FILE` writes the module of a seed, and `differential compare SEED FILE` compares the module in a file with
//! the calls of a seed.

use std::process::ExitCode;
use wave_test_differential::{Case, Compared, Fault, compare};

/// What the arguments must be.
const USAGE: &str = "differential FIRST COUNT [FAULT] | differential write|compare SEED FILE";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect(USAGE);
    match *arguments {
        ["write", seed, file] => {
            std::fs::write(file, Case::of_seed(number(seed)).bytes).expect("the file can be written");
            ExitCode::SUCCESS
        }
        ["compare", seed, file] => {
            let bytes = std::fs::read(file).expect("the file can be read");
            report([Case::of_module(number(seed), bytes)].into_iter(), None)
        }
        [first, count] => run(number(first), number(count), None),
        [first, count, fault] => run(number(first), number(count), Some(Fault::named(fault).expect("a fault's name"))),
        _ => panic!("{USAGE}"),
    }
}

fn run(first: u64, count: u64, fault: Option<Fault>) -> ExitCode {
    report((first..first + count).map(Case::of_seed), fault)
}

fn report(cases: impl Iterator<Item = Case>, fault: Option<Fault>) -> ExitCode {
    let mut all = Compared::default();
    let mut differences = 0;
    for case in cases {
        match compare(&case, fault) {
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
