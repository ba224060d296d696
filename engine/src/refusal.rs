//! Reasons to refuse a module, as the process that reads it reports them.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::path::Path;
use wave_compiler::CompileError;
use wave_policy::chain;

/// Why a module was refused. A worker sends this, and workers are not trusted, so neither are the texts.
#[derive(Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// The bytes are neither a module nor text.
    Format(String),
    /// The text is invalid, at this position.
    Text(String, String),
    /// It is a component.
    Component,
    /// The processor lacks something.
    Processor(String),
    /// It is invalid, or beyond the limits of the compiler.
    Module(String),
}

impl From<&CompileError> for Refusal {
    fn from(error: &CompileError) -> Self {
        // Names in a module can be long, and the reader accepts a limited length.
        let text = || chain(error).chars().take(4096).collect();
        match error {
            CompileError::Component => Self::Component,
            CompileError::Processor(_) => Self::Processor(text()),
            _ => Self::Module(text()),
        }
    }
}

impl Refusal {
    /// The failure for the module at `path`.
    pub fn failure(&self, path: &Path) -> Failure {
        let place = path.display().to_string();
        match self {
            Self::Format(found) => Failure::not_runnable(format!("not a WebAssembly module: {found}"))
                .at(place)
                .fix("give a .wasm file, which starts with `\\0asm`, or WebAssembly text"),
            Self::Text(what, position) => {
                Failure::not_runnable(format!("cannot read WebAssembly text: {what}")).at(place + position)
            }
            Self::Component => Failure::not_runnable("this is a component, and wave runs core modules").at(place).fix(
                "build for WASI preview 1: wasm32-wasip1 (Rust, C), GOOS=wasip1 (Go); `wave inspect` shows what it imports",
            ),
            Self::Processor(what) => Failure::refused(what).fix("`wave doctor` lists what is needed"),
            Self::Module(what) => Failure::not_runnable(what).at(place),
        }
    }
}
