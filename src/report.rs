//! Prints how a run is protected: relaxations at the start, all layers on request.

use crate::args::Format;
use crate::style;
use crate::text::{clean, json_line, note, note_painted};
use wave_engine::Failure;
use wave_sandbox::{Report, State};

/// The layers that were applied, and what the command line relaxed.
#[derive(Debug, serde::Serialize)]
pub struct RunReport<'a> {
    #[serde(flatten)]
    pub sandbox: &'a Report,
    /// Flags that accept less than `strict` gives without any flag (T101).
    pub relaxations: &'a [String],
    /// Grants that the module cannot use, so that it did not get them (T123).
    pub unused: &'a [String],
}

/// Prints to standard error what the command line relaxed.
pub fn announce(relaxations: &[String]) {
    if !relaxations.is_empty() {
        note(&format!("wave: relaxed by {}\n", clean(&relaxations.join(", "))));
    }
}

/// Prints the layers to standard error: all of them in a format that was requested, otherwise those that `standard` lacks.
///
/// # Errors
/// When the report cannot be written.
pub fn print(format: Option<Format>, report: &RunReport<'_>) -> Result<(), Failure> {
    let RunReport { sandbox, relaxations, unused } = report;
    match format {
        Some(Format::Text) => {
            let note = |text: &str| note_painted(text, style::report);
            note(&sandbox.to_string());
            relaxations.iter().for_each(|flag| note(&format!("  relaxed by {}\n", clean(flag))));
            unused
                .iter()
                .for_each(|grant| note(&format!("  not given, as the module has no use for it: {}\n", clean(grant))));
        }
        Some(Format::Json) => {
            note(&json_line(report)?);
        }
        None => {
            for layer in &sandbox.layers {
                if let State::Waived { reason } = &layer.state {
                    note(&format!(
                        "wave: relaxed by --sandbox {}: no {} ({})\n",
                        sandbox.level,
                        layer.name,
                        clean(reason)
                    ));
                }
            }
        }
    }
    Ok(())
}
