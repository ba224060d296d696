//! Every system-call number against the published list of the module, exactly (T84).

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use wave_sandbox::{DENIED, SealPlan, seal};

use crate::Case;
use crate::child::raw;
use crate::run::{User, expect};

pub const CASES: &[Case] = &[("sweep::every_number", every_number)];

/// Numbers past the table: x32, the highest, and negative ones.
const HIGH: [i64; 5] = [0x4000_0000, 0x4000_0001, 0x4000_0208, 0x7fff_ffff, 0xffff_ffff];

/// Not tried: it restores registers from whatever is on the stack. `linux::seccomp` has it in a unit test.
const NOT_TRIED: i64 = libc::SYS_rt_sigreturn;

/// Calls that the kernel itself lets past every filter since Linux 6.14, and which do nothing but from a page that
/// only the kernel can make: `uretprobe` raises SIGILL, `uprobe` fails (`seccomp_uprobe_exception`,
/// `kernel/seccomp.c`).
const PAST_ANY_FILTER: [(i64, i32); 2] = [(335, 128 + libc::SIGILL), (336, libc::ENXIO)];

/// What every filter answers in the kernel's place, to see that it is there.
const SELF_TEST: (i64, i32) = (libc::SYS_getppid, libc::EKEYREJECTED);

/// The calls each shape may make when all arguments are 0; rules with other arguments are tested elsewhere.
const SHAPES: &[(&str, &[i64])] = &[
    ("functions=", &[libc::SYS_brk, libc::SYS_exit_group]),
    (
        "functions=fd_read,fd_write,fd_seek,random_get",
        &[
            libc::SYS_read,
            libc::SYS_write,
            libc::SYS_lseek,
            libc::SYS_brk,
            libc::SYS_readv,
            libc::SYS_writev,
            libc::SYS_exit_group,
            libc::SYS_ppoll,
            libc::SYS_getrandom,
        ],
    ),
];

fn every_number(user: User) {
    for (functions, permitted) in SHAPES {
        let outcome = expect(user, &[functions, "sweep=1024"], 0);
        let lines = outcome.stdout.lines().map(|line| line.split_once(' ').expect("a number and a status"));
        let mut found: BTreeMap<i64, i32> = lines
            .map(|(number, status)| (number.parse().expect("a number"), status.parse().expect("a status")))
            .collect();
        for (number, harmless) in PAST_ANY_FILTER {
            assert_eq!(found.remove(&number).unwrap_or(harmless), harmless, "{number}");
        }
        assert_eq!(found.remove(&SELF_TEST.0), Some(SELF_TEST.1));
        assert!(found.keys().eq(*permitted), "{functions}: {found:?}");
    }
}

/// Tries each number in a process of its own, and prints those that were not refused and how they ended.
pub fn child(count: &str, plan: &SealPlan<'_>) -> ! {
    let count: i64 = count.parse().expect("a number");
    for number in (0..count).chain(HIGH).filter(|number| *number != NOT_TRIED) {
        if let Some(status) = outcome(number, plan) {
            println!("{number} {status}");
        }
    }
    std::process::exit(0)
}

fn outcome(number: i64, plan: &SealPlan<'_>) -> Option<i32> {
    // SAFETY: this process has one thread, so the child's memory is whole.
    match unsafe { fork() }.expect("a process") {
        ForkResult::Child => attempt(number, plan),
        ForkResult::Parent { child } => match waitpid(child, None).expect("own child") {
            WaitStatus::Exited(_, DENIED) | WaitStatus::Signaled(_, Signal::SIGSYS, _) => None,
            WaitStatus::Exited(_, crate::child::REFUSED) => panic!("no seal for {number}"),
            WaitStatus::Exited(_, status) => Some(status),
            WaitStatus::Signaled(_, signal, _) => Some(128 + signal as i32),
            other => panic!("{other:?} for {number}"),
        },
    }
}

fn attempt(number: i64, plan: &SealPlan<'_>) -> ! {
    // A call that waits must not wait for ever.
    nix::unistd::alarm::set(5);
    if seal(plan).is_err() {
        wave_sandbox::exit(crate::child::REFUSED);
    }
    wave_sandbox::exit(raw(&[number]).err().unwrap_or(0))
}
