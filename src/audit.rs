//! `wave audit`: what a module can ask for, what that means in system calls, and what it cannot do.

use crate::args::{self, AuditFormat, Sandbox};
use crate::image;
use crate::platform;
use crate::text::remark;
use crate::worker::{self, Output};
use wave_audit::{Audit, decimal};
use wave_engine::Failure;
use wave_engine::policy::PolicyDocument;

/// Exit code of a module that cannot run, or whose score is above the threshold.
const NO: u8 = 1;

/// Reads and validates a module, in a sealed process, and prints what follows from its declarations. Nothing of it is compiled or
/// run.
///
/// # Errors
/// 127 when there is no module, 126 when it is none or is broken, 125 for a policy that is not for it.
pub fn audit(sandbox: Option<Sandbox>, arguments: &args::Audit) -> Result<u8, Failure> {
    if let Some(note) = platform::NOTE {
        remark(note);
    }
    let path = &arguments.module;
    let limits = worker::limits(sandbox, path);
    let file = image::read(&limits)?;
    let policy = arguments.policy.as_deref().map(PolicyDocument::read).transpose()?;
    policy.as_ref().map_or(Ok(()), |policy| policy.check_pin(path, &file))?;
    worker::run(&limits, 1, |_| report(arguments, &file, policy.as_ref()))
}

fn report(arguments: &args::Audit, file: &[u8], policy: Option<&PolicyDocument>) -> Result<Output, Failure> {
    let report = Audit::of(&arguments.module, file, policy)?;
    let above = arguments.threshold.filter(|threshold| report.score.tenths > *threshold);
    let out = match arguments.format {
        AuditFormat::Text => report.text(),
        AuditFormat::Markdown => report.markdown(),
        AuditFormat::Html => report.html(),
        AuditFormat::Json => report.json()?,
        AuditFormat::Sarif => report.sarif(above)?,
    };
    let mut note = String::new();
    if !report.can_run() {
        note += "wave: the module cannot run: the report says why\n";
    }
    if let Some(threshold) = above {
        let (score, threshold) = (decimal(report.score.tenths), decimal(threshold));
        note += &format!("wave: the exposure score {score} is above the threshold {threshold}\n");
    }
    let code = if note.is_empty() { 0 } else { NO };
    Ok(Output { out, note, code })
}
