//! `--trace`: what was asked, what was decided and why, what came of it; the program's results stay the same.

use wave_test_support::{Wave, fill, wat, writable_dir};

/// Opens a path that climbs, one to write, one that is missing and one that is there; asks for an unknown flag; writes `ok`.
const GUEST: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "../a\1b[2J")
  (data (i32.const 120) "there")
  (data (i32.const 130) "missing")
  (data (i32.const 200) "\d0\00\00\00\03\00\00\00ok\0a")
  (func $try (param $at i32) (param $len i32) (param $oflags i32) (param $rights i64)
    (drop (call $open (i32.const 3) (i32.const 1) (local.get $at) (local.get $len) (local.get $oflags)
      (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 64))))
  (func (export "_start")
    (call $try (i32.const 100) (i32.const 8) (i32.const 0) (i64.const 2))
    (call $try (i32.const 120) (i32.const 5) (i32.const 0) (i64.const 64))
    (call $try (i32.const 130) (i32.const 7) (i32.const 0) (i64.const 2))
    (call $try (i32.const 120) (i32.const 5) (i32.const 0) (i64.const 2))
    (call $try (i32.const 120) (i32.const 5) (i32.const 64) (i64.const 2))
    (drop (call $yield))
    (drop (call $write (i32.const 1) (i32.const 200) (i32.const 1) (i32.const 64)))))"#;

#[test]
fn every_call_is_a_line_and_a_denied_one_says_what_would_allow_it() {
    let (dir, (_module_dir, module)) = (writable_dir(), wat(GUEST));
    fill(dir.path(), &[("there", "")]);
    let host = dir.path().display();
    let run = Wave::strict().dir(dir.path(), "/data", "ro").switch("--trace").run(&module, [""; 0]);
    let open = |path: &str, oflags: u32, rights: u32| {
        format!(
            "wave: path_open(fd=3, lookupflags=0x1, path=\"{path}\", oflags={oflags:#x}, rights_base={rights:#x}, rights_inheriting=0x0, fdflags=0x0) = "
        )
    };
    let expected = [
        open("../a\\u{1b}[2J", 0, 2) + "NOTCAPABLE, denied: the path leads out of the granted directory",
        "  to allow: grant the directory it leads to: --dir HOST::GUEST::ro".to_owned(),
        open("there", 0, 0x40) + "NOTCAPABLE, denied: the grant is read-only",
        format!("  to allow: --dir {host}::/data::rw"),
        open("missing", 0, 2) + "NOENT",
        open("there", 0, 2) + "SUCCESS, opened_fd=4",
        open("there", 64, 2) + "INVAL, refused: the call itself is at fault",
        "wave: sched_yield() = SUCCESS".to_owned(),
        "wave: fd_write(fd=1, iovs=200, iovs_len=1) = SUCCESS, nwritten=3".to_owned(),
    ];
    run.is(0, "ok\n", &(expected.join("\n") + "\n"));
}

#[test]
fn areas_choose_calls_and_json_is_one_object_a_line() {
    let (dir, (_module_dir, module)) = (writable_dir(), wat(GUEST));
    let start = || Wave::strict().dir(dir.path(), "/data", "ro").flag("--trace-format", "json");
    let run = start().switch("--trace=proc,net").run(&module, [""; 0]);
    let expected = r#"{"schema_version":1,"arguments":{},"call":"sched_yield","decision":"admitted","result":"SUCCESS","results":{}}"#;
    run.is(0, "ok\n", &(expected.to_owned() + "\n"));

    let run = start().switch("--trace=fs").run(&module, [""; 0]);
    let objects: Vec<serde_json::Value> =
        run.stderr.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!(objects.len(), 6);
    let denied = &objects[0];
    assert_eq!((&denied["decision"], &denied["grant"]), (&"denied".into(), &"fs[0]".into()));
    assert_eq!(denied["arguments"]["path"], "../a\u{1b}[2J");
    assert_eq!(objects[4]["decision"], "malformed");
    assert_eq!(objects[5]["results"]["nwritten"], 3);
}

#[test]
fn without_the_flag_nothing_is_said() {
    let (dir, (_module_dir, module)) = (writable_dir(), wat(GUEST));
    Wave::strict().dir(dir.path(), "/data", "ro").run(&module, [""; 0]).is(0, "ok\n", "");
}
