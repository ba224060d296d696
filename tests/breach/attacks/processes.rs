//! Other processes, and programs in place of this one.

use std::sync::atomic::Ordering;

use libc::{AT_EMPTY_PATH, AT_FDCWD, SIGTERM};

use crate::probe::Kind::{Exec, Other};
use crate::probe::{End, Evidence, Probe, attack};
use crate::raw::{self, call, happened};
use crate::scene::{SECRET, Scene, VALUE};

pub fn attacks() -> Vec<Probe> {
    let mut all = making();
    all.extend(running());
    all.extend(signals());
    all.extend(touching());
    all
}

fn making() -> Vec<Probe> {
    vec![
        attack(Other, "T81", "`fork`", "fork", |_| child(call!(libc::SYS_fork)?)),
        attack(Other, "T81", "`vfork`", "vfork", |_| raw::vfork()),
        attack(Other, "T81", "`clone`", "clone", |_| child(call!(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)?)),
        attack(Other, "T81", "`clone3`", "clone3", |_| {
            let mut arguments = [0_u64; 11];
            arguments[4] = libc::SIGCHLD as u64;
            child(call!(libc::SYS_clone3, arguments.as_ptr(), 88)?)
        }),
    ]
}

fn running() -> Vec<Probe> {
    let all = vec![
        attack(Exec, "T81", "run a program outside", "execve", |s| execute(s, "outside/program")),
        attack(Exec, "T81, T92", "run a program of the writable grant", "execve", |s| execute(s, "rw/program")),
        attack(Exec, "T81", "run a program by its descriptor", "execveat", |s| {
            let none = [0_u64];
            let name = c"program".as_ptr();
            call!(libc::SYS_execveat, s.rw, name, none.as_ptr(), none.as_ptr(), 0).map(drop)
        }),
        attack(Exec, "T81", "run a program from memory", "memfd_create", |s| {
            let file = call!(libc::SYS_memfd_create, c"program".as_ptr(), 0)?;
            call!(libc::SYS_write, file, s.program.as_ptr(), s.program.len())?;
            let none = [0_u64];
            call!(libc::SYS_execveat, file, c"".as_ptr(), none.as_ptr(), none.as_ptr(), AT_EMPTY_PATH).map(drop)
        }),
    ];
    all.into_iter().map(|probe| probe.seen_by(Evidence::Executed)).collect()
}

fn signals() -> Vec<Probe> {
    let all = vec![
        attack(Other, "T81", "a signal to the parent", "kill", |s| call!(libc::SYS_kill, s.parent, SIGTERM).map(drop)),
        attack(Other, "T81", "a signal to a sibling", "kill", |s| call!(libc::SYS_kill, s.sibling, SIGTERM).map(drop)),
        attack(Other, "T81", "a signal to everybody", "kill", |_| call!(libc::SYS_kill, -1, SIGTERM).map(drop)),
        attack(Other, "T81", "a signal by `tkill`", "tkill", |s| call!(libc::SYS_tkill, s.sibling, SIGTERM).map(drop)),
        attack(Other, "T81", "a signal by `tgkill`", "tgkill", |s| {
            call!(libc::SYS_tgkill, s.sibling, s.sibling, SIGTERM).map(drop)
        }),
        attack(Other, "T81", "a signal by `rt_sigqueueinfo`", "rt_sigqueueinfo", |s| {
            call!(libc::SYS_rt_sigqueueinfo, s.sibling, SIGTERM, queued().as_ptr()).map(drop)
        }),
        attack(Other, "T81", "a signal by `rt_tgsigqueueinfo`", "rt_tgsigqueueinfo", |s| {
            call!(libc::SYS_rt_tgsigqueueinfo, s.sibling, s.sibling, SIGTERM, queued().as_ptr()).map(drop)
        }),
        attack(Other, "T81", "a signal by a descriptor that was kept", "pidfd_send_signal", |s| {
            call!(libc::SYS_pidfd_send_signal, s.pidfd, SIGTERM, 0, 0).map(drop)
        }),
        attack(Other, "T81", "a signal when input comes (`F_SETOWN`)", "fcntl", |s| {
            const F_SETSIG: i32 = 10;
            let (mut pair, on) = ([0_i32; 2], libc::O_ASYNC);
            // A pipe that was open before would do; here the first call is the one that counts.
            call!(libc::SYS_fcntl, 0, libc::F_SETOWN, s.sibling)?;
            call!(libc::SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr())?;
            call!(libc::SYS_fcntl, pair[0], libc::F_SETOWN, s.sibling)?;
            call!(libc::SYS_fcntl, pair[0], F_SETSIG, SIGTERM)?;
            call!(libc::SYS_fcntl, pair[0], libc::F_SETFL, on)?;
            call!(libc::SYS_write, pair[1], c"x".as_ptr(), 1).map(drop)
        }),
    ];
    all.into_iter().map(|probe| probe.seen_by(Evidence::Hit).on_others()).collect()
}

fn touching() -> Vec<Probe> {
    let all = vec![
        attack(Other, "T81", "trace a sibling", "ptrace", |s| {
            call!(libc::SYS_ptrace, libc::PTRACE_SEIZE, s.sibling, 0, 0).map(drop)
        }),
        attack(Other, "T81", "be traced by the parent", "ptrace", |_| {
            call!(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0).map(drop)
        }),
        attack(Other, "T81", "read memory of a sibling", "process_vm_readv", |s| {
            let mut value = 0_u64;
            let (to, from) = ([&raw mut value as u64, 8], [VALUE.as_ptr() as u64, 8]);
            call!(libc::SYS_process_vm_readv, s.sibling, to.as_ptr(), 1, from.as_ptr(), 1, 0)?;
            happened(value == SECRET && VALUE.load(Ordering::Relaxed) == 0)
        }),
        attack(Other, "T81", "write memory of a sibling", "process_vm_writev", |s| {
            let value = 1_u64;
            let (from, to) = ([&raw const value as u64, 8], [VALUE.as_ptr() as u64, 8]);
            let written = call!(libc::SYS_process_vm_writev, s.sibling, from.as_ptr(), 1, to.as_ptr(), 1, 0)?;
            happened(written == 8)
        }),
        attack(Other, "T24, T81", "read memory of a sibling by procfs", "openat", |s| {
            let path = proc_mem(s.sibling);
            let memory = call!(libc::SYS_openat, AT_FDCWD, path.as_ptr(), libc::O_RDONLY)?;
            let mut value = 0_u64;
            call!(libc::SYS_pread64, memory, &raw mut value, 8, VALUE.as_ptr())?;
            happened(value == SECRET)
        })
        .with_files(End::Errno(libc::EACCES)),
        attack(Other, "T81", "take a descriptor of a sibling", "pidfd_getfd", |s| {
            call!(libc::SYS_pidfd_getfd, s.pidfd, 0, 0).map(drop)
        }),
        attack(Other, "T81", "a descriptor of a sibling", "pidfd_open", |s| {
            call!(libc::SYS_pidfd_open, s.sibling, 0).map(drop)
        }),
        attack(Other, "T81", "resource limits of a sibling", "prlimit64", |s| {
            let limit = [64_u64, 64];
            call!(libc::SYS_prlimit64, s.sibling, libc::RLIMIT_NOFILE, limit.as_ptr(), 0).map(drop)
        }),
        attack(Other, "T81", "priority of a sibling", "setpriority", |s| {
            call!(libc::SYS_setpriority, libc::PRIO_PROCESS, s.sibling, 19).map(drop)
        }),
        attack(Other, "T81", "processors of a sibling", "sched_setaffinity", |s| {
            let first = 1_u64;
            call!(libc::SYS_sched_setaffinity, s.sibling, 8, &raw const first).map(drop)
        }),
        attack(Other, "T81", "scheduling of a sibling", "sched_setscheduler", |s| {
            let priority = 0_i32;
            call!(libc::SYS_sched_setscheduler, s.sibling, libc::SCHED_BATCH, &raw const priority).map(drop)
        }),
        attack(Other, "T81", "disk priority of a sibling", "ioprio_set", |s| {
            const IDLE: i32 = 3 << 13;
            call!(libc::SYS_ioprio_set, 1, s.sibling, IDLE).map(drop)
        }),
        attack(Other, "T81", "pages of a sibling, moved", "migrate_pages", |s| {
            let nodes = 1_u64;
            call!(libc::SYS_migrate_pages, s.sibling, 8, &raw const nodes, &raw const nodes).map(drop)
        })
        .where_available(),
        attack(Other, "T81", "compare with a sibling", "kcmp", |s| {
            call!(libc::SYS_kcmp, s.parent, s.sibling, 2, 0, 0).map(drop)
        })
        .where_available(),
        attack(Other, "T81", "advice on memory of a sibling", "process_madvise", |s| {
            let range = [VALUE.as_ptr() as u64 & !0xfff, 4096];
            call!(libc::SYS_process_madvise, s.pidfd, range.as_ptr(), 1, libc::MADV_COLD, 0).map(drop)
        })
        .needs_root(),
    ];
    all.into_iter().map(Probe::on_others).collect()
}

/// Ends a child at once.
fn child(pid: i64) -> Result<(), i32> {
    if pid == 0 {
        wave_sandbox::exit(0);
    }
    Ok(())
}

fn execute(s: &Scene, name: &str) -> Result<(), i32> {
    let none = [0_u64];
    call!(libc::SYS_execve, s.path(name).as_ptr(), none.as_ptr(), none.as_ptr()).map(drop)
}

/// `siginfo_t` of a signal that a process sends.
fn queued() -> [i32; 32] {
    let mut info = [0; 32];
    info[0] = SIGTERM;
    info[2] = libc::SI_QUEUE;
    info
}

/// `/proc/PID/mem`, without the allocator.
fn proc_mem(pid: i32) -> [u8; 32] {
    let mut path = [0; 32];
    path[..6].copy_from_slice(b"/proc/");
    let (mut digits, mut rest, mut at) = ([0; 10], pid.unsigned_abs(), 10);
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let len = 10 - at;
    path[6..6 + len].copy_from_slice(&digits[at..]);
    path[6 + len..10 + len].copy_from_slice(b"/mem");
    path
}
