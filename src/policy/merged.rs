//! A policy file and the flags of one run. A flag wins where both say something and adds where there can be several; what goes
//! beyond the file is named, so that it can be said at the start (T101).

use super::Loaded;
use crate::args::{self, Run, Sandbox};
use crate::failure::Failure;
use crate::grants::DirGrant;
use crate::network::parse_network;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;
use wave_policy::Level;
use wave_policy::file::{Limits, Values};
use wave_wasi::PeerRule;

/// What file and flags come to. Directories and variables are those of the file; flags add theirs afterwards.
#[derive(Debug)]
pub struct Merged {
    pub level: Level,
    pub deterministic: bool,
    pub clock_resolution: Option<Duration>,
    pub random_seed: Option<u64>,
    pub limits: Limits,
    pub grants: Vec<DirGrant>,
    pub env: Vec<Vec<u8>>,
    pub listen: Vec<SocketAddr>,
    /// `None`: from everybody.
    pub accept_from: Option<Vec<PeerRule>>,
    /// Flags that go beyond the file.
    pub beyond: Vec<String>,
    /// Where each value is from, by its id; empty without a file.
    pub origins: Vec<(String, String)>,
}

impl Merged {
    /// Brings a policy and the flags of a run together.
    ///
    /// # Errors
    /// 125 for what this host does not have, 2 for flags that contradict the file.
    pub fn new(policy: Option<&Loaded>, sandbox: Option<Sandbox>, run: &Run) -> Result<Self, Failure> {
        let none = Values::default();
        let values = policy.map_or(&none, |policy| &policy.values);
        let flag = sandbox.map(level);
        if values.deterministic == Some(true) && run.clock_resolution.is_some() {
            return Err(Failure::usage("the policy asks for deterministic clocks, which have no resolution")
                .at("--clock-resolution")
                .fix("leave out the flag"));
        }
        let limits = of_flags(&run.limits);
        let listen = values.listen.iter().flatten().chain(&run.tcplisten).copied().collect();
        let networks = |list: &Vec<String>| list.iter().map(|network| parse_network(network)).collect();
        let networks: Option<Result<Vec<_>, _>> = values.accept_from.as_ref().map(networks);
        let mut accept_from = networks.transpose().map_err(Failure::refused)?;
        if !run.accept_from.is_empty() {
            accept_from.get_or_insert_default().extend(run.accept_from.iter().cloned());
        }
        let merged = Self {
            level: flag.or(values.sandbox).unwrap_or_default(),
            deterministic: run.deterministic || values.deterministic.unwrap_or(false),
            clock_resolution: if run.deterministic { None } else { run.clock_resolution.or(values.clock_resolution) },
            random_seed: run.random_seed.or(values.random_seed),
            limits: limits.over(&values.limits),
            grants: policy.map(Loaded::grants).transpose()?.unwrap_or_default(),
            env: environment(policy, values)?,
            listen,
            accept_from,
            beyond: Vec::new(),
            origins: Vec::new(),
        };
        Ok(match policy {
            Some(policy) => {
                Self { beyond: beyond(values, run, &limits), origins: origins(policy, flag, run, &limits), ..merged }
            }
            None => merged,
        })
    }
}

/// The level of a flag.
pub const fn level(sandbox: Sandbox) -> Level {
    match sandbox {
        Sandbox::Strict => Level::Strict,
        Sandbox::Standard => Level::Standard,
        Sandbox::Off => Level::Off,
    }
}

fn of_flags(flags: &args::Limits) -> Limits {
    Limits {
        timeout: flags.timeout,
        max_memory: flags.max_memory,
        max_stack: flags.max_stack,
        compile_timeout: flags.compile_timeout,
        compile_memory: flags.compile_memory,
        max_open_files: flags.max_open_files,
        max_file_size: flags.max_file_size,
        max_writes: flags.max_writes,
        max_entries: flags.max_entries,
        max_output: flags.max_output,
        max_call_bytes: flags.max_call_bytes,
        max_iovecs: flags.max_iovecs,
        max_subscriptions: flags.max_subscriptions,
    }
}

/// The variables of the file. Those that are passed on come from the environment of `wave` because the file names them.
fn environment(policy: Option<&Loaded>, values: &Values) -> Result<Vec<Vec<u8>>, Failure> {
    let mut env = Vec::new();
    for (index, name) in values.env_pass.iter().flatten().enumerate() {
        let value = wave_sandbox::variable(name).ok_or_else(|| {
            let id = format!("env.pass[{index}]");
            let place = policy.and_then(|policy| policy.origin(&id)).unwrap_or(id);
            Failure::refused(format!("there is no environment variable `{name}` to pass on"))
                .at(place)
                .fix("set it, or give it a value in `[env.set]`")
        })?;
        env.push(variable(name, &value));
    }
    for (name, value) in values.env_set.iter().flatten() {
        env.push(variable(name, OsStr::new(value)));
    }
    Ok(env)
}

fn variable(name: &str, value: &OsStr) -> Vec<u8> {
    [name.as_bytes(), b"=", value.as_bytes()].concat()
}

/// The flags that allow what the file does not.
fn beyond(values: &Values, run: &Run, limits: &Limits) -> Vec<String> {
    let mut beyond: Vec<_> = run.dirs.iter().map(|dir| format!("--dir {dir}")).collect();
    let names = run.env.iter().map(|env| env.split('=').next().unwrap_or_default());
    beyond.extend(names.map(|name| format!("--env {name}")));
    beyond.extend(run.tcplisten.iter().map(|address| format!("--tcplisten {address}")));
    beyond.extend(run.listenfd.then(|| "--listenfd".to_owned()));
    // Without a list all may connect, and the first network narrows that.
    let adds_peers = !run.accept_from.is_empty() && values.accept_from.is_some();
    beyond.extend(adds_peers.then(|| "--accept-from".to_owned()));
    let finer = run.clock_resolution.zip(values.clock_resolution).is_some_and(|(flag, file)| flag < file);
    beyond.extend(finer.then(|| "--clock-resolution".to_owned()));
    // Other system calls than those that `[os]` lists.
    let derived = values.os.as_ref().is_some_and(|os| os.resolver == wave_policy::Resolver::Kernel);
    let manual = derived && run.resolver == args::Resolver::Manual;
    beyond.extend(manual.then(|| "--resolver manual".to_owned()));
    let limits = limits.beyond(&values.limits.over(&Limits::USUAL));
    beyond.extend(limits.into_iter().map(|name| format!("--{name}")));
    beyond
}

/// Where each value is from.
fn origins(policy: &Loaded, level: Option<Level>, run: &Run, limits: &Limits) -> Vec<(String, String)> {
    let values = &policy.values;
    let mut origins = Vec::new();
    let file = |id: String, out: &mut Vec<(String, String)>| {
        if let Some(place) = policy.origin(&id) {
            let from =
                place.split_once(" (").map_or_else(|| place.clone(), |(_, from)| from.trim_end_matches(')').to_owned());
            out.push((id, from));
        }
    };
    match level {
        Some(level) => origins.push(("sandbox".to_owned(), format!("--sandbox {level}"))),
        None => file("sandbox".to_owned(), &mut origins),
    }
    for id in ["module.blake3", "wasi.functions", "os", "args"] {
        file(id.to_owned(), &mut origins);
    }
    for index in 0..values.fs.len() {
        file(format!("fs[{index}]"), &mut origins);
    }
    for (index, dir) in run.dirs.iter().enumerate() {
        origins.push((format!("fs[{}]", values.fs.len() + index), format!("--dir {dir}")));
    }
    for index in 0..values.env_pass.iter().flatten().count() {
        file(format!("env.pass[{index}]"), &mut origins);
    }
    for name in values.env_set.iter().flat_map(|set| set.keys()) {
        file(format!("env.set.{name}"), &mut origins);
    }
    for name in run.env.iter().map(|env| env.split('=').next().unwrap_or_default()) {
        origins.push((format!("env.set.{name}"), format!("--env {name}")));
    }
    let sockets = values.listen.iter().flatten().count();
    (0..sockets).for_each(|index| file(format!("net.listen[{index}]"), &mut origins));
    for (index, address) in run.tcplisten.iter().enumerate() {
        origins.push((format!("net.listen[{}]", sockets + index), format!("--tcplisten {address}")));
    }
    (0..values.accept_from.iter().flatten().count())
        .for_each(|index| file(format!("net.accept_from[{index}]"), &mut origins));
    for id in ["deterministic", "clock.resolution"] {
        file(id.to_owned(), &mut origins);
    }
    match run.random_seed {
        Some(seed) => origins.push(("random.seed".to_owned(), format!("--random-seed {seed}"))),
        None => file("random.seed".to_owned(), &mut origins),
    }
    let flags: Vec<_> = limits.rows().into_iter().map(|(name, _)| name).collect();
    for (name, _) in limits.over(&values.limits).rows() {
        match flags.contains(&name) {
            true => origins.push((format!("limits.{name}"), format!("--{name}"))),
            false => file(format!("limits.{name}"), &mut origins),
        }
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::plan::Plan;
    use clap::Parser;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn plan(file: &Path, flags: &[String]) -> Plan {
        let start = ["wave", "run", "--policy"].map(str::to_owned);
        let file = file.to_str().expect("UTF-8").to_owned();
        let words = start.into_iter().chain([file]).chain(flags.iter().cloned()).chain(["m.wasm".to_owned()]);
        let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
        let Command::Run(run) = cli.command else { panic!("not a run") };
        Plan::new(cli.sandbox, *run).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn rank(level: Level) -> usize {
        [Level::Strict, Level::Standard, Level::Off].iter().position(|other| *other == level).expect("a level")
    }

    /// The flags without which one plan would not allow more than the other.
    fn wider(base: &Plan, with: &Plan) -> BTreeSet<&'static str> {
        let no_limit = Duration::MAX;
        let (less, more) = (&base.limits, &with.limits);
        let finer = |plan: &Plan| if plan.deterministic { u64::MAX } else { plan.clock_resolution_ns };
        let peers = |plan: &Plan| plan.accept_from.as_ref().map_or(usize::MAX, Vec::len);
        let dims = [
            ("--sandbox", rank(with.level) > rank(base.level)),
            ("--dir", with.grants.len() > base.grants.len()),
            ("--env", with.env.iter().any(|variable| !base.env.contains(variable))),
            ("--tcplisten", with.tcplisten.len() > base.tcplisten.len()),
            ("--listenfd", with.listenfd),
            ("--accept-from", peers(with) > peers(base)),
            ("--clock-resolution", !with.deterministic && finer(with) < finer(base)),
            ("--device", !with.devices.is_empty()),
            ("--terminal-controls", with.terminal_controls),
            ("--timeout", with.timeout.unwrap_or(no_limit) > base.timeout.unwrap_or(no_limit)),
            ("--max-memory", with.memory_bytes > base.memory_bytes),
            ("--max-stack", with.stack_bytes > base.stack_bytes),
            ("--compile-timeout", with.compile_timeout > base.compile_timeout),
            ("--compile-memory", with.compile_memory_bytes > base.compile_memory_bytes),
            ("--max-open-files", more.open_files > less.open_files),
            ("--max-file-size", more.file_size_bytes > less.file_size_bytes),
            ("--max-writes", more.written_bytes > less.written_bytes),
            ("--max-entries", more.entries > less.entries),
            ("--max-output", more.output_bytes > less.output_bytes),
            ("--max-call-bytes", more.call_bytes > less.call_bytes),
            ("--max-iovecs", more.iovecs > less.iovecs),
            ("--max-subscriptions", more.subscriptions > less.subscriptions),
        ];
        dims.into_iter().filter(|(_, is_wider)| *is_wider).map(|(flag, _)| flag).collect()
    }

    /// Numbers around each other, so that flag and file are larger, equal and smaller in turn.
    fn number() -> impl Strategy<Value = Option<u32>> {
        prop::option::of(prop_oneof![Just(900_000), Just(1024), Just(4096), Just(8 << 20), Just(600_000)])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// What a run allows beyond its policy is what it announces, and nothing else (T101).
        #[test]
        fn t101_what_goes_beyond_the_file_is_what_is_announced(
            file in prop::collection::vec(number(), 13),
            flags in prop::collection::vec(number(), 13),
            (level, flag_level) in (prop::option::of(0_usize..3), prop::option::of(0_usize..3)),
            kinds in prop::collection::vec(any::<bool>(), 9),
            (file_networks, flag_networks) in (0_u8..3, 0_u8..3),
            (file_clock, flag_clock) in (0_u32..4, 0_u32..4),
        ) {
            let levels = ["strict", "standard", "off"];
            let names = [
                "timeout", "max-memory", "max-stack", "compile-timeout", "compile-memory", "max-open-files", "max-file-size",
                "max-writes", "max-entries", "max-output", "max-call-bytes", "max-iovecs", "max-subscriptions",
            ];
            let unit = |name: &str| if name.ends_with("timeout") { "ms" } else { "" };
            let mut text = "version = 1\n".to_owned();
            if let Some(level) = level {
                text += &format!("sandbox = \"{}\"\n", levels[level]);
            }
            text += "[[fs]]\nhost = \"/usr\"\nguest = \"/usr\"\naccess = \"ro\"\n[env.set]\nA = \"file\"\n";
            text += "[net]\nlisten = [\"127.0.0.1:1\"]\n";
            let networks: Vec<_> = (0..file_networks).map(|index| format!("\"10.{index}.0.0/16\"")).collect();
            if !networks.is_empty() {
                text += &format!("accept_from = [{}]\n", networks.join(", "));
            }
            if file_clock > 0 {
                text += &format!("[clock]\nresolution = \"{file_clock}ms\"\n");
            }
            text += "[limits]\n";
            for (name, value) in names.iter().zip(&file) {
                if let Some(value) = value {
                    let quote = if unit(name).is_empty() { "" } else { "\"" };
                    text += &format!("{name} = {quote}{value}{}{quote}\n", unit(name));
                }
            }
            // No smaller stack is possible.
            let text = text.replace("max-stack = 1024", "max-stack = 600000").replace("max-stack = 4096", "max-stack = 700000");
            let dir = tempfile::tempdir().expect("a temporary directory");
            let path = dir.path().join("p.toml");
            std::fs::write(&path, &text).expect("own directory can be written");

            let mut typed: Vec<String> = Vec::new();
            for (name, value) in names.iter().zip(&flags) {
                let value = value.map(|value| if *name == "max-stack" { value.max(600_000) } else { value });
                typed.extend(value.into_iter().flat_map(|value| [format!("--{name}"), format!("{value}{}", unit(name))]));
            }
            typed.extend(flag_level.into_iter().flat_map(|level| ["--sandbox".to_owned(), levels[level].to_owned()]));
            typed.extend((0..flag_networks).flat_map(|index| ["--accept-from".into(), format!("11.{index}.0.0/16")]));
            let pairs = [
                ("--dir", "/etc::/etc::ro"), ("--env", "A=flag"), ("--env", "B=flag"), ("--tcplisten", "127.0.0.1:2"),
                ("--device", "/dev/null"), ("--listenfd", ""), ("--terminal-controls", ""), ("--deterministic", ""),
                ("--random-seed", "7"),
            ];
            for ((flag, value), _) in pairs.iter().zip(&kinds).filter(|(_, is_given)| **is_given) {
                typed.extend([*flag, *value].into_iter().filter(|word| !word.is_empty()).map(str::to_owned));
            }
            if flag_clock > 0 && !kinds[7] {
                typed.extend(["--clock-resolution".to_owned(), format!("{flag_clock}ms")]);
            }

            let (base, with) = (plan(&path, &[]), plan(&path, &typed));
            let announced: BTreeSet<_> = with.relaxations().into_iter()
                .filter(|text| !text.starts_with("sandbox = "))
                .map(|text| text.split(' ').next().unwrap_or_default().to_owned())
                .collect();
            let expected: BTreeSet<_> = wider(&base, &with).into_iter().map(str::to_owned).collect();
            // A level below strict is announced wherever it is from, also when the flag only repeats or narrows the file.
            let without_level = |set: &BTreeSet<String>| set.iter().filter(|flag| *flag != "--sandbox").cloned().collect::<Vec<_>>();
            prop_assert_eq!(without_level(&announced), without_level(&expected), "{}\n{:?}", text, typed);
            prop_assert!(!expected.contains("--sandbox") || announced.contains("--sandbox"));
            prop_assert_eq!(with.level != Level::Strict, with.relaxations().iter().any(|text| text.contains("sandbox")));
            // And the dry run shows each.
            let shown = with.to_string();
            prop_assert!(with.relaxations().iter().all(|text| shown.contains(&format!("relaxed:  by {text}\n"))), "{}", shown);
        }
    }
}
