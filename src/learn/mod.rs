//! `wave learn`: runs a program as `wave run` does, and writes a policy of what it used.
//!
//! Two processes. One runs the program, sealed as always, with an observer that hears of every hostcall; the other waits for its
//! end, reads what the observer counted in memory that both share, and writes the file. What is in that memory may be forged by
//! a program that took its process over; so it can only choose among what was granted for the run, and its texts are only
//! comments.
//!
//! | file | does |
//! |---|---|
//! | `area` | the memory that both share |
//! | `observe` | what each hostcall means for a policy, in the process of the run |
//! | `used` | what the run used, read as hostile data |
//! | `start` | the directory where the program started |
//! | `narrow` | from that to a policy for the run |
//! | `merge` | that together with the policy of the file |
//! | `notes` | the comments: counts that later runs add to |
//! | `file` | the file: read before the run, written as a whole after it |

mod area;
mod file;
mod merge;
mod narrow;
mod notes;
mod observe;
mod start;
mod used;

use crate::args::{self, Run, Sandbox};
use crate::image::Program;
use crate::plan::{GivenPolicy, plan};
use crate::platform::bound::{self, MemoryBound};
use crate::record::Records;
use crate::run;
use crate::text::{chain, note};
use crate::trace::Tracer;
use crate::worker;
use area::{AREA_BYTES, Layout, Stage};
use file::Target;
use merge::Learned;
use narrow::{Granted, Imports};
use observe::UseObserver;
use start::Start;
use std::num::NonZeroUsize;
use std::time::Instant;
use used::Use;
use wave_engine::compile::{self, Declared};
use wave_engine::connect_rule;
use wave_engine::names::{self, Pinned};
use wave_engine::policy::{can_grow, pin};
use wave_engine::{
    DirectoryGrant, Engine, Failure, Module, Observer, Plan, Used, Variable, first_descriptors, input,
    owner_of_writable, surface_of,
};
use wave_policy::file::Derived;
use wave_policy::{ConnectTarget, Level};
use wave_runtime::Stop;
use wave_sandbox::{Ended, Supervised, supervise};
use wave_wasi::{ConnectRule, Record};

/// Signals from outside that end a run in the middle: INT, TERM, HUP, QUIT.
const ENDS: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// Runs a program, observed; the result is its exit code.
///
/// # Errors
/// When it did not run, or no policy could be written.
pub fn learn(sandbox: Option<Sandbox>, arguments: args::Learn) -> Result<u8, Failure> {
    let args::Learn { output, new_module, run } = arguments;
    wave_sandbox::prepare_allocator();
    if run.listenfd {
        return Err(Failure::usage("a policy cannot describe the sockets of a service manager")
            .at("--listenfd")
            .fix("use --tcplisten"));
    }
    if run.outcome.is_some() {
        return Err(Failure::usage("wave learn writes a policy, and no outcome")
            .at("--outcome")
            .fix("run the program once more, with wave run --outcome"));
    }
    run::end_with_parent(&run)?;
    let typed = Typed::new(&run);
    let policy = GivenPolicy::read(&run);
    let bound = MemoryBound::of(&run, policy.document())?;
    let program = Program::of(sandbox, &run)?;
    let (plan, module) = (plan(sandbox, &run, &program, policy.document?)?, program.module);
    if run.dry_run {
        run::show(&plan, &module);
        return Ok(0);
    }
    let target = Target::open(&output)?;
    target.refuse_within(&plan.grants)?;
    let mut granted = granted(&plan, &typed, &target)?;
    let start = Start::of(&plan);
    start.iter().for_each(|start| start.leave_out(&mut granted));
    let (name, bytes) = module.read(plan.limits.compile_timeout())?;
    let blake3 = pin::of(&bytes);
    target.check(&granted, (&name, &bytes), new_module)?;

    let layout = Layout { grants: plan.grants.len(), listeners: plan.listen.len(), connections: plan.connect.len() };
    let area_bytes = NonZeroUsize::new(AREA_BYTES).unwrap_or(NonZeroUsize::MIN);
    let started = Instant::now();
    let records = Records::open(&run, &plan)?;
    let reporting = records.reporting(&run);
    let tracer = Tracer::new(&run, &plan, records.trace);
    let first = first_descriptors(&plan.grants);
    let rules: Vec<_> = plan.connect.iter().map(|target| rules_of(target, &plan.pinned)).collect();
    let mut parts = Some((plan, bytes, tracer));
    let supervised = supervise(area_bytes, |area| {
        let outcome = match (parts.take(), UseObserver::new(area, layout, &first, &rules)) {
            (Some((plan, bytes, tracer)), Some(learner)) => {
                let observer = Box::new(Both { learner, tracer });
                let engine = bound.as_ref().map_or_else(|| Ok(Engine::default()), MemoryBound::enter);
                let engine = engine.map(|engine| records.kept_by(engine.observed_by(observer).supervised()));
                engine.and_then(|engine| {
                    run::execute(engine, plan, Module::bytes(&name, bytes), reporting, &mut run::Nobody)
                })
            }
            _ => Err(Failure::refused("the memory for what is observed is too small")),
        };
        i32::from(outcome.unwrap_or_else(|failure| {
            note(&failure.to_string());
            failure.code()
        }))
    });
    let exceeded = bound.and_then(|bound| bound.finish(supervised.as_ref().ok().map(|supervised| supervised.ended)));
    let Supervised { ended, left, .. } = supervised
        .map_err(|error| Failure::refused(format!("cannot start a process for the run: {}", chain(&error))))?;
    if exceeded.is_some() {
        note(&format!("wave: learn: the run was cut short, `{}` is unchanged\n", target.name()));
        return Ok(bound::exit_code(ended, exceeded));
    }
    let wall = started.elapsed();
    // Taken in the other process only.
    let Some((plan, bytes, _)) = parts else { return Err(Failure::refused("the plan of the run is gone")) };
    let mut used = Use::read(left, layout);
    let Some((stage, code)) = outcome(ended, used.stage)? else {
        note(&format!("wave: learn: the program did not run, `{}` is unchanged\n", target.name()));
        return Ok(ended.exit_code());
    };
    let module = input::module_of(&name, bytes)?;
    let Declared { info, unsealed, .. } = compile::declarations(plan.compile_limits(&name), module)?;
    worker::note_unsealed(unsealed.as_deref());
    let memory_bytes = info.memories.iter().fold(0_u64, |sum, memory| sum.saturating_add(memory.min_bytes()));
    let imports = Imports {
        name: name.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned()),
        blake3,
        surface: surface_of(&info),
        memory_bytes,
    };
    let ending = merge::ending(stage, code);
    if let Some(start) = start {
        start.count_for_around(&mut used, &mut granted);
    }
    let mut learned = merge::merge(&granted, &used, &imports, target.before(), ending, wall)?;
    let growable = can_grow(&info, learned.values.limits.max_memory);
    learned.values.os = Some(Derived::of(&imports.surface, growable, plan.resolver));
    // Of an earlier run.
    learned.notes.flags.retain(|flag| !flag.starts_with("--user "));
    learned.notes.flags.extend(identity_flag(&plan, &learned, &target)?);
    target.write(&file::text(&learned)?)?;
    print_summary(&learned, &used, &target);
    Ok(code)
}

/// Notes the use of grants, and prints the calls that are traced.
struct Both {
    learner: UseObserver<'static>,
    tracer: Tracer,
}

impl Observer for Both {
    fn observes(&self, _function: &str) -> bool {
        true
    }

    fn hostcall(&mut self, record: &Record) {
        self.learner.hostcall(record);
        if self.tracer.observes(record.function) {
            self.tracer.hostcall(record);
        }
    }

    fn begins(&mut self) {
        self.learner.begins();
    }

    fn ends(&mut self, stop: Option<&Stop>, used: Used) {
        self.learner.ends(stop, used);
    }
}

/// Arguments that a plan resolves and a policy must name as they were typed.
struct Typed {
    flags: Vec<String>,
}

impl Typed {
    fn new(run: &Run) -> Self {
        let mut flags: Vec<String> = run.devices.iter().map(|path| format!("--device {}", path.display())).collect();
        flags.extend(run.invoke.iter().map(|function| format!("--invoke {function}")));
        flags.extend(run.argv0.iter().map(|name| format!("--argv0 {name}")));
        flags.extend((run.manual_resolver).then(|| "--resolver manual".to_owned()));
        flags.extend(run.terminal_controls.then(|| "--terminal-controls".to_owned()));
        Self { flags }
    }
}

/// The monitor's rules for what a target allows.
fn rules_of(target: &ConnectTarget, pinned: &[Pinned]) -> Vec<ConnectRule> {
    names::grants(target, pinned).iter().filter_map(connect_rule).collect()
}

/// What was granted, in the words of a policy.
fn granted(plan: &Plan, typed: &Typed, target: &Target) -> Result<Granted, Failure> {
    let values = plan.policy.as_ref().map(|policy| &policy.values);
    let variable = |variable: &Variable| {
        let text = String::from_utf8_lossy(&variable.text).into_owned();
        let (name, value) = text.split_once('=').unwrap_or((&text, ""));
        (name.to_owned(), (!variable.is_passed).then(|| value.to_owned()))
    };
    let dirs = plan.grants.iter().map(|grant| Ok((grant.clone(), target.host(&grant.host)?)));
    Ok(Granted {
        level: plan.level,
        args: values.and_then(|values| values.args.clone()),
        settings: plan.settings.clone(),
        dirs: dirs.collect::<Result<_, Failure>>()?,
        env: plan.env.iter().map(variable).collect(),
        listen: plan.listen.clone(),
        connect: plan.connect.clone(),
        accept_from: plan.accept_from.as_ref().map(|rules| rules.iter().map(ToString::to_string).collect()),
        limits: plan.limits.chosen(),
        flags: typed.flags.clone(),
    })
}

/// How far the run got and its exit code; `None` if the program did not run.
///
/// # Errors
/// If it ended in a way that no program can bring about without breaking something.
fn outcome(ended: Ended, stage: Option<Stage>) -> Result<Option<(Stage, u8)>, Failure> {
    let broken = |what: String| {
        Failure::refused(format!("{what}, so nothing was learned")).fix("report it as a bug, with the module")
    };
    match (ended, stage) {
        (Ended::Status(_), Some(Stage::Refused)) => Ok(None),
        (Ended::Signal(number), Some(Stage::Refused)) if ENDS.contains(&number) => Ok(None),
        (Ended::Signal(number), Some(Stage::Running)) if ENDS.contains(&number) => {
            Ok(Some((Stage::Running, ended.exit_code())))
        }
        (Ended::Status(wave_sandbox::DENIED), Some(Stage::Running)) => {
            Err(broken("the process of the run made a system call that is refused to it".to_owned()))
        }
        (Ended::Status(_), Some(stage)) if stage != Stage::Running => Ok(Some((stage, ended.exit_code()))),
        _ => Err(broken(format!("the process of the run broke down ({ended})"))),
    }
}

/// Started as root, a run becomes the owner of what it may write. If the policy lets it write less, the user must be named.
fn identity_flag(plan: &Plan, learned: &Learned, target: &Target) -> Result<Option<String>, Failure> {
    let matters = plan.level != Level::Off && !learned.values.fs.is_empty();
    let Some(identity) = plan.identity.filter(|_| matters) else { return Ok(None) };
    let grants: Vec<DirectoryGrant> = learned.values.fs.iter().map(|directory| target.grant(directory)).collect();
    let derived = owner_of_writable(&grants)?;
    Ok((derived != Some(identity)).then(|| format!("--user {}:{}", identity.uid, identity.gid)))
}

/// Prints what was learned.
fn print_summary(learned: &Learned, used: &Use, target: &Target) {
    let mut text = String::new();
    if target.before().is_some() {
        text.extend(learned.wider.iter().map(|wider| format!("wave: learn: wider: {wider}\n")));
    }
    for flag in &learned.notes.flags {
        text += &format!("wave: learn: also needed on the command line: {}\n", notes::line(flag));
    }
    if used.denied > 0 {
        text += &format!(
            "wave: learn: {} calls were denied and stay denied; `wave run --trace` shows what would allow them\n",
            used.denied
        );
    }
    text += &format!("wave: learn: wrote {} (runs: {})\n", target.name(), learned.notes.runs);
    note(&text);
}
