//! Starts the program again under `sandbox-exec`.
//!
//! A mark among the arguments says which of the two runs this is, so that the program does not start itself forever. The mark
//! proves nothing: the seal believes only what the kernel denies.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use wave_policy::Policy;

use super::seal::{refuse_strict, seatbelt_error};
use crate::error::{Cause, SealError};
use crate::seatbelt::{Startup, profile};

/// The full path, so that no environment variable chooses the program that makes the sandbox.
pub(super) const SANDBOX_EXEC: &str = "/usr/bin/sandbox-exec";

/// First argument of the run inside the sandbox. No flag of a command line begins with two dashes and a space.
const MARK: &str = "-- inside-seatbelt";

/// Whether these arguments, without the program's name, are those of the run inside the sandbox. Removes the mark.
pub fn is_inside(args: &mut Vec<OsString>) -> bool {
    let inside = args.first().is_some_and(|first| first == MARK);
    if inside {
        args.remove(0);
    }
    inside
}

/// Replaces this process by the same program with the same arguments, under the profile of the policy. Returns only if it fails. Standard
/// streams and environment are passed on. The paths of grants must be those of `realpath`.
///
/// # Errors
/// [`SealError`] at the level strict, which requires layers that macOS does not have; if the policy cannot be written as a profile; or if
/// `sandbox-exec` cannot be run.
pub fn enter(policy: &Policy, startup: Startup<'_>, args: &[OsString]) -> Result<Infallible, SealError> {
    enter_by(policy, startup, args, |command| command.exec())
}

fn enter_by(
    policy: &Policy,
    startup: Startup<'_>,
    args: &[OsString],
    run: impl FnOnce(&mut Command) -> io::Error,
) -> Result<Infallible, SealError> {
    refuse_strict(policy.level)?;
    let profile = profile(policy, startup, Path::is_dir).map_err(|error| seatbelt_error(error.into()))?;
    let mut command = Command::new(SANDBOX_EXEC);
    command.arg("-p").arg(profile).arg(startup.program).arg(MARK).args(args);
    let source = run(&mut command);
    Err(seatbelt_error(Cause::Refused { call: "execve(/usr/bin/sandbox-exec)", source }))
}

#[cfg(test)]
mod tests {
    use super::super::seal::{WEAKER, tests::policy};
    use super::*;
    use crate::report::LayerName;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use wave_policy::Level;

    fn args(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    /// A stand-in for `sandbox-exec` that writes down its arguments and runs the program, without any sandbox.
    fn fake(command: &Command) -> (io::Error, Vec<String>) {
        assert_eq!(command.get_program(), SANDBOX_EXEC);
        let dir = tempfile::tempdir().expect("a directory");
        let (script, log) = (dir.path().join("sandbox-exec"), dir.path().join("log"));
        let text = format!("#!/bin/sh\nprintf '%s\\0' \"$@\" > '{}'\nshift 2\nexec \"$@\"\n", log.display());
        fs::write(&script, text).expect("a script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("own file");
        // By way of the shell, since a file this process has just written may still be open in a fork of it.
        let status = Command::new("/bin/sh").arg(&script).args(command.get_args()).status().expect("the script runs");
        let log = fs::read(&log).expect("a log");
        let seen = log.split(|byte| *byte == 0).map(|word| String::from_utf8(word.to_vec()).expect("text")).collect();
        (io::Error::other(format!("exit {:?}", status.code())), seen)
    }

    #[test]
    fn the_program_runs_again_under_the_profile_with_its_arguments() {
        let policy = policy(Level::Standard, &["/usr"]);
        let inputs = ["/srv/app.wasm".into()];
        let startup = Startup { program: Path::new("/bin/sh"), inputs: &inputs, ways: &[] };
        // The program is a shell here, and what would be the mark is the name of a file it lacks.
        let words = args(&["run", "a b", "", "\"--x=$HOME\""]);
        let mut seen = Vec::new();
        let error = enter_by(&policy, startup, &words, |command| {
            let (error, arguments) = fake(command);
            seen = arguments;
            error
        });
        let expected = profile(&policy, startup, |_| true).expect("a profile");
        assert!(expected.contains("(allow file-read* (subpath \"/usr\"))\n"), "{expected}");
        assert_eq!(seen, ["-p", &expected, "/bin/sh", MARK, "run", "a b", "", "\"--x=$HOME\"", ""]);
        let error = error.expect_err("the process was not replaced");
        assert_eq!((error.layer, error.fix()), (LayerName::Seatbelt, "--sandbox off runs without any kernel layer"));
        assert!(
            error.cause.chain().starts_with("the kernel refused execve(/usr/bin/sandbox-exec): exit "),
            "{error:?}"
        );
    }

    #[test]
    fn a_policy_that_cannot_be_written_starts_nothing() {
        let startup = Startup { program: Path::new("/bin/sh"), inputs: &[], ways: &[] };
        let error = enter_by(&policy(Level::Standard, &["relative"]), startup, &[], |_| panic!("it was run"));
        assert!(matches!(error.expect_err("refused").cause, Cause::Profile(_)));
    }

    #[test]
    fn the_mark_is_the_first_argument_or_none() {
        let mut marked = args(&[MARK, "run", MARK]);
        assert!(is_inside(&mut marked));
        assert_eq!(marked, args(&["run", MARK]));
        assert!(!is_inside(&mut marked), "the module's own argument is not the mark");
        assert_eq!(marked, args(&["run", MARK]));
        assert!(!is_inside(&mut Vec::new()));
    }

    #[test]
    fn strict_is_refused_before_the_launch() {
        let startup = Startup { program: Path::new("/bin/sh"), inputs: &[], ways: &[] };
        let strict = policy(Level::Strict, &[]);
        let error = enter_by(&strict, startup, &[], |_| panic!("it was run")).expect_err("refused");
        assert_eq!((error.layer, error.fix()), (LayerName::Seccomp, WEAKER));
        assert_eq!(error.cause.to_string(), "wave cannot filter system calls on macOS");
    }
}
