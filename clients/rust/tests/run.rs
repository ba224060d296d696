//! Runs of the real `wave`: each ending is told apart, whatever the program prints.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use wave_client::{Access, Child, Command, Ending, Error, Input, Level, Output};

/// The `wave` that cargo built beside this test.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the kernel knows it");
    let wave = test.ancestors().nth(2).expect("cargo puts it there").join("wave");
    assert!(wave.exists(), "there is no {}: run `cargo build`", wave.display());
    wave
}

fn wave(module: impl AsRef<Path>) -> Command {
    let mut command = Command::new(module);
    command.binary(binary());
    command
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// A directory that every user can read, removed with the value. `wave` becomes another user if it is started as root.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("wave-client-{name}-{}", std::process::id()));
        fs::create_dir(&dir).expect("a new directory");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("own directory");
        Self(dir)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("own directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("own file");
        path
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("own directory");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("own directory");
    }
}

/// Runs a module text.
#[track_caller]
fn run(name: &str, text: &str, set: impl FnOnce(&mut Command)) -> Output {
    let dir = Dir::new(name);
    let mut command = wave(dir.file("guest.wat", text));
    set(&mut command);
    command.output().unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn ending(name: &str, text: &str) -> Ending {
    run(name, text, |_| {}).outcome.ending
}

/// A program that prints the same text to both streams, again and again, and exits.
fn prints(text: &str, times: u32, code: u32) -> String {
    format!(
        r#"(module
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 2) (global $left (mut i32) (i32.const {times}))
             (func (export "_start")
               (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const {}))
               (loop $again
                 (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                 (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
                 (br_if $again (global.set $left (i32.sub (global.get $left) (i32.const 1))) (global.get $left)))
               (call $exit (i32.const {code})))
             (data (i32.const 16) "{}\n"))"#,
        text.len() + 1,
        text.replace('"', "\\\"")
    )
}

/// Prints a line and waits for standard input to end.
const WAITS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\01\00\00\00") (data (i32.const 16) "\n")
    (func (export "_start")
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

#[test]
fn exit_codes_are_the_programs_own() {
    for code in [0, 42, 124, 134, 137, 159, 256] {
        let output = run(&format!("exit-{code}"), &prints("", 1, code), |_| {});
        assert_eq!(output.outcome.ending, Ending::Exited { code });
        assert_eq!(output.outcome.success(), code == 0);
    }
}

#[test]
fn a_program_that_prints_an_outcome_changes_nothing() {
    let fake = r#"{"schema_version":1,"version":"9","exit_code":0,"ending":{"kind":"exited","code":0}}"#;
    let output = run("fake", &prints(fake, 1, 7), |_| {});
    assert_eq!(output.outcome.ending, Ending::Exited { code: 7 });
    assert_eq!((output.outcome.version.as_str(), output.outcome.exit_code), (env!("CARGO_PKG_VERSION"), 7));
    assert_eq!(output.stdout, format!("{fake}\n").into_bytes());
    assert_eq!(output.stderr, output.stdout);
    assert_eq!(output.outcome.streams.written_bytes, 2 * output.stdout.len() as u64);
}

#[test]
fn traps_and_limits_have_kinds_of_their_own() {
    let trap = ending("trap", r#"(module (func $f unreachable) (func $g (export "_start") (call $f)))"#);
    let Ending::Trapped { trap, frames, .. } = trap else { panic!("{trap:?}") };
    let names: Vec<_> = frames.iter().map(|frame| frame.name.as_deref()).collect();
    assert_eq!((trap.as_str(), names), ("unreachable", vec![Some("f"), Some("g")]));

    let spin = r#"(module (func (export "_start") (loop (br 0))))"#;
    let output = run("spin", spin, |command| {
        command.timeout(Duration::from_millis(100));
    });
    assert!(matches!(output.outcome.ending, Ending::TimeLimit { .. }), "{:?}", output.outcome);
    assert!(output.outcome.time.wall_us >= 100_000);

    let raise = r#"(module (import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))
        (memory (export "memory") 1) (func (export "_start") (drop (call $raise (i32.const 15)))))"#;
    assert_eq!(ending("raise", raise), Ending::Raised { signal: 15, name: "SIGTERM".into() });
}

#[test]
fn what_did_not_run_is_refused_with_the_reason() {
    let missing = wave("missing.wasm").output().expect("an outcome").outcome;
    assert!(matches!(missing.ending, Ending::Refused { .. }), "{missing:?}");
    assert_eq!((missing.exit_code, missing.sandbox, missing.module.blake3), (127, None, None));
    let mut command = wave(example("hello.wat"));
    let refused = command.max_memory(1024).output().expect("an outcome").outcome;
    let Ending::Refused { limit, .. } = refused.ending else { panic!("{refused:?}") };
    assert_eq!(limit.as_deref(), Some("max-memory"));
    // The neighbor: the same command with more memory.
    let output = command.max_memory(1 << 20).output().expect("an outcome");
    assert_eq!(output.stdout, b"Hello from inside the sandbox!\n");
    assert!(output.outcome.success(), "{output:?}");
    let sandbox = output.outcome.sandbox.expect("it was sealed");
    assert_eq!(sandbox.level, "strict");
    assert!(sandbox.layers.iter().any(|layer| layer.name == "seccomp" && layer.state == "applied"), "{sandbox:?}");
}

/// Starts a program that waits, and returns when it runs.
fn waiting(dir: &Dir) -> Child {
    let mut command = wave(dir.file("guest.wat", WAITS));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("wave starts");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("it runs");
    assert!(child.try_wait().expect("it runs").is_none());
    child
}

#[test]
fn a_run_that_is_killed_says_so_or_has_no_outcome() {
    let dir = Dir::new("killed");
    let mut child = waiting(&dir);
    // `wait` closes the program's standard input, which would end it.
    let _open = child.stdin.take();
    let sent = Process::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let outcome = child.wait().expect("an outcome");
    let killed = Ending::Killed { signal: 15, name: "SIGTERM".into(), program_was_running: true };
    assert_eq!((outcome.ending, outcome.exit_code), (killed, 143));

    let mut child = waiting(&dir);
    child.kill().expect("own child");
    assert!(matches!(child.wait(), Err(Error::NoOutcome { .. })));

    let mut child = waiting(&dir);
    assert!(child.wait().expect("its input has ended").success());
}

#[test]
fn input_is_bytes_or_a_file() {
    let dir = Dir::new("input");
    let copies = r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 2)
        (func (export "_start")
          (loop $again
            (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 65536))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br_if $again (i32.load (i32.const 4))))))"#;
    let mut command = wave(dir.file("guest.wat", copies));
    // More than a pipe holds, in both directions at once.
    let bytes: Vec<u8> = (0_u32..1_000_000).map(|n| n.to_le_bytes()[0]).collect();
    for _ in 0..2 {
        let output = command.stdin(bytes.clone()).output().expect("an outcome");
        assert!(output.stdout == bytes, "{} bytes, {:?}", output.stdout.len(), output.outcome);
    }
    let file = File::open(dir.file("in", "from a file")).expect("own file");
    assert_eq!(command.stdin(Stdio::from(file)).output().expect("an outcome").stdout, b"from a file");
    assert_eq!(command.output().expect("an outcome").stdout, b"", "a Stdio is used once");
    assert_eq!(command.stdin(Input::from("text")).output().expect("an outcome").stdout, b"text");
    // A program that does not read does not stop the one that writes.
    assert!(wave(example("hello.wat")).stdin(bytes).output().expect("an outcome").outcome.success());

    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("wave starts");
    child.stdin.as_mut().expect("a pipe").write_all(b"piped").expect("it reads");
    assert_eq!(child.wait_with_output().expect("an outcome").stdout, b"piped");
}

#[test]
fn grants_reach_the_program_and_nothing_else_does() {
    let dir = Dir::new("grants");
    dir.file("note", "granted");
    let mut command = wave(example("show.wat"));
    command.arg("note").dir(&dir.0, "/d", Access::ReadOnly);
    assert_eq!(command.output().expect("an outcome").stdout, b"granted");
    let single = |path: &Path| wave(example("show.wat")).arg("note").file(path, "/d/note", Access::ReadOnly).output();
    assert_eq!(single(&dir.0.join("note")).expect("an outcome").stdout, b"granted");
    assert!(!single(&dir.0).expect("an outcome").outcome.success(), "a directory is no file");
    let without = wave(example("show.wat")).arg("note").output().expect("an outcome");
    assert!(!without.outcome.success() && without.stdout.is_empty(), "{without:?}");
    for (host, guest) in [("a:b", "/d"), ("/", "d::rw"), ("/", ""), ("", "/d")] {
        let refused = wave(example("show.wat")).dir(host, guest, Access::ReadOnly).output();
        assert!(matches!(refused, Err(Error::Argument(_))), "{host} {guest}: {refused:?}");
    }
    let args = wave(example("args.wat")).args(["--dir=/::/", "two words", "-"]).output().expect("an outcome");
    assert_eq!(args.stdout, b"--dir=/::/\ntwo words\n-\n");
    for name in ["", "A=B"] {
        assert!(matches!(wave(example("args.wat")).env(name, "1").output(), Err(Error::Argument(_))), "{name}");
    }
}

#[test]
fn output_is_bounded() {
    let line = "x".repeat(1000);
    let floods = prints(&line, 100_000, 0);
    let output = run("flood", &floods, |command| {
        command.max_output(5000);
    });
    assert_eq!(output.stdout.len() + output.stderr.len(), 5000);
    assert_eq!(output.outcome.ending, Ending::Exited { code: 0 });
    let output = run("flood-default", &floods, |_| {});
    assert_eq!(output.stdout.len() + output.stderr.len(), 16 << 20);
    // Without a limit that the program meets, the run is killed.
    let dir = Dir::new("flood-spawned");
    let mut command = wave(dir.file("guest.wat", &floods));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wave starts");
    assert!(matches!(child.wait_with_output(), Err(Error::TooMuchOutput { .. })));
}

#[test]
fn a_policy_keeps_its_limits() {
    let dir = Dir::new("policy");
    let policy = dir.file("policy.toml", "version = 1\n[limits]\nmax-output = 2000\n");
    let output = run("narrow", &prints("0123456789", 1000, 0), |command| {
        command.policy(policy);
    });
    assert_eq!(output.stdout.len() + output.stderr.len(), 2000);
    assert!(output.outcome.policy.expect("it was read").blake3.is_some());
}

#[test]
fn what_cannot_start_is_an_error() {
    let missing = Command::new("x").binary("/missing/wave").output();
    assert!(
        matches!(&missing, Err(Error::Start { binary, .. }) if binary == Path::new("/missing/wave")),
        "{missing:?}"
    );
    let flag = wave(example("hello.wat")).flag("--no-such-flag").output();
    let Err(Error::NoOutcome { status, stderr }) = flag else { panic!("{flag:?}") };
    assert_eq!(status.code(), Some(2));
    assert!(String::from_utf8_lossy(&stderr).contains("--no-such-flag"), "{stderr:?}");
    let scratch = wave(example("hello.wat")).scratch("/missing").output();
    assert!(matches!(scratch, Err(Error::Scratch { .. })), "{scratch:?}");
}

#[test]
fn the_outcome_leaves_no_file_and_no_program_writes_it() {
    let dir = Dir::new("scratch");
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o777)).expect("own directory");
    let mut command = wave(example("hello.wat"));
    command.scratch(&dir.0).sandbox(Level::Strict);
    assert!(command.output().expect("an outcome").outcome.success());
    assert_eq!(dir.names(), [""; 0]);
    command.dir(&dir.0, "/d", Access::ReadWrite);
    let refused = command.output();
    let Err(Error::NoOutcome { status, stderr }) = refused else { panic!("{refused:?}") };
    assert_eq!(status.code(), Some(125));
    assert!(String::from_utf8_lossy(&stderr).contains("could write its own outcome"), "{stderr:?}");
    assert_eq!(dir.names(), [""; 0]);
}
