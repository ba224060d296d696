//! Every way a guest can trap, and the time limit: exit code, the trap's name, and the backtrace by function name.

use std::fmt::Write;
use std::time::{Duration, Instant};

use wave_test_support::{Outcome, Wave, wat};

/// Runs a module text to its end.
fn run(wave: Wave, text: &str) -> Outcome {
    let (_dir, path) = wat(text);
    wave.run(path, [""; 0])
}

/// Runs `body` as the innermost of three functions, with a memory of one page and a table of three entries: `$nothing`,
/// null, null.
#[track_caller]
fn traps(body: &str, name: &str) {
    let text = format!(
        r#"(module
             (memory (export "memory") 1)
             (type $nullary (func))
             (type $number (func (result i32)))
             (table $table 3 3 funcref)
             (elem (i32.const 0) $nothing)
             (func $nothing)
             (func $inner (param $zero i32) {body})
             (func $middle (param $zero i32) (call $inner (local.get $zero)))
             (func $_start (export "_start") (call $middle (i32.const 0))))"#
    );
    run(Wave::strict(), &text).is_trap(name, &["inner", "middle", "_start"]);
}

/// The permitted neighbor of [`traps`]: the same frame with another body ends well.
#[track_caller]
fn ends_well(body: &str) {
    let text = format!(
        r#"(module
             (memory (export "memory") 1)
             (type $nullary (func))
             (table $table 3 3 funcref)
             (elem (i32.const 0) $nothing)
             (func $nothing)
             (func $inner (param $zero i32) {body})
             (func $_start (export "_start") (call $inner (i32.const 0))))"#
    );
    run(Wave::strict(), &text).is(0, "", "");
}

#[test]
fn unreachable() {
    traps("unreachable", "unreachable");
    ends_well("(if (local.get $zero) (then unreachable))");
}

#[test]
fn memory_out_of_bounds() {
    let name = "out of bounds memory access";
    for load in
        ["i32.load offset=65533", "i32.load8_u offset=65536", "i64.load offset=4294967295", "v128.load offset=65521"]
    {
        traps(&format!("(drop ({load} (local.get $zero)))"), name);
    }
    traps("(i32.store8 (i32.const 65536) (local.get $zero))", name);
    traps("(i32.store8 offset=4294967295 (i32.const -1) (local.get $zero))", name);
    traps("(i64.store offset=65532 (local.get $zero) (i64.const 0))", name);
    traps("(memory.fill (i32.const 65535) (i32.const 0) (i32.const 2))", name);
    traps("(memory.copy (i32.const 0) (i32.const 65535) (i32.const 2))", name);
    ends_well("(i32.store offset=65532 (local.get $zero) (i32.load offset=65532 (local.get $zero)))");
    ends_well("(memory.fill (i32.const 65535) (i32.const 0) (i32.const 1))");
}

#[test]
fn unaligned_atomics() {
    let name = "unaligned atomic";
    for (access, ty) in
        [("i32.atomic.load", "i32"), ("i64.atomic.rmw32.add_u", "i64"), ("i32.atomic.rmw16.xchg_u", "i32")]
    {
        let operand = if access.contains("load") { String::new() } else { format!("({ty}.const 1)") };
        traps(&format!("(drop ({access} offset=3 (local.get $zero) {operand}))"), name);
        traps(&format!("(drop ({access} offset=4294967292 (i32.const 1) {operand}))"), name);
        ends_well(&format!("(drop ({access} offset=65532 (local.get $zero) {operand}))"));
    }
    traps("(drop (memory.atomic.notify (i32.const 2) (i32.const 0)))", name);
    traps("(drop (memory.atomic.wait64 (i32.const 4) (i64.const 0) (i64.const 0)))", name);
    traps("(i32.atomic.store8 (i32.const 65536) (i32.const 0))", "out of bounds memory access");
    traps("(drop (memory.atomic.notify (i32.const 65536) (i32.const 0)))", "out of bounds memory access");
    ends_well("(drop (memory.atomic.notify (i32.const 65532) (i32.const 0))) (atomic.fence)");
}

#[test]
fn a_wait_on_a_memory_that_is_not_shared() {
    traps("(drop (memory.atomic.wait32 (i32.const 4) (i32.const 0) (i64.const 0)))", "expected shared memory");
    ends_well("(if (local.get $zero) (then (drop (memory.atomic.wait32 (i32.const 4) (i32.const 0) (i64.const 0)))))");
}

#[test]
fn division_by_zero() {
    for ty in ["i32", "i64"] {
        for op in ["div_s", "div_u", "rem_s", "rem_u"] {
            let zero = if ty == "i32" { "(local.get $zero)" } else { "(i64.extend_i32_u (local.get $zero))" };
            traps(&format!("(drop ({ty}.{op} ({ty}.const 1) {zero}))"), "integer divide by zero");
        }
    }
    ends_well("(drop (i32.div_s (i32.const 1) (i32.sub (local.get $zero) (i32.const 1))))");
}

#[test]
fn integer_overflow() {
    let name = "integer overflow";
    let minus_one = "(i32.sub (local.get $zero) (i32.const 1))";
    traps(&format!("(drop (i32.div_s (i32.const 0x80000000) {minus_one}))"), name);
    traps(&format!("(drop (i64.div_s (i64.const 0x8000000000000000) (i64.extend_i32_s {minus_one})))"), name);
    let big = "(f64.add (f64.convert_i32_s (local.get $zero)) (f64.const 1e300))";
    for op in ["i32.trunc_f64_s", "i32.trunc_f64_u", "i64.trunc_f64_s", "i64.trunc_f64_u"] {
        traps(&format!("(drop ({op} {big}))"), name);
    }
    // The remainder is defined where the quotient is not.
    ends_well(&format!("(drop (i32.rem_s (i32.const 0x80000000) {minus_one}))"));
    ends_well(&format!("(drop (i32.trunc_sat_f64_s {big}))"));
}

#[test]
fn invalid_conversion_to_integer() {
    let nan = "(f32.div (f32.convert_i32_s (local.get $zero)) (f32.convert_i32_s (local.get $zero)))";
    for op in ["i32.trunc_f32_s", "i32.trunc_f32_u", "i64.trunc_f32_s", "i64.trunc_f32_u"] {
        traps(&format!("(drop ({op} {nan}))"), "invalid conversion to integer");
    }
    ends_well(&format!("(drop (i32.trunc_sat_f32_s {nan}))"));
}

#[test]
fn indirect_calls() {
    let past_the_end = "(i32.add (local.get $zero) (i32.const 3))";
    traps(&format!("(call_indirect (type $nullary) {past_the_end})"), "undefined element");
    traps("(call_indirect (type $nullary) (i32.sub (local.get $zero) (i32.const 1)))", "undefined element");
    traps("(call_indirect (type $nullary) (i32.add (local.get $zero) (i32.const 1)))", "uninitialized element");
    traps("(drop (call_indirect (type $number) (local.get $zero)))", "indirect call type mismatch");
    ends_well("(call_indirect (type $nullary) (local.get $zero))");
}

#[test]
fn table_out_of_bounds() {
    let name = "out of bounds table access";
    let past_the_end = "(i32.add (local.get $zero) (i32.const 3))";
    traps(&format!("(drop (table.get $table {past_the_end}))"), name);
    traps(&format!("(table.set $table {past_the_end} (ref.null func))"), name);
    traps("(table.fill $table (i32.const 2) (ref.null func) (i32.const 2))", name);
    traps("(table.copy $table $table (i32.const 0) (i32.const 2) (i32.const 2))", name);
    ends_well("(table.copy $table $table (i32.const 0) (i32.const 2) (i32.const 1))");
}

#[test]
fn endless_recursion_exhausts_the_stack() {
    let text = r#"(module
        (func $down (param $depth i32) (result i32)
          (i32.add (i32.const 1) (call $down (i32.add (local.get $depth) (i32.const 1)))))
        (func $_start (export "_start") (drop (call $down (i32.const 0)))))"#;
    let run = run(Wave::strict(), text);
    assert_eq!(run.status.code(), Some(134), "{run:?}");
    assert!(run.stderr.starts_with("wave: trap: call stack exhausted\n  at down\n  at down ("), "{run:?}");
    assert!(run.stderr.len() < 100_000, "a backtrace is for people: {} bytes", run.stderr.len());
}

#[test]
fn recursion_that_fits_ends_well() {
    let text = r#"(module
        (func $down (param $depth i32) (result i32)
          (if (result i32) (local.get $depth)
            (then (i32.add (i32.const 1) (call $down (i32.sub (local.get $depth) (i32.const 1)))))
            (else (i32.const 0))))
        (func $_start (export "_start")
          (if (i32.ne (call $down (i32.const 20000)) (i32.const 20000)) (then unreachable))))"#;
    run(Wave::strict(), text).is(0, "", "");
}

/// A function whose frame holds 8000 vectors, 128 KB: all of them, from different addresses, are loaded before a call and used
/// after it. It is called below `depth` small frames. (A larger frame would take the register allocator minutes.)
fn huge_frame(depth: u32) -> String {
    let values = 8000;
    let mut text = String::from(
        r#"(module
          (memory (export "memory") 40)
          (func $leaf)
          (func $_start (export "_start") (call $down (i32.const DEPTH)))
          (func $down (param $depth i32)
            (if (local.get $depth)
              (then (call $down (i32.sub (local.get $depth) (i32.const 1))))
              (else (call $huge))))
          (func $huge
            i32.const 0
        "#,
    );
    for i in 0..values {
        writeln!(text, "(v128.load offset={} (i32.const 0))", 16 * i).expect("strings grow");
    }
    text.push_str("call $leaf\n");
    text.push_str(&"v128.xor\n".repeat(values as usize - 1));
    text.push_str("v128.store))");
    text.replace("DEPTH", &depth.to_string())
}

#[test]
fn one_frame_larger_than_the_stack_exhausts_it() {
    // The small frames leave less than the large one needs, which its own probes must notice.
    let run = run(Wave::strict().flag("--max-stack", "512K"), &huge_frame(26_000));
    assert_eq!(run.status.code(), Some(134), "{run:?}");
    assert!(run.stderr.starts_with("wave: trap: call stack exhausted\n  at huge\n  at down ("), "{run:?}");
}

#[test]
fn one_large_frame_that_fits_ends_well() {
    run(Wave::strict().flag("--max-stack", "512K"), &huge_frame(10)).is(0, "", "");
}

/// Runs under `--timeout 300ms` and asserts that the limit ended it.
#[track_caller]
fn times_out(text: &str) {
    let start = Instant::now();
    let run = run(Wave::strict().flag("--timeout", "300ms"), text);
    let took = start.elapsed();
    assert_eq!((run.status.code(), &*run.stdout), (Some(124), ""), "{run:?}");
    assert!(took >= Duration::from_millis(300), "{took:?}");
}

#[test]
fn an_endless_loop_ends_at_the_time_limit() {
    times_out(r#"(module (func (export "_start") (loop $again (br $again))))"#);
}

#[test]
fn endless_calls_end_at_the_time_limit() {
    times_out(
        r#"(module
             (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
             (memory (export "memory") 1)
             (func (export "_start") (loop $again (drop (call $yield)) (br $again))))"#,
    );
}

/// Sleeps for `ns` nanoseconds of the monotonic clock.
fn sleeper(ns: u64) -> String {
    format!(
        r#"(module
             (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             ;; A subscription at 0: tag 0 of the union is a clock, 1 is the monotonic one.
             (func (export "_start")
               (i32.store (i32.const 16) (i32.const 1))
               (i64.store (i32.const 24) (i64.const {ns}))
               (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"#
    )
}

#[test]
fn a_long_sleep_ends_at_the_time_limit() {
    times_out(&sleeper(60_000_000_000));
}

#[test]
fn what_ends_in_time_is_not_disturbed() {
    run(Wave::strict().flag("--timeout", "100s"), &sleeper(50_000_000)).is(0, "", "");
    run(Wave::strict().flag("--timeout", "100s"), r#"(module (func (export "_start")))"#).is(0, "", "");
}
