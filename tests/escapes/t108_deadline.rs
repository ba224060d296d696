//! T108: one deadline ends everything a guest can be doing.

use std::time::{Duration, Instant};

use crate::host::{Host, make_fifo};
use crate::script::script;
use crate::support::{Mode, WALL_LIMIT, Wave, finish, wat};

/// Runs with a limit of 300 ms, standard input open and silent, and asserts that the limit ended the run.
#[track_caller]
fn ends(module: &std::path::Path, wave: Wave, what: &str) {
    let start = Instant::now();
    // The pipes stay open and nobody reads from or writes to them until the end.
    let mut child = wave.flag("--timeout", "300ms").spawn(module, [""; 0]);
    let stdin = child.stdin.take();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > WALL_LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{what}: still running after {WALL_LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = start.elapsed();
    drop(stdin);
    let run = finish(child);
    assert_eq!(run.status.code(), Some(124), "{what}");
    // There is no room for the message where the guest has filled the pipe.
    let full = what.contains("fd_write 2");
    assert!(full || run.stderr.starts_with("wave: time limit of 300ms reached\n"), "{what}: {run:?}");
    assert!(took >= Duration::from_millis(300), "{what}: {took:?}");
}

/// T108: hostcalls that wait, and hostcalls without end.
#[test]
fn hostcalls() {
    let host = Host::new();
    make_fifo(&host.path("grant/fifo"));
    for number in 0..500 {
        host.write(&format!("grant/n{number}"), "");
    }
    let wait_for_stdin = "store CLOCK+8 1\n store CLOCK+16 0\n poll_oneoff CLOCK BUF 1 OUT";
    let wait_for_clock = "store CLOCK+16 MONOTONIC\n store CLOCK+28 0x7fffffff\n poll_oneoff CLOCK BUF 1 OUT";
    let again = |calls: &str| format!("repeat 0x7fffffff\n {calls}\n end");
    for calls in [
        "fd_read 0 {BUF 1} OUT",
        wait_for_stdin,
        wait_for_clock,
        "open 3 0 \"fifo\" 0 READ|WRITE\n fd_read [FD] {BUF 1} OUT",
        "open 3 0 \"fifo\" 0 READ\n fd_read [FD] {BUF 1} OUT",
        &again("fd_write 1 {0x20000 0x100000} OUT = SUCCESS"),
        &again("fd_write 2 {0x20000 0x100000} OUT = SUCCESS"),
        &again("random_get 0x20000 0x100000 = SUCCESS"),
        &again("fd_readdir 3 0x20000 0x10000 0 OUT = SUCCESS"),
        &again("fd_readdir 3 0x20000 0x10000 400 OUT = SUCCESS"),
        &again("path_filestat_get 3 0 \"missing\" OUT = NOENT"),
        &again("open 3 0 \"dir/../missing\" 0 READ = NOENT"),
        &again("sched_yield = SUCCESS"),
        &again("poll_oneoff 0x40000 0x100000 4096 OUT = SUCCESS"),
    ] {
        let (_dir, module) = script(calls).file();
        ends(&module, host.granted(Mode::Normal, "rw"), calls);
    }
}

/// T108: loops, start functions, bulk operations on gigabytes, and one call for two gigabytes of random bytes.
#[test]
fn computing() {
    for body in [
        r#"(func (export "_start") (loop $again (br $again)))"#,
        r#"(func $s (loop $again (br $again))) (start $s) (func (export "_start"))"#,
        r#"(func $f (export "_start") (loop $again (call $g) (br $again))) (func $g)"#,
        r#"(func (export "_start") (loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x8000000)) (br $again)))"#,
        r#"(func (export "_start") (loop $again (memory.copy (i32.const 1) (i32.const 0) (i32.const 0x8000000)) (br $again)))"#,
        r#"(func (export "_start") (loop $again (table.fill (i32.const 0) (ref.null func) (i32.const 100000)) (br $again)))"#,
        r#"(func (export "_start") (loop $again (drop (memory.grow (i32.const 0))) (br $again)))"#,
        r#"(func (export "_start") (drop (call $random (i32.const 0) (i32.const 0x80000000))))"#,
    ] {
        let (_dir, module) = wat(&format!(
            r#"(module
                 (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
                 (memory (export "memory") 32768) (table 100000 funcref) {body})"#
        ));
        ends(&module, Wave::strict(), body);
    }
}

/// T108: the neighbour: what ends before the limit is not disturbed, blocking calls included.
#[test]
fn what_ends_in_time_is_not_disturbed() {
    let guest = script("fd_read 0 {BUF 5} OUT\n text BUF 5 = \"hello\"\n random_get 0x20000 0x100000");
    guest.run(Wave::strict().flag("--timeout", "20s").stdin(b"hello"));
}
