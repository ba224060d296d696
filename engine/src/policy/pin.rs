//! `[module] blake3`: the hash of the file that a policy is for, as it is.
//!
//! A compiled file is meant by its own hash, never by that of the module in it: whoever made the file chose the module, and
//! its code need not be the module's (T59).

use std::path::Path;
use wave_contract::artefact::Artefact;

/// What a policy names a file by.
pub fn of(file: &[u8]) -> String {
    blake3::hash(file).to_hex().to_string()
}

/// How a file is another than the one that is meant.
pub struct Other {
    /// What the file is named by.
    pub found: String,
    /// That it is a compiled file of the module that is meant, if it says so.
    pub holds_the_module: bool,
}

impl Other {
    /// `None` for the file that is meant. Nothing of it was looked at yet.
    pub fn than(pin: &str, file: &[u8]) -> Option<Self> {
        let found = of(file);
        if found == pin {
            return None;
        }
        let artefact = Artefact::is_one(file).then(|| Artefact::read(file).ok()).flatten();
        Some(Self { found, holds_the_module: artefact.is_some_and(|artefact| of(&artefact.module) == pin) })
    }

    /// What is wrong with a compiled file of the module that is meant, and what to do.
    pub fn of_the_module(&self, path: &Path) -> Option<(String, String)> {
        self.holds_the_module.then(|| {
            let what = "the pin names a module, and this is a compiled file of it, whose code can be anybody's";
            let way =
                format!("run the module; or, if you trust who made the file, pin it: blake3 = \"{}\"", self.found);
            (format!("`{}` is not the module of this policy: {what}", path.display()), way)
        })
    }
}
