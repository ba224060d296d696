//! `--env-file`: variables from a file, as docker reads it.

use std::fs;
use std::path::Path;
use std::process::Command;

use wave_test_support::{Outcome, Wave, wat};

/// Prints its environment, a variable a line.
const PRINTS: &str = r#"(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start") (local $at i32) (local $end i32)
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 1024) (i32.const 65536)))
    (local.set $at (i32.const 65536))
    (local.set $end (i32.add (i32.const 65536) (i32.load (i32.const 4))))
    (loop
      (if (i32.lt_u (local.get $at) (local.get $end)) (then
        (if (i32.eqz (i32.load8_u (local.get $at))) (then (i32.store8 (local.get $at) (i32.const 10))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br 1))))
    (i32.store (i32.const 8) (i32.const 65536)) (i32.store (i32.const 12) (i32.load (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"#;

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Runs with these flags in a directory with these files.
#[track_caller]
fn run(files: &[(&str, &[u8])], flags: &[[&str; 2]]) -> Outcome {
    let (dir, module) = wat(PRINTS);
    files.iter().for_each(|(name, bytes)| fs::write(dir.path().join(name), bytes).expect("written"));
    let wave = flags.iter().fold(Wave::strict(), |wave, [flag, value]| wave.flag(flag, value));
    wave.current_dir(dir.path()).run(&module, [""; 0])
}

#[test]
fn the_last_file_wins_and_a_flag_wins_over_all() {
    let files: [(&str, &[u8]); 2] =
        [("a.env", b"# comment\nA=1\nB=2 # kept\n\nC=\"3\"\n"), ("b.env", b"B=b\r\nD=$A\nD=d")];
    let all = [["--env", "A=flag"], ["--env-file", "a.env"], ["--env-file", "b.env"]];
    run(&files, &all).is(0, "C=\"3\"\nB=b\nD=d\nA=flag\n", "");
    run(&files, &all[1..2]).is(0, "A=1\nB=2 # kept\nC=\"3\"\n", "");
    run(&files, &[]).is(0, "", "");
}

#[test]
fn a_name_alone_passes_that_variable_on_and_no_other() {
    let (dir, module) = wat(PRINTS);
    let file = dir.path().join("v.env");
    fs::write(&file, "WAVE_TEST_GIVEN\n").expect("written");
    let mut command = Command::new(wave_test_support::wave());
    command
        .args(["run", "--env-file", text(&file)])
        .arg(&module)
        .env("WAVE_TEST_GIVEN", "g h")
        .env("WAVE_TEST_OTHER", "o");
    let output = command.output().expect("wave starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "WAVE_TEST_GIVEN=g h\n", "{output:?}");
    // Its value does not get into a policy that is learned; that of a line with a value does.
    fs::write(&file, "WAVE_TEST_GIVEN\nPLAIN=p\n").expect("written");
    let policy = dir.path().join("p.toml");
    let mut learn = Command::new(wave_test_support::wave());
    learn.args(["learn", "-o", text(&policy), "--env-file", text(&file)]).arg(&module).env("WAVE_TEST_GIVEN", "secret");
    assert!(learn.output().expect("wave starts").status.success());
    let policy = fs::read_to_string(policy).expect("a policy");
    assert!(policy.contains("pass = [\"WAVE_TEST_GIVEN\"]") && policy.contains("PLAIN = \"p\""), "{policy}");
    assert!(!policy.contains("secret"), "{policy}");
}

#[test]
fn a_bad_file_is_named_with_its_line() {
    for (bytes, code, said) in [
        (&b"A=1\n=2"[..], 2, "an environment variable needs a name\n  where: --env-file v.env:2\n"),
        (b"export A=1", 2, "the name of an environment variable has no spaces\n  where: --env-file v.env:1\n"),
        (b"A=1\n\x1b[2J B", 2, "has no spaces\n  where: --env-file v.env:2\n"),
        (b"A=1\nB=\0x", 2, "has no NUL character\n  where: --env-file v.env:2\n"),
        (b"A=1\nWAVE_TEST_MISSING", 125, "`WAVE_TEST_MISSING` to pass on\n  where: --env-file v.env:2\n"),
        (b"A=1\nB=\xff", 125, "line 2 of the variables is not valid UTF-8\n  where: --env-file v.env\n"),
    ] {
        let printed = run(&[("v.env", bytes)], &[["--env-file", "v.env"]]);
        assert_eq!((printed.status.code(), &*printed.stdout), (Some(code), ""), "{printed:?}");
        assert!(printed.stderr.contains(said) && !printed.stderr.contains('\u{1b}'), "{said}: {}", printed.stderr);
    }
    for (file, said) in [("missing", "No such file"), (".", "it is a directory"), ("/dev/zero", "it is a device")] {
        let printed = run(&[], &[["--env-file", file]]);
        assert_eq!(printed.status.code(), Some(125), "{file}: {printed:?}");
        assert!(printed.stderr.contains(said), "{file}: {}", printed.stderr);
    }
}

#[test]
fn a_policy_is_gone_beyond_aloud() {
    let printed = run(
        &[("p.toml", b"version = 1\n[env.set]\nA = \"policy\"\n"), ("v.env", b"A=file\nB=b\n")],
        &[["--policy", "p.toml"], ["--env-file", "v.env"]],
    );
    let relaxed = "wave: relaxed by --env-file v.env (A) beyond the policy, --env-file v.env (B) beyond the policy\n";
    printed.is(0, "A=file\nB=b\n", relaxed);
}
