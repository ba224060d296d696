//! Prints how a run is protected: relaxations at the start, all layers on request.

use crate::args::Format;
use crate::record::RecordFile;
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
    /// Imports that nobody provides, and that stubs stand for.
    #[serde(skip_serializing_if = "is_empty")]
    pub stubs: &'a [String],
}

fn is_empty(list: &&[String]) -> bool {
    list.is_empty()
}

/// Prints to standard error what the command line relaxed.
pub fn announce(relaxations: &[String]) {
    if !relaxations.is_empty() {
        note(&format!("wave: relaxed by {}\n", clean(&relaxations.join(", "))));
    }
}

/// How a report is printed, and where a core dump goes.
#[derive(Clone, Copy, Debug)]
pub struct Reporting {
    /// `None`: only what `standard` lacks is printed.
    pub format: Option<Format>,
    /// Where it goes, if not to standard error.
    pub file: Option<RecordFile>,
    /// Where a core dump goes, if one is asked for.
    pub dump: Option<RecordFile>,
}

impl Reporting {
    /// Whether standard error has the report.
    pub const fn is_on_stderr(self) -> bool {
        self.format.is_some() && self.file.is_none()
    }

    /// Prints the layers: all of them in a format that was requested. Where that is not on standard error, those that `standard` lacks
    /// are printed there.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub fn print(self, report: &RunReport<'_>) -> Result<(), Failure> {
        let text = match self.format {
            Some(Format::Text) => in_text(report),
            Some(Format::Json) => json_line(report)?,
            None => String::new(),
        };
        match self.file {
            None if text.is_empty() => {}
            None if self.format == Some(Format::Text) => note_painted(&text, style::report),
            None => note(&text),
            Some(file) => file.write(&text).map_err(|error| {
                Failure::refused(format!("cannot write the report: {error}"))
                    .at("--report-file")
                    .fix("check the space on the disk, or who reads the pipe")
            })?,
        }
        if !self.is_on_stderr() {
            note_waived(report.sandbox);
        }
        Ok(())
    }
}

fn in_text(report: &RunReport<'_>) -> String {
    let RunReport { sandbox, relaxations, unused, stubs } = report;
    let relaxed = relaxations.iter().map(|flag| format!("  relaxed by {}\n", clean(flag)));
    let unused = unused.iter().map(|grant| format!("  not given, as the module has no use for it: {}\n", clean(grant)));
    let stubs = stubs.iter().map(|name| format!("  a stub stands for the import {}\n", clean(name)));
    relaxed.chain(unused).chain(stubs).fold(sandbox.to_string(), |all, line| all + &line)
}

fn note_waived(report: &Report) {
    for layer in &report.layers {
        if let State::Waived { reason } = &layer.state {
            note(&format!("wave: relaxed by --sandbox {}: no {} ({})\n", report.level, layer.name, clean(reason)));
        }
    }
}
