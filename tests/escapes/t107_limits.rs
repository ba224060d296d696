//! T107, T109, T110: memory, tables, descriptors, work per call and disk are bounded.

use std::fs;

use crate::host::Host;
use crate::script::script;
use crate::support::{Mode, Wave, wat};

/// T107: growing beyond a limit fails and changes nothing; a module that asks for more at the start is refused.
#[test]
fn memories_and_tables_have_limits() {
    // Exits with 0 only if every step went as it should.
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (table $t 1 funcref)
        (func $check (param $number i32) (param $right i32)
          (if (i32.eqz (local.get $right)) (then (call $exit (local.get $number)))))
        (func (export "_start")
          (call $check (i32.const 1) (i32.eq (memory.grow (i32.const 16)) (i32.const -1)))
          (call $check (i32.const 2) (i32.eq (memory.grow (i32.const -1)) (i32.const -1)))
          (call $check (i32.const 3) (i32.eq (memory.grow (i32.const 65535)) (i32.const -1)))
          (call $check (i32.const 4) (i32.eq (memory.size) (i32.const 1)))
          (call $check (i32.const 5) (i32.eq (memory.grow (i32.const 15)) (i32.const 1)))
          (call $check (i32.const 6) (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
          (call $check (i32.const 7) (i32.eq (table.grow $t (ref.null func) (i32.const -1)) (i32.const -1)))
          (call $check (i32.const 8) (i32.eq (table.grow $t (ref.null func) (i32.const 0x7fffffff)) (i32.const -1)))
          (call $check (i32.const 9) (i32.eq (table.size $t) (i32.const 1)))
          (call $check (i32.const 10) (i32.eq (table.grow $t (ref.null func) (i32.const 10)) (i32.const 1)))))"#;
    let (_dir, path) = wat(text);
    Wave::strict().flag("--max-memory", "1M").run(&path, [""; 0]).is(0, "", "");
    for (module, code) in [
        (r#"(module (memory 17) (func (export "_start")))"#, 137),
        (r#"(module (memory 65536) (func (export "_start")))"#, 137),
        (r#"(module (table 4294967295 funcref) (func (export "_start")))"#, 125),
    ] {
        let (_dir, path) = wat(module);
        let run = Wave::strict().flag("--max-memory", "1M").run(&path, [""; 0]);
        assert_eq!((run.status.code(), &*run.stdout), (Some(code), ""), "{module}: {run:?}");
    }
}

/// T107: descriptors, streams and grants included.
#[test]
fn descriptors_have_a_limit() {
    let guest =
        script("repeat 10\n open 3 0 \"file\" 0 READ = ANY\n end\n tally\n open 3 0 \"new\" CREAT WRITE = MFILE");
    for mode in Mode::ALL {
        let host = Host::new();
        let before = host.inside();
        let seen = guest.run(host.granted(*mode, "rw").flag("--max-open-files", "8"));
        assert_eq!(seen[0].1.trim(), "0:4 33:6");
        assert_eq!(host.inside(), before, "{mode:?}");
    }
}

/// T109: work per call: buffers, subscriptions, bytes.
#[test]
fn a_call_does_a_bounded_amount_of_work() {
    let guest = script(
        r#"
        open 3 0 "file" 0 READ|WRITE|ALL
        fd_write 4 {"a", "b", "c"} OUT
        show [OUT] = 2
        fd_write 4 {"0123456789", "x"} OUT
        show [OUT] = 8
        fd_pread 4 {BUF 4096} 0 OUT
        show [OUT] = 8
        poll_oneoff 0x40000 0x100000 3 OUT = INVAL
        poll_oneoff 0x40000 0x100000 2 OUT
        random_get BUF 9 = 1
        random_get BUF 8
        fd_readdir 3 BUF 9 0 OUT = 1
        fd_readdir 3 BUF 8 0 OUT
        show [OUT] = 8
        "#,
    );
    // Answers are printed with the same limits, 8 bytes at a time.
    for mode in Mode::ALL {
        let limits = [("--max-iovecs", "2"), ("--max-subscriptions", "2"), ("--max-call-bytes", "8")];
        let wave = Host::new();
        let run = limits.iter().fold(wave.granted(*mode, "rw"), |run, (flag, value)| run.flag(flag, value));
        guest.run(run);
    }
}

/// T110: what is written is bounded by policy, and so is the size of a file; the guest learns of it and goes on.
#[test]
fn written_bytes_and_file_sizes_have_limits() {
    let guest = script(
        r#"
        open 3 0 "file" TRUNC READ|WRITE|ALL
        fd_pwrite 4 {"x"} 1000 OUT = FBIG
        fd_filestat_set_size 4 1001 = FBIG
        fd_allocate 4 0 1001 = FBIG
        fd_allocate 4 900 101 = FBIG
        fd_seek 4 2000 SET OUT
        fd_write 4 {"x"} OUT = FBIG
        fd_seek 4 0 SET OUT
        fd_write 4 {BUF 990} OUT
        fd_write 4 {BUF 100} OUT
        show [OUT] = 10
        fd_write 4 {"x"} OUT = FBIG
        fd_filestat_set_size 4 0
        open 3 0 "other" CREAT WRITE|ALL
        fd_write 5 {BUF 990} OUT
        fd_write 5 {BUF 100} OUT
        show [OUT] = 10
        fd_pwrite 5 {BUF 10} 0 OUT
        show [OUT] = 10
        open 3 0 "more" CREAT WRITE|ALL
        fd_write 6 {BUF 1000} OUT
        show [OUT] = 490
        fd_write 6 {"x"} OUT = NOSPC
        fd_pwrite 6 {"x"} 0 OUT = NOSPC
        path_unlink_file 3 "other"
        fd_write 6 {"x"} OUT = NOSPC               # nothing is given back
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        let wave = host.granted(*mode, "rw").flag("--max-file-size", "1000").flag("--max-writes", "2500");
        guest.run(wave);
        assert_eq!(fs::metadata(host.path("grant/more")).unwrap().len(), 490, "{mode:?}");
    }
}

/// T110: output as well.
#[test]
fn output_has_a_limit() {
    let guest = script(
        r#"
        fd_write 1 {"0123456789"} OUT
        fd_write 2 {"0123456789"} OUT
        fd_write 2 {"x"} OUT = ANY
        (call $proc_exit (i32.add (i32.load (i32.const 128)) (i32.const 40)))
        "#,
    );
    let run = guest.outcome(Wave::strict().flag("--max-output", "15"));
    run.is(45, "0123456789", "01234");
}

/// T110: the host's own limit of a file's size is an errno, no signal that kills the run.
#[test]
fn the_hosts_limit_of_a_files_size_is_an_errno() {
    let guest = script(
        r#"
        open 3 0 "file" 0 READ|WRITE|ALL
        fd_pwrite 4 {"x"} 100000 OUT = FBIG
        fd_filestat_set_size 4 100000 = FBIG
        fd_allocate 4 0 100000 = FBIG
        fd_seek 4 100000 SET OUT
        fd_write 4 {"x"} OUT = FBIG
        fd_pwrite 4 {"OF"} 0 OUT
        "#,
    );
    let host = Host::new();
    guest.run(host.granted(Mode::Normal, "rw").by_shell("ulimit -f 8; exec \"$@\""));
    assert_eq!(fs::read_to_string(host.path("grant/file")).unwrap(), "OF the grant");
}
