//! `--trace-file` and `--report-file`: what `wave` says is told from what a program says, and no program reaches the files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wave_test_support::{Wave, source, tree, wat, writable_dir};

/// A directory for records, which no program is granted.
fn own() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("record");
    (dir, path)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Prints what a trace could have, and yields.
const FAKER: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\24\00\00\00")
  (data (i32.const 16) "wave: path_open(fd=3, ) = SUCCESS, x\n")
  (func (export "_start")
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $yield))))"#;

const FAKED: &str = "wave: path_open(fd=3, ) = SUCCESS, x";

#[test]
fn a_trace_file_has_the_trace_and_nothing_of_the_program() {
    let ((_dir, file), (_module_dir, module)) = (own(), wat(FAKER));
    let write = "wave: fd_write(fd=2, iovs=0, iovs_len=1) = SUCCESS, nwritten=36\n";
    Wave::strict().flag("--trace-file", text(&file)).run(&module, [""; 0]).is(0, "", FAKED);
    let all = write.to_owned() + "wave: sched_yield() = SUCCESS\n";
    assert_eq!(fs::read_to_string(&file).expect("a trace"), all);
    // It is emptied first, and areas and format are those of a trace.
    let wave = Wave::strict().switch("--trace=proc").flag("--trace-format", "json");
    wave.flag("--trace-file", text(&file)).run(&module, [""; 0]).is(0, "", FAKED);
    let trace: Value = serde_json::from_str(&fs::read_to_string(&file).expect("a trace")).expect("one object");
    assert_eq!(trace["call"], "sched_yield");
}

#[test]
fn a_program_that_writes_nothing_is_traced_at_every_level() {
    let yields = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (func (export "_start") (drop (call $yield))))"#;
    let ((_dir, file), (_module_dir, module)) = (own(), wat(yields));
    for level in ["strict", "standard", "off"] {
        let outcome = Wave::strict().flag("--sandbox", level).flag("--trace-file", text(&file)).run(&module, [""; 0]);
        assert_eq!(outcome.status.code(), Some(0), "{level}: {outcome:?}");
        assert_eq!(fs::read_to_string(&file).expect("a trace"), "wave: sched_yield() = SUCCESS\n", "{level}");
    }
}

#[test]
fn a_report_file_has_the_report_and_standard_error_what_was_relaxed() {
    let ((_dir, file), hello) = (own(), source("examples/hello.wat"));
    let wave = || Wave::strict().flag("--report-file", text(&file));
    wave().switch("--report=json").run(&hello, [""; 0]).is(0, "Hello from inside the sandbox!\n", "");
    let report: Value = serde_json::from_str(&fs::read_to_string(&file).expect("a report")).expect("JSON");
    assert_eq!(report["level"], "strict");
    let outcome = wave().switch("--terminal-controls").run(&hello, [""; 0]);
    outcome.is(0, "Hello from inside the sandbox!\n", "wave: relaxed by --terminal-controls\n");
    let report = fs::read_to_string(&file).expect("a report");
    assert!(report.contains("seccomp") && report.ends_with("  relaxed by --terminal-controls\n"), "{report}");
}

#[test]
fn trace_report_and_outcome_go_to_places_of_their_own() {
    let (dir, hello) = (tempfile::tempdir().expect("a temporary directory"), source("examples/hello.wat"));
    let [trace, report, outcome] = ["trace", "report", "outcome"].map(|name| dir.path().join(name));
    let wave = Wave::strict().flag("--trace-file", text(&trace)).flag("--report-file", text(&report));
    wave.flag("--outcome", text(&outcome)).run(&hello, [""; 0]).is(0, "Hello from inside the sandbox!\n", "");
    assert!(fs::read_to_string(&trace).expect("a trace").starts_with("wave: fd_write(fd=1, "));
    assert!(fs::read_to_string(&report).expect("a report").contains("landlock"));
    assert!(fs::read_to_string(&outcome).expect("an outcome").contains(r#""kind":"exited""#));
    let learned = dir.path().join("learned.toml");
    let mut learn = std::process::Command::new(wave_test_support::wave());
    learn.args(["learn", "-o", text(&learned), "--trace-file", text(&trace)]).arg(&hello);
    assert!(learn.output().expect("wave starts").status.success());
    assert!(fs::read_to_string(&trace).expect("a trace").starts_with("wave: fd_write(fd=1, "));
}

/// Tries everything that changes a file or a descriptor on each of the first 300, then yields.
const SWEEPER: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $size (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $flags (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\05\00\00\00") (data (i32.const 16) "fake\n")
  (func (export "_start") (local $fd i32)
    (local.set $fd (i32.const 4))
    (loop
      (if (i32.eqz (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))) (then unreachable))
      (if (i32.eqz (call $pwrite (local.get $fd) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 8)))
        (then unreachable))
      (if (i32.eqz (call $size (local.get $fd) (i64.const 0))) (then unreachable))
      (if (i32.eqz (call $flags (local.get $fd) (i32.const 0))) (then unreachable))
      (if (i32.eqz (call $renumber (local.get $fd) (i32.const 1))) (then unreachable))
      (if (i32.eqz (call $close (local.get $fd))) (then unreachable))
      (br_if 0 (i32.lt_u (local.tee $fd (i32.add (local.get $fd) (i32.const 1))) (i32.const 300))))
    (drop (call $yield))))"#;

#[test]
fn no_program_reaches_the_descriptor() {
    let ((_dir, file), (_module_dir, module), granted) = (own(), wat(SWEEPER), writable_dir());
    let wave = Wave::strict().dir(granted.path(), "/d", "rw").flag("--trace-file", text(&file));
    wave.flag("--report-file", text(&file)).run(&module, [""; 0]).is(0, "", "");
    let record = fs::read_to_string(&file).expect("a record");
    let traced: Vec<_> = record.lines().skip_while(|line| !line.starts_with("wave: fd_write")).collect();
    assert_eq!(traced.len(), 296 * 6 + 1, "{record}");
    assert!(traced.iter().rev().skip(1).all(|line| line.contains(") = BADF")), "{record}");
    assert_eq!(traced.last(), Some(&"wave: sched_yield() = SUCCESS"));
}

#[test]
fn a_file_that_the_program_can_write_is_refused_and_stays_as_it_is() {
    let (granted, (own_dir, precious)) = (writable_dir(), own());
    fs::write(&precious, "precious").expect("written");
    // What an earlier run may have left: a link out, and a directory that leads out.
    symlink(&precious, granted.path().join("link")).expect("linked");
    symlink(own_dir.path(), granted.path().join("way")).expect("linked");
    symlink(granted.path().join("link"), own_dir.path().join("through")).expect("linked");
    let hello = source("examples/hello.wat");
    let wave = |access, flag, path: &Path| {
        let wave = Wave::strict().dir(granted.path(), "/d", access).flag(flag, text(path));
        wave.run(&hello, [""; 0])
    };
    let before = tree(granted.path());
    for flag in ["--trace-file", "--report-file", "--coredump"] {
        let what = flag.trim_start_matches("--").trim_end_matches("-file");
        for path in ["new", "link", "way/record", "way/../new"] {
            let outcome = wave("rw", flag, &granted.path().join(path));
            assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(125), ""), "{path}");
            let said = format!("wave: the program could write its own {what}: ");
            assert!(outcome.stderr.starts_with(&said), "{path}: {}", outcome.stderr);
        }
        let outcome = wave("rw", flag, &own_dir.path().join("through"));
        assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(125), ""), "{outcome:?}");
        assert_eq!(fs::read_to_string(&precious).expect("it is there"), "precious");
        assert_eq!(tree(granted.path()), before);
    }
    // The neighbours: the same grant, read-only; and another file beside it.
    wave("ro", "--trace-file", &granted.path().join("new")).is(0, "Hello from inside the sandbox!\n", "");
    wave("rw", "--trace-file", &precious).is(0, "Hello from inside the sandbox!\n", "");
    assert!(fs::read_to_string(&precious).expect("a trace").starts_with("wave: fd_write"));
}

#[test]
fn descriptors_are_the_parents_and_never_a_stream_of_the_program() {
    let ((_dir, file), hello) = (own(), source("examples/hello.wat"));
    let path = file.display();
    let run =
        |script: &str, place: &str| Wave::strict().flag("--trace-file", place).by_shell(script).run(&hello, [""; 0]);
    let greeting = "Hello from inside the sandbox!\n";
    run(&format!("exec 7>'{path}'; exec \"$@\""), "fd:7").is(0, greeting, "");
    assert!(fs::read_to_string(&file).expect("a trace").starts_with("wave: fd_write"));
    // A pipe, as for a process that writes the trace down.
    run(&format!("\"$@\" 7>&1 >'{path}'"), "fd:7").is(
        0,
        "wave: fd_write(fd=1, iovs=0, iovs_len=1) = SUCCESS, nwritten=31\n",
        "",
    );
    assert_eq!(fs::read_to_string(&file).expect("the output"), greeting);
    for (script, place, code, said) in [
        ("exec \"$@\"", "fd:1", 2, "a descriptor is a number from 3 on"),
        ("exec \"$@\"", "fd:77", 125, "Bad file descriptor"),
        ("exec \"$@\" 7>&1", "fd:7", 125, "it is a standard stream"),
        ("exec \"$@\" 7>&2", "fd:7", 125, "it is a standard stream"),
        ("exec \"$@\" 7>&1", "/dev/fd/7", 125, "it is a standard stream"),
        ("exec \"$@\" 100</", text(&file), 125, "descriptor 100 is taken"),
        ("ulimit -n 50; exec \"$@\"", text(&file), 125, "ulimit -n 256"),
    ] {
        let outcome = run(script, place);
        assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(code), ""), "{script} {place}: {outcome:?}");
        assert!(outcome.stderr.contains(said), "{script} {place}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(&format!("  where: --trace-file {place}\n")), "{}", outcome.stderr);
    }
}

#[test]
fn a_trace_that_cannot_be_written_is_said_once_and_a_report_is_a_refusal() {
    let (_module_dir, module) = wat(FAKER);
    let outcome = Wave::strict().flag("--trace-file", "/dev/full").run(&module, [""; 0]);
    let said = "wave: cannot write the trace, the rest is left out: No space left on device (os error 28)\n";
    outcome.is(0, "", &format!("{FAKED}{said}"));
    let outcome = Wave::strict().flag("--report-file", "/dev/full").run(&module, [""; 0]);
    assert_eq!(outcome.status.code(), Some(125));
    assert!(outcome.stderr.starts_with("wave: cannot write the report: No space left"), "{}", outcome.stderr);
    // It is about the program, so it counts as what is printed about it (T110).
    let ((_dir, file), limit) = (own(), "40");
    let wave = Wave::strict().flag("--trace-file", text(&file)).flag("--max-output", limit);
    let outcome = wave.run(&module, [""; 0]);
    assert!(outcome.stderr.contains("more than --max-output would be printed"), "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(&file).expect("a trace"), "");
}
