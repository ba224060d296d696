//! T3: modules whose memory is missing, empty or of the wrong kind.

use wave_test_support::{Outcome, Wave, wat};

/// A module that calls `fd_write` and `random_get` with pointers to 0 and exits with the sum of the two errnos.
fn run(memory: &str) -> Outcome {
    let text = format!(
        r#"(module
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             {memory}
             (func (export "_start")
               (call $exit (i32.add
                 (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0))
                 (call $random (i32.const 0) (i32.const 1))))))"#
    );
    let (_dir, path) = wat(&text);
    Wave::strict().run(path, [""; 0])
}

/// T3: without a page there is nothing a pointer could name; with one, both calls succeed.
#[test]
fn without_a_page_every_pointer_is_fault() {
    run(r#"(memory (export "memory") 0)"#).is(42, "", "");
    run(r#"(memory (export "memory") 1)"#).is(0, "", "");
}

/// T3: without a memory every pointer is FAULT as well. A module's only memory counts, whatever it is exported as.
#[test]
fn without_a_memory_nothing_is_reached() {
    run("").is(42, "", "");
    for memory in [
        "(memory 1)",
        r#"(memory (export "other") 1)"#,
        r#"(memory (export "memory") 1) (memory 1)"#,
        r#"(memory (export "memory") i64 1)"#,
    ] {
        run(memory).is(0, "", "");
    }
}

/// T3: what is called `memory` and is none.
#[test]
fn an_export_of_the_wrong_kind_is_no_memory() {
    for export in [
        r#"(func (export "memory"))"#,
        r#"(global (export "memory") i32 (i32.const 0))"#,
        r#"(table (export "memory") 1 funcref)"#,
    ] {
        run(export).is(42, "", "");
    }
}

/// T3: modules that are refused before anything of them runs.
#[test]
fn other_memories_are_refused() {
    for (memory, reason) in [
        (r#"(import "env" "memory" (memory 1))"#, "env"),
        (r#"(memory (export "memory") 1) (export "memory" (memory 0))"#, "memory"),
        (r#"(memory (export "memory") 65537)"#, "65536"),
        (r#"(memory (export "memory") 2 1)"#, "minimum"),
    ] {
        let run = run(memory);
        assert_eq!((run.status.code(), &*run.stdout), (Some(126), ""), "{memory}: {run:?}");
        assert!(run.stderr.contains(reason), "{memory}: {run:?}");
    }
}
