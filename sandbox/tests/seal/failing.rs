//! Failures: each ends in one message, an exit status of ours, and no signal. A signal from outside stays a signal.

use std::io::Read as _;
use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wave_policy::{Level, Policy};
use wave_sandbox::{SealPlan, report_failures, seal};

use crate::Case;
use crate::run::{User, expect, outcome, start};

pub const CASES: &[Case] = &[("failing", failing), ("aborted_from_outside", aborted_from_outside)];

/// What goes wrong in the child.
pub fn child(how: &str) -> ! {
    report_failures();
    match how {
        "panic" => panic!("\u{1b}[2J{}", "x".repeat(5000)),
        "thread" => drop(std::thread::spawn(|| std::panic::panic_any(7)).join()),
        "stack" => {
            let lost = deep(1);
            eprintln!("{lost}");
        }
        "abort" => std::process::abort(),
        "sealed" => {
            let policy = Policy { level: Level::Strict, ..Policy::default() };
            let sealed = seal(&SealPlan::new(&policy)).map(drop);
            assert!(sealed.is_err(), "it is sealed by now");
        }
        _ => loop {
            eprintln!("ready");
            std::thread::park();
        },
    }
    std::process::exit(0)
}

/// Recurses until there is no stack left.
fn deep(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 512]);
    if depth == u64::MAX { 0 } else { deep(depth + 1) + here[7] }
}

fn failing(user: User) {
    let ends = |how: &str| expect(user, &[&format!("failing={how}")], 125).stderr;
    let fix = "\n  fix:   this is a bug in wave: please report it, with the command and its files\n";
    let panicked = ends("panic");
    assert!(panicked.starts_with("wave: bug: ?[2Jxxx") && panicked.ends_with(fix), "{panicked}");
    assert!(panicked.len() < 2000, "{panicked}");
    let thread = ends("thread");
    let place = "wave: bug: something went wrong\n  where: sandbox/tests/seal/failing.rs:";
    assert!(thread.starts_with(place) && thread.ends_with(fix), "{thread}");
    let sealed = ends("sealed");
    assert!(sealed.contains("wave: bug: it is sealed by now\n  where: sandbox/tests/seal/failing.rs:"), "{sealed}");
    for how in ["abort", "stack"] {
        let aborted = ends(how);
        assert!(aborted.contains("wave: cannot go on\n  fix:   "), "{aborted}");
    }
}

/// SIGABRT from another process has its default effect, sealed or not.
fn aborted_from_outside(user: User) {
    let mut child: Child = start(user, &["failing=wait"]);
    let mut ready = [0; 6];
    child.stderr.as_mut().expect("it is piped").read_exact(&mut ready).expect("it says so");
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), Signal::SIGABRT).expect("own child");
    let outcome = outcome(&child.wait_with_output().expect("output of the child"));
    assert_eq!((outcome.status, &*outcome.stderr), (128 + 6, ""));
}
