//! `memory.atomic.wait` in a program that has one thread: it sleeps until its timeout, under every limit on time.

use std::time::{Duration, Instant};

use wave_test_support::{Outcome, Wave, wat};

/// Waits on a shared memory that holds the expected value, and expects the answer "timed out".
fn waits(timeout_ns: i64) -> String {
    format!(
        r#"(module
            (memory (export "memory") 1 1 shared)
            (func $_start (export "_start")
                (if (i32.ne (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const {timeout_ns})) (i32.const 2))
                    (then unreachable))))"#
    )
}

fn run(wave: Wave, text: &str) -> (Outcome, Duration) {
    let (_dir, path) = wat(text);
    let started = Instant::now();
    let outcome = wave.run(path, [""; 0]);
    (outcome, started.elapsed())
}

#[test]
fn a_wait_takes_its_timeout_at_every_level() {
    for level in ["strict", "standard", "off"] {
        let (outcome, time) = run(Wave::strict().flag("--sandbox", level), &waits(300_000_000));
        assert_eq!(outcome.status.code(), Some(0), "{level}: {outcome:?}");
        assert!(time >= Duration::from_millis(300), "{level}: {time:?}");
    }
}

#[test]
fn limits_on_time_end_a_wait() {
    let (outcome, time) = run(Wave::strict().flag("--timeout", "200ms"), &waits(i64::MAX));
    assert_eq!(outcome.status.code(), Some(124), "{outcome:?}");
    assert!(outcome.stderr.contains("wave: time limit of 200ms reached"), "{outcome:?}");
    assert!(time < Duration::from_secs(30), "{time:?}");
    // It takes no processor time.
    let (outcome, _) = run(Wave::strict().flag("--cpu-time", "200ms"), &waits(400_000_000));
    outcome.is(0, "", "");
}

#[test]
fn virtual_time_passes_at_once() {
    let (outcome, time) = run(Wave::strict().switch("--deterministic"), &waits(3_600_000_000_000));
    outcome.is(0, "", "");
    assert!(time < Duration::from_secs(60), "{time:?}");
}

#[test]
fn a_wait_that_nothing_can_end_is_a_trap() {
    let name = "deadlock: memory.atomic.wait without a timeout, and no other thread could wake it";
    for timeout in [-1, i64::MIN] {
        let (outcome, _) = run(Wave::strict(), &waits(timeout));
        outcome.is_trap(name, &["_start"]);
    }
    // Where the value is another one, or somebody could be woken, nothing waits.
    let (outcome, _) = run(
        Wave::strict(),
        r#"(module
            (memory (export "memory") 1 1 shared)
            (func (export "_start")
                (if (i32.ne (memory.atomic.wait32 (i32.const 8) (i32.const 1) (i64.const -1)) (i32.const 1))
                    (then unreachable))
                (if (i32.ne (memory.atomic.wait64 (i32.const 8) (i64.const 1) (i64.const -1)) (i32.const 1))
                    (then unreachable))
                (if (memory.atomic.notify (i32.const 8) (i32.const -1)) (then unreachable))))"#,
    );
    outcome.is(0, "", "");
}
