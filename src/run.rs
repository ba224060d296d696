//! `wave run`: plan, prepare, seal, enter, report.

use crate::args::{Run, Sandbox};
use crate::image::Program;
use crate::outcome;
use crate::plan::{GivenPolicy, plan};
use crate::platform::{self, bound::MemoryBound};
use crate::profile;
use crate::progress;
use crate::record::Records;
use crate::report::{self, Reporting, RunReport};
use crate::text::{chain, clean, for_program, limit_for_program, note, out, remark, short};
use crate::trace::Tracer;
use std::time::Duration;
use wave_engine::{Engine, Failure, Module, Outcome, Plan, Ready, Unused, demangled};
use wave_policy::limits::Fuel;
use wave_runtime::{Deadline, Frame, Stop, Stopped, Value, passed_deadline};

/// Runs a program; the result is its exit code.
///
/// # Errors
/// If the guest was not entered.
pub fn run(sandbox: Option<Sandbox>, arguments: &Run) -> Result<u8, Failure> {
    end_with_parent(arguments)?;
    if let Some(place) = &arguments.outcome {
        return outcome::run(sandbox, arguments, place);
    }
    let policy = GivenPolicy::read(arguments);
    // Before the module is looked for: an image is unpacked for it.
    match MemoryBound::of(arguments, policy.document())? {
        Some(bound) => bound.supervise(|engine| planned(engine, sandbox, arguments, policy)),
        None => planned(Engine::default(), sandbox, arguments, policy),
    }
}

/// Plans a run and does it, in this process.
fn planned(engine: Engine, sandbox: Option<Sandbox>, arguments: &Run, policy: GivenPolicy) -> Result<u8, Failure> {
    let program = Program::of(sandbox, arguments)?;
    let (plan, module) = (plan(sandbox, arguments, &program, policy.document?)?, program.module);
    if arguments.dry_run {
        show(&plan, &module);
        return Ok(0);
    }
    platform::enter(&plan, arguments)?;
    let records = Records::open(arguments, &plan)?;
    let tracer = Tracer::new(arguments, &plan, records.trace);
    let engine = records.kept_by(engine);
    let engine = if tracer.is_on() { engine.observed_by(Box::new(tracer)) } else { engine };
    execute(engine, plan, module, records.reporting(arguments), &mut Nobody)
}

/// Prints the plan of a run.
pub fn show(plan: &Plan, module: &Module) {
    out(&format!("module:   {}\n{plan}", clean(&module.name.display().to_string())));
}

/// Applies `--die-with-parent`.
///
/// # Errors
/// When the kernel does not promise it.
pub fn end_with_parent(arguments: &Run) -> Result<(), Failure> {
    let outcome = if arguments.die_with_parent { wave_sandbox::end_with_parent() } else { Ok(()) };
    outcome.map_err(|error| Failure::refused(chain(&error)).at("--die-with-parent").fix("drop the flag"))
}

/// Is told of a run by its own process.
pub trait Witness {
    /// The process is sealed.
    fn sealed(&mut self, report: &RunReport<'_>);

    /// The program has ended.
    fn ended(&mut self, outcome: &Outcome);
}

/// Nobody wants to know.
pub struct Nobody;

impl Witness for Nobody {
    fn sealed(&mut self, _: &RunReport<'_>) {}

    fn ended(&mut self, _: &Outcome) {}
}

/// Runs a program as planned and prints how it ended. Returns its exit code.
///
/// # Errors
/// If the guest was not entered.
pub fn execute(
    engine: Engine,
    plan: Plan,
    module: Module,
    reporting: Reporting,
    witness: &mut dyn Witness,
) -> Result<u8, Failure> {
    // The first message: without it, errors of the program that follow cannot be understood.
    plan.notes().iter().for_each(|text| remark(text));
    if !reporting.is_on_stderr() {
        report::announce(&plan.relaxations());
    }
    load(engine, plan, module)?.run(reporting, witness)
}

/// A loaded program.
pub struct Loaded {
    ready: Ready,
    relaxations: Vec<String>,
    ends: Ends,
    output_bytes: u64,
}

/// Loads a program.
///
/// # Errors
/// If it cannot run as planned.
pub fn load(engine: Engine, plan: Plan, module: Module) -> Result<Loaded, Failure> {
    let relaxations = plan.relaxations();
    let ends = Ends::of(&plan);
    let output_bytes = plan.limits.max_output.unwrap_or(u64::MAX);
    let is_profiled = plan.profile;
    if is_profiled {
        profile::refuse_readable(&plan)?;
    }
    let ready = engine.watched_by(progress::line()).prepare(plan, module)?;
    if is_profiled {
        profile::write(&ready.code())?;
    }
    // A client would notice; so should the operator.
    for unused in ready.unused() {
        match unused {
            Unused::Listener(address) => {
                remark(&format!("wave: note: the module does not import `sock_accept`: nothing listens on {address}\n"))
            }
            Unused::Connection(grant) => {
                remark(&format!("wave: note: the module asks for no connections: it cannot connect to {grant}\n"));
            }
            Unused::Directory(_) => {}
        }
    }
    let stubs = ready.unknown_imports();
    if !stubs.is_empty() {
        note(&format!("wave: nobody provides what the module imports, so stubs do: {}\n", listed(&stubs)));
    }
    if ready.asks_for_threads() {
        remark("wave: note: the module imports `wasi` `thread-spawn`, which always fails: wave offers no threads\n");
    }
    Ok(Loaded { ready, relaxations, ends, output_bytes })
}

impl Loaded {
    /// Seals the process, runs the program and prints how it ended. Returns its exit code.
    ///
    /// # Errors
    /// If the process could not be sealed. The program has not run.
    pub fn run(self, reporting: Reporting, witness: &mut dyn Witness) -> Result<u8, Failure> {
        let Self { ready, relaxations, ends, output_bytes } = self;
        let unused: Vec<_> = ready.unused().iter().map(ToString::to_string).collect();
        let mut stubs = ready.unknown_imports();
        stubs.truncate(MOST_STUBS);
        let sealed = ready.seal()?;
        sealed.chosen_addresses().iter().for_each(|address| note(&format!("wave: listening on {address}\n")));
        let report = RunReport { sandbox: &sealed.report(), relaxations: &relaxations, unused: &unused, stubs: &stubs };
        reporting.print(&report)?;
        witness.sealed(&report);
        limit_for_program(output_bytes);
        let (outcome, mut remains) = sealed.enter_keeping();
        // Before anything is printed, because a reader that has gone away ends this process.
        witness.ended(&outcome);
        match &outcome {
            Outcome::Returned(results) => {
                results.iter().for_each(|result| for_program(out, &(show_value(*result) + "\n")));
            }
            Outcome::Stopped(stopped) => explain(stopped, &ends),
        }
        if let (Outcome::Stopped(stopped @ Stopped { stop: Stop::Trap(_), .. }), Some(mut file)) =
            (&outcome, reporting.dump)
        {
            // The program has ended as it has: its exit code stays.
            if let Err(error) = remains.dump(&stopped.backtrace, &mut file) {
                note(&format!("wave: the core dump is not whole: {error}\n  where: --coredump\n"));
            }
        }
        Ok(outcome.exit_code())
    }
}

/// The most imports without a provider that a report names.
const MOST_STUBS: usize = 1000;

/// Some of the names, and the number of the rest.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{}`", clean(name))).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The limits that end a run.
struct Ends {
    wall: Limit<Duration>,
    processor: Limit<Duration>,
    fuel: Limit<Fuel>,
}

/// A limit, and the line of the policy that sets it.
struct Limit<T> {
    value: Option<T>,
    line: Option<String>,
}

impl Ends {
    fn of(plan: &Plan) -> Self {
        Self {
            wall: Limit::new(plan, "limits.timeout", plan.limits.timeout),
            processor: Limit::new(plan, "limits.cpu-time", plan.limits.cpu_time),
            fuel: Limit::new(plan, "limits.fuel", plan.limits.fuel),
        }
    }
}

impl<T> Limit<T> {
    fn new(plan: &Plan, id: &str, value: Option<T>) -> Self {
        Self { value, line: plan.line_of_policy(id).map(|line| format!("{id} ({line})")) }
    }

    /// Prints the line of the policy that sets it.
    fn print_line(&self) {
        if let Some(line) = &self.line {
            note(&format!("  where: {}\n", clean(line)));
        }
    }
}

fn show_value(value: Value) -> String {
    match value {
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::F32(bits) => f32::from_bits(bits).to_string(),
        Value::F64(bits) => f64::from_bits(bits).to_string(),
        Value::V128(bits) => format!("{bits:#034x}"),
        Value::FuncRef(function) => if function.is_some() { "funcref" } else { "null" }.to_owned(),
        Value::ExnRef(exception) => if exception.is_some() { "exnref" } else { "null" }.to_owned(),
        Value::AnyRef(reference) => if reference == 0 { "null" } else { "anyref" }.to_owned(),
        Value::ExternRef(number) => number.map_or_else(|| "null".to_owned(), |number| format!("externref {number}")),
    }
}

/// Prints how a guest ended that did not return.
fn explain(stopped: &Stopped, ends: &Ends) {
    match stopped.stop {
        Stop::Exit(code) if code > 255 => {
            note(&format!("wave: the guest exited with {code}, which no exit status can hold (0 to 255)\n"));
        }
        Stop::Exit(_) => {}
        Stop::Signal(number) => note(&format!("wave: the guest raised signal {number} on itself\n")),
        Stop::Deadline => {
            let (limit, what) = match passed_deadline() {
                Some(Deadline::Processor) => (&ends.processor, "processor time limit"),
                _ => (&ends.wall, "time limit"),
            };
            let time = limit.value.map_or_else(String::new, |limit| format!(" of {limit:?}"));
            note(&format!("wave: {what}{time} reached\n"));
            limit.print_line();
            print_backtrace(&stopped.backtrace);
        }
        Stop::OutOfFuel => {
            let units = ends.fuel.value.map_or_else(String::new, |Fuel(units)| format!(" of {units}"));
            note(&format!("wave: fuel{units} used up\n"));
            ends.fuel.print_line();
            print_backtrace(&stopped.backtrace);
        }
        Stop::Trap(trap) => {
            let tag = stopped.tag.as_deref().map_or_else(String::new, |tag| format!(" with tag `{}`", short(tag)));
            for_program(note, &format!("wave: trap: {trap}{tag}\n"));
            print_backtrace(&stopped.backtrace);
        }
    }
}

/// Prints a backtrace, with names as the source has them.
fn print_backtrace(frames: &[Frame]) {
    for frame in frames {
        let number = frame.function.map_or_else(|| "?".to_owned(), |function| function.to_string());
        let shown = |name: &str| short(&demangled(name).unwrap_or_else(|| name.to_owned()));
        let name = frame.name.as_deref().map_or_else(|| format!("<function {number}>"), shown);
        let position = frame.position.map_or_else(String::new, |position| format!(" ({position:#x})"));
        let line = frame.line.as_deref().map_or_else(String::new, |line| format!(" {}", short(line)));
        for_program(note, &format!("  at {name}{position}{line}\n"));
    }
}
