//! T111: streams that are closed, full or slow.

use crate::host::{Host, peak_kib};
use crate::script::script;
use crate::support::{Mode, Wave};

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
