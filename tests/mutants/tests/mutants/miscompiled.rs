//! A compiler that is wrong: the verifier refuses its code, and where it is not asked, the sealed process harms nothing.

use std::fs;
use std::process::{Command, Stdio};

use wave_test_mutants::{Mistake, ROOM};
use wave_test_support::{self as support, Outcome, finish, writable_dir};

/// What a program does with the mistake, as the body of function 1, and how `_start` calls it.
fn guest(mistake: Mistake) -> String {
    let (subject, start) = match mistake {
        Mistake::DroppedExtension => (
            "(param i32) (result i32) (i32.load (local.get 0))",
            // The upper half comes from memory.
            "(drop (call $subject (i32.wrap_i64 (global.get $dirty))))",
        ),
        Mistake::WrongBase => {
            ("(param i32) (i32.store (local.get 0) (i32.const -1))", "(call $subject (i32.const 48))")
        }
        Mistake::NoBound => ("(param i32) (call_indirect (local.get 0))", "(call $subject (i32.const 100000000))"),
        Mistake::NoSignature => {
            ("(param i32) (drop (call_indirect (type $other) (local.get 0)))", "(call $subject (i32.const 0))")
        }
        Mistake::NoProbe => return large_frame(),
        // A value that outlives a call lies in a register that is the caller's.
        Mistake::ClobberedRegister => (
            "(param i32) (result i64) (local i64) (local.set 1 (i64.load (local.get 0))) (call $next) (local.get 1)",
            "(drop (call $subject (i32.const 0)))",
        ),
        Mistake::LongJumpTable => (
            "(param i32) (block (block (block (block (br_table 0 1 2 3 (local.get 0))) (call $next)) (call $next) (call $next)) \
             (call $subject (i32.const 0)))",
            "(call $subject (i32.const 4))",
        ),
        Mistake::FarDisplacement => {
            ("(param i32) (i32.store (local.get 0) (i32.const -1))", "(call $subject (i32.const 0))")
        }
        Mistake::WrittenContext => ("(param i32) (drop (memory.grow (local.get 0)))", "(call $subject (i32.const 1))"),
        // socket(AF_UNIX, SOCK_STREAM, 0)
        Mistake::SystemCall => (
            &*format!("(param i64 i64 i64 i64) (i64.store (i32.const 0) (i64.const {ROOM}))"),
            "(call $subject (i64.const 41) (i64.const 1) (i64.const 1) (i64.const 0))",
        ),
    };
    format!(
        r#"(module
          (type $other (func (result i64)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory 1 10) (table 1 1 funcref) (elem (i32.const 0) $next)
          (global $dirty (mut i64) (i64.const 0x4141_4141_0000_0000))
          (func $subject {subject})
          (func $next)
          (func (export "_start") {start} (call $exit (i32.const 42))))"#
    )
}

/// More than 64 KiB of locals that outlive a call.
fn large_frame() -> String {
    let locals = 9000;
    let each = |text: fn(usize) -> String| (0..locals).map(text).collect::<String>();
    format!(
        r#"(module
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory 1)
          (func $subject (result i64) {} {} (call $next) (i64.const 0) {})
          (func $next)
          (func (export "_start") (drop (call $subject)) (call $exit (i32.const 42))))"#,
        each(|n| format!("(local $l{n} i64)")),
        each(|n| format!("(local.set $l{n} (i64.load offset={} (i32.const 0)))", n * 7)),
        each(|n| format!("(i64.xor (local.get $l{n}))")),
    )
}

fn run(mistake: Mistake, words: [&str; 2]) -> (Outcome, Vec<String>) {
    let dir = writable_dir();
    fs::write(dir.path().join("guest.wat"), guest(mistake)).expect("own directory can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_miscompiled"));
    command.arg(format!("{mistake:?}")).args(words).arg("guest.wat").current_dir(dir.path());
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let outcome = finish(child);
    fs::remove_file(dir.path().join("guest.wat")).expect("it is still there");
    (outcome, support::tree(dir.path()))
}

/// The rule that the first refusal names.
fn rule(outcome: &Outcome) -> &str {
    let line = outcome.stderr.lines().next().unwrap_or_default();
    line.rsplit_once('(').and_then(|(_, rule)| rule.strip_suffix(')')).unwrap_or("none")
}

#[test]
fn the_verifier_refuses_each_mistake() {
    for (mistake, expected) in [
        (Mistake::DroppedExtension, "memory"),
        (Mistake::WrongBase, "memory"),
        (Mistake::NoBound, "memory"),
        (Mistake::NoSignature, "signature"),
        (Mistake::NoProbe, "probe"),
        (Mistake::ClobberedRegister, "return"),
        (Mistake::LongJumpTable, "target"),
        (Mistake::FarDisplacement, "memory"),
        (Mistake::WrittenContext, "memory"),
        (Mistake::SystemCall, "instruction"),
    ] {
        let (outcome, left) = run(mistake, ["verified", "strict"]);
        assert_eq!((outcome.status.code(), rule(&outcome)), (Some(3), expected), "{mistake:?}: {outcome:?}");
        assert_eq!(left, [""; 0]);
    }
}

/// What each comes to where nobody looks at the code. Without the seal a system call is made; with it, it ends the process.
#[test]
fn the_seal_stands_behind_the_verifier() {
    for mistake in Mistake::ALL {
        let (sealed, left) = run(mistake, ["unproved", "strict"]);
        assert_eq!(left, [""; 0], "{mistake:?}");
        match mistake {
            Mistake::SystemCall => {
                assert_eq!(sealed.status.code(), Some(159), "{sealed:?}");
                assert!(sealed.stderr.starts_with("wave: denied system call socket ("), "{sealed:?}");
                let (open, _) = run(mistake, ["unproved", "off"]);
                assert_eq!(open.status.code(), Some(42), "{open:?}");
            }
            // It goes on with what it has done to itself, or ends at a fault that is no trap of the guest's.
            _ => {
                let fault =
                    sealed.stderr.starts_with("wave: the compiled code faults in a way that its table of traps");
                let expected = if fault { (Some(139), true) } else { (Some(42), sealed.stderr.is_empty()) };
                assert_eq!((sealed.status.code(), true), expected, "{mistake:?}: {sealed:?}");
            }
        }
    }
}
