//! What a version of the specification accepts. Its scripts also say what it refuses, and later versions accept some of that.

use crate::error::CompileError;
use wasmparser::{Validator, WasmFeatures};

/// A version of the specification, and proposals that were added to it.
#[derive(Clone, Copy, Debug)]
pub struct Edition(WasmFeatures);

impl Edition {
    /// Reads `2.0`, or `2.0+memory64+tail-call`. `None` if a name is not known.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = text.split('+');
        let version = match names.next()? {
            "1.0" => WasmFeatures::WASM1,
            "2.0" => WasmFeatures::WASM2,
            "3.0" => WasmFeatures::WASM3,
            _ => return None,
        };
        let proposal = |name: &str| WasmFeatures::from_name(&name.replace('-', "_").to_uppercase());
        names.try_fold(version, |all, name| Some(all.union(proposal(name)?))).map(Self)
    }

    /// Validates all of a module.
    ///
    /// # Errors
    /// [`CompileError::Invalid`] if this edition refuses it.
    pub fn validate(self, bytes: &[u8]) -> Result<(), CompileError> {
        Validator::new_with_features(self.0).validate_all(bytes)?;
        Ok(())
    }
}
