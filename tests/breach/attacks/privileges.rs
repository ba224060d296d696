//! Ids, capabilities, limits, and the layers that are in force already.

use libc::{RLIMIT_NOFILE, SYS_prctl};

use crate::probe::Kind::Other;
use crate::probe::{Probe, attack};
use crate::raw::call;

pub fn attacks() -> Vec<Probe> {
    let mut all = ids();
    all.extend(layers());
    all.extend(controls());
    all.extend(namespaces());
    all
}

fn ids() -> Vec<Probe> {
    vec![
        attack(Other, "T96", "become root", "setuid", |_| call!(libc::SYS_setuid, 0).map(drop)).needs_root(),
        attack(Other, "T96", "become root by `setresuid`", "setresuid", |_| {
            call!(libc::SYS_setresuid, 0, 0, 0).map(drop)
        })
        .needs_root(),
        attack(Other, "T96", "join group 0", "setgid", |_| call!(libc::SYS_setgid, 0).map(drop)).needs_root(),
        attack(Other, "T96", "other groups", "setgroups", |_| {
            let groups = [0_u32];
            call!(libc::SYS_setgroups, 1, groups.as_ptr()).map(drop)
        })
        .needs_root(),
        attack(Other, "T96", "identity for files alone", "setfsuid", |_| {
            // It answers with the identity from before, so the second call tells whether the first did anything.
            call!(libc::SYS_setfsuid, 1)?;
            crate::raw::happened(call!(libc::SYS_setfsuid, 1)? == 1)
        })
        .means_nothing_without_root(),
        attack(Other, "T96", "capabilities", "capset", |_| {
            let header = [0x2008_0522_u32, 0];
            // CAP_CHOWN alone.
            let sets = [1_u32, 1, 0, 0, 0, 0];
            call!(libc::SYS_capset, header.as_ptr(), sets.as_ptr()).map(drop)
        })
        .needs_root(),
        attack(Other, "T96", "another process group", "setpgid", |_| call!(libc::SYS_setpgid, 0, 0).map(drop)),
        attack(Other, "T96", "a session of its own", "setsid", |_| call!(libc::SYS_setsid).map(drop)),
    ]
}

fn layers() -> Vec<Probe> {
    vec![
        attack(Other, "T83", "another filter", "seccomp", |_| {
            let permit = libc::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
            let program = libc::sock_fprog { len: 1, filter: (&raw const permit).cast_mut() };
            let install = || call!(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program);
            or_without_new_privileges(install)
        }),
        attack(Other, "T83", "another filter by `prctl`", "prctl", |_| {
            let permit = libc::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
            let program = libc::sock_fprog { len: 1, filter: (&raw const permit).cast_mut() };
            let mode = libc::SECCOMP_MODE_FILTER;
            or_without_new_privileges(|| call!(SYS_prctl, libc::PR_SET_SECCOMP, mode, &raw const program, 0, 0))
        }),
        attack(Other, "T83", "another Landlock ruleset", "landlock_create_ruleset", |_| {
            let handled = 1_u64;
            let ruleset = call!(libc::SYS_landlock_create_ruleset, &raw const handled, 8, 0)?;
            or_without_new_privileges(|| call!(libc::SYS_landlock_restrict_self, ruleset, 0))
        }),
        attack(Other, "T83", "a Landlock ruleset enforced", "landlock_restrict_self", |_| {
            call!(libc::SYS_landlock_restrict_self, -1, 0).map(drop)
        })
        .reached(libc::EBADF)
        .needs_root(),
        attack(Other, "T82", "dumpable again", "prctl", |_| {
            call!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0).map(drop)
        }),
        attack(Other, "T82", "executable memory again (`PR_SET_MDWE`)", "prctl", |_| {
            call!(SYS_prctl, 65, 0, 0, 0, 0).map(drop)
        })
        .where_available(),
        attack(Other, "T82", "securebits", "prctl", |_| {
            call!(SYS_prctl, libc::PR_SET_SECUREBITS, 0, 0, 0, 0).map(drop)
        })
        .needs_root(),
    ]
}

/// Tries again after `no_new_privs` is set, which the kernel demands of a process without privileges.
fn or_without_new_privileges(attempt: impl Fn() -> Result<i64, i32>) -> Result<(), i32> {
    let again = |_| {
        call!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)?;
        attempt()
    };
    attempt().or_else(again).map(drop)
}

fn controls() -> Vec<Probe> {
    vec![
        attack(Other, "T82", "raise a limit to what it was", "prlimit64", |_| {
            let mut own = [0_u64; 2];
            call!(libc::SYS_prlimit64, 0, RLIMIT_NOFILE, 0, own.as_mut_ptr())?;
            let wanted = [1025_u64, 1025];
            call!(libc::SYS_prlimit64, 0, RLIMIT_NOFILE, wanted.as_ptr(), 0).map(drop)
        }),
        attack(Other, "T82", "limits by `setrlimit`", "setrlimit", |_| {
            let wanted = [1025_u64, 1025];
            call!(libc::SYS_setrlimit, RLIMIT_NOFILE, wanted.as_ptr()).map(drop)
        }),
        attack(Other, "T82", "name of the process", "prctl", |_| {
            call!(SYS_prctl, libc::PR_SET_NAME, c"innocent".as_ptr(), 0, 0, 0).map(drop)
        }),
        attack(Other, "T82", "memory layout (`PR_SET_MM`)", "prctl", |_| {
            let mut size = 0_u32;
            call!(SYS_prctl, libc::PR_SET_MM, libc::PR_SET_MM_MAP_SIZE, &raw mut size, 0, 0).map(drop)
        })
        .where_available(),
        attack(Other, "T82", "calls answered by the process (`PR_SET_SYSCALL_USER_DISPATCH`)", "prctl", |_| {
            call!(SYS_prctl, 59, 0, 0, 0, 0).map(drop)
        })
        .where_available(),
        attack(Other, "T82", "signal at the parent's end", "prctl", |_| {
            call!(SYS_prctl, libc::PR_SET_PDEATHSIG, 0, 0, 0, 0).map(drop)
        }),
        attack(Other, "T82", "adopt orphans", "prctl", |_| {
            call!(SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0).map(drop)
        }),
        attack(Other, "T104", "speculation", "prctl", |_| {
            call!(SYS_prctl, libc::PR_GET_SPECULATION_CTRL, 0, 0, 0, 0).map(drop)
        })
        .where_available(),
        attack(Other, "T82", "segment base", "arch_prctl", |_| {
            const SET_GS: i32 = 0x1001;
            call!(libc::SYS_arch_prctl, SET_GS, 0x1000).map(drop)
        }),
        attack(Other, "T82", "descriptor table of segments", "modify_ldt", |_| {
            let mut table = [0_u8; 64];
            call!(libc::SYS_modify_ldt, 0, table.as_mut_ptr(), table.len()).map(drop)
        })
        .where_available(),
        attack(Other, "T82", "personality", "personality", |_| {
            const ADDR_NO_RANDOMIZE: i32 = 0x4_0000;
            call!(libc::SYS_personality, ADDR_NO_RANDOMIZE).map(drop)
        }),
        attack(Other, "T82", "another handler of refused calls", "rt_sigaction", |_| {
            let default = [0_u64; 4];
            call!(libc::SYS_rt_sigaction, libc::SIGSYS, default.as_ptr(), 0, 8).map(drop)
        }),
        attack(Other, "T82", "ports of the machine (`iopl`)", "iopl", |_| call!(libc::SYS_iopl, 3).map(drop))
            .needs_root()
            .where_available(),
        attack(Other, "T82", "ports of the machine (`ioperm`)", "ioperm", |_| {
            call!(libc::SYS_ioperm, 0x80, 1, 1).map(drop)
        })
        .needs_root()
        .where_available(),
    ]
}

fn namespaces() -> Vec<Probe> {
    vec![
        attack(Other, "T86", "a user namespace", "unshare", |_| {
            call!(libc::SYS_unshare, libc::CLONE_NEWUSER).map(drop)
        }),
        attack(Other, "T86", "a mount namespace", "unshare", |_| call!(libc::SYS_unshare, libc::CLONE_NEWNS).map(drop))
            .needs_root(),
        attack(Other, "T86", "enter a namespace", "setns", |s| call!(libc::SYS_setns, s.rw, 0).map(drop))
            .reached(libc::EINVAL),
        attack(Other, "T94", "another root directory", "chroot", |s| {
            call!(libc::SYS_chroot, s.path("outside").as_ptr()).map(drop)
        })
        .needs_root()
        .with_own_mounts(),
        attack(Other, "T86", "another root mount", "pivot_root", |s| {
            let dir = s.path("rw/dir");
            call!(libc::SYS_mount, c"none".as_ptr(), dir.as_ptr(), c"tmpfs".as_ptr(), 0, 0)?;
            call!(libc::SYS_pivot_root, dir.as_ptr(), dir.as_ptr()).map(drop)
        })
        .needs_root()
        .with_own_mounts()
        .always(crate::probe::End::Denied("mount")),
        attack(Other, "T86", "mount a file system", "mount", |s| {
            let dir = s.path("rw/dir");
            call!(libc::SYS_mount, c"none".as_ptr(), dir.as_ptr(), c"tmpfs".as_ptr(), 0, 0).map(drop)
        })
        .needs_root()
        .with_own_mounts(),
        attack(Other, "T86", "mount the read-only grant once more, writable", "mount", |s| {
            let (from, to) = (s.path("ro"), s.path("rw/dir"));
            call!(libc::SYS_mount, from.as_ptr(), to.as_ptr(), 0, libc::MS_BIND, 0).map(drop)
        })
        .needs_root()
        .with_own_mounts(),
        attack(Other, "T86", "take a file system away", "umount2", |_| {
            call!(libc::SYS_umount2, c"/proc".as_ptr(), libc::MNT_DETACH).map(drop)
        })
        .needs_root()
        .with_own_mounts(),
        attack(Other, "T86", "a mount without a place (`fsopen`)", "fsopen", |_| {
            call!(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0).map(drop)
        })
        .needs_root(),
        attack(Other, "T86", "a copy of a mount (`open_tree`)", "open_tree", |s| {
            let path = s.path("outside");
            call!(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), 1).map(drop)
        })
        .needs_root()
        .with_own_mounts(),
        attack(Other, "T86", "move a mount", "open_tree", |s| {
            let (from, to) = (s.path("outside"), s.path("rw/dir"));
            let tree = call!(libc::SYS_open_tree, libc::AT_FDCWD, from.as_ptr(), 1)?;
            const FROM_EMPTY: i32 = 4;
            call!(libc::SYS_move_mount, tree, c"".as_ptr(), libc::AT_FDCWD, to.as_ptr(), FROM_EMPTY).map(drop)
        })
        .needs_root()
        .with_own_mounts(),
        attack(Other, "T86", "attributes of a mount", "mount_setattr", |_| {
            let read_only = [1_u64, 0, 0, 0];
            call!(libc::SYS_mount_setattr, libc::AT_FDCWD, c"/proc".as_ptr(), 0, read_only.as_ptr(), 32).map(drop)
        })
        .needs_root()
        .with_own_mounts(),
    ]
}
