//! A stranger's check: the commands of README.md, typed in a fresh checkout, print what README.md shows.
//!
//! Each block marked `console` is a session of one shell: a line that starts with `$ ` is typed, the lines after it are what is
//! printed. `[…]` stands for any text within a line, for what differs between hosts and users. `cargo run --release --` is
//! replaced by the command under test, since a build inside a test would take minutes: `.ci/run` types that line as it is.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wave_test_support::user::{NOBODY, User};
use wave_test_support::{finish, not_run, place_for_programs, readable_by_all, source};

/// What differs between hosts and users.
const ANY: &str = "[…]";

/// One line that is typed, and what is printed then.
struct Typed {
    command: String,
    printed: Vec<String>,
}

/// The sessions of a document.
fn sessions(document: &str) -> Vec<Vec<Typed>> {
    let blocks = document.split("```console\n").skip(1);
    blocks.map(|rest| session(rest.split("```").next().expect("a part before the end"))).collect()
}

fn session(block: &str) -> Vec<Typed> {
    let mut typed: Vec<Typed> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), typed.last_mut()) {
            (Some(command), _) => typed.push(Typed { command: command.to_owned(), printed: Vec::new() }),
            (None, Some(last)) => last.printed.push(line.to_owned()),
            (None, None) => panic!("a session starts with a command, not with {line}"),
        }
    }
    typed
}

/// Whether a line is the one of the document: equal, but for the parts that differ.
fn is_like(printed: &str, shown: &str) -> bool {
    let mut parts = shown.split(ANY);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    true
}

/// What is committed, in a fresh directory of this user; `None` if this is no checkout.
fn checkout(user: User, place: &Path) -> Option<PathBuf> {
    // The checkout may belong to another user than the one who runs the tests.
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .current_dir(source("."))
        .output()
        .ok()
        .filter(|listed| listed.status.success())?;
    let copy = place.join(format!("{user:?}"));
    fs::create_dir(&copy).expect("own directory");
    for name in String::from_utf8(listed.stdout).expect("names in UTF-8").split_terminator('\0') {
        let (from, to) = (source(name), copy.join(name));
        // A file that is removed and not committed yet is still listed.
        if from.is_file() {
            fs::create_dir_all(to.parent().expect("joined below the copy")).expect("own directory");
            fs::copy(from, &to).expect("own directory");
        }
    }
    give(user, &copy);
    Some(copy)
}

/// Hands a directory and all in it to a user; others can read it, whatever the umask of these tests is.
fn give(user: User, path: &Path) {
    readable_by_all(path);
    if user == User::Nobody {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root can give files away");
    }
    if path.is_dir() {
        fs::read_dir(path).expect("own directory").for_each(|entry| give(user, &entry.expect("an entry").path()));
    }
}

/// Types the lines of a session into one shell; what each of them printed, on both streams.
fn type_in(user: User, session: &[Typed], checkout: &Path, programs: &Path) -> Vec<String> {
    const MARK: &str = "-- that was all --";
    let mut script = "exec 2>&1\n".to_owned();
    for Typed { command, .. } in session {
        let command = command.replace("cargo run --release -- ", "wave ");
        // The next line may ask for the exit code.
        script += &format!("{command}\nstatus=$?; echo '{MARK}'; (exit $status)\n");
    }
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(checkout).env("PATH", path);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    user.runs(&mut shell);
    let outcome = finish(shell.spawn().expect("bash starts"));
    assert_eq!(outcome.stderr, "", "{user:?}");
    let printed: Vec<_> = outcome.stdout.split(&format!("{MARK}\n")).map(str::to_owned).collect();
    assert_eq!(printed.len(), session.len() + 1, "{user:?}: {}", outcome.stdout);
    printed
}

#[test]
fn each_command_prints_what_the_readme_shows() {
    let sessions = sessions(&fs::read_to_string(source("README.md")).expect("the README"));
    assert!(sessions.len() >= 4, "{} sessions", sessions.len());
    let programs = place_for_programs();
    for user in User::available() {
        let Some(checkout) = checkout(*user, programs.path()) else {
            return not_run("run the tests in a git checkout");
        };
        for session in &sessions {
            for (typed, printed) in session.iter().zip(type_in(*user, session, &checkout, programs.path())) {
                let lines: Vec<_> = printed.lines().collect();
                let differs = lines.len() != typed.printed.len()
                    || lines.iter().zip(&typed.printed).any(|(line, shown)| !is_like(line, shown));
                let shown = typed.printed.join("\n");
                assert!(!differs, "{user:?}: $ {}\nprints\n{printed}\nand README.md shows\n{shown}", typed.command);
            }
        }
    }
}

/// The two commands that a stranger types first are in the README, and in the scripts of CI.
#[test]
fn the_two_commands_are_typed_in_ci() {
    let readme = fs::read_to_string(source("README.md")).expect("the README");
    let scripts = fs::read_dir(source(".ci")).expect("the scripts").map(|entry| entry.expect("an entry").path());
    let script = scripts.map(|path| fs::read_to_string(path).expect("a script")).collect::<String>();
    assert!(readme.contains("$ cargo run --release -- --sandbox strict run examples/hello.wat\n"));
    assert!(script.contains("cargo run --quiet --release -- --sandbox strict run examples/hello.wat"));
    assert!(readme.contains("```sh\ncargo test --workspace\n```"));
    assert!(script.contains("cargo test --workspace"));
}

/// `[…]` is any text, also none, and nothing else is.
#[test]
fn only_the_marked_parts_may_differ() {
    for (printed, shown, like) in [
        ("a", "a", true),
        ("a", "b", false),
        ("ab", "a", false),
        ("a 1 b", "a […] b", true),
        ("a 1 b c", "a […] b", false),
        ("a 1 b 2 c", "a […] b […] c", true),
        ("a 1 b 2 c", "a […] d […] c", false),
        ("a ", "a […]", true),
        ("b a ", "a […]", false),
        ("", "[…]", true),
    ] {
        assert_eq!(is_like(printed, shown), like, "{printed:?} {shown:?}");
    }
}

/// The README is one that is read: it has at most 150 lines.
#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(source("README.md")).expect("the README");
    assert!(readme.lines().count() <= 150, "{} lines", readme.lines().count());
}

/// Each flag of each subcommand is in the reference, `docs/cli.md`.
#[test]
fn each_flag_is_in_the_reference() {
    let reference = fs::read_to_string(source("docs/cli.md")).expect("the reference");
    let help = |command: &str| {
        let mut wave = Command::new(env!("CARGO_BIN_EXE_wave"));
        let output = wave.args(command.split_whitespace()).arg("--help").output().expect("wave starts");
        assert!(output.status.success(), "{command}");
        String::from_utf8(output.stdout).expect("help in UTF-8")
    };
    let below = |command: &str| -> Vec<String> {
        let help = help(command);
        let list =
            help.split("\nCommands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default().to_owned();
        let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        names.filter(|name| !["", "help"].contains(name)).map(|name| format!("{command} {name}")).collect()
    };
    let commands: Vec<_> =
        below("").into_iter().flat_map(|command| [below(&command), vec![command]].concat()).collect();
    assert!(commands.len() > 15, "{commands:?}");
    for command in commands {
        assert!(reference.contains(&format!("`wave{command}")), "{command} is not in docs/cli.md");
        let text = help(&command);
        let flags = text.lines().filter_map(|line| line.trim_start().strip_prefix('-').map(|_| line));
        let words = flags.flat_map(|line| line.split([' ', ',', '[', '='])).filter(|word| word.starts_with("--"));
        for flag in words {
            assert!(
                reference.contains(&format!("`{flag}")) || reference.contains(&format!(" {flag}")),
                "{command} {flag} is not in docs/cli.md"
            );
        }
    }
}
