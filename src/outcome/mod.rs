//! `wave run --outcome`: how a run ended, as one JSON object for programs.
//!
//! Two processes. One runs the program, sealed as always; the other waits for its end and writes the object. Only the second one
//! has the place that is written to. How the process ended and what it used is the kernel's word; the rest is in memory that both
//! share, as the process of the run left it. A program cannot reach that memory unless it has broken out of its own.
//!
//! | file | does |
//! |---|---|
//! | `place` | where the object is written to |
//! | `area` | the memory that both share |
//! | `count` | counts hostcalls, in the process of the run |
//! | `witness` | records layers and end, in the process of the run |
//! | `document` | the object |

mod area;
mod count;
mod document;
mod place;
mod witness;

use crate::args::{Run, Sandbox};
use crate::image::Program;
use crate::plan::{module_name, plan, refuse_within};
use crate::run;
use crate::text::{chain, json_line, note};
use crate::trace::Tracer;
use area::{AREA_BYTES, Text};
use count::Counter;
use document::{Document, Names};
use place::Place;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;
use wave_engine::policy::{pin, read_text};
use wave_engine::{Engine, Failure, Module};
use wave_sandbox::supervise;
use witness::Recorder;

/// Runs a program and writes how it ended; the result is its exit code.
///
/// # Errors
/// If the object cannot be written. Every other failure is in it.
pub fn run(sandbox: Option<Sandbox>, arguments: &Run, place: &str) -> Result<u8, Failure> {
    wave_sandbox::prepare_allocator();
    let place = Place::open(place)?;
    let area_bytes = NonZeroUsize::new(AREA_BYTES).unwrap_or(NonZeroUsize::MIN);
    let started = Instant::now();
    let supervised = supervise(area_bytes, |area| {
        let path = place.path();
        let (counts, texts) = area::split(area);
        let mut recorder = Recorder::new(texts);
        let outcome = run_recorded(sandbox, arguments, path, counts, &mut recorder);
        i32::from(outcome.unwrap_or_else(|failure| {
            note(&failure.to_string());
            recorder.failed(&failure);
            failure.code()
        }))
    });
    let supervised = supervised
        .map_err(|error| Failure::refused(format!("cannot start a process for the run: {}", chain(&error))))?;
    let names = Names {
        module: module_name(arguments).to_owned(),
        policy: arguments.policy.clone(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let document = Document::new(&supervised, started.elapsed(), &names);
    place.write(&json_line(&document)?)?;
    Ok(supervised.ended.exit_code())
}

/// The run, in its own process.
fn run_recorded(
    sandbox: Option<Sandbox>,
    arguments: &Run,
    place: Option<&Path>,
    counts: &'static mut [u8],
    recorder: &mut Recorder,
) -> Result<u8, Failure> {
    if let Some(policy) = &arguments.policy {
        recorder.text(Text::Policy, &pin::of(read_text(policy)?.as_bytes()));
    }
    let program = Program::of(sandbox, arguments)?;
    let plan = plan(sandbox, arguments, &program)?;
    if let Some(path) = place {
        refuse_within(path, &plan.grants, "outcome", format!("--outcome {}", path.display()))?;
    }
    let (name, bytes) = program.module.read(plan.limits.compile_timeout())?;
    recorder.text(Text::Module, &pin::of(&bytes));
    let tracer = Tracer::new(&arguments.trace, arguments.trace_format, &plan);
    let engine = Engine::default().observed_by(Box::new(Counter::new(counts, tracer))).supervised();
    run::execute(engine, plan, Module::bytes(&name, bytes), arguments.report, recorder)
}
