//! `wave verify`: what the verifier finds in the code of a module or of an artifact.

use crate::args::{Format, Sandbox, Verify};
use crate::image;
use crate::text::{chain, clean};
use crate::worker::{self, Output};
use serde_json::json;
use std::cell::Cell;
use std::time::{Duration, Instant};
use wave_contract::artifact::{Artifact, CodeSettings};
use wave_contract::context::{Addressing, FixedAddresses};
use wave_contract::image::CodeImage;
use wave_contract::types::SignatureRegistry;
use wave_engine::Failure;
use wave_engine::compile;
use wave_engine::input;
use wave_engine::progress::{Step, Watch, counted};
use wave_verifier::{Report, Terms, Uses, VerifyError};

/// Verifies the code of an artifact, or of a module that is compiled as if it were to run alone, in a sealed process, and prints
/// what it uses. Exit code 1 if it is refused.
///
/// # Errors
/// When there is no module, or it is invalid.
pub fn verify(sandbox: Option<Sandbox>, arguments: &Verify) -> Result<u8, Failure> {
    let path = &arguments.module;
    let threads = arguments.threads.map_or_else(compile::default_threads, std::num::NonZero::get);
    let limits = worker::limits(sandbox, path);
    // The work is done once, in whichever process, and takes the memory of the file for the code.
    let bytes = Cell::new(image::read(&limits)?);
    worker::run(&limits, threads, |watch| report(arguments, bytes.take(), threads, watch))
}

fn report(arguments: &Verify, bytes: Vec<u8>, threads: usize, watch: Watch<'_>) -> Result<Output, Failure> {
    let code = match Artifact::is_one(&bytes) {
        true => of_artifact(arguments, bytes)?,
        false => of_module(arguments, &bytes, threads, watch)?,
    };
    let Code { module, image, terms, compiling } = code;
    let started = Instant::now();
    let outcome = counted(watch, Step::Verifying, |each| {
        wave_verifier::verify_watched(image, module, terms, threads, each).map(|(_, report)| report)
    });
    let took = Took { compiling, verifying: started.elapsed() };
    let out = match arguments.format {
        Format::Text => text(&outcome, &took)?,
        Format::Json => json(&outcome, &took)?,
    };
    Ok(Output { code: u8::from(outcome.is_err()), ..Output::new(out) })
}

/// Code to verify.
struct Code {
    module: Vec<u8>,
    image: CodeImage,
    terms: Terms,
    /// How long it took to compile, if that was done now.
    compiling: Option<Duration>,
}

/// What an artifact has: any, of any version and for any processor.
fn of_artifact(arguments: &Verify, bytes: Vec<u8>) -> Result<Code, Failure> {
    let flags = [("--deterministic", arguments.deterministic), ("--fuel", arguments.fuel)];
    if let Some((flag, _)) = flags.iter().find(|(_, is_given)| *is_given) {
        return Err(Failure::usage("the code of a compiled file is verified as it is").at(*flag).fix("leave it out"));
    }
    let path = arguments.module.display();
    let artifact = Artifact::take(bytes).map_err(|error| Failure::not_runnable(chain(&error)).at(path.to_string()))?;
    let Artifact { module, signatures, host_imports, image, .. } = artifact;
    let terms = Terms { addressing: image.addressing.clone(), signatures, host_imports };
    Ok(Code { module, image, terms, compiling: None })
}

/// What is compiled now, as if it were to run alone.
fn of_module(arguments: &Verify, bytes: &[u8], threads: usize, watch: Watch<'_>) -> Result<Code, Failure> {
    let path = &arguments.module;
    let bytes = input::module(path, bytes)?;
    let module = compile::parse(path, &bytes)?;
    let info = module.info();
    let addresses = FixedAddresses::imagined(info).ok_or_else(|| {
        Failure::not_runnable("it declares more globals, tables or imports than fit").at(path.display().to_string())
    })?;
    let mut registry = SignatureRegistry::default();
    let terms = Terms {
        addressing: Addressing::Fixed(addresses),
        signatures: registry.intern_module(info),
        host_imports: vec![true; info.imported_functions as usize],
    };
    let settings = CodeSettings { canonical_nans: arguments.deterministic, fuel: arguments.fuel };
    let started = Instant::now();
    let image = compile::compile_for(path, &module, &terms, settings, threads, watch)?;
    Ok(Code { module: bytes.into_owned(), image, terms, compiling: Some(started.elapsed()) })
}

struct Took {
    compiling: Option<Duration>,
    verifying: Duration,
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What the code uses, in words.
fn uses(uses: &Uses) -> [(&'static str, u64); 12] {
    let Uses {
        memory,
        frame,
        globals,
        context,
        lengths,
        entries,
        results,
        constants,
        calls,
        indirect_calls,
        host_calls,
        jump_tables,
    } = *uses;
    [
        ("memory", memory),
        ("frame", frame),
        ("globals", globals),
        ("context", context),
        ("lengths", lengths),
        ("entries", entries),
        ("results", results),
        ("constants", constants),
        ("calls", calls),
        ("indirect_calls", indirect_calls),
        ("host_calls", host_calls),
        ("jump_tables", jump_tables),
    ]
}

fn unreadable(error: &VerifyError) -> Failure {
    Failure::not_runnable(chain(error))
}

fn text(outcome: &Result<Report, VerifyError>, took: &Took) -> Result<String, Failure> {
    let compiling = took.compiling.map(|time| format!("compiling:      {:.1} ms\n", milliseconds(time)));
    let times = format!("{}verifying:      {:.1} ms\n", compiling.unwrap_or_default(), milliseconds(took.verifying));
    match outcome {
        Ok(report) => {
            let mut text = format!(
                "verified:       yes\nfunctions:      {}\nbytes:          {}\ninstructions:   {}, looked at {} times\n",
                report.functions, report.bytes, report.instructions, report.steps
            );
            for (what, count) in uses(&report.uses) {
                text += &format!("{:<16}{count}\n", format!("{}:", what.replace('_', " ")));
            }
            Ok(text + &times)
        }
        Err(VerifyError::Refused(refusals)) => {
            let lines: String = refusals.iter().map(|refusal| format!("  {}\n", clean(&refusal.to_string()))).collect();
            Ok(format!("verified:       no\n{lines}{times}"))
        }
        Err(error) => Err(unreadable(error)),
    }
}

fn json(outcome: &Result<Report, VerifyError>, took: &Took) -> Result<String, Failure> {
    let times = json!({ "compiling": took.compiling.map(milliseconds), "verifying": milliseconds(took.verifying) });
    let document = match outcome {
        Ok(report) => {
            let uses: serde_json::Map<_, _> =
                uses(&report.uses).into_iter().map(|(what, count)| (what.to_owned(), count.into())).collect();
            json!({
                "verified": true,
                "functions": report.functions,
                "bytes": report.bytes,
                "instructions": report.instructions,
                "steps": report.steps,
                "uses": uses,
                "milliseconds": times,
            })
        }
        Err(VerifyError::Refused(refusals)) => {
            let refusals: Vec<_> = refusals
                .iter()
                .map(|refusal| {
                    json!({
                        "unit": refusal.unit.to_string(),
                        "offset": refusal.offset,
                        "instruction": refusal.instruction,
                        "rule": refusal.rule.name(),
                        "what": refusal.what,
                    })
                })
                .collect();
            json!({ "verified": false, "refusals": refusals, "milliseconds": times })
        }
        Err(error) => return Err(unreadable(error)),
    };
    crate::text::json(&document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wave_verifier::{Refusal, Rule, UnitName};

    #[test]
    fn a_refusal_says_where_and_why() {
        let took = Took { compiling: Some(Duration::from_millis(2)), verifying: Duration::from_millis(1) };
        let refusal = Refusal {
            unit: UnitName::Function(7),
            offset: 0x40,
            instruction: "mov [rax],\u{1b}ecx".to_owned(),
            rule: Rule::Memory,
            what: "nothing that code may reach".to_owned(),
        };
        let outcome = Err(VerifyError::Refused(vec![refusal]));
        let expected = "verified:       no\n  function 7, offset 0x40: `mov [rax],\\u{1b}ecx`: nothing that code may reach (memory)\n\
                        compiling:      2.0 ms\nverifying:      1.0 ms\n";
        assert_eq!(text(&outcome, &took).expect("a report"), expected);
        let document: serde_json::Value =
            serde_json::from_str(&json(&outcome, &took).expect("a report")).expect("JSON");
        let expected = json!({
            "schema_version": 1,
            "verified": false,
            "refusals": [{
                "unit": "function 7",
                "offset": 64,
                "instruction": "mov [rax],\u{1b}ecx",
                "rule": "memory",
                "what": "nothing that code may reach",
            }],
            "milliseconds": { "compiling": 2.0, "verifying": 1.0 },
        });
        assert_eq!(document, expected);
    }
}
