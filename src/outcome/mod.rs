//! `wave run --outcome`: how a run ended, as one JSON object for programs.
//!
//! Two processes. One runs the program, sealed as always; the other waits for its end and writes the object. Only the second one
//! has the place that is written to. How the process ended and what it used is the kernel's word; the rest is in memory that both
//! share, as the process of the run left it. A program cannot reach that memory unless it has broken out of its own.
//!
//! | file | does |
//! |---|---|
//! | `area` | the memory that both share |
//! | `count` | counts hostcalls, in the process of the run |
//! | `witness` | records layers and end, in the process of the run |
//! | `document` | the object |

mod area;
mod count;
mod document;
mod witness;

use crate::args::{Run, Sandbox};
use crate::flag;
use crate::image::Program;
use crate::place::Place;
use crate::plan::{GivenPolicy, module_name, plan};
use crate::platform::bound::{self, MemoryBound};
use crate::record::Records;
use crate::run;
use crate::text::{chain, fail, json_line};
use crate::trace::Tracer;
use area::{AREA_BYTES, Text};
use count::Counter;
use document::{Document, Names};
use std::num::NonZeroUsize;
use std::time::Instant;
use wave_engine::policy::{PolicyDocument, pin};
use wave_engine::{DirectoryGrant, Engine, Failure, Module};
use wave_sandbox::supervise;
use witness::Recorder;

/// Runs a program and writes how it ended; the result is its exit code.
///
/// # Errors
/// If the object cannot be written. Every other failure is in it.
pub fn run(sandbox: Option<Sandbox>, arguments: &Run, place: &str) -> Result<u8, Failure> {
    wave_sandbox::prepare_allocator();
    let policy = GivenPolicy::read(arguments);
    let place = Place::open_record("--outcome", place, &grants_of(arguments, policy.document()))?;
    let area_bytes = NonZeroUsize::new(AREA_BYTES).unwrap_or(NonZeroUsize::MIN);
    let started = Instant::now();
    let (bound, refused) = match MemoryBound::of(arguments, policy.document()) {
        Ok(bound) => (bound, None),
        // The process of the run reports it, as every failure.
        Err(failure) => (None, Some(failure)),
    };
    let supervised = supervise(area_bytes, |area| {
        let (counts, texts) = area::split(area);
        let mut recorder = Recorder::new(texts);
        let outcome = match refused {
            Some(failure) => Err(failure),
            None => run_recorded(sandbox, arguments, (policy, bound.as_ref()), counts, &mut recorder),
        };
        i32::from(outcome.unwrap_or_else(|failure| {
            fail(&failure);
            recorder.failed(&failure);
            failure.code()
        }))
    });
    let ended = supervised.as_ref().ok().map(|supervised| supervised.ended);
    let exceeded = bound.and_then(|bound| bound.finish(ended));
    let supervised = supervised
        .map_err(|error| Failure::refused(format!("cannot start a process for the run: {}", chain(&error))))?;
    let names = Names {
        module: module_name(arguments).to_owned(),
        policy: arguments.policy.clone(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let document = Document::new(&supervised, started.elapsed(), &names, exceeded);
    place.write(&json_line(&document)?)?;
    Ok(bound::exit_code(supervised.ended, exceeded))
}

/// The directories that flags and policy grant. The process of the run reports what makes no sense, and runs nothing then.
fn grants_of(arguments: &Run, policy: Option<&PolicyDocument>) -> Vec<DirectoryGrant> {
    let of_policy = policy.and_then(|policy| policy.grants().ok()).unwrap_or_default();
    let of_flags = arguments.dirs.iter().filter_map(|typed| flag::grant(typed).ok());
    let is_there = |grant: &DirectoryGrant| grant.host.canonicalize().is_ok();
    of_policy.into_iter().chain(of_flags).filter(is_there).collect()
}

/// The run, in its own process.
fn run_recorded(
    sandbox: Option<Sandbox>,
    arguments: &Run,
    (policy, bound): (GivenPolicy, Option<&MemoryBound>),
    counts: &'static mut [u8],
    recorder: &mut Recorder,
) -> Result<u8, Failure> {
    let engine = bound.map_or_else(|| Ok(Engine::default()), MemoryBound::enter)?;
    if let Some(hash) = &policy.hash {
        recorder.text(Text::Policy, hash);
    }
    let program = Program::of(sandbox, arguments)?;
    let plan = plan(sandbox, arguments, &program, policy.document?)?;
    let (name, bytes) = program.module.read(plan.limits.compile_timeout())?;
    recorder.text(Text::Module, &pin::of(&bytes));
    let records = Records::open(arguments, &plan)?;
    let tracer = Tracer::new(arguments, &plan, records.trace);
    let engine = records.kept_by(engine.observed_by(Box::new(Counter::new(counts, tracer))).supervised());
    run::execute(engine, plan, Module::bytes(&name, bytes), records.reporting(arguments), recorder)
}
