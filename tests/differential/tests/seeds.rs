//! Random modules with fixed seeds: no difference; and with a deliberate mistake, a difference.

use std::process::{Child, Command, Stdio};
use wave_test_differential::{Compared, Fault};

/// Modules that are compared.
const MODULES: u64 = 20_000;

/// Modules that a mistake may hide in.
const MODULES_WITH_FAULT: u64 = 20_000;

/// Processes that share the modules.
const PROCESSES: u64 = 2;

fn start(first: u64, count: u64, fault: Option<Fault>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_differential"));
    command.args([first.to_string(), count.to_string()]).args(fault.map(|fault| format!("{fault:?}")));
    command.stdout(Stdio::piped()).spawn().expect("it starts")
}

/// What it printed, without the line of numbers; these; and its exit code.
fn finish(child: Child) -> (String, Compared, Option<i32>) {
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (before, last) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
    let compared = Compared::parse(last).unwrap_or_else(|| panic!("{}: {text}", output.status));
    (before.to_owned(), compared, output.status.code())
}

#[test]
fn random_modules_do_the_same_here_and_there() {
    let each = MODULES / PROCESSES;
    let children: Vec<_> = (0..PROCESSES).map(|process| start(process * each, each, None)).collect();
    let mut all = Compared::default();
    for child in children {
        let (differences, compared, code) = finish(child);
        assert_eq!((&*differences, code), ("", Some(0)), "`differential write SEED FILE` writes the module of a seed");
        all.add(&compared);
    }
    println!("{all}");
    let Compared { modules, returned, trapped, globals, memory_bytes, stopped } = all;
    assert_eq!(modules, MODULES);
    assert!(stopped < modules / 100, "{stopped} modules were left before their end");
    // So that a generator that makes nothing worth comparing is noticed.
    assert!(returned > modules / 2 && trapped > modules && globals > modules && memory_bytes > modules << 16, "{all}");
}

#[test]
fn each_mistake_is_found() {
    for faults in Fault::ALL.chunks(2) {
        let children: Vec<_> = faults.iter().map(|fault| (fault, start(0, MODULES_WITH_FAULT, Some(*fault)))).collect();
        for (fault, child) in children {
            let (difference, compared, code) = finish(child);
            println!("{fault:?}: after {} modules with such an operator: {difference}", compared.modules);
            assert_eq!(code, Some(1), "{fault:?} was not found");
            assert!(difference.starts_with("seed "), "{difference}");
            assert!(!difference.contains("here: "), "the module was not even compiled: {difference}");
        }
    }
}
