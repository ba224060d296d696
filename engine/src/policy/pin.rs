//! `[module] blake3`: the hash of the exact file that a policy is for.
//!
//! A compiled file is pinned by its own hash, never by the hash of the module in it. Its builder chose that module, and
//! the code may differ from it (T59).

use std::path::Path;
use wave_contract::artifact::Artifact;

/// The pin of a file: its BLAKE3 in hexadecimal.
pub fn of(file: &[u8]) -> String {
    blake3::hash(file).to_hex().to_string()
}

/// A file that does not match a pin.
pub struct Mismatch {
    /// The pin of the file.
    pub found: String,
    /// Whether it is a compiled file that contains the pinned module.
    pub contains_module: bool,
}

impl Mismatch {
    /// Compares a file with a pin. `None` if they match. A file that matches is only hashed, not parsed.
    pub fn find(pin: &str, file: &[u8]) -> Option<Self> {
        let found = of(file);
        if found == pin {
            return None;
        }
        let artifact = Artifact::is_one(file).then(|| Artifact::read(file).ok()).flatten();
        Some(Self { found, contains_module: artifact.is_some_and(|artifact| of(&artifact.module) == pin) })
    }

    /// What is wrong with a compiled file of the pinned module, and the fix. `None` for any other file.
    pub fn compiled_file_message(&self, path: &Path) -> Option<(String, String)> {
        self.contains_module.then(|| {
            let what = "the pin names a module, and this is a compiled file of it, whose code anyone could have built";
            let way =
                format!("run the module; or, if you trust whoever built the file, pin it: blake3 = \"{}\"", self.found);
            (format!("`{}` is not the module of this policy: {what}", path.display()), way)
        })
    }
}
