//! Reasons to refuse a module, as the process that reads it reports them.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::path::Path;
use wave_compiler::CompileError;
use wave_compiler::features::{self, Verdict};
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
    /// It needs features that are not supported, by their names.
    Features(Vec<String>),
    /// The processor lacks something.
    Processor(String),
    /// It is invalid, or beyond the limits of the compiler.
    Module(String),
}

impl Refusal {
    /// Why the module in these bytes was refused with this error. A module that could be invalid is read again for what it needs.
    pub fn of(error: &CompileError, bytes: &[u8]) -> Self {
        // Names in a module can be long, and the reader accepts a limited length.
        let text = |error| chain(error).chars().take(4096).collect();
        match error {
            CompileError::Component => Self::Component,
            CompileError::Processor(_) => Self::Processor(text(error)),
            CompileError::Invalid { .. } | CompileError::Unsupported { .. } => match features::judge(bytes) {
                Verdict::Needs(names) => Self::Features(names.into_iter().map(str::to_owned).collect()),
                Verdict::Invalid { message, offset } => Self::Module(text(&CompileError::Invalid { message, offset })),
                Verdict::Runs => Self::Module(text(error)),
            },
            _ => Self::Module(text(error)),
        }
    }

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
            Self::Component => {
                let (_, fix) = features::explain(&["component-model"]);
                Failure::not_runnable("this is a component, and wave runs core modules").at(place).fix(fix)
            }
            Self::Features(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let (what, fix) = features::explain(&names);
                Failure::not_runnable(what).at(place).fix(fix)
            }
            Self::Processor(what) => Failure::refused(what).fix("`wave doctor` lists what is needed"),
            Self::Module(what) => Failure::not_runnable(what).at(place),
        }
    }
}
