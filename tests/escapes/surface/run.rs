//! A traced run of `wave`, and the rules it should have, derived from its module and its grants.

use std::any::Any;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use wave_contract::{MEMORY_RESERVATION_BYTES, PAGE_BYTES};
use wave_policy::{Access, FilesystemGrant, Policy, Resolver, Surface};

use super::tracer::{Call, Process, Trace, Tracer};
use wave_test_support::{self, Mode, Outcome, Wave};

/// The ids of the rules without which some call of a run would have been refused.
pub type Used = BTreeSet<&'static str>;

/// A run to be traced.
pub struct Run {
    module: PathBuf,
    mode: Mode,
    policy: Policy,
    wave: Box<dyn FnOnce(Wave) -> Wave>,
    tracer: Box<dyn FnOnce(Tracer) -> Tracer>,
    args: Vec<String>,
    _kept: Vec<Box<dyn Any>>,
}

/// What came of it. That every call is derived was asserted.
pub struct Traced {
    pub outcome: Outcome,
    pub used: Used,
    /// The calls after the seal.
    pub all: Vec<Call>,
    /// Processes and threads that it started, if they were to be followed.
    pub children: Vec<Process>,
}

impl Traced {
    /// The calls of one name after the seal.
    pub fn calls(&self, name: &str) -> impl Iterator<Item = &Call> {
        self.all.iter().filter(move |call| wave_sandbox::call_name(call.number) == Some(name))
    }
}

impl Run {
    pub fn new(module: &Path) -> Self {
        let policy = Policy { surface: surface(module), ..Policy::default() };
        Self {
            module: module.to_owned(),
            mode: Mode::Normal,
            policy,
            wave: Box::new(|wave| wave),
            tracer: Box::new(|tracer| tracer),
            args: Vec::new(),
            _kept: Vec::new(),
        }
    }

    /// Keeps something, such as a directory that is granted, until the run has ended.
    pub fn keeping(mut self, what: impl Any) -> Self {
        self._kept.push(Box::new(what));
        self
    }

    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self.policy.resolver = match mode {
            Mode::Normal => Resolver::Kernel,
            Mode::ManualResolver => Resolver::Manual,
        };
        self
    }

    /// Grants a directory as `/`.
    pub fn grant(mut self, host: &Path, access: Access) -> Self {
        self.policy.grants.push(FilesystemGrant { host: host.to_owned(), access });
        let host = host.to_owned();
        self.and(move |wave| wave.dir(&host, "/", access.as_str()))
    }

    /// Says that the module has a shared memory.
    pub fn shared(mut self) -> Self {
        self.policy.surface = self.policy.surface.with_shared_memory(true);
        self
    }

    /// Grants a listener on a port that the kernel chooses.
    pub fn listener(mut self) -> Self {
        self.policy.listeners.push(([127, 0, 0, 1], 0).into());
        self.flag("--tcplisten", "127.0.0.1:0")
    }

    /// Calls an export and prints what it returns.
    pub fn invoke(mut self, export: &'static str) -> Self {
        self.policy.prints_results = true;
        self.flag("--invoke", export)
    }

    /// Writes the trace to a file of its own.
    pub fn trace_file(mut self) -> Self {
        self.policy.records = true;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("trace").display().to_string();
        self.keeping(dir).and(move |wave| wave.flag("--trace-file", &path))
    }

    /// Writes a core dump if the program traps.
    pub fn coredump(mut self) -> Self {
        self.policy.dumps = true;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("core").display().to_string();
        self.keeping(dir).and(move |wave| wave.flag("--coredump", &path))
    }

    /// A flag that changes nothing about the policy.
    pub fn flag(self, name: &'static str, value: &'static str) -> Self {
        self.and(move |wave| wave.flag(name, value))
    }

    /// Variables and arguments, which change nothing about the policy either.
    pub fn env_and_args(mut self, env: &[String], args: &[String]) -> Self {
        self.args = args.to_vec();
        let env = env.to_vec();
        self.and(move |wave| env.iter().fold(wave, |wave, variable| wave.env(variable)))
    }

    fn and(mut self, more: impl FnOnce(Wave) -> Wave + 'static) -> Self {
        let before = std::mem::replace(&mut self.wave, Box::new(|wave| wave));
        self.wave = Box::new(|wave| more(before(wave)));
        self
    }

    /// A tracer that does more.
    pub fn traced_with(mut self, tracer: impl FnOnce(Tracer) -> Tracer + 'static) -> Self {
        self.tracer = Box::new(tracer);
        self
    }

    /// Runs to the end, and asserts that every call after the seal is derived.
    #[track_caller]
    pub fn trace(self) -> Traced {
        let Self { module, mode, policy, wave, tracer, args, _kept } = self;
        let mut command = wave(mode.strict()).command(&module);
        command.args(args);
        let Trace { outcome, main, children } = tracer(Tracer::new(command)).trace();
        assert!(main.filters > 0, "it was never sealed: {outcome:?}");
        let growable = growable(&module, &main);
        let calls = after_self_test(main.calls);
        let wrong: Vec<_> = not_derived(&policy, &growable, &calls).map(describe).collect();
        assert!(wrong.is_empty(), "{} made calls that are not derived:\n{}", module.display(), wrong.join("\n"));
        let used = used(&policy, &growable, &calls);
        Traced { outcome, used, all: calls, children }
    }

    /// Runs to the end, or as far as it comes, where something lacks: a rule in the filter of the `guest` or of the `compiler`, or
    /// a right of its grants in `landlock`.
    pub fn without(self, part: &str, what: &str) -> Outcome {
        let Self { module, mode, wave, tracer, args, _kept, .. } = self;
        let by_wave = wave(mode.strict()).command(&module);
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let mut command = Command::new(PROGRAM.get_or_init(|| wave_test_support::example("narrowed")));
        command.args([part, what]);
        command.args(by_wave.get_args()).args(args);
        tracer(Tracer::new(command)).trace().outcome
    }
}

/// What is left when the last step of the seal is done: a call that the filter itself answers, to see that it is there.
pub fn after_self_test(mut calls: Vec<Call>) -> Vec<Call> {
    let test = calls.remove(0);
    let answer = Some(-i64::from(libc::EKEYREJECTED));
    assert_eq!(
        (wave_sandbox::call_name(test.number), test.result),
        (Some("getppid"), answer),
        "the filter's self-test"
    );
    calls
}

/// The rules of a run that permit a call.
fn permitting(policy: &Policy, growable: &[(u64, u64)], call: &Call) -> Vec<&'static str> {
    let name = wave_sandbox::call_name(call.number);
    let rules = policy.rules(!growable.is_empty()).filter(|rule| Some(rule.call) == name);
    rules.filter(|rule| rule.permits(&call.arguments, growable)).map(|rule| rule.id).collect()
}

/// The calls that no rule permits.
pub fn not_derived<'c>(
    policy: &'c Policy,
    growable: &'c [(u64, u64)],
    calls: &'c [Call],
) -> impl Iterator<Item = &'c Call> {
    calls.iter().filter(|call| permitting(policy, growable, call).is_empty())
}

/// The rules that were needed by a process: those that permitted a call which no other rule did.
pub fn used(policy: &Policy, growable: &[(u64, u64)], calls: &[Call]) -> Used {
    let alone = |call: &Call| match *permitting(policy, growable, call) {
        [id] => Some(id),
        _ => None,
    };
    calls.iter().filter_map(alone).collect()
}

pub fn describe(call: &Call) -> String {
    let name = wave_sandbox::call_name(call.number).unwrap_or("unknown");
    format!("  {name} ({}) {:#x?} = {:?}", call.number, call.arguments, call.result)
}

/// What `wave inspect` says about a module.
fn inspect(module: &Path) -> Value {
    let mut wave = Command::new(env!("CARGO_BIN_EXE_wave"));
    let output = wave.args(["inspect", "--format", "json"]).arg(module).output().expect("wave starts");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

fn surface(module: &Path) -> Surface {
    let summary = inspect(module);
    let imports = summary["imports"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().expect("names are text").to_owned();
    Surface::from_imports(imports.map(|import| (text(&import["module"]), text(&import["name"]))))
}

/// Start and largest length of the memory that can grow: the reservation for it was seen, its length is what the module
/// declares.
fn growable(module: &Path, main: &Process) -> Vec<(u64, u64)> {
    let summary = inspect(module);
    let memories = summary["memory_pages"].as_array().expect("memories are a list");
    let [memory] = &**memories else {
        assert!(memories.is_empty(), "one memory at most");
        return Vec::new();
    };
    let (min, max) = (memory[0].as_u64().expect("a number"), memory[1].as_u64().unwrap_or(65_536));
    let named = |call: &Call, name: &str| wave_sandbox::call_name(call.number) == Some(name);
    let reserves =
        |call: &&Call| named(call, "mmap") && call.arguments[1] == MEMORY_RESERVATION_BYTES && call.arguments[2] == 0;
    let reserved = main.before.iter().filter(reserves).filter_map(|call| u64::try_from(call.result?).ok());
    let given_back = |base: u64| {
        let gives_back = |call: &Call| named(call, "munmap") && call.arguments[0] == base;
        main.before.iter().any(gives_back)
    };
    let kept: Vec<_> = reserved.filter(|base| !given_back(*base)).collect();
    let [base] = *kept else { panic!("{} reservations for one memory", kept.len()) };
    if max > min { vec![(base, max * PAGE_BYTES)] } else { Vec::new() }
}
