//! `--fuel`: a budget that ends a run at the same place each time. What each operator costs is tested with the runtime
//! (`jit/runtime/tests/fuel.rs`).

use std::fs;

use serde_json::{Value, json};
use wave_test_support::{Outcome, Wave, wat};

/// Prints a line for each of 20 rounds, of which each works a while through a table, a recursion and a bulk operation.
const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (type $step (func (param i32)))
  (table funcref (elem $spin $recurse))
  (data (i32.const 0) "\08\00\00\00\02\00\00\00A\0a")
  (func $spin (param $n i32)
    (loop $again (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $again (local.get $n))))
  (func $recurse (param $n i32)
    (if (local.get $n) (then (call $recurse (i32.sub (local.get $n) (i32.const 1))))))
  (func $prepare (memory.fill (i32.const 1024) (i32.const 1) (i32.const 65536)))
  (start $prepare)
  (func $_start (export "_start") (local $round i32)
    (loop $again
      (call_indirect (type $step) (i32.const 100) (i32.and (local.get $round) (i32.const 1)))
      (memory.copy (i32.const 2048) (i32.const 1024) (i32.const 6400))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
      (i32.store8 (i32.const 8) (i32.add (i32.load8_u (i32.const 8)) (i32.const 1)))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $round) (i32.const 20))))))"#;

/// What it prints when nothing ends it.
fn all_lines() -> String {
    ('A'..='T').map(|letter| format!("{letter}\n")).collect()
}

/// A run and its outcome.
struct Run {
    printed: Outcome,
    value: Value,
}

impl Run {
    fn code(&self) -> Option<i32> {
        self.printed.status.code()
    }

    /// Everything that must be the same in the next run.
    fn same(&self) -> (Option<i32>, &str, &str, [&Value; 3]) {
        let Outcome { stdout, stderr, .. } = &self.printed;
        (self.code(), stdout, stderr, ["ending", "fuel_used", "hostcalls"].map(|key| &self.value[key]))
    }
}

fn run(wave: Wave, text: &str) -> Run {
    let (dir, module) = wat(text);
    let place = dir.path().join("outcome.json");
    let printed = wave.flag("--outcome", place.to_str().expect("UTF-8")).run(module, [""; 0]);
    let value = fs::read_to_string(place).expect("an outcome");
    Run { printed, value: serde_json::from_str(&value).expect("JSON") }
}

fn with_fuel(units: u64) -> Wave {
    Wave::strict().flag("--fuel", &units.to_string())
}

#[test]
fn a_program_ends_with_what_it_needs_and_not_with_less() {
    let whole = run(with_fuel(1_000_000), PROGRAM);
    whole.printed.is(0, &all_lines(), "");
    let needed = whole.value["fuel_used"].as_u64().expect("a number");
    let exact = run(with_fuel(needed), PROGRAM);
    exact.printed.is(0, &all_lines(), "");
    assert_eq!(exact.value["fuel_used"], needed);

    // The copy of the last round takes fuel last.
    let less = run(with_fuel(needed - 1), PROGRAM);
    assert_eq!((less.code(), &*less.printed.stdout), (Some(124), &all_lines()[..2 * 19]));
    let message = format!("wave: fuel of {} used up\n  at _start (0x", needed - 1);
    assert!(less.printed.stderr.starts_with(&message), "{}", less.printed.stderr);
    let ending = &less.value["ending"];
    assert_eq!((&ending["kind"], &ending["frames"][0]["name"]), (&json!("out_of_fuel"), &json!("_start")));
    assert!(less.value["fuel_used"].as_u64() < Some(needed), "{}", less.value);
}

#[test]
fn a_run_ends_at_the_same_place_each_time() {
    for (budget, innermost) in [(0, "prepare"), (1000, "prepare"), (3000, "spin"), (4777, "recurse"), (9999, "spin")] {
        let first = run(with_fuel(budget), PROGRAM);
        assert_eq!((first.code(), &first.value["ending"]["frames"][0]["name"]), (Some(124), &json!(innermost)));
        for number in 0..20 {
            let wave = match number % 4 {
                0 => with_fuel(budget),
                1 => with_fuel(budget).switch("--no-cache"),
                2 => with_fuel(budget).switch("--trace=clock"),
                _ => with_fuel(budget).flag("--timeout", "100s").switch("--deterministic"),
            };
            assert_eq!(run(wave, PROGRAM).same(), first.same(), "run {number} with {budget}");
        }
    }
}

#[test]
fn what_never_ends_is_ended() {
    for text in [
        r#"(module (func (export "_start") (loop (br 0))))"#,
        r#"(module (func $f (loop (br 0))) (start $f) (func (export "_start")))"#,
        r#"(module (func $f (export "_start") (return_call $f)))"#,
        r#"(module (memory 65535) (func (export "_start") (loop
             (memory.fill (i32.const 0) (i32.const 1) (i32.const 0xffff0000)) (br 0))))"#,
    ] {
        let ended = run(with_fuel(100_000), text);
        assert_eq!((ended.code(), &ended.value["ending"]["kind"]), (Some(124), &json!("out_of_fuel")), "{text}");
        // The permitted neighbor is not ended by fuel.
        let neighbor = text.replace("(br 0)", "").replace("(return_call $f)", "").replace("0xffff0000", "64");
        run(with_fuel(100_000), &neighbor).printed.is(0, "", "");
    }
}

#[test]
fn other_endings_are_what_they_are_without_a_limit() {
    let trap = r#"(module (func $f (export "_start") unreachable))"#;
    let [plain, limited] = [run(Wave::strict(), trap), run(with_fuel(10), trap)];
    assert_eq!((limited.code(), &limited.value["ending"]), (Some(134), &plain.value["ending"]));
    assert_eq!((&plain.value["fuel_used"], &limited.value["fuel_used"]), (&Value::Null, &json!(1)));
    let timed = run(
        with_fuel(i64::MAX.unsigned_abs()).flag("--timeout", "200ms"),
        r#"(module (func (export "_start") (loop (br 0))))"#,
    );
    assert_eq!(timed.value["ending"]["kind"], "time_limit");
    assert!(timed.value["fuel_used"].as_u64() > Some(0), "{}", timed.value);
}

#[test]
fn a_policy_limits_it_and_only_a_flag_allows_more() {
    let (dir, module) = wat(PROGRAM);
    let policy = dir.path().join("app.toml");
    fs::write(&policy, "version = 1\n\n[limits]\nfuel = 3000\n").expect("own directory");
    let wave = || Wave::strict().flag("--policy", policy.to_str().expect("UTF-8"));
    let ended = wave().run(&module, [""; 0]);
    assert_eq!(ended.status.code(), Some(124), "{ended:?}");
    assert!(ended.stderr.starts_with("wave: fuel of 3000 used up\n  where: limits.fuel ("), "{ended:?}");
    assert!(ended.stderr.contains(":4)\n  at spin (0x"), "{ended:?}");
    let less = wave().flag("--fuel", "2000").run(&module, [""; 0]);
    assert!(less.stderr.starts_with("wave: fuel of 2000 used up\n  at "), "{less:?}");
    let more = wave().flag("--fuel", "1000000").run(&module, [""; 0]);
    assert_eq!((more.status.code(), &*more.stdout), (Some(0), &*all_lines()), "{more:?}");
    assert!(more.stderr.contains("--fuel beyond the policy"), "{more:?}");
}

#[test]
fn what_is_no_number_of_units_is_refused() {
    let (_dir, module) = wat(r#"(module (func (export "_start")))"#);
    for wrong in ["", "x", "1K", "9223372036854775808"] {
        let refused = Wave::strict().flag("--fuel", wrong).run(&module, [""; 0]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}: {refused:?}");
        assert!(refused.stderr.contains("--fuel"), "{wrong}: {refused:?}");
    }
    for right in ["0", "9223372036854775807"] {
        Wave::strict().flag("--fuel", right).run(&module, [""; 0]).is(0, "", "");
    }
}
