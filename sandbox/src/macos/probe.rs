//! What `wave doctor` says on macOS.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use super::launch::SANDBOX_EXEC;
use crate::probe::{LayerProbe, Presence};

/// A file that everybody may read, to try whether a profile denies it.
const FILE: &str = "/private/etc/hosts";

/// Denies that file and nothing else.
const PROFILE: &str = r#"(version 1)
(allow default)
(deny file-read-data (literal "/private/etc/hosts"))
"#;

/// Probes what the levels need. The entry of `sandbox-exec` is a real test: a program reads a file, and again under a profile that
/// denies it.
pub fn probe() -> Vec<LayerProbe> {
    vec![
        LayerProbe::new("macOS", version(), "everything", ""),
        LayerProbe::new("sandbox-exec", sandbox_exec(runs), "the profile of standard", "nothing runs"),
        LayerProbe::new(
            "system-call filter",
            Presence::Missing("macOS has none".to_owned()),
            "the kernel sees no call that the program does not need",
            "strict refuses; standard denies what the profile names: files, programs, connections, signals",
        )
        .required(),
        LayerProbe::new(
            "landlock",
            Presence::Missing("macOS has none".to_owned()),
            "file rules",
            "the profile has them",
        ),
        LayerProbe::new(
            "another user",
            Presence::Missing("not done on macOS".to_owned()),
            "files of the user who started it are not those of the run",
            "the run keeps its user and groups",
        ),
        LayerProbe::new(
            "compiler process",
            Presence::Missing("not there on macOS".to_owned()),
            "a bug in the compiler meets a seal of its own",
            "the compiler runs under the profile of the run; for other commands, under none",
        ),
    ]
}

fn version() -> Presence {
    let output = Command::new("/usr/bin/sw_vers").arg("-productVersion").output();
    match output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()) {
        Ok(version) if !version.is_empty() => Presence::Present(version),
        Ok(_) => Presence::Missing("sw_vers says nothing".to_owned()),
        Err(error) => Presence::Missing(format!("/usr/bin/sw_vers: {error}")),
    }
}

/// Whether a program runs to a good end.
fn runs(program: &str, args: &[&str]) -> Result<bool, String> {
    let mut command = Command::new(OsStr::new(program));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).env_clear();
    command.status().map(|status| status.success()).map_err(|error| format!("{program}: {error}"))
}

fn sandbox_exec(runs: impl Fn(&str, &[&str]) -> Result<bool, String>) -> Presence {
    let reads = ["/bin/cat", FILE];
    let under = |profile| runs(SANDBOX_EXEC, &["-p", profile, reads[0], reads[1]]);
    let results = [runs(reads[0], &reads[1..]), under("(version 1)\n(allow default)\n"), under(PROFILE)];
    match results {
        [Ok(true), Ok(true), Ok(false)] => Presence::Present(format!("denied {FILE}, which could be read before")),
        [Ok(true), Ok(true), Ok(true)] => Presence::Missing(format!("its profile did not deny {FILE}")),
        [Ok(true), Ok(false), _] => Presence::Missing("it runs no program, even if everything is allowed".to_owned()),
        [Ok(false), ..] => Presence::Missing(format!("the test proves nothing: {FILE} cannot be read in any case")),
        [first, second, third] => {
            let why = [first, second, third].into_iter().find_map(Result::err).unwrap_or_default();
            Presence::Missing(why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers in the order of the three runs.
    fn of(results: [Result<bool, &'static str>; 3]) -> Presence {
        sandbox_exec(|program, args| {
            let index = match (program, args) {
                ("/bin/cat", [FILE]) => 0,
                (SANDBOX_EXEC, ["-p", profile, "/bin/cat", FILE]) => {
                    if *profile == PROFILE {
                        2
                    } else {
                        1
                    }
                }
                other => panic!("{other:?}"),
            };
            results[index].map_err(str::to_owned)
        })
    }

    #[test]
    fn only_a_file_that_could_be_read_before_proves_a_denial() {
        assert!(matches!(of([Ok(true), Ok(true), Ok(false)]), Presence::Present(_)));
        let missing = |results, expected: &str| match of(results) {
            Presence::Missing(why) => assert!(why.contains(expected), "{why}"),
            Presence::Present(what) => panic!("{what}"),
        };
        missing([Ok(true), Ok(true), Ok(true)], "did not deny");
        missing([Ok(true), Ok(false), Ok(false)], "runs no program");
        missing([Ok(false), Ok(false), Ok(false)], "proves nothing");
        missing([Ok(true), Err("no such file"), Err("no such file")], "no such file");
        missing([Ok(true), Ok(true), Err("killed")], "killed");
    }

    /// Here, too, where there is no `sandbox-exec`: strict would refuse, and so would standard.
    #[test]
    fn what_is_missing_is_said() {
        let layers = probe();
        let refusing: Vec<_> = layers.iter().filter(|layer| layer.blocks_strict()).map(|layer| layer.name).collect();
        assert_eq!(refusing, ["system-call filter"]);
        assert!(layers.iter().all(|layer| !layer.without.is_empty() || layer.name == "macOS"));
        assert_eq!(runs("/bin/sh", &["-c", "exit 0"]), Ok(true));
        assert_eq!(runs("/bin/sh", &["-c", "exit 1"]), Ok(false));
        assert!(runs("/nowhere", &[]).is_err());
    }
}
