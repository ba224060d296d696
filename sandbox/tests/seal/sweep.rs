//! Every system-call number against the published list of the module, exactly (T84).

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use wave_policy::{Shape, all_rules, all_shapes};
use wave_sandbox::{DENIED, SealPlan, seal};

use crate::Case;
use crate::child::raw;
use crate::run::{User, expect, open_to_all};

pub const CASES: &[Case] = &[("sweep::every_number", every_number)];

/// Numbers past the table: x32, the highest, and negative ones.
const HIGH: [i64; 5] = [0x4000_0000, 0x4000_0001, 0x4000_0208, 0x7fff_ffff, 0xffff_ffff];

/// Not tried: it restores registers from whatever is on the stack. `tests/filter.rs` evaluates it.
const NOT_TRIED: i64 = libc::SYS_rt_sigreturn;

/// Calls that the kernel lets past every filter since Linux 6.14. They have an effect only from a page that only the kernel can make: `uretprobe` raises SIGILL, `uprobe` fails (`seccomp_uprobe_exception`,
/// `kernel/seccomp.c`).
pub const PAST_ANY_FILTER: [(i64, i32); 2] = [(335, 128 + libc::SIGILL), (336, libc::ENXIO)];

/// The call that every filter fails, to show that it is installed, and the errno.
const SELF_TEST: (i64, i32) = (libc::SYS_getppid, libc::EKEYREJECTED);

/// T84: every shape of the published list, with its grant and its listener, for real.
fn every_number(user: User) {
    // In threads, because a child that blocks waits for its alarm.
    std::thread::scope(|scope| {
        let threads: Vec<_> = all_shapes().iter().map(|shape| scope.spawn(|| one_shape(user, shape))).collect();
        for thread in threads {
            thread.join().expect("no shape differs from its list");
        }
    });
}

fn one_shape(user: User, shape: &Shape) {
    let dir = open_to_all();
    let functions = format!("functions={}", shape.functions.join(","));
    let grant = shape.grant.map(|access| format!("grant={}:{access}", dir.path().display()));
    let mut args = vec![&*functions, "sweep=1024"];
    args.extend(grant.as_deref());
    args.extend(shape.listener.then_some("listener=1"));
    args.extend(shape.growable.then_some("growable=1"));
    let outcome = expect(user, &args, 0);
    let lines = outcome.stdout.lines().map(|line| line.split_once(' ').expect("a number and a status"));
    let mut found: BTreeMap<i64, i32> =
        lines.map(|(number, status)| (number.parse().expect("a number"), status.parse().expect("a status"))).collect();
    for (number, harmless) in PAST_ANY_FILTER {
        assert_eq!(found.remove(&number).unwrap_or(harmless), harmless, "{number}");
    }
    assert_eq!(found.remove(&SELF_TEST.0), Some(SELF_TEST.1));
    let found: BTreeSet<i64> = found.into_keys().collect();
    assert_eq!(found, permitted(shape), "{}", shape.name);
    // The calls are made with null for every path and buffer.
    assert_eq!(std::fs::read_dir(dir.path()).expect("own directory").count(), 0);
}

/// The calls a shape may make when all arguments are 0; `tests/filter.rs` has other arguments.
fn permitted(shape: &Shape) -> BTreeSet<i64> {
    let rules = shape.rules.iter().map(|id| all_rules().iter().find(|rule| rule.id == *id).expect("a rule"));
    let permitted = rules.filter(|rule| rule.permits(&[0; 6], &[]));
    permitted.map(|rule| number(rule.call)).filter(|number| *number != NOT_TRIED).collect()
}

/// Numbers by name, as libc has them: all that some shape may call without a condition that zeros fail.
fn number(call: &str) -> i64 {
    let known = [
        ("accept4", libc::SYS_accept4),
        ("brk", libc::SYS_brk),
        ("clock_gettime", libc::SYS_clock_gettime),
        ("close", libc::SYS_close),
        ("exit_group", libc::SYS_exit_group),
        ("fadvise64", libc::SYS_fadvise64),
        ("fallocate", libc::SYS_fallocate),
        ("fdatasync", libc::SYS_fdatasync),
        ("fstat", libc::SYS_fstat),
        ("fstatfs", libc::SYS_fstatfs),
        ("fsync", libc::SYS_fsync),
        ("ftruncate", libc::SYS_ftruncate),
        ("getdents64", libc::SYS_getdents64),
        ("getrandom", libc::SYS_getrandom),
        ("linkat", libc::SYS_linkat),
        ("lseek", libc::SYS_lseek),
        ("mkdirat", libc::SYS_mkdirat),
        ("newfstatat", libc::SYS_newfstatat),
        ("openat", libc::SYS_openat),
        ("openat2", libc::SYS_openat2),
        ("ppoll", libc::SYS_ppoll),
        ("pread64", libc::SYS_pread64),
        ("preadv", libc::SYS_preadv),
        ("pwrite64", libc::SYS_pwrite64),
        ("pwritev", libc::SYS_pwritev),
        ("read", libc::SYS_read),
        ("readlinkat", libc::SYS_readlinkat),
        ("readv", libc::SYS_readv),
        ("recvmsg", libc::SYS_recvmsg),
        ("renameat", libc::SYS_renameat),
        ("rt_sigreturn", libc::SYS_rt_sigreturn),
        ("sched_yield", libc::SYS_sched_yield),
        ("shutdown", libc::SYS_shutdown),
        ("symlinkat", libc::SYS_symlinkat),
        ("unlinkat", libc::SYS_unlinkat),
        ("utimensat", libc::SYS_utimensat),
        ("write", libc::SYS_write),
        ("writev", libc::SYS_writev),
    ];
    known.iter().find(|(name, _)| *name == call).unwrap_or_else(|| panic!("add {call} to the numbers known here")).1
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
    // A call that blocks must not block forever.
    nix::unistd::alarm::set(5);
    if seal(plan).is_err() {
        wave_sandbox::exit(crate::child::REFUSED);
    }
    wave_sandbox::exit(raw(&[number]).err().unwrap_or(0))
}
