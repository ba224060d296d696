//! T108: one deadline ends everything a guest can be doing.

use std::time::{Duration, Instant};

use crate::host::{Host, make_fifo};
use crate::script::script;
use wave_test_support::{Mode, WALL_LIMIT, Wave, finish, wat};

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

/// Runs with a limit of 100 ms to its end by that limit and returns the most memory it was seen to have, in KiB. How long it took
/// is only printed: the machine may be busy, and the kernel takes back the memory of gigabytes at the end.
#[track_caller]
fn is_cut(module: &std::path::Path, wave: Wave, what: &str) -> u64 {
    let start = Instant::now();
    let mut child = wave.flag("--timeout", "100ms").spawn(module, [""; 0]);
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(memory_kib(child.id()));
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{what}: still running after 60 s");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    eprintln!("{what}: {:?}, {peak} KiB", start.elapsed());
    let run = finish(child);
    assert_eq!(run.status.code(), Some(124), "{what}: {run:?}");
    assert!(run.stderr.starts_with("wave: time limit of 100ms reached\n"), "{what}: {run:?}");
    peak
}

/// The most memory a process has had, if it has any still.
fn memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// T108: a single operation on gigabytes is not finished first: what it would have left behind is not there.
#[test]
fn one_operation_on_gigabytes_is_cut() {
    const OPEN: &str = "(call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 1) \
        (i64.const 0x3fffffff) (i64.const 0) (i32.const 0) (i32.const 128))";
    const GIB: u64 = 1 << 30;
    let guest = |body: &str| {
        let iovec = "(i32.store (i32.const 8) (i32.const 65536)) (i32.store (i32.const 12) (i32.const 0x7ff00000))";
        wat(&format!(
            r#"(module
                 (import "wasi_snapshot_preview1" "path_open"
                   (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
                 (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
                 (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
                 (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
                 (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
                 (memory (export "memory") 65536) (table $t 10000000 funcref) (data (i32.const 64) "huge")
                 (func (export "_start") {iovec} (if {OPEN} (then unreachable)) {body}))"#
        ))
    };
    // What each would have: 4 GiB of memory, or a file of 2 GiB.
    for body in [
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0xffffffff))",
        "(memory.copy (i32.const 4096) (i32.const 0) (i32.const 0xffffe000))",
        "(memory.copy (i32.const 0) (i32.const 4096) (i32.const 0xffffe000))",
    ] {
        let host = Host::new();
        let (_dir, module) = guest(body);
        let peak = is_cut(&module, host.granted(Mode::Normal, "rw"), body);
        assert!(peak * 1024 < 4 * GIB - (64 << 20), "{body}: {peak} KiB");
    }
    for body in [
        "(drop (call $write (i32.load (i32.const 128)) (i32.const 8) (i32.const 1) (i32.const 16)))",
        "(drop (call $pwrite (i32.load (i32.const 128)) (i32.const 8) (i32.const 1) (i64.const 0) (i32.const 16)))",
    ] {
        let host = Host::new();
        let (_dir, module) = guest(body);
        is_cut(&module, host.granted(Mode::Normal, "rw"), body);
        let written = std::fs::metadata(host.path("grant/huge")).map_or(0, |file| file.len());
        assert!(written < 0x7ff0_0000, "{body}: {written} bytes");
    }
    for body in [
        "(drop (call $read (i32.load (i32.const 128)) (i32.const 8) (i32.const 1) (i32.const 16)))",
        "(drop (call $pread (i32.load (i32.const 128)) (i32.const 8) (i32.const 1) (i64.const 0) (i32.const 16)))",
    ] {
        let host = Host::new();
        host.write("grant/huge", "");
        std::fs::File::options().write(true).open(host.path("grant/huge")).unwrap().set_len(2 * GIB).unwrap();
        let (_dir, module) = guest(body);
        let peak = is_cut(&module, host.granted(Mode::Normal, "rw"), body);
        assert!(peak * 1024 < 2 * GIB - (64 << 20), "{body}: {peak} KiB");
    }
    let (_dir, module) = guest("(loop (table.fill $t (i32.const 0) (ref.null func) (i32.const 10000000)) (br 0))");
    is_cut(&module, Host::new().granted(Mode::Normal, "rw"), "table.fill");
}

/// T108: the result of a function waits for a reader no longer than the limit.
#[test]
fn printing_a_result_is_cut() {
    let (_dir, module) = wat(r#"(module
        (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $flags (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "f") (result i32)
          (i32.store (i32.const 4) (i32.const 4096))
          (drop (call $flags (i32.const 1) (i32.const 4)))
          (loop $again (br_if $again (i32.eqz (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))
          (i32.const 7)))"#);
    let start = Instant::now();
    let mut child = Wave::strict().flag("--timeout", "300ms").flag("--invoke", "f").spawn(&module, [""; 0]);
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("still running after 60 s");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let run = finish(child);
    assert_eq!(
        (run.status.code(), &*run.stderr),
        (Some(124), "wave: time limit reached before everything was printed\n")
    );
    assert!(!run.stdout.contains('7'));
    // The neighbor: with a reader the result is printed.
    let (_dir, module) = wat(r#"(module (func (export "f") (result i32) (i32.const 7)))"#);
    Wave::strict().flag("--timeout", "100s").flag("--invoke", "f").run(&module, [""; 0]).is(0, "7\n", "");
}

/// T108: the neighbor: what ends before the limit is not disturbed, blocking calls included.
#[test]
fn what_ends_in_time_is_not_disturbed() {
    let guest = script("fd_read 0 {BUF 5} OUT\n text BUF 5 = \"hello\"\n random_get 0x20000 0x100000");
    guest.run(Wave::strict().flag("--timeout", "100s").stdin(b"hello"));
}
