//! T111: streams that are closed, full or slow.

use crate::host::{Host, peak_kib};
use crate::script::script;
use wave_test_support::{Mode, Wave, wat};

/// Writes to standard output until it fails, then says on standard error what the errno was.
const UNTIL_IT_FAILS: &str = r#"
    (loop $again
      (global.set $scratch (call $fd_write (i32.const 1) (i32.const 528) (i32.const 1) (i32.const 128)))
      (br_if $again (i32.eqz (global.get $scratch))))
    (call $proc_exit (global.get $scratch))
    "#;

/// T111: each is an errno for the guest, and neither a crash nor a kill.
#[test]
fn is_an_errno() {
    let guest = script(format!("store LIST BUF\n store LIST+4 4096\n {UNTIL_IT_FAILS}"));
    for (shell, errno) in [
        ("exec \"$@\" >/dev/full", 51),                                    // NOSPC
        ("\"$@\" | head -c 10 >/dev/null; exit \"${PIPESTATUS[0]}\"", 64), // PIPE
        ("\"$@\" 2>&- | :; exit \"${PIPESTATUS[0]}\"", 64),
    ] {
        guest.outcome(Wave::strict().by_shell(shell)).is(errno, "", "");
    }
    // Closed streams are as if nobody read, or as if they were not there; it ends in one way or the other.
    let once = script(
        "store LIST BUF\n store LIST+4 4\n (call $proc_exit (call $fd_write (i32.const 1) (i32.const 528) (i32.const 1) (i32.const 128)))",
    );
    for shell in ["exec \"$@\" >&-", "exec \"$@\" >&- 2>&-", "exec \"$@\" <&- >&- 2>&-"] {
        let run = once.outcome(Wave::strict().by_shell(shell));
        assert!([Some(0), Some(8)].contains(&run.status.code()), "{shell}: {run:?}");
        assert_eq!((&*run.stdout, &*run.stderr), ("", ""));
    }
}

/// T110: what is printed about a program is cut: a name by its length, and all of it by `--max-output`.
#[test]
fn what_is_said_about_a_program_is_cut() {
    let name = "n".repeat(1_000_000);
    let (_dir, module) = wat(&format!(
        r#"(module (func ${name} (param i32)
             (if (local.get 0) (then (call ${name} (i32.sub (local.get 0) (i32.const 1))))) unreachable)
           (func (export "_start") (call ${name} (i32.const 200))))"#
    ));
    let run = Wave::strict().run(&module, [""; 0]);
    assert_eq!(run.status.code(), Some(134));
    let shown = format!("  at {}… (", "n".repeat(200));
    assert_eq!(run.stderr.lines().filter(|line| line.starts_with(&shown)).count(), 64, "{}", run.stderr.len());
    assert!(run.stderr.len() < 64 * 240, "{}", run.stderr.len());
    let run = Wave::strict().flag("--max-output", "500").run(&module, [""; 0]);
    let end = "wave: more than --max-output would be printed about the program: the rest is left out\n";
    assert_eq!((run.status.code(), run.stderr.matches("\n  at ").count()), (Some(134), 2), "{run:?}");
    assert!(run.stderr.starts_with("wave: trap: ") && run.stderr.ends_with(end), "{run:?}");

    // An import that nobody knows, and an export that is not there.
    let (_dir, module) = wat(&format!(r#"(module (import "{name}" "{name}" (func)) (func (export "_start")))"#)
        .replace(&name, &name[..90_000]));
    let run = Wave::strict().run(&module, [""; 0]);
    assert_eq!(run.status.code(), Some(126));
    assert!(run.stderr.contains("unknown import `nnn") && run.stderr.len() < 1000, "{}", run.stderr.len());
    let (_dir, module) = wat(&format!(r#"(module (func (export "{}")))"#, &name[..90_000]));
    let run = Wave::strict().run(&module, [""; 0]);
    assert_eq!(run.status.code(), Some(126));
    assert!(run.stderr.contains("choose one with --invoke: `nnn") && run.stderr.len() < 1000, "{}", run.stderr.len());

    // A result, whole or not at all.
    let (_dir, module) = wat(r#"(module (func (export "f") (result i64 i64) (i64.const 123456) (i64.const 7)))"#);
    Wave::strict().flag("--invoke", "f").flag("--max-output", "9").run(&module, [""; 0]).is(0, "123456\n7\n", "");
    Wave::strict().flag("--invoke", "f").flag("--max-output", "8").run(&module, [""; 0]).is(0, "123456\n", end);
}

/// T110: a trace is cut as well, and takes nothing from what the program itself may print.
#[test]
fn a_trace_is_cut() {
    let host = Host::new();
    let long = "p".repeat(3000);
    let guest = script(format!(
        "fd_write 1 {{\"0123456789\"}} OUT\n open 3 0 \"{long}\" 0 READ = NAMETOOLONG\n repeat 1000\n sched_yield = SUCCESS\n end"
    ));
    let run = guest.outcome(host.granted(Mode::Normal, "ro").flag("--max-output", "2000").switch("--trace"));
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(run.stdout.starts_with("0123456789"), "{run:?}");
    let end = "wave: more than --max-output would be printed about the program: the rest is left out\n";
    assert!(run.stderr.ends_with(end) && run.stderr.len() <= 2000 + end.len(), "{run:?}");
    assert!(run.stderr.contains(&format!("path=\"{}…\"", "p".repeat(200))), "{run:?}");
    assert!(run.stderr.matches("sched_yield()").count() > 10, "{run:?}");
}

/// T111: a reader that never reads makes the guest wait, not the host's memory grow; the time limit still holds.
#[test]
fn a_reader_that_does_not_read_costs_no_memory() {
    let guest = script("pause\n repeat 1000\n fd_write 2 {0x20000 0x100000} OUT = SUCCESS\n end");
    let host = Host::new();
    let mut paused = guest.start(host.granted(Mode::Normal, "ro"));
    let peak = peak_kib(paused.id());
    paused.nudge();
    paused.wait_for_full_stderr();
    let growth = peak_kib(paused.id()) - peak;
    assert!(growth < 2048, "{growth} KiB, of which 1024 are the guest's own");
    drop(paused);
    // `t108_deadline` has more of this kind.
    let unread = guest.start(host.granted(Mode::Normal, "ro").flag("--timeout", "300ms"));
    assert_eq!(unread.status().code(), Some(124));
}
