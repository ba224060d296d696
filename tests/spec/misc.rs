//! Wasmtime's own scripts for the same features, from a checkout: `WASMTIME_MISC_TESTSUITE` is its `tests/misc_testsuite`.

use std::path::{Path, PathBuf};
use std::process::Command;

use wave_test_support::cannot_run;

/// Scripts that ask for one of these in their first lines are run.
const FEATURES: &[&str] = &[
    "branch_hinting",
    "custom_page_sizes",
    "exceptions",
    "function_references",
    "gc",
    "memory64",
    "multi_memory",
    "simd",
    "tail_call",
    "wide_arithmetic",
];

/// What they may also ask for.
const BESIDES: &[&str] = &["bulk_memory", "reference_types"];

/// Whether a script is for these features and no others. It says so in lines such as `;;! memory64 = true`.
fn is_supported(script: &str) -> bool {
    let lines = script.lines().filter_map(|line| line.strip_prefix(";;!")).filter_map(|line| line.split_once('='));
    let wanted: Vec<_> = lines.filter(|(_, value)| value.trim() == "true").map(|(name, _)| name.trim()).collect();
    let is_known = |name: &&str| FEATURES.contains(name) || BESIDES.contains(name);
    wanted.iter().any(|name| FEATURES.contains(name)) && wanted.iter().all(is_known)
}

/// The scripts of a folder and those in it, but for components.
fn scripts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("component")) {
            continue;
        }
        if path.is_dir() {
            scripts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "wast") {
            found.push(path);
        }
    }
}

#[test]
fn wasmtimes_scripts_pass_in_both_modes() {
    let Some(folder) = std::env::var_os("WASMTIME_MISC_TESTSUITE") else {
        cannot_run("set WASMTIME_MISC_TESTSUITE to a checkout's tests/misc_testsuite for Wasmtime's scripts");
        return;
    };
    let mut found = Vec::new();
    scripts(Path::new(&folder), &mut found);
    found.sort();
    let total = found.len();
    found.retain(|path| is_supported(&std::fs::read_to_string(path).expect("a script")));
    cannot_run(&format!("{} of {total} scripts of Wasmtime are for other features", total - found.len()));
    assert!(found.iter().any(|path| path.ends_with("memory64/bounds.wast")), "the folder has the scripts");
    for mode in ["fixed", "arg"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
        let output = command.args(["wast", "--lenient", "--mode", mode]).args(&found).output().expect("wave runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let failures: Vec<_> = text.lines().filter(|line| !line.ends_with(" 0 failed")).collect();
        assert!(output.status.success(), "{}\n{}", failures.join("\n"), String::from_utf8_lossy(&output.stderr));
        println!("mode {mode}: {} scripts, {}", found.len(), text.lines().last().unwrap_or_default());
    }
}
