//! T7: no memory is shared between threads, so nothing changes while it is judged.

use wave_test_support::{Wave, wat};

/// What is said of a module that would start threads.
const NO_THREADS: &str =
    "wave: note: the module imports `wasi` `thread-spawn`, which always fails: wave offers no threads\n";

/// T7: whoever asks for a thread gets an error, and a program that can do without goes on. The process has one thread.
#[test]
fn nobody_gets_a_thread() {
    let (_dir, path) = wat(r#"(module
        (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
        (import "env" "memory" (memory 1 2 shared))
        (export "memory" (memory 0))
        (global $spawned (mut i32) (i32.const 0))
        (func (export "wasi_thread_start") (param i32 i32) unreachable)
        (func (export "_start")
            (loop $again
                (if (i32.ne (call $spawn (global.get $spawned)) (i32.const -6)) (then unreachable))
                (global.set $spawned (i32.add (global.get $spawned) (i32.const 1)))
                (br_if $again (i32.lt_u (global.get $spawned) (i32.const 1000))))))"#);
    for wave in [Wave::strict(), Wave::strict().flag("--sandbox", "standard"), Wave::strict().flag("--sandbox", "off")]
    {
        let run = wave.run(&path, [""; 0]);
        assert_eq!((run.status.code(), &*run.stdout), (Some(0), ""), "{run:?}");
        assert!(run.stderr.contains(NO_THREADS), "{run:?}");
    }
}

/// Its neighbours: names that look like it are unknown, and so is a memory that is imported without being shared.
#[test]
fn nothing_else_is_provided() {
    for import in [
        r#"(import "wasi" "thread_spawn" (func (param i32) (result i32)))"#,
        r#"(import "wasi" "thread-exit" (func (param i32)))"#,
        r#"(import "wasi_snapshot_preview1" "thread-spawn" (func (param i32) (result i32)))"#,
        r#"(import "wasi" "thread-spawn" (func (param i32)))"#,
        r#"(import "env" "memory" (memory 1 1))"#,
        r#"(import "wasi" "thread-spawn" (memory 1 1))"#,
    ] {
        let (_dir, path) = wat(&format!(r#"(module {import} (func (export "_start")))"#));
        let run = Wave::strict().run(path, [""; 0]);
        assert_eq!((run.status.code(), &*run.stdout), (Some(126), ""), "{import}: {run:?}");
    }
}

/// A memory that is declared or imported as shared is one like any other: hostcalls use it, it grows, and limits hold for it.
#[test]
fn shared_memory_is_memory() {
    for memory in [
        r#"(memory (export "memory") 1 3 shared)"#,
        r#"(import "env" "memory" (memory 1 3 shared)) (export "memory" (memory 0))"#,
        r#"(import "any name" "" (memory 1 3 shared)) (export "memory" (memory 0))"#,
    ] {
        let import =
            r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#;
        let (_dir, path) = wat(&format!(
            r#"(module {import} {memory}
                (data (i32.const 0) "\10\00\00\00\03\00\00\00")
                (data (i32.const 16) "all")
                (func (export "_start")
                    (if (i32.ne (memory.grow (i32.const 2)) (i32.const 1)) (then unreachable))
                    (i32.atomic.store (i32.const 0x2fffc) (i32.const 7))
                    (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
        ));
        Wave::strict().run(&path, [""; 0]).is(0, "all", "");
        let limited = Wave::strict().flag("--max-memory", "128K").run(&path, [""; 0]);
        assert_eq!(limited.status.code(), Some(134), "{memory}: {limited:?}");
    }
}
