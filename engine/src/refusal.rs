//! Reasons to refuse a module, as the process that reads it reports them.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::path::Path;
use wave_compiler::CompileError;
use wave_compiler::features::{self, Verdict};
use wave_lower::LowerError;
use wave_policy::chain;

/// Why a module was refused. A worker sends this, and workers are not trusted, so neither are the texts.
#[derive(Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// The bytes are neither a module nor text.
    Format(String),
    /// The text is invalid, at this position.
    Text(String, String),
    /// It is a component that cannot be lowered: why, and where in it.
    Component(String, Option<u64>, Unlowered),
    /// It needs features that are not supported, by their names.
    Features(Vec<String>),
    /// The processor lacks something.
    Processor(String),
    /// It is invalid, or beyond the limits of the compiler.
    Module(String),
}

/// What stands in the way of a component.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Unlowered {
    /// It is not valid, or too large.
    Wrong,
    /// It uses what is not supported.
    Unsupported,
    /// It is written as text.
    Text,
    /// A mistake of the lowering.
    Mistake,
}

impl From<&LowerError> for Refusal {
    fn from(error: &LowerError) -> Self {
        let kind = match error {
            LowerError::Unsupported(_) => Unlowered::Unsupported,
            LowerError::Mistake(_) => Unlowered::Mistake,
            LowerError::NoComponent | LowerError::Invalid(_) | LowerError::TooLarge(_) => Unlowered::Wrong,
        };
        Self::Component(text(error), error.offset(), kind)
    }
}

/// What an error says. Names in a module can be long, and the reader accepts a limited length.
fn text(error: &dyn std::error::Error) -> String {
    chain(error).chars().take(4096).collect()
}

impl Refusal {
    /// Why the module in these bytes was refused with this error. A module that could be invalid is read again for what it needs.
    pub fn of(error: &CompileError, bytes: &[u8]) -> Self {
        match error {
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
            Self::Component(what, offset, kind) => {
                let at = offset.map_or_else(|| place.clone(), |offset| format!("{place}:0x{offset:x}"));
                let failure = Failure::not_runnable(what.as_str()).at(at);
                match kind {
                    Unlowered::Wrong => failure,
                    Unlowered::Unsupported => failure.fix("docs/lowering.md lists what is supported"),
                    Unlowered::Text => {
                        failure.fix("`wasm-tools parse -o app.wasm app.wat` makes a binary component of it")
                    }
                    Unlowered::Mistake => failure.fix("report it as a bug, with the component"),
                }
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
