//! `wave audit`: what a module can ask for, what that means in system calls, and what it cannot do.
//!
//! | file | does |
//! |---|---|
//! | `module`, `component` | read declarations, and nothing else of a module |
//! | `report` | what follows from them: one value that every format prints |
//! | `granted` | what a policy grants of it |
//! | `grants`, `capabilities`, `facts`, `score` | its parts, each derived from the reviewed table of system calls or from data |
//! | `page` | the report in words, as headings, paragraphs and tables |
//! | `text`, `markdown`, `html` | pages as characters |
//! | `sarif` | the report for code scanning |

mod capabilities;
mod component;
mod facts;
mod granted;
mod grants;
mod html;
mod markdown;
mod module;
mod page;
mod report;
mod sarif;
mod score;
mod text;

use crate::args::{self, AuditFormat, Sandbox};
use crate::text::{json, json_of};
use crate::worker::{self, Said};
use granted::Granted;
use report::Audit;
use wave_contract::artefact::Artefact;
use wave_engine::Failure;
use wave_engine::input;
use wave_engine::policy::{PolicyDocument, pin};

/// Exit code of a module whose score is above the threshold.
const ABOVE: u8 = 1;

/// Reads a module's declarations, in a sealed process, and prints what follows from them. Nothing of it is validated, compiled or
/// run.
///
/// # Errors
/// 127 when there is no module, 126 when it is none or is broken, 125 for a policy that is not for it.
pub fn audit(sandbox: Option<Sandbox>, arguments: &args::Audit) -> Result<u8, Failure> {
    let path = &arguments.module;
    let file = input::read_file(path)?;
    let policy = arguments.policy.as_deref().map(PolicyDocument::read).transpose()?;
    policy.as_ref().map_or(Ok(()), |policy| policy.check_pin(path, &file))?;
    worker::say(&worker::limits(sandbox, path), 1, || report(arguments, &file, policy.as_ref()))
}

fn report(arguments: &args::Audit, file: &[u8], policy: Option<&PolicyDocument>) -> Result<Said, Failure> {
    let compiled = Artefact::is_one(file).then(|| (file.len(), pin::of(file)));
    let bytes = input::module(&arguments.module, file)?;
    let place = arguments.module.display().to_string();
    let declarations =
        module::read(&bytes).map_err(|error| Failure::not_runnable(error.to_string()).at(place.clone()))?;
    let granted = policy.as_ref().map(|policy| Granted::of(policy, &declarations)).transpose()?;
    let report = Audit::new(&place, &bytes, declarations, granted);
    let report = match compiled {
        Some((size_bytes, blake3)) => report.in_compiled_file(size_bytes, blake3),
        None => report,
    };
    let above = arguments.threshold.filter(|threshold| report.score.tenths > *threshold);
    let out = match arguments.format {
        AuditFormat::Text => text::render(&page::page(&report)),
        AuditFormat::Markdown => markdown::render(&page::page(&report)),
        AuditFormat::Html => html::render(&page::page(&report)),
        AuditFormat::Json => json(&report)?,
        AuditFormat::Sarif => json_of(&sarif::log(&report, above))?,
    };
    let note = above.map(|threshold| {
        let (score, threshold) = (score::decimal(report.score.tenths), score::decimal(threshold));
        format!("wave: the exposure score {score} is above the threshold {threshold}\n")
    });
    let code = if above.is_some() { ABOVE } else { 0 };
    Ok(Said { out, note: note.unwrap_or_default(), code })
}
