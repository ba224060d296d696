//! The programs in the containers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::{c_example, source};
use tempfile::TempDir;

/// Modules as text, by their names in the image.
const TEXTS: [(&str, &str); 5] = [
    // Prints that it is there, then waits for an hour.
    (
        "wait",
        r#"(module
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (data (i32.const 256) "\08\01\00\00\06\00\00\00ready\0a")
             (func (export "_start")
               (drop (call $write (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 272)))
               (i32.store (i32.const 16) (i32.const 1))
               (i64.store (i32.const 24) (i64.const 3600000000000))
               (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"#,
    ),
    ("spin", r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#),
    // Takes memory, page by page, as long as there is some.
    (
        "greedy",
        r#"(module
             (memory (export "memory") 1)
             (func (export "_start") (local $page i32)
               (loop $again
                 (local.set $page (memory.grow (i32.const 1)))
                 (if (i32.eq (local.get $page) (i32.const -1)) (then unreachable))
                 (local.set $page (i32.shl (local.get $page) (i32.const 16)))
                 (memory.fill (local.get $page) (i32.const 1) (i32.const 65536))
                 (br $again))))"#,
    ),
    // Prints a line and exits with 42.
    (
        "fail",
        r#"(module
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1)
             (data (i32.const 0) "\08\00\00\00\06\00\00\00again\0a")
             (func (export "_start")
               (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
               (call $exit (i32.const 42))))"#,
    ),
    // Prints `out` on standard output and `err` on standard error; exits with the error number of the first.
    (
        "both",
        r#"(module
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1)
             (data (i32.const 0) "\10\00\00\00\04\00\00\00\14\00\00\00\04\00\00\00out\0aerr\0a")
             (func (export "_start") (local $errno i32)
               (local.set $errno (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
               (drop (call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 32)))
               (call $exit (local.get $errno))))"#,
    ),
];

/// Modules as text elsewhere in this repository.
const FILES: [(&str, &str); 4] = [
    ("hello", "tests/inherited/hello.wat"),
    ("exit", "examples/exit.wat"),
    ("trap", "examples/trap.wat"),
    ("echo", "examples/echo.wat"),
];

/// Programs in C, which are there if they can be built.
const IN_C: [&str; 3] = ["cp", "cat", "args_env"];

/// A root directory with all guests.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<TempDir> = LazyLock::new(|| {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let put = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).expect("own directory");
        let module = |name: &str, text: &str| {
            put(&format!("{name}.wasm"), &wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}")));
        };
        TEXTS.iter().for_each(|(name, text)| module(name, text));
        for (name, path) in FILES {
            module(name, &fs::read_to_string(source(path)).expect("it is in this repository"));
        }
        for path in IN_C.iter().filter_map(|name| c_example(name)) {
            put(&path.file_name().expect("it has one").to_string_lossy(), &fs::read(&path).expect("it was built"));
        }
        // The beginning of a module, then no section that there is.
        put("broken.wasm", b"\0asm\x01\0\0\0\xff\x01\0");
        put("script.wasm", b"#!/bin/sh\n");
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("own directory");
        dir
    });
    ROOT.path()
}

/// The root directory as an archive.
pub fn archive() -> &'static Path {
    static ARCHIVE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let archive = dir.path().join("guests.tar");
        let mut command = Command::new("tar");
        command.args(["--owner=0", "--group=0", "--mode=a+rX", "-C"]).arg(root()).arg("-cf").arg(&archive).arg(".");
        let packed = command.output().expect("tar starts");
        assert!(packed.status.success(), "{packed:?}");
        (dir, archive)
    });
    &ARCHIVE.1
}
