//! The official suite of WASI preview 1, <https://github.com/WebAssembly/wasi-testsuite>, branch `prod/testsuite-base`: every
//! program it has for this version, under the strict sandbox.
//!
//! `WASI_TESTSUITE` names a checkout. CI makes one if it can; where there is none the tests say that they did not run.

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Mode, Outcome, copy_for_guest, writable_dir};

/// Runs every program of one language, in every mode, and asserts how many there are.
#[track_caller]
fn suite(language: &str, expected: usize) {
    let Some(checkout) = std::env::var_os("WASI_TESTSUITE") else {
        // Not `eprintln`: what a test prints that way is shown only when it fails.
        let text = "NOT RUN: wasi-testsuite. git clone --branch prod/testsuite-base \
                    https://github.com/WebAssembly/wasi-testsuite, and set WASI_TESTSUITE to it\n";
        std::io::stderr().write_all(text.as_bytes()).expect("stderr can be written");
        return;
    };
    let dir = Path::new(&checkout).join("tests").join(language).join("testsuite/wasm32-wasip1");
    let programs = programs(&dir);
    assert_eq!(programs.len(), expected, "programs in {}", dir.display());
    let runs = Mode::ALL.iter().flat_map(|mode| programs.iter().map(move |program| (*mode, program)));
    let failures: Vec<_> = runs.filter_map(|(mode, program)| failure(mode, program)).collect();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

fn programs(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let paths = entries.map(|entry| entry.expect("a listing").path());
    let mut programs: Vec<_> = paths.filter(|path| path.extension().is_some_and(|kind| kind == "wasm")).collect();
    programs.sort();
    programs
}

/// What is wrong with a run of the program, or `None`. The file beside it says what it gets and how it ends; what that leaves
/// out has the default of `doc/specification.md`.
fn failure(mode: Mode, program: &Path) -> Option<String> {
    let manifest = match fs::read(program.with_extension("json")) {
        Ok(text) => serde_json::from_slice(&text).expect("manifests are JSON"),
        Err(_) => Value::Object(serde_json::Map::new()),
    };
    let mut wave = mode.strict();
    let root = writable_dir();
    if let Some(name) = manifest["root"].as_str() {
        copy_for_guest(&program.with_file_name(name), root.path());
        wave = wave.dir(root.path(), "/", "rw");
    }
    for (name, value) in manifest["env"].as_object().into_iter().flatten() {
        wave = wave.env(&format!("{name}={}", value.as_str().expect("variables are text")));
    }
    let args = manifest["args"].as_array().into_iter().flatten();
    let run = wave.run(program, args.map(|arg| arg.as_str().expect("arguments are text")));
    let right = run.status.code().map(i64::from) == Some(manifest["exit_code"].as_i64().unwrap_or(0))
        && manifest["stdout"].as_str().is_none_or(|text| text == run.stdout)
        && manifest["stderr"].as_str().is_none_or(|text| text == run.stderr);
    (!right).then(|| describe(mode, program, &run))
}

fn describe(mode: Mode, program: &Path, run: &Outcome) -> String {
    let name = program.file_stem().expect("programs have names").display();
    format!("{name} ({mode:?}): {}, stdout {:?}, stderr {:?}", run.status, run.stdout, run.stderr)
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
