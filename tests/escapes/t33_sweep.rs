//! T33, T37: only numbers of the guest's table mean anything, whatever descriptors `wave` was started with.

use std::fs;
use std::path::PathBuf;

use crate::host::{Host, descriptors};
use crate::script::script;
use wave_test_support::Mode;

/// Tries a call on the descriptors 0 to 65535 and on extreme ones, and tallies the answers.
fn sweep(call: &str) -> String {
    format!(
        r#"
        (global.set $scratch (i32.const 0))
        (loop $next
          (call $tally {call})
          (global.set $scratch (i32.add (global.get $scratch) (i32.const 1)))
          (br_if $next (i32.lt_u (global.get $scratch) (i32.const 65536))))
        (global.set $scratch (i32.const 0x7ffffff0))
        (loop $next
          (call $tally {call})
          (global.set $scratch (i32.add (global.get $scratch) (i32.const 1)))
          (br_if $next (i32.ne (global.get $scratch) (i32.const 0x80000010))))
        (global.set $scratch (i32.const 0xfffffff0))
        (loop $next
          (call $tally {call})
          (global.set $scratch (i32.add (global.get $scratch) (i32.const 1)))
          (br_if $next (global.get $scratch)))
        tally
        fill TALLY 400 0
        "#
    )
}

/// What the parent leaks: a secret to read, a file to write, a directory, and a high number.
const LEAKING: &str = r#"exec 5<"$SECRET" 6>>"$SECRET" 7<"$SECRET_DIR" 100<"$SECRET" 200<>"$SECRET"; exec "$@""#;

/// T33: of 65584 numbers the four that were granted work.
#[test]
fn nothing_else_is_found() {
    let calls = [
        "(call $fd_fdstat_get (global.get $scratch) (i32.const 128))",
        "(call $fd_filestat_get (global.get $scratch) (i32.const 128))",
        "(call $fd_readdir (global.get $scratch) (i32.const 0x1000) (i32.const 100) (i64.const 0) (i32.const 128))",
        "(call $path_filestat_get (global.get $scratch) (i32.const 0) (i32.const 512) (i32.const 4) (i32.const 128))",
        "(call $fd_pread (global.get $scratch) (i32.const 528) (i32.const 1) (i64.const 0) (i32.const 128))",
        "(call $fd_tell (global.get $scratch) (i32.const 128))",
        "(call $sock_shutdown (global.get $scratch) (i32.const 3))",
    ];
    let lines: String = calls.iter().map(|call| sweep(call)).collect();
    let guest = script(format!("copy FILE \"file\"\n store LIST BUF\n store LIST+4 4\n{lines}"));
    let host = Host::new();
    let before = host.outside();
    let wave = host.granted(Mode::Normal, "ro");
    let seen = guest.run(leak(wave, &host));
    let tallies: Vec<_> = seen.iter().map(|(_, tally)| tally.trim()).collect();
    let all = 65_536 + 32 + 16;
    let others = |errno: &str, granted: u32| format!("{errno}:{}", all - granted);
    // In the order of the calls: what 0, 1, 2 and 3 answer, and BADF from all others. The streams are pipes.
    let expected = [
        ["0:4", &others("8", 4)].join(" "),
        ["0:4", &others("8", 4)].join(" "),
        ["0:1", &others("8", 4), "54:3"].join(" "),
        ["0:1", &others("8", 4), "54:3"].join(" "),
        [&*others("8", 4), "70:3 76:1"].join(" "),
        [&*others("8", 4), "70:3 76:1"].join(" "),
        [&*others("8", 4), "57:4"].join(" "),
    ];
    assert_eq!(tallies, expected);
    assert_eq!(host.outside(), before);
}

fn leak(wave: wave_test_support::Wave, host: &Host) -> wave_test_support::Wave {
    let assign =
        format!("SECRET='{}' SECRET_DIR='{}'; ", host.path("outside/secret").display(), host.path("outside").display());
    wave.by_shell(&(assign + LEAKING))
}

/// T37: after the seal the process holds its streams and its grants, and nothing its parent left open.
#[test]
fn leaked_descriptors_are_closed() {
    let guest = script(
        r#"
        open 3 0 "file" 0 READ
        pause
        fd_close 4
        fd_read 5 {BUF 100} OUT = BADF
        fd_write 6 {"leak"} OUT = BADF
        fd_read 100 {BUF 100} OUT = BADF
        "#,
    );
    let host = Host::new();
    let before = host.outside();
    let paused = guest.start(leak(host.granted(Mode::Normal, "ro"), &host));
    if let Some(open) = descriptors(paused.id()) {
        let (streams, others): (Vec<_>, Vec<_>) = open.into_iter().partition(|(number, _)| *number < 3);
        assert_eq!(streams.len(), 3);
        let mut others: Vec<_> = others.into_iter().map(|(_, path)| path).collect();
        others.sort();
        let granted: [PathBuf; 2] = [host.path("grant"), host.path("grant/file")];
        assert_eq!(others, granted);
    }
    paused.finish();
    assert_eq!(host.outside(), before);
    // The control: without `wave` the descriptors are there.
    let shell = leak(host.granted(Mode::Normal, "ro"), &host).command("");
    let script = shell.get_args().nth(1).unwrap().to_str().unwrap().replace("exec \"$@\"", "cat <&100");
    let seen = std::process::Command::new("bash").args(["-c", &script]).output().unwrap().stdout;
    assert_eq!(seen, fs::read(host.path("outside/secret")).unwrap());
}
