//! T107, T109, T110: memory, tables, descriptors, work per call and disk are bounded.

use std::fs;

use crate::host::Host;
use crate::script::script;
use wave_test_support::{Mode, Wave, wat};

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
        (r#"(module (memory 8) (memory 8) (func (export "_start")))"#, 0),
        (r#"(module (memory 8) (memory 9) (func (export "_start")))"#, 137),
        (r#"(module (memory i64 17) (func (export "_start")))"#, 137),
        (r#"(module (memory i64 0x1000000000000) (func (export "_start")))"#, 137),
        (r#"(module (memory 1048576 (pagesize 1)) (func (export "_start")))"#, 0),
        (r#"(module (memory 1048577 (pagesize 1)) (func (export "_start")))"#, 137),
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
        // What is written, and two names that are made.
        let limit = (2500 + (4096 + "other".len()) + (4096 + "more".len())).to_string();
        let wave = host.granted(*mode, "rw").flag("--max-file-size", "1000").flag("--max-writes", &limit);
        guest.run(wave);
        assert_eq!(fs::metadata(host.path("grant/more")).unwrap().len(), 490, "{mode:?}");
    }
}

/// T110: names that are made have a limit of their own; one that is there already is no new one, and nothing is given back.
#[test]
fn new_names_have_a_limit() {
    let guest = script(
        r#"
        path_create_directory 3 "a"
        path_symlink "x" 3 "b"
        open 3 0 "c" CREAT WRITE
        path_link 3 0 "file" 3 "d"
        path_create_directory 3 "e" = NOSPC
        path_create_directory 3 "dir/e" = NOSPC
        path_symlink "x" 3 "e" = NOSPC
        path_link 3 0 "file" 3 "e" = NOSPC
        open 3 0 "e" CREAT WRITE = NOSPC
        open 3 0 "e" CREAT|EXCL WRITE = NOSPC
        open 3 FOLLOW "in_dangling" CREAT WRITE = NOSPC
        path_create_directory 3 "a" = EXIST
        path_create_directory 3 "file" = EXIST
        path_create_directory 3 "file/" = EXIST
        path_symlink "x" 3 "b" = EXIST
        path_link 3 0 "file" 3 "dir/file" = EXIST
        open 3 0 "c" CREAT|EXCL WRITE = EXIST
        open 3 0 "a" CREAT READ = ISDIR
        path_create_directory 3 "none/e" = NOENT
        path_create_directory 3 "../e" = NOTCAPABLE
        open 3 0 "c" CREAT WRITE
        open 3 FOLLOW "in_file" CREAT|TRUNC WRITE
        path_rename 3 "a" 3 "moved"
        path_unlink_file 3 "c"
        open 3 0 "c" CREAT WRITE = NOSPC
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::with_links();
        let names = |path: &str| {
            let entries = fs::read_dir(host.path(path)).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let (before, beneath, outside) = (names("grant"), names("grant/dir"), host.outside());
        guest.run(host.granted(*mode, "rw").flag("--max-entries", "4"));
        let mut expected = [before, ["b", "d", "moved"].map(str::to_owned).to_vec()].concat();
        expected.sort();
        assert_eq!(names("grant"), expected, "{mode:?}");
        assert_eq!((names("grant/dir"), host.outside()), (beneath, outside), "{mode:?}");
    }
}

/// T110: the limit on written bytes covers what names cost and files grow by: 4 KiB and its text for each.
#[test]
fn names_and_sizes_count_as_written() {
    let guest = script(
        r#"
        path_create_directory 3 "d1"                       # 4098
        path_symlink "0123456789" 3 "l1"                   # 4108
        path_create_directory 3 "d2" = NOSPC
        path_symlink "0123456789" 3 "l2" = NOSPC
        open 3 0 "f2" CREAT WRITE|ALL = NOSPC
        path_create_directory 3 "d1" = EXIST
        open 3 0 "file" CREAT WRITE|READ|ALL
        fd_filestat_set_size 4 1012                        # 1000 more than it had
        fd_filestat_set_size 4 12
        fd_filestat_set_size 4 806
        fd_filestat_set_size 4 807 = NOSPC
        fd_allocate 4 0 1 = NOSPC
        fd_pwrite 4 {"x"} 0 OUT = NOSPC
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        guest.run(host.granted(*mode, "rw").flag("--max-writes", "10000"));
        assert_eq!(fs::metadata(host.path("grant/file")).unwrap().len(), 806, "{mode:?}");
        assert!(!host.path("grant/d2").exists() && !host.path("grant/f2").exists(), "{mode:?}");
    }
}

/// T109: a count up to its limit works, whatever the host's own limits are.
#[test]
fn counts_up_to_their_limits_work() {
    // So many subscriptions to standard input; each is an event.
    let poll = |count: u32| {
        format!(
            r#"(module
              (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
              (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
              (memory (export "memory") 300)
              (func (export "_start") (local $at i32) (local $left i32)
                (local.set $at (i32.const 64))
                (local.set $left (i32.const {count}))
                (loop $next
                  (i32.store8 offset=8 (local.get $at) (i32.const 1))
                  (local.set $at (i32.add (local.get $at) (i32.const 48)))
                  (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                  (br_if $next (local.get $left)))
                (if (call $poll (i32.const 64) (local.get $at) (i32.const {count}) (i32.const 0))
                  (then (call $exit (i32.const 1))))
                (if (i32.ne (i32.load (i32.const 0)) (i32.const {count})) (then (call $exit (i32.const 2))))))"#
        )
    };
    for (count, flags) in [
        (1, &[("--max-subscriptions", "1")][..]),
        (4096, &[]),
        (4096, &[("--max-open-files", "8")]),
        (100_000, &[("--max-subscriptions", "4294967295")]),
    ] {
        let (_dir, module) = wat(&poll(count));
        let run = flags.iter().fold(Wave::strict(), |run, (flag, value)| run.flag(flag, value));
        run.run(&module, [""; 0]).is(0, "", "");
        let few = Wave::strict().flag("--max-subscriptions", &(count - 1).to_string());
        few.run(&module, [""; 0]).is(1, "", "");
    }
    // Descriptors: the limit counts the streams and the grant.
    let guest = script("repeat 3000\n open 3 0 \"file\" 0 READ = ANY\n end\n tally");
    for (limit, opened) in [("5", 1), ("1024", 1020), ("1500", 1496)] {
        let seen = guest.run(Host::new().granted(Mode::Normal, "rw").flag("--max-open-files", limit));
        assert_eq!(seen[0].1.trim(), format!("0:{opened} 33:{}", 3000 - opened), "{limit}");
    }
    // Buffers: one more than the kernel takes is a short count.
    let guest = script(
        "fd_write 1 {} OUT\n (drop (call $fd_write (i32.const 1) (i32.const 0x100000) (i32.const 1025) (i32.const 128)))\n show [OUT] = 0",
    );
    guest.run(Wave::strict().flag("--max-iovecs", "4294967295"));
}

/// T107: every limit can be set to the least and the most that it takes, and a program that needs nothing runs.
#[test]
fn limits_take_their_extremes() {
    let (_dir, module) = wat(r#"(module (memory (export "memory") 0) (func (export "_start")))"#);
    let (most_count, most_size) = (u32::MAX.to_string(), u64::MAX.to_string());
    let (count, size) = (most_count.as_str(), most_size.as_str());
    for (flag, values) in [
        ("--timeout", &["30s", "2562047h"][..]),
        ("--max-memory", &["0", "1", size]),
        ("--max-stack", &["512K", "4G"]),
        ("--max-open-files", &["3", "4", count]),
        ("--max-file-size", &["0", "1", size]),
        ("--max-writes", &["0", "1", size]),
        ("--max-entries", &["0", "1", count]),
        ("--max-output", &["0", "1", size]),
        ("--max-call-bytes", &["0", "1", size]),
        ("--max-iovecs", &["0", "1", count]),
        ("--max-subscriptions", &["0", "1", count]),
    ] {
        for value in values {
            let run = Wave::strict().flag(flag, value).run(&module, [""; 0]);
            assert_eq!((run.status.code(), &*run.stdout, &*run.stderr), (Some(0), "", ""), "{flag} {value}");
        }
    }
    let (_dir, module) = wat(r#"(module (func (export "_start") (loop (br 0))))"#);
    // No time at all is no limit that anybody means.
    for (value, code) in [("0s", 2), ("1ns", 124), ("1us", 124)] {
        let run = Wave::strict().flag("--timeout", value).run(&module, [""; 0]);
        assert_eq!(run.status.code(), Some(code), "{value}: {run:?}");
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
