//! Every way a guest can trap, and the time limit: exit code, the trap's name, and the backtrace by function name.

use std::fmt::Write;
use std::time::{Duration, Instant};

use wave_test_support::{Outcome, Wave, wat, with_line_table};

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

/// A trap names the source lines of a module with debug information, in the backtrace. Without debug information, there are none.
#[test]
fn a_trap_says_which_source_lines_it_was_in() {
    let dir = tempfile::tempdir().unwrap();
    let source = "static int inner(int zero) {\n  return 7 / zero;\n}\nint volatile zero;\nvoid _start(void) {\n  zero = inner(zero);\n}\n";
    std::fs::write(dir.path().join("program.c"), source).unwrap();
    let build = |flags: &[&str], out: &str| {
        let mut clang = std::process::Command::new("clang");
        clang.args(["--target=wasm32", "-nostdlib", "-O0", "-Wl,--export=_start"]).args(flags);
        clang.args(["-o", out, "program.c"]).current_dir(dir.path()).status().is_ok_and(|status| status.success())
    };
    for flags in [&["-gdwarf-4"][..], &["-gdwarf-5"]] {
        if !build(flags, "program.wasm") {
            println!("NOT RUN: a_trap_says_which_source_lines_it_was_in: clang for wasm32 is not installed");
            return;
        }
        let module = dir.path().join("program.wasm");
        for wave in [Wave::strict(), Wave::strict().flag("--sandbox", "off")] {
            let run = wave.switch("--no-cache").run(&module, [""; 0]);
            assert_eq!(run.status.code(), Some(134), "{run:?}");
            let at = |name: &str, line: u32| {
                let mut lines = run.stderr.lines().filter(|text| text.contains(&format!(" at {name} (")));
                lines.any(|text| text.ends_with(&format!("program.c:{line}")))
            };
            assert!(at("inner", 2) && at("_start", 6), "{run:?}");
        }
    }
    assert!(build(&["-g0"], "without.wasm"));
    let run = Wave::strict().run(dir.path().join("without.wasm"), [""; 0]);
    assert!(run.stderr.contains("  at inner (") && !run.stderr.contains("program.c"), "{run:?}");
}

/// T75: the name of a source file steers no terminal. The table says line 10 of it for all of the code.
#[test]
fn t75_a_hostile_name_of_a_source_file_is_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let module = wat::parse_str("(module (func $f (export \"_start\") unreachable))").unwrap();
    let module = with_line_table(module, b"\x1b[2J\xe2\x80\xae.c");
    let path = dir.path().join("hostile.wasm");
    std::fs::write(&path, module).unwrap();
    let run = Wave::strict().switch("--no-cache").run(&path, [""; 0]);
    assert_eq!(run.status.code(), Some(134), "{run:?}");
    assert!(run.stderr.trim_end().ends_with("\\u{1b}[2J\\u{202e}.c:10"), "{run:?}");
}

/// Names of Rust and C++ are shown as in the source; what is no such name is shown as it is.
#[test]
fn a_backtrace_shows_demangled_names() {
    let text = r#"(module
        (func $"_ZN4core9panicking5panic17h0123456789abcdefE" unreachable)
        (func $"_RINvNtC3app4main3runhE" (call $"_ZN4core9panicking5panic17h0123456789abcdefE"))
        (func $"_ZNK3app5Queue4pushERKi" (call $"_RINvNtC3app4main3runhE"))
        (func $"_ZNK3app" (call $"_ZNK3app5Queue4pushERKi"))
        (func $_start (export "_start") (call $"_ZNK3app")))"#;
    let names =
        ["core::panicking::panic", "app::main::run::<u8>", "app::Queue::push(int const&) const", "_ZNK3app", "_start"];
    run(Wave::strict(), text).is_trap("unreachable", &names);
}

/// T75: a name may stand for characters that it does not have.
#[test]
fn t75_a_demangled_name_steers_no_terminal() {
    let text = r#"(module
        (func $"_ZN16$u1b$$u5b$2J$u7$17h0123456789abcdefE" unreachable)
        (func $_start (export "_start") (call $"_ZN16$u1b$$u5b$2J$u7$17h0123456789abcdefE")))"#;
    let run = run(Wave::strict(), text);
    assert_eq!(run.status.code(), Some(134), "{run:?}");
    assert!(run.stderr.contains("  at \\u{1b}[2J\\u{7} ("), "{run:?}");
}

/// Exceptions as compilers emit them, with something thrown by the innermost function and a body for the middle one.
#[track_caller]
fn throws(middle: &str, start: &str) -> Outcome {
    let text = format!(
        r#"(module
             (tag $failure (export "failure") (param i32))
             (tag $other)
             (func $inner (throw $failure (i32.const 7)))
             (func $middle {middle})
             (func $_start (export "_start") {start}))"#
    );
    run(Wave::strict(), &text)
}

#[test]
fn uncaught_exception() {
    let uncaught = "uncaught exception with tag `failure`";
    throws("(call $inner)", "(call $middle)").is_trap(uncaught, &["inner", "middle", "_start"]);
    // What is caught and thrown again comes from where it was thrown first.
    let again =
        "(block $caught (result exnref) (try_table (catch_all_ref $caught) (call $inner)) (return)) (throw_ref)";
    throws(again, "(call $middle)").is_trap(uncaught, &["inner", "middle", "_start"]);
    let other = "(block $caught (try_table (catch $other $caught) (call $middle)))";
    throws("(call $inner)", other).is_trap(uncaught, &["inner", "middle", "_start"]);
    let caught = "(block $caught (try_table (catch_all $caught) (call $middle)))";
    throws("(call $inner)", caught).is(0, "", "");
    throws("(throw $other)", "(call $middle)").is_trap("uncaught exception with tag `other`", &["middle", "_start"]);
    throws("(throw_ref (ref.null exn))", "(call $middle)").is_trap("null exception reference", &["middle", "_start"]);
}

#[test]
fn uncaught_exception_of_other_entries() {
    let text = r#"(module (tag $t) (func $f (throw $t)) (start $f) (func (export "_start")))"#;
    run(Wave::strict(), text).is_trap("uncaught exception with tag `t`", &["f"]);
    let text = r#"(module (tag $t) (func $init (export "_initialize") (throw $t)) (func (export "f")))"#;
    run(Wave::strict().flag("--invoke", "f"), text).is_trap("uncaught exception with tag `t`", &["init"]);
    let text = r#"(module (tag $t) (func $g (export "f") (result i32) (throw $t)))"#;
    run(Wave::strict().flag("--invoke", "f"), text).is_trap("uncaught exception with tag `t`", &["g"]);
    let text = r#"(module (tag $t) (func $g (throw $t)) (func (export "f") (result i32)
        (block $caught (try_table (catch $t $caught) (call $g))) (i32.const 5)))"#;
    run(Wave::strict().flag("--invoke", "f"), text).is(0, "5\n", "");
}

#[test]
fn traps_are_no_exceptions() {
    let inside = |body: &str| {
        format!(
            r#"(module (tag $t) (memory (export "memory") 1)
                 (func $throws (throw $t))
                 (func $down (call $down) (call $throws))
                 (func $body {body})
                 (func $_start (export "_start") (block $caught (try_table (catch_all $caught) (call $body)))))"#
        )
    };
    let frames = ["body", "_start"];
    run(Wave::strict(), &inside("(unreachable)")).is_trap("unreachable", &frames);
    let past = "(drop (i32.load (i32.const -1)))";
    run(Wave::strict(), &inside(past)).is_trap("out of bounds memory access", &frames);
    let deep = run(Wave::strict(), &inside("(call $down)"));
    assert!(deep.stderr.starts_with("wave: trap: call stack exhausted\n  at down\n"), "{deep:?}");
    assert_eq!(deep.status.code(), Some(134));
    let endless = "(loop $l (block $c (try_table (catch_all $c) (call $throws))) (br $l))";
    let late = run(Wave::strict().flag("--timeout", "300ms"), &inside(endless));
    assert_eq!(late.status.code(), Some(124), "{late:?}");
    let spent = run(Wave::strict().flag("--fuel", "10000"), &inside(endless));
    assert_eq!(spent.status.code(), Some(124), "{spent:?}");
    run(Wave::strict(), &inside("(call $throws)")).is(0, "", "");
}

/// Fuel follows from the module alone: a call that throws has taken what its block of operators takes.
#[test]
fn exceptions_take_the_fuel_that_their_operators_say() {
    let text = r#"(module (tag $t (param i32))
        (func $throws (throw $t (i32.const 1)))
        (func (export "_start") (local $n i32) (local.set $n (i32.const 5))
          (loop $l
            (block $c (result i32) (try_table (catch $t $c) (call $throws)) (i32.const 0))
            (drop)
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;
    // Before the loop 2. Each round: call 1, inside 2, behind the label 6.
    let all = 2 + 5 * 9;
    run(Wave::strict().flag("--fuel", &all.to_string()), text).is(0, "", "");
    let run = run(Wave::strict().flag("--fuel", &(all - 1).to_string()), text);
    assert_eq!(run.status.code(), Some(124), "{run:?}");
}

/// A C++ program's loop: each round throws, a cleanup catches and throws again, and the handler takes the number.
#[test]
fn ten_million_exceptions_need_the_memory_of_one() {
    let text = r#"(module (tag $cpp (param i32))
        (func $throws (param i32) (throw $cpp (local.get 0)))
        (func $cleans (param i32)
          (block $cleanup (result exnref)
            (try_table (catch_all_ref $cleanup) (call $throws (local.get 0)))
            (return))
          (throw_ref))
        (func (export "f") (result i64) (local $n i32) (local $caught i32) (local $sum i64)
          (local.set $n (i32.const 10000000))
          (loop $l
            (local.set $caught
              (block $c (result i32) (try_table (catch $cpp $c) (call $cleans (local.get $n))) (unreachable)))
            (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (local.get $caught))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $sum)))"#;
    run(Wave::strict().flag("--invoke", "f"), text).is(0, "50000005000000\n", "");
}
