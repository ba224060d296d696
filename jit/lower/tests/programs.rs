//! Components that others built. `WASI_TESTSUITE` is a checkout of the tests of WASI, `WAVE_COMPONENTS` a folder with components, such as
//! CPython by componentize-py.

mod common;

use common::{exports, imports, verify};
use std::path::{Path, PathBuf};
use wave_test_support::cannot_run;

/// The `.wasm` files of a folder, in order.
fn components(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    found.sort();
    found
}

/// The tests for WASI 0.3 are asynchronous. Each is refused for that, or lowered and verified.
#[test]
fn tests_of_wasi_are_refused_by_name_or_verified() {
    let Some(root) = std::env::var_os("WASI_TESTSUITE") else {
        cannot_run("set WASI_TESTSUITE to a checkout of prod/testsuite-base");
        return;
    };
    let found = components(&Path::new(&root).join("tests/rust/testsuite/wasm32-wasip3"));
    assert!(found.len() >= 50, "{} components", found.len());
    let mut refused = 0;
    for path in &found {
        let bytes = std::fs::read(path).expect("a file");
        match wave_lower::lower(&bytes) {
            Ok(module) => verify(&module),
            Err(error) => {
                let text = error.to_string();
                let asynchronous = [
                    "(async)",
                    "`async`",
                    "`task.",
                    "`context.",
                    "`waitable",
                    "`subtask.",
                    "`stream.",
                    "`future.",
                    "`backpressure.",
                ];
                assert!(asynchronous.iter().any(|what| text.contains(what)), "{}: {text}", path.display());
                refused += 1;
            }
        }
    }
    cannot_run(&format!("{refused} of {} tests of WASI 0.3 are asynchronous", found.len()));
}

#[test]
fn programs_are_lowered_and_verified() {
    let Some(folder) = std::env::var_os("WAVE_COMPONENTS") else {
        cannot_run("set WAVE_COMPONENTS to a folder with components for WASI 0.2, such as CPython by componentize-py");
        return;
    };
    let mut commands = 0;
    for path in components(Path::new(&folder)) {
        let bytes = std::fs::read(&path).expect("a file");
        let module = wave_lower::lower(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Others are parts of a composition.
        commands += usize::from(exports(&module).contains(&"_start".to_owned()));
        let known = |import: &String| {
            import.starts_with("wasi:") && import.contains("@0.2 ")
                || ["wave:abi/results@1 ", "test:"].iter().any(|start| import.starts_with(start))
        };
        assert!(imports(&module).iter().all(known), "{}: {:?}", path.display(), imports(&module));
        verify(&module);
    }
    assert!(commands > 0, "no commands");
}
