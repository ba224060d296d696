//! What the profile of a run on macOS has to allow: the grants of the plan, and the files that are read before the program starts.
//!
//! It lies beside the platforms' folders, so that it is tested on Linux.
#![cfg_attr(not(target_os = "macos"), allow(dead_code, reason = "only macOS starts a run under a profile"))]

use crate::args::Run;
use crate::place::entries_on_the_way;
use crate::plan::module_name;
use crate::text::clean;
use std::fs::canonicalize;
use std::path::{Path, PathBuf};
use wave_engine::{DirectoryGrant, Failure, GrantKind, Plan};
use wave_image::Reference;
use wave_policy::{FilesystemGrant, Policy};

/// What a run starts with.
#[derive(Debug)]
pub struct Launch {
    /// Level, grants and listeners. Nothing else of it is in a profile.
    pub policy: Policy,
    /// Files that are read before the program starts.
    pub inputs: Vec<PathBuf>,
    /// What is looked up on the way to all of them.
    pub ways: Vec<PathBuf>,
}

impl Launch {
    /// The start of a planned run.
    ///
    /// # Errors
    /// 125 for what needs files that no profile allows, 127 for a file that is not there.
    pub fn of(plan: &Plan, run: &Run) -> Result<Self, Failure> {
        refuse_other_files(plan, run)?;
        let granted: Vec<_> = plan.grants.iter().map(|grant| grant.host.as_path()).collect();
        let module = Some(module_name(run)).filter(|path| *path != Path::new("-"));
        let read: Vec<_> =
            module.into_iter().chain(run.policy.as_deref()).chain(run.env_files.iter().map(PathBuf::as_path)).collect();
        let mut ways = Vec::new();
        for path in granted.iter().chain(&read) {
            ways.extend(entries_on_the_way(path).map_err(|error| missing(path, &error))?);
        }
        let inputs = read.iter().map(|path| canonicalize(path).map_err(|error| missing(path, &error)));
        let policy = Policy {
            level: plan.level,
            grants: plan.grants.iter().map(described).collect::<Result<_, _>>()?,
            listeners: plan.listen.clone(),
            ..Policy::default()
        };
        Ok(Self { policy, inputs: inputs.collect::<Result<_, _>>()?, ways })
    }
}

fn described(grant: &DirectoryGrant) -> Result<FilesystemGrant, Failure> {
    let host = canonicalize(&grant.host).map_err(|error| grant.missing(&error))?;
    Ok(FilesystemGrant { host, access: grant.access })
}

fn missing(path: &Path, error: &std::io::Error) -> Failure {
    Failure::not_found(format!("cannot find `{}`: {error}", clean(&path.display().to_string())))
}

/// Refuses what a run would open beside grants and inputs.
fn refuse_other_files(plan: &Plan, run: &Run) -> Result<(), Failure> {
    let of_error = "leave it out: standard error has the same";
    for (flag, is_given, fix) in [
        ("--trace-file", run.trace_file.is_some(), of_error),
        ("--report-file", run.report_file.is_some(), of_error),
        ("--coredump", run.coredump.is_some(), "leave it out: the message of the trap has the backtrace"),
        ("--profile", run.profile.is_some(), "profile the program with --sandbox off, if it is yours"),
    ] {
        if is_given {
            let what = "under the profile of macOS, a run writes to what it grants alone";
            return Err(Failure::refused(what).at(flag).fix(fix));
        }
    }
    let module = module_name(run);
    if Reference::parse(module.as_os_str()).is_some() {
        return Err(Failure::refused("under the profile of macOS, no image is read")
            .at(clean(&module.display().to_string()))
            .fix("take the module out of the image, and name its file"));
    }
    match plan.grants.iter().find(|grant| grant.kind == GrantKind::File) {
        None => Ok(()),
        Some(file) => Err(Failure::refused(
            "a single file is found by way of its directory, which the profile of macOS would have to open, too",
        )
        .at(file.place.clone())
        .fix("grant the directory by --dir")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::image::Program;
    use crate::plan;
    use clap::Parser as _;
    use std::fs;
    use std::os::unix::fs::symlink;
    use wave_sandbox::seatbelt::{Startup, profile};
    use wave_test_support::seatbelt::{Filter, Profile};

    fn launch(words: &[&str]) -> Result<Launch, Failure> {
        let words = ["wave", "--sandbox", "standard", "run"].iter().chain(words);
        let Command::Run(run) = Cli::try_parse_from(words).unwrap().command else { panic!("not a run") };
        let policy = plan::GivenPolicy::read(&run).document?;
        let plan = plan::plan(Some(crate::args::Sandbox::Standard), &run, &Program::file(&run), policy)?;
        Launch::of(&plan, &run)
    }

    #[test]
    fn a_run_is_given_what_it_grants_and_reads() {
        let dir = tempfile::tempdir().unwrap();
        let root = canonicalize(dir.path()).unwrap();
        let at = |name: &str| root.join(name).to_str().unwrap().to_owned();
        for name in ["real", "real/in", "real/out", "other"] {
            fs::create_dir(at(name)).unwrap();
        }
        for (name, text) in
            [("real/app.wasm", ""), ("real/p.toml", "version = 1\n"), ("real/env", "A=1\n"), ("real/secret", "")]
        {
            fs::write(at(name), text).unwrap();
        }
        symlink(at("real"), at("link")).unwrap();
        let (input, output) = (format!("{}::/in::ro", at("link/in")), format!("{}::/out::rw", at("real/out")));
        let (policy, env) = (at("link/p.toml"), at("real/env"));
        let typed = ["--dir", &input, "--dir", &output, "--policy", &policy, "--env-file", &env];
        let module = at("link/app.wasm");
        let launch = launch(&[&typed[..], &["--tcplisten", "127.0.0.1:7", &module, "--dir", "/etc"]].concat()).unwrap();
        assert_eq!(launch.inputs, ["real/app.wasm", "real/p.toml", "real/env"].map(|name| PathBuf::from(at(name))));

        let startup = Startup { program: Path::new("/opt/wave"), inputs: &launch.inputs, ways: &launch.ways };
        let text = profile(&launch.policy, startup, Path::is_dir).unwrap();
        let read = Profile::read(&text).unwrap();
        for (operation, name, allowed) in [
            ("file-read-data", "real/app.wasm", true),
            ("file-read-data", "real/p.toml", true),
            ("file-read-data", "real/env", true),
            ("file-read-data", "real/secret", false),
            ("file-read-data", "real", false),
            ("file-read-data", "real/in/x", true),
            ("file-write-data", "real/in/x", false),
            ("file-write-data", "real/out/x", true),
            ("file-write-data", "real/app.wasm", false),
            ("file-read-metadata", "link", true),
            ("file-read-data", "link", false),
            ("file-read-metadata", "other", false),
        ] {
            assert_eq!(read.allows(operation, Path::new(&at(name))), allowed, "{operation} {name}");
        }
        assert!(!read.allows("file-read-data", Path::new("/etc")), "an argument of the program is no grant");
        let bound: Vec<_> = read.filters("network-bind").cloned().collect();
        assert_eq!(bound, [Filter::Local("localhost:7".to_owned())]);
    }

    #[test]
    fn what_a_profile_would_deny_later_is_refused_before() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let (module, file) = (at("app.wasm"), format!("{}::/app.wasm::ro", at("app.wasm")));
        fs::write(&module, "").unwrap();
        assert!(launch(&[&module]).is_ok() && launch(&["-"]).is_ok());
        for (words, place) in [
            (&["--trace-file", "t", &module][..], "--trace-file"),
            (&["--report-file", "t", &module], "--report-file"),
            (&["--coredump", "t", &module], "--coredump"),
            (&["--profile", "perfmap", &module], "--profile"),
            (&["--file", &file, &module], "--file"),
            (&["oci:layout"], "oci:layout"),
        ] {
            let failure = launch(words).expect_err(place);
            assert_eq!(failure.code(), 125, "{failure}");
            assert!(failure.to_string().contains(&format!("  where: {place}")), "{failure}");
        }
        let absent = launch(&[&at("absent.wasm")]).expect_err("there is none");
        assert_eq!(absent.code(), 127, "{absent}");
    }
}
