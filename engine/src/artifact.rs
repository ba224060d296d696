//! Compiled files: `wave compile -o` writes them and `wave run` accepts them.
//!
//! Anyone can build such a file, so its code is verified like the compiler's, against the module in the file. The code
//! can still differ from that module, so it is cached and pinned by the hash of the whole file. The other fields are
//! not trusted. They only serve to reject a file for another host early, with a clear message.

use crate::failure::Failure;
use std::path::Path;
use wave_contract::artifact::{Artifact, CodeSettings};
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_policy::{chain, clean};
use wave_runtime::Placement;

/// The version that artifacts must have.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Reads an artifact and checks that it can run on this host.
///
/// # Errors
/// 126 if it is not a valid artifact, 125 if it was compiled by another version or for another processor.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Artifact, Failure> {
    let place = || path.display().to_string();
    let artifact = Artifact::read(bytes)
        .map_err(|error| Failure::not_runnable(chain(&error)).at(place()).fix("compile it again: wave compile -o"))?;
    let refuse = |what: String| Failure::refused(what).at(place()).fix("compile it again: wave compile -o");
    let compiled_by = &artifact.origin.wave;
    if compiled_by != VERSION {
        return Err(refuse(format!(
            "the artifact was compiled by wave {}, and this is wave {VERSION}",
            clean(compiled_by)
        )));
    }
    if artifact.origin.module != *blake3::hash(&artifact.module).as_bytes() {
        return Err(Failure::not_runnable("the module in the artifact does not match its hash").at(place()));
    }
    let here = wave_compiler::processor().map_err(|error| Failure::refused(chain(&error)))?;
    let missing: Vec<_> = artifact
        .image
        .processor
        .split_whitespace()
        .filter(|feature| !here.split_whitespace().any(|own| own == *feature))
        .map(clean)
        .collect();
    if !missing.is_empty() {
        return Err(refuse(format!("the artifact was compiled for a processor with {}", missing.join(", "))));
    }
    Ok(artifact)
}

/// Checks that an artifact was compiled with the settings of this run.
///
/// # Errors
/// 125 if it was not.
pub fn check_settings(path: &Path, artifact: &Artifact, wanted: CodeSettings) -> Result<(), Failure> {
    let found = artifact.origin.settings;
    let (what, fix) = match (found.canonical_nans, wanted.canonical_nans) {
        (true, false) => ("the artifact was compiled with --deterministic", "run it with --deterministic"),
        (false, true) => {
            ("the artifact was compiled without --deterministic", "compile it again: wave compile --deterministic -o")
        }
        // Code that counts fuel can run without a limit.
        _ if wanted.fuel && !found.fuel => (
            "the artifact was compiled without --fuel: its code counts none",
            "compile it again: wave compile --fuel -o",
        ),
        _ => return Ok(()),
    };
    Err(Failure::refused(what).at(path.display().to_string()).fix(fix))
}

/// Checks that the code of an artifact matches these declarations and addresses.
///
/// # Errors
/// 125 if it does not.
pub fn check_image(
    path: &Path,
    image: &CodeImage,
    info: &ModuleInfo,
    placement: &Placement,
    module_len: usize,
) -> Result<(), Failure> {
    if image.addressing != placement.addressing {
        return Err(addresses_are_taken(path));
    }
    image.check(info, &placement.signatures, module_len).map_err(|error| does_not_fit(path, error.0))
}

/// The failure if the code of a compiled file cannot be loaded at its addresses.
pub fn addresses_are_taken(path: &Path) -> Failure {
    does_not_fit(path, "something else is at the addresses that it was compiled for")
}

fn does_not_fit(path: &Path, why: &str) -> Failure {
    Failure::refused(format!("the artifact's code does not fit: {why}"))
        .at(path.display().to_string())
        .fix("compile it again: wave compile -o")
}
