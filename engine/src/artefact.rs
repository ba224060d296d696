//! Compiled programs as files: what `wave compile -o` writes and `wave run` takes.
//!
//! Anybody can make such a file. Its code is verified like the compiler's, against the module in it, and is another program than
//! that module: it is cached and pinned by the hash of the whole file. All else that it says is only used to tell early and
//! clearly that it is not for this host.

use crate::failure::Failure;
use std::path::Path;
use wave_contract::artefact::Artefact;
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_policy::{chain, clean};
use wave_runtime::Placement;

/// What this program writes into artefacts, and expects there.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Reads an artefact that is to run here.
///
/// # Errors
/// 126 if it is none, 125 if it was made by another version or for another processor.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Artefact, Failure> {
    let place = || path.display().to_string();
    let artefact = Artefact::read(bytes)
        .map_err(|error| Failure::not_runnable(chain(&error)).at(place()).fix("compile it again: wave compile -o"))?;
    let again = |what: String| Failure::refused(what).at(place()).fix("compile it again: wave compile -o");
    let made_by = &artefact.origin.wave;
    if made_by != VERSION {
        return Err(again(format!("the artefact was made by wave {}, and this is wave {VERSION}", clean(made_by))));
    }
    if artefact.origin.module != *blake3::hash(&artefact.module).as_bytes() {
        return Err(Failure::not_runnable("the artefact's module is another than it says").at(place()));
    }
    let here = wave_compiler::processor().map_err(|error| Failure::refused(chain(&error)))?;
    let missing: Vec<_> = artefact
        .image
        .processor
        .split_whitespace()
        .filter(|feature| !here.split_whitespace().any(|own| own == *feature))
        .map(clean)
        .collect();
    if !missing.is_empty() {
        return Err(again(format!("the artefact was made for a processor with {}", missing.join(", "))));
    }
    Ok(artefact)
}

/// Whether code was compiled with the settings of this run.
///
/// # Errors
/// 125 if not.
pub fn check_settings(path: &Path, artefact: &Artefact, canonical_nans: bool) -> Result<(), Failure> {
    let (what, fix) = match (artefact.origin.canonical_nans, canonical_nans) {
        (true, false) => ("the artefact was compiled with --deterministic", "run it with --deterministic"),
        (false, true) => {
            ("the artefact was compiled without --deterministic", "compile it again: wave compile --deterministic -o")
        }
        _ => return Ok(()),
    };
    Err(Failure::refused(what).at(path.display().to_string()).fix(fix))
}

/// Whether the code of an artefact is for these declarations and addresses.
///
/// # Errors
/// 125 if not.
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

/// Says that the code of a compiled file cannot be where it must.
pub fn addresses_are_taken(path: &Path) -> Failure {
    does_not_fit(path, "something else is at the addresses that it was compiled for")
}

fn does_not_fit(path: &Path, why: &str) -> Failure {
    Failure::refused(format!("the artefact's code does not fit: {why}"))
        .at(path.display().to_string())
        .fix("compile it again: wave compile -o")
}
