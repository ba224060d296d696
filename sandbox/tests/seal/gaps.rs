//! What no layer of the kernel holds, shown to work, so that the list in CAVEATS.md stays true. Each with what bounds it.

use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::Case;
use crate::run::{NOBODY, User, command, expect, open_to_all, outcome};

pub const CASES: &[Case] = &[
    ("gaps::t108_a_wait_outlasts_the_time_limit", t108_a_wait_outlasts_the_time_limit),
    ("gaps::a_redirected_stream_is_cut", a_redirected_stream_is_cut),
];

/// `ppoll` on nothing for ever, with the signals that eight spaces stand for blocked: bits 5, 13, 21 and so on of the mask,
/// which are signals 6, 14 (`SIGALRM`), 22 …
const WAIT_BLOCKED: &str = "call=271,0,0,0,s:        ,8";
const WAIT: &str = "call=271,0,0,0,0,8";
const TIMER_ENDED_IT: i32 = 128 + libc::SIGALRM;

/// T108: a timer's signal that is blocked ends nothing. The mask is behind a pointer, so no filter can refuse it.
fn t108_a_wait_outlasts_the_time_limit(user: User) {
    let start = |action| command(user, &["functions=poll_oneoff", "before=timer", action]).spawn().expect("a child");
    let status = |child: Child| outcome(&child.wait_with_output().expect("output of the child")).status;
    assert_eq!(status(start(WAIT)), TIMER_ENDED_IT, "the control");

    let mut child = start(WAIT_BLOCKED);
    let begun = Instant::now();
    while begun.elapsed() < 5 * crate::child::TIMER {
        assert_eq!(child.try_wait().expect("own child"), None, "the mask holds the signal back");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("own child");
    assert_eq!(status(child), 128 + libc::SIGKILL);
}

/// A file behind a stream was opened before Landlock, which therefore asks nothing; only the filter has a say.
fn a_redirected_stream_is_cut(user: User) {
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
