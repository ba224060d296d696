//! `--cpu-time`: processor time of the program and its hostcalls, and nothing else, ends a run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Command;

use serde_json::Value;
use wave_test_support::{Outcome, Wave, wat};

const SPINS: &str = r#"(module (func $spin (export "_start") (loop (br 0))))"#;

/// Fills two megabytes with random bytes, again and again: its time is that of the kernel.
const ASKS: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (memory (export "memory") 32)
    (func (export "_start") (loop (drop (call $random (i32.const 0) (i32.const 0x200000))) (br 0))))"#;

/// Waits for 600 ms of the monotonic clock.
const SLEEPS: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
      (i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const 600000000))
      (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"#;

/// Runs a module text and returns what was printed, and the kind of its end.
#[track_caller]
fn run(wave: Wave, text: &str) -> (Outcome, String) {
    let (dir, module) = wat(text);
    let place = dir.path().join("outcome.json");
    let printed = wave.flag("--outcome", place.to_str().expect("UTF-8")).run(module, [""; 0]);
    let outcome: Value = serde_json::from_str(&fs::read_to_string(place).expect("an outcome")).expect("JSON");
    let time = |name: &str| outcome["time"][name].as_u64().expect("a number");
    if outcome["ending"]["kind"] == "cpu_limit" {
        assert!(time("user_us") + time("system_us") >= 200_000, "{outcome}");
        assert!(outcome["ending"]["frames"].is_array(), "{outcome}");
    }
    (printed, outcome["ending"]["kind"].as_str().expect("a kind").to_owned())
}

#[test]
fn computing_and_hostcalls_reach_the_limit() {
    for level in ["strict", "standard", "off"] {
        let wave = || Wave::strict().flag("--sandbox", level).flag("--cpu-time", "200ms");
        let (printed, kind) = run(wave(), SPINS);
        assert_eq!((printed.status.code(), &*kind), (Some(124), "cpu_limit"), "{level}: {printed:?}");
        let said = "wave: processor time limit of 200ms reached\n  at spin\n";
        assert!(printed.stderr.contains(said), "{level}: {printed:?}");
        let (printed, kind) = run(wave(), ASKS);
        assert_eq!((printed.status.code(), &*kind), (Some(124), "cpu_limit"), "{level}: {printed:?}");
    }
}

#[test]
fn waiting_takes_no_processor_time() {
    let (printed, kind) = run(Wave::strict().flag("--cpu-time", "300ms"), SLEEPS);
    printed.is(0, "", "");
    assert_eq!(kind, "exited");
}

#[test]
fn of_two_limits_the_one_that_was_reached_is_named() {
    let wave = |wall, processor| Wave::strict().flag("--timeout", wall).flag("--cpu-time", processor);
    let (printed, kind) = run(wave("100s", "200ms"), SPINS);
    assert_eq!((printed.status.code(), &*kind), (Some(124), "cpu_limit"));
    assert!(printed.stderr.starts_with("wave: processor time limit of 200ms reached\n"), "{printed:?}");
    for text in [SLEEPS, SPINS] {
        let (printed, kind) = run(wave("200ms", "100s"), text);
        assert_eq!((printed.status.code(), &*kind), (Some(124), "time_limit"));
        assert!(printed.stderr.starts_with("wave: time limit of 200ms reached\n"), "{printed:?}");
    }
}

#[test]
fn a_policy_sets_it_and_the_message_names_the_line() {
    let (dir, module) = wat(SPINS);
    let policy = dir.path().join("p.toml");
    fs::write(&policy, "version = 1\n[limits]\ncpu-time = \"100ms\"\n").expect("written");
    let wave = || Wave::strict().flag("--policy", policy.to_str().expect("UTF-8"));
    let printed = wave().run(&module, [""; 0]);
    let said = format!(
        "wave: processor time limit of 100ms reached\n  where: limits.cpu-time ({}:3)\n  at spin\n",
        policy.display()
    );
    assert_eq!(printed.status.code(), Some(124));
    assert!(printed.stderr.starts_with(&said), "{}", printed.stderr);
    let printed = wave().flag("--cpu-time", "200ms").run(&module, [""; 0]);
    assert!(printed.stderr.starts_with("wave: relaxed by --cpu-time beyond the policy\n"), "{}", printed.stderr);
    for (value, code) in [("1ns", 124), ("0s", 2), ("5x", 2), ("-1s", 2)] {
        let printed = wave().switch(&format!("--cpu-time={value}")).run(&module, [""; 0]);
        assert_eq!(printed.status.code(), Some(code), "{value}: {printed:?}");
    }
}

/// Says that it runs, and waits for its standard input.
const WAITS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\01\00\00\00") (data (i32.const 16) "\n")
    (func (export "_start")
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

#[test]
fn signals_from_outside_are_not_the_limit() {
    let (_dir, module) = wat(WAITS);
    let mut child = Wave::strict().flag("--cpu-time", "100s").spawn(&module, [""; 0]);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("stdout is piped")).read_line(&mut line).expect("it runs");
    for _ in 0..20 {
        let sent = Command::new("kill").args(["-PROF", &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }
    // Waiting closes its standard input.
    assert_eq!(child.wait().expect("own child").code(), Some(0));
}

#[test]
fn the_kernel_has_a_limit_of_its_own_behind_it() {
    let (_dir, module) = wat(WAITS);
    let printed = Wave::strict().flag("--cpu-time", "8s").switch("--report").run(&module, [""; 0]);
    assert!(printed.stderr.contains(", 13 seconds of processor time"), "{}", printed.stderr);
}
