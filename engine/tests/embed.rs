//! `examples/embed.rs`: a program that uses this crate alone runs a module, sealed, in a child process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Only a hang takes this long.
const HANG: Duration = Duration::from_secs(120);

/// The example, which cargo builds with the tests.
fn embed() -> Command {
    let own = std::env::current_exe().expect("a test has a path");
    let built = own.parent().and_then(Path::parent).expect("tests are in `deps`");
    Command::new(built.join("examples/embed"))
}

fn run(words: &[&Path]) -> Output {
    embed().args(words).output().expect("cargo has built the example")
}

/// A directory with a module that opens `name` in the first preopened directory with these `oflags` and `rights`, and exits with the
/// errno.
fn opener(dir: &Path, name: &str, oflags: u32, rights: u64) -> PathBuf {
    let len = name.len();
    let path = dir.join(format!("open-{name}.wat"));
    let text = format!(
        r#"(module
          (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "{name}")
          (func (export "_start")
            (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const {len})
              (i32.const {oflags}) (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 64)))))"#
    );
    fs::write(&path, text).expect("own directory can be written");
    path
}

const CREAT: u32 = 1;
const FD_READ: u64 = 2;
const FD_WRITE: u64 = 64;

#[test]
fn an_embedder_goes_on_after_the_program() {
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hello.wat");
    let Output { status, stdout, stderr } = run(&[&hello]);
    let expected = "Hello from inside the sandbox!\nthe program ended: exit status: 0\n";
    assert_eq!((status.code(), &*String::from_utf8_lossy(&stdout)), (Some(0), expected));
    assert_eq!(String::from_utf8_lossy(&stderr), "");
}

#[test]
fn an_embedded_program_gets_what_is_granted_and_no_more() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("own directory can be written");
    fs::write(data.join("there"), "as it was").expect("own directory can be written");

    let Output { stdout, .. } = run(&[&opener(dir.path(), "there", 0, FD_READ), &data]);
    assert_eq!(String::from_utf8_lossy(&stdout), "the program ended: exit status: 0\n");
    // NOTCAPABLE
    let Output { stdout, .. } = run(&[&opener(dir.path(), "new", CREAT, FD_WRITE), &data]);
    assert_eq!(String::from_utf8_lossy(&stdout), "the program ended: exit status: 76\n");
    let names: Vec<_> = fs::read_dir(&data).expect("it is there").map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["there"]);
    assert_eq!(fs::read_to_string(data.join("there")).unwrap(), "as it was");
    // Without a grant there is no descriptor: BADF.
    let Output { stdout, .. } = run(&[&opener(dir.path(), "there", 0, FD_READ)]);
    assert_eq!(String::from_utf8_lossy(&stdout), "the program ended: exit status: 8\n");
}

#[test]
fn an_embedder_is_told_what_is_wrong() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let module = dir.path().join("broken.wasm");
    fs::write(&module, "\0asm\x01\0\0\0\x01").expect("own directory can be written");
    let Output { stdout, stderr, .. } = run(&[&module]);
    assert_eq!(String::from_utf8_lossy(&stdout), "the program ended: exit status: 126\n");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(stderr.starts_with("wave: ") && stderr.contains(&*module.to_string_lossy()), "{stderr}");
    let Output { stdout, .. } = run(&[&dir.path().join("missing.wasm")]);
    assert_eq!(String::from_utf8_lossy(&stdout), "the program ended: exit status: 127\n");
}

/// The kernel says that the process is sealed while the program runs.
#[test]
fn an_embedded_program_runs_sealed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let module = dir.path().join("loop.wat");
    fs::write(&module, r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#)
        .expect("own directory can be written");
    let mut child =
        embed().arg("--child").arg(&module).stderr(Stdio::null()).spawn().expect("cargo has built the example");
    let started = Instant::now();
    let status = loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it is not waited for");
        if status.contains("\nSeccomp:\t2\n") || started.elapsed() > HANG {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "Threads:\t1", "CapEff:\t0000000000000000"] {
        assert!(status.lines().any(|own| own == line), "{line} is not in\n{status}");
    }
}
