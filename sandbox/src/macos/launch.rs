use super::seal::*;
use crate::seatbelt::{Startup, profile};
use crate::{Cause, SealError};
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use wave_policy::Policy;

/// By its full path: no environment variable chooses who makes the sandbox.
const SANDBOX_EXEC: &str = "/usr/bin/sandbox-exec";

/// First argument of the run inside. Two dashes and a space: no flag of a command line looks like this by accident.
const MARK: &str = "-- inside-seatbelt";

/// Whether these arguments, without the program's name, are those of the run inside; takes the mark away.
pub fn is_inside(args: &mut Vec<OsString>) -> bool {
    let inside = args.first().is_some_and(|first| first == MARK);
    if inside {
        args.remove(0);
    }
    inside
}

/// Starts the program anew under the profile of the policy, with the same arguments, in place of this process.
/// Returns on failure only. Standard streams and environment are passed on. Grants must be named as `realpath` does.
///
/// # Errors
/// [`SealError`] at the level strict, which demands layers that macOS does not have; when the policy cannot be written as
/// a profile, or `sandbox-exec` cannot be run.
pub fn enter(policy: &Policy, startup: Startup<'_>, args: &[OsString]) -> Result<Infallible, SealError> {
    enter_by(policy, startup, args, |command| command.exec())
}

fn enter_by(
    policy: &Policy,
    startup: Startup<'_>,
    args: &[OsString],
    run: impl FnOnce(&mut Command) -> io::Error,
) -> Result<Infallible, SealError> {
    check_level(policy.level)?;
    let profile = profile(policy, startup, Path::is_dir).map_err(|error| unavailable(error.into()))?;
    let mut command = Command::new(SANDBOX_EXEC);
    command.arg("-p").arg(profile).arg(startup.program).arg(MARK).args(args);
    let source = run(&mut command);
    Err(unavailable(Cause::Refused { call: "execve(/usr/bin/sandbox-exec)", source }))
}

#[cfg(test)]
mod tests {
    use super::super::seal::tests::policy;
    use super::*;
    use crate::LayerName;
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
    fn the_program_runs_once_more_under_the_profile_with_its_arguments() {
        let policy = policy(Level::Standard, &["/usr"]);
        let inputs = ["/srv/app.wasm".into()];
        let startup = Startup { program: Path::new("/bin/sh"), inputs: &inputs };
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
        let startup = Startup { program: Path::new("/bin/sh"), inputs: &[] };
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
    fn strict_is_refused_inside_and_outside() {
        let startup = Startup { program: Path::new("/bin/sh"), inputs: &[] };
        let strict = policy(Level::Strict, &[]);
        let outside = enter_by(&strict, startup, &[], |_| panic!("it was run")).expect_err("refused");
        let inside = seal_by(&strict, |_| panic!("it was tried")).expect_err("refused");
        for error in [outside, inside] {
            assert_eq!((error.layer, error.fix()), (LayerName::Seccomp, WEAKER));
            assert_eq!(error.cause.to_string(), "wave has no kernel layer on macOS");
        }
    }
}
