//! Masks, dispositions, signals that wait, timers.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Start, parent};
use wave_test_support::user::User;

const BLOCK_ALL: &str = "signal.pthread_sigmask(signal.SIG_SETMASK, range(1, 65))";

/// All but those that nobody can ignore, and glibc's own.
const IGNORE_ALL: &str = "
for number in set(range(1, 65)) - {9, 19, 32, 33}:
    signal.signal(number, signal.SIG_IGN)";

fn pid(process: u32) -> Pid {
    Pid::from_raw(process.cast_signed())
}

/// Signals 1 to 31. `wave` neither sends nor awaits a real-time signal, and glibc itself has one ignored where it starts a process.
const STANDARD: u64 = (1 << 31) - 1;

/// A limit on time and a trap end a run as ever, whatever the parent blocked or ignored.
#[test]
fn t129_blocked_and_ignored_signals_end_a_run_all_the_same() {
    let nothing = "pass";
    for script in [nothing, BLOCK_ALL, IGNORE_ALL, &format!("{IGNORE_ALL}\n{BLOCK_ALL}")] {
        for level in ["strict", "standard", "off"] {
            for &user in User::available() {
                let run = |flags: &[&str], guest| {
                    let start = Start::after(script).user(user).args(&["--sandbox", level, "run"]);
                    start.args(flags).guest(guest).end()
                };
                let limit = run(&["--timeout", "300ms"], "loop");
                assert_eq!(limit.status.code(), Some(124), "{script} {level} {user:?}: {limit:?}");
                for guest in ["unreachable", "bounds", "divide", "deep"] {
                    let trap = run(&[], guest);
                    assert_eq!(trap.status.code(), Some(134), "{script} {level} {user:?} {guest}: {trap:?}");
                }
                run(&[], "hello").is_hello(script);
            }
        }
    }
}

/// The start leaves the handler in place that tells why `wave` itself aborts.
#[test]
fn t129_an_abort_is_answered_after_the_start() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    command.args(["--sandbox", "off", "inspect", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut wave = command.spawn().expect("wave starts");
    let mut module = wave.stdin.take().expect("it is piped");
    module.write_all(b"\0asm\x01\0\0\0").expect("it reads");
    // The start is over when it reads its module.
    while rustix::io::ioctl_fionread(&module).expect("a pipe") > 0 {
        std::thread::yield_now();
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", wave.id())).expect("own process");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a line of every process");
    let caught = u64::from_str_radix(caught.trim(), 16).expect("hexadecimal");
    drop(module);
    assert!(wave.wait().expect("own process").success(), "an empty module");
    assert!(caught & 1 << (libc::SIGABRT - 1) != 0, "{caught:#x}");
}

/// Signals have one effect each, none is blocked, and none waits.
#[test]
fn t129_masks_and_dispositions_are_the_same_for_every_parent() {
    let script =
        format!("{IGNORE_ALL}\n{BLOCK_ALL}\nfor n in [10, 12, 14, 17, 23, 29, 34, 40]: os.kill(os.getpid(), n)");
    for level in ["strict", "off"] {
        let seen = |script: &str| {
            let talk = Start::after(script).args(&["--sandbox", level, "run"]).talk();
            let seen = ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"].map(|key| talk.status(key));
            talk.ends();
            seen
        };
        let bits = |signals: &[i32]| signals.iter().fold(0_u64, |bits, signal| bits | 1 << (signal - 1));
        let ignored = |seen: &str| u64::from_str_radix(seen, 16).expect("a mask") & STANDARD;
        // Python ignores SIGPIPE and SIGXFSZ, as `wave` does.
        let usual = seen("pass");
        let none = format!("{:016x}", 0);
        assert_eq!(usual[..3], [none.clone(), none.clone(), none.clone()], "{level}");
        let own = [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGIO];
        assert_eq!(ignored(&usual[3]), bits(&own), "{level}");
        let hostile = seen(&script);
        // These stay ignored: `nohup`, and shells without job control, say so on purpose.
        let kept = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
        assert_eq!(ignored(&hostile[3]), bits(&own) | bits(&kept), "{level}");
        assert_eq!(hostile[..3], [none.clone(), none.clone(), none], "{level}");
        assert_eq!(hostile[4], usual[4], "{level}");
    }
}

/// A signal that waited since before the start is no time limit, no fault and no end; a request to end is one.
#[test]
fn t129_signals_from_before_the_start_do_not_count() {
    for number in [4, 5, 6, 7, 8, 10, 11, 12, 14, 16, 23, 26, 27, 29, 30, 31, 34, 50, 64] {
        let script = format!("{BLOCK_ALL}\nos.kill(os.getpid(), {number})");
        for flags in [&[][..], &["--timeout", "60s"]] {
            Start::after(&script).args(&["run"]).args(flags).guest("hello").end().is_hello(&script);
        }
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        // Python has a handler for SIGINT, which is gone with it.
        let script = format!("{BLOCK_ALL}\nos.kill(os.getpid(), {})", signal as i32);
        let outcome = Start::after(&script).args(&["run"]).guest("hello").end();
        assert_eq!(outcome.status.signal(), Some(signal as i32), "{outcome:?}");
        assert_eq!(outcome.stdout, "");
    }
}

/// An alarm that the parent set is neither the time limit nor an end.
#[test]
fn t129_timers_of_the_parent_do_not_count() {
    for timer in ["ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"] {
        // For the last two, 200 ms of the processor's time are more than starting takes, and no more than the loop.
        let script = format!("signal.setitimer(signal.{timer}, 0.2, 0.01)");
        let run = |flags: &[&str], guest| Start::after(&script).args(&["run"]).args(flags).guest(guest).end();
        for flags in [&[][..], &["--timeout", "60s"]] {
            let slept = run(flags, "sleep");
            assert_eq!(slept.status.code(), Some(0), "{timer} {flags:?}: {slept:?}");
        }
        let looped = run(&["--timeout", "700ms"], "loop");
        assert_eq!(looped.status.code(), Some(124), "{timer}: {looped:?}");
    }
    // The parent's timer does end another program.
    let mut sleeps = parent("signal.setitimer(signal.ITIMER_REAL, 0.2)");
    let status = sleeps.args(["/bin/sleep", "60"]).status().expect("it starts");
    assert_eq!(status.signal(), Some(libc::SIGALRM));
}

/// Only the timer is the time limit: SIGALRM of another process is not.
#[test]
fn t129_an_alarm_from_outside_is_no_time_limit() {
    for level in ["strict", "standard", "off"] {
        let mut talk = Start::directly().args(&["--sandbox", level, "run", "--timeout", "100s"]).talk();
        for _ in 0..20 {
            kill(pid(talk.child.id()), Signal::SIGALRM).expect("own child");
            talk.answers();
        }
        talk.ends();
        // While it computes, too.
        let mut child = Start::directly().args(&["--sandbox", level, "run", "--timeout", "1s"]).guest("loop").spawn();
        let mut sent = 0;
        let status = loop {
            if let Some(status) = child.try_wait().expect("own child") {
                break status;
            }
            // Until it has its handler, an alarm ends it as it ends every program.
            if handles_alarm(child.id()) {
                kill(pid(child.id()), Signal::SIGALRM).expect("own child, not awaited yet");
                sent += 1;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(124), "{level}: after {sent} alarms");
        assert!(sent > 0, "{level}");
    }
}

/// The signal of a fault that another process sends ends a run as it ends any program, and is neither a trap nor a fault.
#[test]
fn t129_signals_of_faults_from_outside_are_no_traps() {
    for signal in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE] {
        for guest in ["echo", "loop"] {
            let mut child = Start::directly().args(&["run"]).guest(guest).spawn();
            // Until it has its filter, std handles some of these.
            let process = child.id();
            let sealed = || {
                let status = std::fs::read_to_string(format!("/proc/{process}/status"));
                status.is_ok_and(|status| status.contains("Seccomp:\t2"))
            };
            while !sealed() {
                assert_eq!(child.try_wait().expect("own child"), None);
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            kill(pid(child.id()), signal).expect("own child");
            let outcome = wave_test_support::finish(child);
            let message = "wave: ended by the signal of a fault, which another process sent\n";
            assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(128 + signal as i32), message), "{guest}");
        }
    }
}

fn handles_alarm(process: u32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    caught.is_some_and(|bits| bits & 1 << (libc::SIGALRM - 1) != 0)
}

/// A descriptor that others share can have SIGIO sent, whose default ends a process.
#[test]
fn t129_input_that_signals_ends_nothing() {
    let script = "
fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
signal.signal(signal.SIGIO, signal.SIG_DFL)";
    let mut talk = Start::after(script).args(&["run"]).talk();
    talk.answers();
    talk.answers();
    talk.ends();
}

/// The first process of a PID namespace ends when it is asked to.
#[test]
fn t129_the_first_process_of_a_namespace_can_be_asked_to_end() {
    let unshare = |script: &str| {
        let mut command = parent(script);
        command.args(["/usr/bin/env", "unshare"]);
        if !wave_test_support::as_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--pid", "--fork"]);
        command
    };
    if !wave_test_support::as_root() && !unshare("pass").arg("true").status().is_ok_and(|status| status.success()) {
        return wave_test_support::not_run("no user namespace can be made here");
    }
    let level = if wave_test_support::as_root() { "strict" } else { "standard" };
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        for script in ["pass", BLOCK_ALL] {
            let mut talk = Start::by(unshare(script)).args(&["--sandbox", level, "run"]).talk();
            let outer = talk.child.id();
            let children = format!("/proc/{outer}/task/{outer}/children");
            let children = std::fs::read_to_string(children).expect("the kernel lists children");
            let first: u32 = children.trim().parse().expect("one child");
            talk.answers();
            kill(pid(first), signal).expect("own grandchild");
            assert_eq!(talk.line(), "", "{signal} {script}");
            let status = talk.child.wait().expect("own child");
            assert_eq!(status.code(), Some(128 + signal as i32), "{signal} {script}");
        }
    }
    // What is ignored on purpose stays so.
    let mut talk = Start::by(unshare("signal.signal(signal.SIGHUP, signal.SIG_IGN)"));
    talk = talk.args(&["--sandbox", level, "run"]);
    let mut talk = talk.talk();
    let outer = talk.child.id();
    let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).expect("children");
    kill(pid(children.trim().parse().expect("one child")), Signal::SIGHUP).expect("own grandchild");
    talk.answers();
    talk.ends();
    // Any other process is ended by the signal itself.
    let mut talk = Start::directly().args(&["run"]).talk();
    kill(pid(talk.child.id()), Signal::SIGTERM).expect("own child");
    assert_eq!(talk.line(), "");
    assert_eq!(talk.child.wait().expect("own child").signal(), Some(libc::SIGTERM));
}

/// `nohup` works.
#[test]
fn t129_a_hangup_that_is_ignored_on_purpose_stays_ignored() {
    let mut nohup = Command::new("nohup");
    nohup.arg("--");
    let mut talk = Start::by(nohup).args(&["run"]).talk();
    kill(pid(talk.child.id()), Signal::SIGHUP).expect("own child");
    talk.answers();
    talk.ends();
}
