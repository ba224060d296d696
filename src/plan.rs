//! From the arguments to the [`Plan`] of a run.

use crate::args::{Run, Sandbox};
use crate::image::Program;
use crate::{env, flag};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use wave_engine::policy::{PolicyDocument, pin, read_text};
use wave_engine::{DirectoryGrant, Failure, Identity, Level, Plan, PlanBuilder};

/// The policy file of a run. It is read once, because it may be a pipe.
pub struct GivenPolicy {
    /// The BLAKE3 hash of the file, if it could be read.
    pub hash: Option<String>,
    /// What is in it. It is what [`plan`] takes.
    pub document: Result<Option<PolicyDocument>, Failure>,
}

impl GivenPolicy {
    /// Reads the file that was named, if any.
    pub fn read(run: &Run) -> Self {
        let Some(path) = run.policy.as_deref() else { return Self { hash: None, document: Ok(None) } };
        match read_text(path) {
            Ok(text) => {
                Self { hash: Some(pin::of(text.as_bytes())), document: PolicyDocument::parse(path, &text).map(Some) }
            }
            Err(failure) => Self { hash: None, document: Err(failure) },
        }
    }

    /// What is in it, if that is a policy.
    pub fn document(&self) -> Option<&PolicyDocument> {
        self.document.as_ref().ok()?.as_ref()
    }
}

/// Resolves the arguments of a run.
///
/// # Errors
/// 2 for values that make no sense, 125 for what this host does not have.
pub fn plan(
    sandbox: Option<Sandbox>,
    run: &Run,
    program: &Program,
    policy: Option<PolicyDocument>,
) -> Result<Plan, Failure> {
    let words = program.args.iter().cloned();
    let name = run.argv0.clone().map_or_else(|| program.name.clone(), OsString::from);
    let (args, invoke) = match &run.invoke {
        Some(function) => (Vec::new(), Some((function.clone(), words.collect()))),
        None => (words.map(OsString::into_vec).collect(), None),
    };
    let builder = PlanBuilder {
        policy,
        level: sandbox.map(level),
        grants: grants(run)?,
        name: name.into_vec(),
        args,
        env: env::variables(run)?,
        default_env: program.env.clone(),
        default_cwd: program.cwd.clone(),
        invoke,
        devices: run.devices.clone(),
        listen: run.tcplisten.clone(),
        listenfd: run.listenfd,
        accept_from: run.accept_from.clone(),
        connect: run.connect.clone(),
        dns: run.dns.clone(),
        limits: run.limits.0.clone(),
        settings: run.settings(),
        manual_resolver: run.manual_resolver,
        terminal_controls: run.terminal_controls,
        user: run.user.as_deref().map(parse_identity).transpose()?,
        no_verify: run.no_verify,
        profile: run.profile.is_some(),
        no_cache: run.no_cache,
    };
    builder.build()
}

/// The granted directories, then the granted files.
fn grants(run: &Run) -> Result<Vec<DirectoryGrant>, Failure> {
    let dirs = run.dirs.iter().map(|flag| flag::grant(flag));
    dirs.chain(run.files.iter().map(|flag| flag::file(flag))).collect()
}

/// The module that was named.
pub fn module_name(run: &Run) -> &Path {
    run.command.first().map_or(Path::new(""), Path::new)
}

/// Refuses a file of ours that the program may write to: it would write its own `what`. `place` names the flag and the file.
///
/// # Errors
/// 125 for such a file.
pub fn refuse_within(path: &Path, grants: &[DirectoryGrant], what: &str, place: String) -> Result<(), Failure> {
    for grant in grants.iter().filter(|grant| grant.access.is_writable()) {
        let granted = std::fs::canonicalize(&grant.host).map_err(|error| grant.missing(&error))?;
        if path.starts_with(&granted) {
            let problem = format!("the program could write its own {what}: `{}` is granted", grant.host.display());
            return Err(Failure::refused(problem)
                .at(place)
                .fix(format!("write the {what} to another directory, or grant this one ::ro")));
        }
    }
    Ok(())
}

/// The level of a flag.
pub const fn level(sandbox: Sandbox) -> Level {
    match sandbox {
        Sandbox::Strict => Level::Strict,
        Sandbox::Standard => Level::Standard,
        Sandbox::Off => Level::Off,
    }
}

fn parse_identity(user: &str) -> Result<Identity, Failure> {
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    let number = |text: &str| text.parse::<u32>().ok().filter(|id| *id != 0 && *id != u32::MAX);
    match (number(uid), number(gid)) {
        (Some(uid), Some(gid)) => Ok(Identity { uid, gid }),
        _ => Err(Failure::usage("a user is a number, and not 0")
            .at(format!("--user {user}"))
            .fix("write --user UID or --user UID:GID, for example --user 1000:1000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::path::Path;
    use wave_policy::limits::{Kind, LIMITS, Limit};

    #[test]
    fn users_are_numbers_and_never_root() {
        assert_eq!(parse_identity("1000").unwrap(), Identity { uid: 1000, gid: 1000 });
        assert_eq!(parse_identity("1:2").unwrap(), Identity { uid: 1, gid: 2 });
        for user in ["0", "1:0", "root", "-1", "4294967295", ""] {
            assert_eq!(parse_identity(user).unwrap_err().code(), 2, "{user}");
        }
    }

    fn plan(file: &Path, flags: &[String]) -> Plan {
        let start = ["wave", "run", "--policy"].map(str::to_owned);
        let file = file.to_str().expect("UTF-8").to_owned();
        let words = start.into_iter().chain([file]).chain(flags.iter().cloned()).chain(["m.wasm".to_owned()]);
        let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
        let Command::Run(run) = cli.command else { panic!("not a run") };
        let policy = GivenPolicy::read(&run).document.unwrap_or_else(|failure| panic!("{failure}"));
        super::plan(cli.every.sandbox, &run, &Program::file(&run), policy).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn rank(level: Level) -> usize {
        [Level::Strict, Level::Standard, Level::Off].iter().position(|other| *other == level).expect("a level")
    }

    /// The flags without which one plan would not allow more than the other.
    fn wider(base: &Plan, with: &Plan) -> BTreeSet<String> {
        let finer = |plan: &Plan| if plan.deterministic() { u64::MAX } else { plan.clock_resolution_ns() };
        let peers = |plan: &Plan| plan.accept_from.as_ref().map_or(usize::MAX, Vec::len);
        let dims = [
            ("--sandbox", rank(with.level) > rank(base.level)),
            ("--dir", with.grants.len() > base.grants.len()),
            ("--env", with.env.iter().any(|variable| !base.env.contains(variable))),
            ("--tcplisten", with.listen.len() > base.listen.len()),
            ("--listenfd", with.listenfd),
            ("--accept-from", peers(with) > peers(base)),
            ("--connect", with.connect.len() > base.connect.len()),
            ("--clock-resolution", !with.deterministic() && finer(with) < finer(base)),
            ("--device", !with.devices.is_empty()),
            ("--terminal-controls", with.terminal_controls),
            ("--unknown-imports", with.settings.unknown_imports > base.settings.unknown_imports),
        ];
        let most = |limit: &Limit, plan: &Plan| limit.get(&plan.limits).unwrap_or(u128::MAX);
        let limits = LIMITS.iter().filter(|limit| most(limit, with) > most(limit, base));
        let dims = dims.into_iter().filter(|(_, is_wider)| *is_wider).map(|(flag, _)| flag.to_owned());
        dims.chain(limits.map(|limit| format!("--{}", limit.name))).collect()
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
            file in prop::collection::vec(number(), LIMITS.len()),
            flags in prop::collection::vec(number(), LIMITS.len()),
            (level, flag_level) in (prop::option::of(0_usize..3), prop::option::of(0_usize..3)),
            kinds in prop::collection::vec(any::<bool>(), 9),
            (file_networks, flag_networks) in (0_u8..3, 0_u8..3),
            (file_clock, flag_clock) in (0_u32..4, 0_u32..4),
            (file_stub, flag_stub) in (0_usize..3, 0_usize..3),
        ) {
            let levels = ["strict", "standard", "off"];
            let unit = |limit: &Limit| if limit.kind == Kind::Time { "ms" } else { "" };
            let mut text = "version = 1\n".to_owned();
            if let Some(level) = level {
                text += &format!("sandbox = \"{}\"\n", levels[level]);
            }
            let stubs = ["", "trap", "zero"];
            if file_stub > 0 {
                text += &format!("unknown_imports = \"{}\"\n", stubs[file_stub]);
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
            for (limit, value) in LIMITS.iter().zip(&file) {
                if let Some(value) = value {
                    let quote = if unit(limit).is_empty() { "" } else { "\"" };
                    text += &format!("{} = {quote}{value}{}{quote}\n", limit.name, unit(limit));
                }
            }
            // No smaller stack is possible.
            let text = text.replace("max-stack = 1024", "max-stack = 600000").replace("max-stack = 4096", "max-stack = 700000");
            let dir = tempfile::tempdir().expect("a temporary directory");
            let path = dir.path().join("p.toml");
            std::fs::write(&path, &text).expect("own directory can be written");

            let mut typed: Vec<String> = Vec::new();
            for (limit, value) in LIMITS.iter().zip(&flags) {
                let value = value.map(|value| if limit.name == "max-stack" { value.max(600_000) } else { value });
                let words = |value| [format!("--{}", limit.name), format!("{value}{}", unit(limit))];
                typed.extend(value.into_iter().flat_map(words));
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
            if flag_stub > 0 {
                typed.extend(["--unknown-imports", stubs[flag_stub]].map(str::to_owned));
            }
            if flag_clock > 0 && !kinds[7] {
                typed.extend(["--clock-resolution".to_owned(), format!("{flag_clock}ms")]);
            }

            let (base, with) = (plan(&path, &[]), plan(&path, &typed));
            let announced: BTreeSet<_> = with.relaxations().into_iter()
                .filter(|text| !text.starts_with("sandbox = ") && !text.starts_with("unknown_imports = "))
                .map(|text| text.split(' ').next().unwrap_or_default().to_owned())
                .collect();
            let expected = wider(&base, &with);
            // A level below strict is announced wherever it is from, also when the flag only repeats or narrows the file. So are stubs.
            let rest = |set: &BTreeSet<String>| {
                set.iter().filter(|flag| !["--sandbox", "--unknown-imports"].contains(&&***flag)).cloned().collect::<Vec<_>>()
            };
            prop_assert_eq!(rest(&announced), rest(&expected), "{}\n{:?}", text, typed);
            let of_stubs: Vec<_> =
                with.relaxations().into_iter().filter(|text| text.contains("unknown") && text.contains("imports")).collect();
            let (in_force, more) = (if flag_stub > 0 { flag_stub } else { file_stub }, flag_stub > file_stub);
            prop_assert_eq!(of_stubs.len(), usize::from(in_force > 0));
            prop_assert!(of_stubs.iter().all(|text| text.contains(stubs[in_force]) && text.ends_with(" beyond the policy") == more));
            prop_assert_eq!(expected.contains("--unknown-imports"), more);
            prop_assert!(!expected.contains("--sandbox") || announced.contains("--sandbox"));
            prop_assert_eq!(with.level != Level::Strict, with.relaxations().iter().any(|text| text.contains("sandbox")));
            // And the dry run shows each.
            let shown = with.to_string();
            prop_assert!(with.relaxations().iter().all(|text| shown.contains(&format!("relaxed:  by {text}\n"))), "{}", shown);
        }
    }
}
