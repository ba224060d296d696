//! Random modules with fixed seeds: no difference; and with a deliberate mistake, a difference.

use std::process::{Child, Command, Stdio};
use wave_test_differential::{Compared, Fault, ObjectFault, Wasmtime};
use wave_test_support::cannot_run;

/// Modules that are compared.
const MODULES: u64 = 20_000;

/// Modules that a mistake may hide in.
const MODULES_WITH_FAULT: u64 = 20_000;

/// Modules that are compared with Wasmtime.
const MODULES_WITH_OBJECTS: u64 = 2_000;

/// Programs over objects whose answers are known, and those of them that run in Wasmtime as well.
const PROGRAMS: u64 = 2_000;
const PROGRAMS_THERE: u64 = 200;

/// Processes that share the modules.
const PROCESSES: u64 = 2;

fn start(engine: &[&str], first: u64, count: u64, fault: Option<String>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_differential"));
    command.args(engine);
    command.args([first.to_string(), count.to_string()]).args(fault);
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

/// Whether there is a Wasmtime; if there is none, that is said.
fn has_wasmtime() -> bool {
    let has = std::env::var_os(Wasmtime::VARIABLE).is_some();
    if !has {
        cannot_run(&format!("set {} to a Python interpreter that has the package `wasmtime`", Wasmtime::VARIABLE));
    }
    has
}

/// The numbers of so many modules in which nothing differs.
fn no_difference(engine: &[&str], modules: u64) -> Compared {
    let each = modules / PROCESSES;
    let children: Vec<_> = (0..PROCESSES).map(|process| start(engine, process * each, each, None)).collect();
    let mut all = Compared::default();
    for child in children {
        let (differences, compared, code) = finish(child);
        assert_eq!((&*differences, code), ("", Some(0)), "`differential write SEED FILE` writes the module of a seed");
        all.add(&compared);
    }
    println!("{all}");
    assert_eq!(all.modules, modules);
    assert!(all.stopped < modules / 100, "{} modules were left before their end", all.stopped);
    all
}

#[test]
fn random_modules_do_the_same_here_and_there() {
    let all = no_difference(&[], MODULES);
    let Compared { modules, returned, trapped, globals, memory_bytes, .. } = all;
    // So that a generator that makes nothing worth comparing is noticed.
    assert!(returned > modules / 2 && trapped > modules && globals > modules && memory_bytes > modules << 16, "{all}");
}

#[test]
fn modules_with_objects_and_exceptions_do_the_same_as_in_wasmtime() {
    if !has_wasmtime() {
        return;
    }
    let all = no_difference(&["wasmtime"], MODULES_WITH_OBJECTS);
    let Compared { modules, returned, trapped, globals, memory_bytes, .. } = all;
    assert!(returned > modules / 2 && trapped > modules && globals > modules && memory_bytes > modules << 16, "{all}");
}

#[test]
fn each_mistake_is_found() {
    finds(&[], &Fault::ALL);
}

#[test]
fn each_mistake_with_objects_and_exceptions_is_found() {
    if has_wasmtime() {
        finds(&["wasmtime"], &Fault::WITH_OBJECTS);
    }
}

#[test]
fn programs_over_objects_answer_what_is_expected() {
    let Compared { modules, returned, trapped, .. } = no_difference(&["objects", "here"], PROGRAMS);
    assert!(returned > modules && trapped > modules / 4, "{returned} returned, {trapped} trapped");
}

#[test]
fn what_is_expected_of_programs_over_objects_is_what_wasmtime_answers() {
    if has_wasmtime() {
        no_difference(&["objects", "there"], PROGRAMS_THERE);
    }
}

#[test]
fn each_mistake_in_programs_over_objects_is_found() {
    finds(&["objects", "here"], &ObjectFault::ALL);
}

/// Each mistake makes a difference.
fn finds(engine: &[&str], faults: &[impl std::fmt::Debug]) {
    for faults in faults.chunks(2) {
        let children: Vec<_> = faults
            .iter()
            .map(|fault| (fault, start(engine, 0, MODULES_WITH_FAULT, Some(format!("{fault:?}")))))
            .collect();
        for (fault, child) in children {
            let (difference, compared, code) = finish(child);
            println!("{fault:?}: after {} modules with such an operator: {difference}", compared.modules);
            assert_eq!(code, Some(1), "{fault:?} was not found");
            assert!(difference.starts_with("seed "), "{difference}");
            assert!(!difference.contains("here: "), "the module was not even compiled: {difference}");
        }
    }
}
