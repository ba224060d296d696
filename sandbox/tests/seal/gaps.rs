//! Shows what no layer of the kernel denies, so that the list in CAVEATS.md stays true; and what bounds each.

use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::Case;
use crate::run::{NOBODY, User, command, expect, open_to_all, outcome};

pub const CASES: &[Case] = &[
    ("gaps::t108_a_wait_outlasts_the_time_limit", t108_a_wait_outlasts_the_time_limit),
    ("gaps::t108_processor_time_holds_with_signals_blocked", t108_processor_time_holds_with_signals_blocked),
    ("gaps::a_redirected_stream_is_truncated", a_redirected_stream_is_truncated),
];

/// `ppoll` on nothing forever, with the signals that eight spaces stand for blocked: bits 5, 13, 21 and so on of the mask,
/// which are signals 6, 14 (`SIGALRM`), 22 …
const WAIT_BLOCKED: &str = "call=271,0,0,0,s:        ,8";
const WAIT: &str = "call=271,0,0,0,0,8";
const TIMER_ENDED_IT: i32 = 128 + libc::SIGALRM;

/// T108: a timer's signal that is blocked ends nothing. The mask is behind a pointer, so no filter can refuse it.
fn t108_a_wait_outlasts_the_time_limit(user: User) {
    let start = |args: &[&str]| command(user, &[&["functions=poll_oneoff"], args].concat()).spawn().expect("a child");
    let status = |child: Child| outcome(&child.wait_with_output().expect("output of the child")).status;
    assert_eq!(status(start(&["before=timer", WAIT])), TIMER_ENDED_IT, "the control");

    // Its timer is this process: one of its own could end it before it waits.
    let mut child = start(&[WAIT_BLOCKED]);
    wait_for_alarm_in("SigBlk", &mut child);
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGALRM).expect("root, or own process");
    wait_for_alarm_in("ShdPnd", &mut child);
    assert_eq!(child.try_wait().expect("own child"), None, "the mask holds the signal back");
    child.kill().expect("own child");
    assert_eq!(status(child), 128 + libc::SIGKILL);
}

/// T108: the kernel kills a process whose processor time is over, whatever it has blocked.
fn t108_processor_time_holds_with_signals_blocked(user: User) {
    let start = |args: &[&str]| command(user, &[&["before=blocked_signals", "spin="], args].concat()).spawn();
    let mut unlimited = start(&[]).expect("a child");
    let limited = start(&["seconds=1"]).expect("a child");
    let ended = outcome(&limited.wait_with_output().expect("output of the child"));
    assert_eq!(ended.status, 128 + libc::SIGKILL, "{ended:?}");
    assert_eq!(unlimited.try_wait().expect("own child"), None, "the control");
    unlimited.kill().expect("own child");
    unlimited.wait().expect("own child");
}

/// Waits until `SIGALRM` is in this mask of a process.
fn wait_for_alarm_in(mask: &str, child: &mut Child) {
    let file = format!("/proc/{}/status", child.id());
    let has_alarm = || {
        let status = std::fs::read_to_string(&file).expect("own child");
        let line = status.lines().find_map(|line| line.strip_prefix(mask)?.strip_prefix(":\t"));
        u64::from_str_radix(line.expect("a mask"), 16).expect("hexadecimal digits") >> (libc::SIGALRM - 1) & 1 == 1
    };
    while !has_alarm() {
        assert_eq!(child.try_wait().expect("own child"), None, "it ended before SIGALRM was in {mask}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A file behind a stream was opened before Landlock, which restricts only opening; so only the filter can deny truncation.
fn a_redirected_stream_is_truncated(user: User) {
    let dir = open_to_all();
    let grant = |access: &str| format!("grant={}:{access}", dir.path().display());
    for (access, status, left) in [("ro", wave_sandbox::DENIED, 10), ("rw", 0, 0)] {
        let path = dir.path().join(access);
        let mut file = File::options().append(true).create_new(true).open(&path).expect("own directory");
        file.write_all(b"ten bytes\n").expect("own file");
        if user == User::Root {
            std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        let args = ["functions=fd_filestat_set_size", &grant(access), "call=77,1,0"];
        let child = command(user, &args).stdout(Stdio::from(file)).spawn().expect("a child");
        let ended = outcome(&child.wait_with_output().expect("output of the child"));
        assert_eq!(ended.status, status, "{access}: {ended:?}");
        assert_eq!(std::fs::metadata(&path).expect("own file").len(), left, "{access}");
    }
    expect(user, &["functions=fd_filestat_set_size", &grant("rw"), "call=77,0,0"], libc::EINVAL);
}
