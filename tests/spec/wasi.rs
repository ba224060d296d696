//! The official suite of WASI preview 1, <https://github.com/WebAssembly/wasi-testsuite>, branch `prod/testsuite-base`: every
//! program it has for this version, under the strict sandbox.
//!
//! `WASI_TESTSUITE` names a checkout. CI makes one if it can; where there is none the tests say that they did not run.

use wave_test_support::testsuite::{Program, programs};
use wave_test_support::{Mode, copy_for_guest, writable_dir};

/// Runs every program of one language, in every mode, and asserts how many there are.
#[track_caller]
fn suite(language: &str, expected: usize) {
    let Some(programs) = programs(language) else { return };
    assert_eq!(programs.len(), expected, "programs in {language}");
    let runs = Mode::ALL.iter().flat_map(|mode| programs.iter().map(move |program| (*mode, program)));
    let failures: Vec<_> = runs.filter_map(|(mode, program)| failure(mode, program)).collect();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// What is wrong with a run of the program, or `None`.
fn failure(mode: Mode, program: &Program) -> Option<String> {
    let mut wave = mode.strict();
    let root = writable_dir();
    if let Some(from) = &program.root {
        copy_for_guest(from, root.path());
        wave = wave.dir(root.path(), "/", "rw");
    }
    let wave = program.env.iter().fold(wave, |wave, variable| wave.env(variable));
    let run = wave.run(&program.path, &program.args);
    let name = program.path.file_stem().expect("programs have names").display();
    program.differs(&run).map(|what| format!("{name} ({mode:?}): {what}"))
}

#[test]
fn assemblyscript() {
    suite("assemblyscript", 12);
}

#[test]
fn c() {
    suite("c", 14);
}

#[test]
fn rust() {
    suite("rust", 46);
}
