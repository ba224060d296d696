//! `--profile perfmap`: names for `perf`, where the level allows it, and for nobody else.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use wave_test_support::{Wave, not_run, wat};

const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (func $"_ZN3app4spinEj" (param i32)
    (loop $again
      (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
      (br_if $again (local.get 0))))
  (func)
  (func $_start (export "_start")
    (call $"_ZN3app4spinEj" (i32.const 400000000)) (call 2) (call $exit (i32.const 3))))"#;

/// Runs under a shell, whose number is that of `wave`; what it prints last is the number.
fn run_of(wave: Wave, before: &str, text: &str) -> (wave_test_support::Outcome, String) {
    let (_dir, module) = wat(text);
    let run = wave.by_shell(&format!("echo $$; {before} exec \"$@\"")).run(&module, [""; 0]);
    let number = run.stdout.trim().to_owned();
    assert!(number.parse::<u32>().is_ok(), "{run:?}");
    (run, format!("/tmp/perf-{number}.map"))
}

fn profiled(level: &str) -> Wave {
    Wave::strict().flag("--sandbox", level).flag("--profile", "perfmap")
}

#[test]
fn a_map_names_each_function_once_and_is_its_users_alone() {
    for level in ["standard", "off"] {
        let (run, map) = run_of(profiled(level), "", PROGRAM);
        assert_eq!(run.status.code(), Some(3), "{run:?}");
        assert!(run.stderr.contains("relaxed by") && run.stderr.contains("--profile perfmap"), "{run:?}");
        let metadata = fs::metadata(&map).expect("a map");
        assert_eq!(metadata.mode() & 0o7777, 0o600);
        // As perf demands.
        assert_eq!(metadata.uid(), nix::unistd::geteuid().as_raw());
        let text = fs::read_to_string(&map).expect("a map");
        fs::remove_file(&map).expect("own file");
        let number = |hex: &str| u64::from_str_radix(hex, 16).expect("hexadecimal");
        let line = |line: &str| {
            let (start, rest) = line.split_once(' ').expect("three words");
            let (len, name) = rest.split_once(' ').expect("three words");
            (number(start), number(len), name.to_owned())
        };
        let mut lines: Vec<_> = text.lines().map(line).collect();
        lines.sort();
        assert!(lines.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{text}");
        for name in ["app::spin(unsigned int)", "function 2", "_start"] {
            assert_eq!(lines.iter().filter(|line| line.2 == name).count(), 1, "{name}: {text}");
        }
    }
}

#[test]
fn strict_and_grants_of_its_directory_refuse_a_map() {
    let refused = |wave: Wave, code: i32, what: &str| {
        let (run, map) = run_of(wave, "", PROGRAM);
        assert_eq!(run.status.code(), Some(code), "{run:?}");
        assert!(run.stderr.contains(what), "{run:?}");
        assert!(fs::symlink_metadata(&map).is_err(), "{map}");
    };
    refused(profiled("strict"), 2, "`strict` keeps to itself where code is");
    for host in ["/tmp", "/"] {
        let wave = profiled("standard").flag("--dir", &format!("{host}::/d::ro"));
        refused(wave, 125, "the program could read where its code is");
    }
    // The neighbour: a directory inside of it, in which the map is not.
    let dir = tempfile::tempdir_in("/tmp").expect("a temporary directory");
    let (run, map) = run_of(profiled("standard").dir(dir.path(), "/d", "ro"), "", PROGRAM);
    assert_eq!(run.status.code(), Some(3), "{run:?}");
    fs::remove_file(map).expect("a map");
}

/// The name can be guessed, so somebody may have been there before.
#[test]
fn a_map_is_written_through_no_link() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let precious = dir.path().join("precious");
    fs::write(&precious, "precious").expect("own directory");
    for make in [format!("ln -s {} /tmp/perf-$$.map;", precious.display()), "mkfifo /tmp/perf-$$.map;".to_owned()] {
        let (run, map) = run_of(profiled("standard"), &make, PROGRAM);
        fs::remove_file(&map).expect("it is still there");
        assert_eq!(run.status.code(), Some(125), "{run:?}");
        assert!(run.stderr.contains(&format!("wave: cannot write {map}: File exists")), "{run:?}");
        assert_eq!(fs::read_to_string(&precious).expect("own file"), "precious");
    }
}

/// What `perf report` shows is where the program spends its time.
#[test]
fn perf_shows_the_functions_of_the_program() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("perf.data");
    let (_module_dir, module) = wat(PROGRAM);
    let mut perf = Command::new("perf");
    perf.args(["record", "-q", "-e", "cpu-clock", "-o"]).arg(&data).arg(wave_test_support::wave());
    perf.args(["--sandbox", "standard", "run", "--profile", "perfmap"]).arg(&module);
    let run = perf.output();
    if !run.as_ref().is_ok_and(|run| run.status.code() == Some(3)) {
        not_run(&format!("perf cannot record here: {run:?}"));
        return;
    }
    let report =
        Command::new("perf").args(["report", "--stdio", "-F", "overhead,pid,symbol", "-i"]).arg(&data).output();
    let report = String::from_utf8(report.expect("perf").stdout).expect("UTF-8");
    assert!(report.contains("app::spin(unsigned int)"), "{report}");
}
