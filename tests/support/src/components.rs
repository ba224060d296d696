//! Components: those that are kept as text, and those that `tests/components/build` makes with other people's tools.

use std::fs;
use std::path::{Path, PathBuf};

use super::{cannot_run, readable_by_all};

/// The binary form of a component.
///
/// # Panics
/// If the text is invalid.
#[track_caller]
pub fn component(text: &str) -> Vec<u8> {
    let parsed = |buffer: &wast::parser::ParseBuffer<'_>| wast::parser::parse::<wast::Wat<'_>>(buffer)?.encode();
    let bytes = wast::parser::ParseBuffer::new(text).and_then(|buffer| parsed(&buffer));
    bytes.unwrap_or_else(|error| panic!("{error}"))
}

/// Writes a component into a directory, for every user.
#[track_caller]
pub fn write_component(text: &str, dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, component(text)).expect("own directory");
    readable_by_all(&path);
    path
}

/// A component in the directory that `WAVE_COMPONENTS` names, or `None`, said on standard error.
pub fn built(name: &str) -> Option<PathBuf> {
    let advice = || format!("run `tests/components/build DIR` and set WAVE_COMPONENTS to DIR, for {name}");
    let Some(dir) = std::env::var_os("WAVE_COMPONENTS") else {
        // No failure in CI: not every machine has all that the script asks for. It says what it left out.
        cannot_run(&advice());
        return None;
    };
    let path = Path::new(&dir).join(name);
    if !path.exists() {
        cannot_run(&advice());
        return None;
    }
    Some(path)
}
