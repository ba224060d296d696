//! `wave policy diff` at the command line. What it compares is tested where it is decided, in `policies/src/file/diff`.
//!
//! Long outputs are files in `tests/policy_diff/`; `WAVE_BLESS=1` writes them anew.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use wave_test_support::{Outcome, fill, finish, source, writable_dir};

/// `wave policy diff` in a directory.
fn diff(dir: &Path, line: &str) -> Outcome {
    with_input(dir, line, "")
}

fn with_input(dir: &Path, line: &str, stdin: &str) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    command.args(["policy", "diff"]).args(line.split_whitespace()).current_dir(dir).env_clear();
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wave starts");
    child.stdin.take().expect("stdin is piped").write_all(stdin.as_bytes()).expect("it is read");
    finish(child)
}

fn is_snapshot(name: &str, text: &str) {
    let path = source("tests/policy_diff").join(name);
    if std::env::var_os("WAVE_BLESS").is_some() {
        fs::write(&path, text).expect("the source can be written");
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "{}", path.display());
}

fn place(files: &[(&str, &str)]) -> TempDir {
    let dir = writable_dir();
    fill(dir.path(), files);
    dir
}

#[test]
fn a_review_shows_what_became_possible_with_its_line() {
    let dir = source("tests/policy_diff");
    let said = diff(&dir, "old.toml new.toml");
    assert_eq!((said.status.code(), &*said.stderr), (Some(0), ""));
    is_snapshot("widened.txt", &said.stdout);
    let said = diff(&dir, "--fail-on widen new.toml old.toml");
    assert_eq!((said.status.code(), &*said.stderr), (Some(1), ""));
    is_snapshot("reversed.txt", &said.stdout);
    let said = diff(&dir, "--format json old.toml new.toml");
    assert_eq!((said.status.code(), &*said.stderr), (Some(0), ""));
    is_snapshot("widened.json", &said.stdout);
    let json: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(
        json["changes"].as_array().map(Vec::len),
        Some(diff(&dir, "old.toml new.toml").stdout.lines().count() - 1)
    );
}

#[test]
fn only_what_widens_fails() {
    let dir = place(&[
        ("none.toml", "version = 1\n"),
        ("ro.toml", "version = 1\n[[fs]]\nhost = \"data\"\nguest = \"/d\"\naccess = \"ro\"\n"),
        ("named.toml", "version = 1\n[[fs]]\nhost = \"data/.\"\nguest = \"/e\"\naccess = \"ro\"\n"),
        ("rw.toml", "version = 1\n[[fs]]\nhost = \"data\"\nguest = \"/d\"\naccess = \"rw\"\n"),
    ]);
    let added = "+ may read under data (fs[0], ro.toml:2)\n1 wider, 0 narrower, 0 neither\n";
    let cases = [
        ("ro.toml ro.toml", 0, ""),
        ("none.toml ro.toml", 1, added),
        (
            "ro.toml none.toml",
            0,
            "- may no longer read under data (fs[0], ro.toml:2)\n0 wider, 1 narrower, 0 neither\n",
        ),
        (
            "ro.toml named.toml",
            0,
            "~ data is called /e, was called /d (fs[0], ro.toml:2; fs[0], named.toml:2)\n0 wider, 0 narrower, 1 neither\n",
        ),
        (
            "ro.toml rw.toml",
            1,
            "+ may write under data (fs[0], ro.toml:2; fs[0], rw.toml:2)\n1 wider, 0 narrower, 0 neither\n",
        ),
    ];
    for (files, code, text) in cases {
        diff(dir.path(), &format!("--fail-on widen {files}")).is(code, text, "");
        diff(dir.path(), files).is(0, text, "");
    }
    assert_eq!(diff(dir.path(), "--fail-on narrow ro.toml none.toml").status.code(), Some(2));
    assert_eq!(diff(dir.path(), "ro.toml").status.code(), Some(2));
}

#[test]
fn the_policy_of_another_revision_is_compared_as_it_is_written() {
    let policy = "version = 1\n[[fs]]\nhost = \"data\"\naccess = \"ro\"\n";
    let dir = place(&[("old/app.toml", policy), ("app.toml", policy)]);
    diff(dir.path(), "--fail-on widen old/app.toml app.toml").is(0, "", "");
    with_input(dir.path(), "--fail-on widen - app.toml", policy).is(0, "", "");
    with_input(dir.path(), "--fail-on widen - app.toml", "version = 1\n").is(
        1,
        "+ may read under data (fs[0], app.toml:2)\n1 wider, 0 narrower, 0 neither\n",
        "",
    );
}

#[test]
fn what_a_profile_brings_is_named_as_its_own() {
    let dir = place(&[
        ("a.toml", "version = 1\nextends = \"cli\"\n"),
        ("b.toml", "version = 1\nextends = \"cli\"\n[wasi]\nfunctions = [\"fd_write\", \"sock_accept\"]\n"),
    ]);
    let said = diff(dir.path(), "a.toml b.toml").stdout;
    assert!(said.contains("- may no longer import path_open (wasi.functions[31], profile cli of a.toml)\n"), "{said}");
    assert!(said.contains("+ may import sock_accept (wasi.functions[1], b.toml:4)\n"), "{said}");
    assert!(!said.contains("fd_write"), "{said}");
    // What is allowed because nothing is said has no line.
    fs::write(dir.path().join("a.toml"), "version = 1\n").unwrap();
    let said = diff(dir.path(), "b.toml a.toml").stdout;
    assert!(said.contains("+ may import path_open\n"), "{said}");
}

#[test]
fn a_policy_that_cannot_be_read_is_refused_as_everywhere() {
    let dir = place(&[("a.toml", "version = 1\n"), ("b.toml", "version = 1\nsandbx = \"off\"\n")]);
    let message = "wave: unknown key `sandbx`\n  where: b.toml:2:1\n    |\n  2 | sandbx = \"off\"\n    | ^^^^^^\n  \
                   fix:   write `sandbox`\n";
    diff(dir.path(), "a.toml b.toml").is(125, "", message);
    diff(dir.path(), "b.toml a.toml").is(125, "", message);
    diff(dir.path(), "a.toml c.toml").is(
        125,
        "",
        "wave: cannot read the policy: No such file or directory (os error 2)\n  where: c.toml\n  fix:   check the path\n",
    );
}

#[test]
fn t75_nothing_in_a_policy_steers_the_terminal() {
    let text = "version = 1\nargs = [\"\\u001b[2J\\u202e\"]\n[[fs]]\nhost = \"a\\u001b[2J\\nb\\u202e\"\nguest = \"\\u0007\"\naccess = \"rw\"\n\
                [env]\npass = [\"K\\u009b\"]\n[env.set]\n\"L\\u001b\" = \"\\u001b]0;\"\n";
    let dir =
        place(&[("a.toml", "version = 1\n"), ("b.toml", text), ("c.toml", &text.replace("guest = \"", "guest = \"x"))]);
    for files in ["a.toml b.toml", "b.toml a.toml", "b.toml c.toml"] {
        for format in ["text", "json"] {
            let said = diff(dir.path(), &format!("--format {format} {files}"));
            assert_eq!((said.status.code(), &*said.stderr), (Some(0), ""));
            let is_harmful = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!said.stdout.contains(is_harmful), "{:?}", said.stdout);
            assert!(said.stdout.contains("u{1b}[2J\\u{a}b") || said.stdout.contains("u001b[2J\\nb"), "{}", said.stdout);
        }
    }
    let said = diff(dir.path(), "a.toml b.toml").stdout;
    assert_eq!(said.lines().filter(|line| line.starts_with('+')).count(), 3, "{said}");
    let json: Value = serde_json::from_str(&diff(dir.path(), "--format json a.toml b.toml").stdout).expect("JSON");
    assert_eq!(json["changes"][1]["subject"], "a\u{1b}[2J\nb\u{202e}", "the escapes of JSON say the same");
}

#[test]
fn a_hundred_thousand_rules_on_each_side_end_soon() {
    let rules = |shift: usize| {
        let mut text = "version = 1\n".to_owned();
        for index in 0..100_000 {
            write!(text, "[[fs]]\nhost = \"d/{}\"\nguest = \"/{index}\"\naccess = \"ro\"\n", index + shift).unwrap();
        }
        text
    };
    let dir = place(&[("a.toml", &rules(0)), ("b.toml", &rules(50_000))]);
    let start = Instant::now();
    let said = diff(dir.path(), "--fail-on widen a.toml b.toml");
    assert_eq!((said.status.code(), &*said.stderr), (Some(1), ""));
    assert_eq!(said.stdout.lines().last(), Some("50000 wider, 50000 narrower, 50000 neither"));
    diff(dir.path(), "a.toml a.toml").is(0, "", "");
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}
