//! Parts of the kernel that no WASI function needs.

use crate::probe::Kind::Other;
use crate::probe::{End, Evidence, Probe, attack};
use crate::raw::call;
use crate::run::CHANGED_NAME;

pub fn attacks() -> Vec<Probe> {
    let mut all = interfaces();
    all.extend(machine());
    all.extend(waiting());
    all
}

fn interfaces() -> Vec<Probe> {
    vec![
        attack(Other, "T78", "io_uring", "io_uring_setup", |_| {
            let mut parameters = [0_u32; 30];
            call!(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()).map(drop)
        })
        .where_available(),
        attack(Other, "T78", "io_uring, use of a ring", "io_uring_enter", |_| {
            call!(libc::SYS_io_uring_enter, -1, 1, 0, 0, 0).map(drop)
        })
        .reached(libc::EBADF)
        .where_available(),
        attack(Other, "T78", "asynchronous input and output", "io_setup", |_| {
            let mut context = 0_u64;
            call!(libc::SYS_io_setup, 1, &raw mut context).map(drop)
        })
        .where_available(),
        attack(Other, "T86", "userfaultfd", "userfaultfd", |_| {
            const USER_MODE_ONLY: i32 = 1;
            call!(libc::SYS_userfaultfd, USER_MODE_ONLY).map(drop)
        })
        .where_available(),
        attack(Other, "T86", "a map of bpf", "bpf", |_| {
            // BPF_MAP_CREATE of an array: type, key of 4 bytes, value of 4 bytes, 1 entry.
            let mut attributes = [0_u32; 18];
            attributes[..4].copy_from_slice(&[2, 4, 4, 1]);
            call!(libc::SYS_bpf, 0, attributes.as_ptr(), 72).map(drop)
        })
        .needs_root()
        .where_available(),
        attack(Other, "T86", "performance events", "perf_event_open", |_| {
            // PERF_TYPE_SOFTWARE, size 64, PERF_COUNT_SW_CPU_CLOCK; exclude_kernel and exclude_hv.
            let mut attributes = [0_u64; 8];
            attributes[0] = 1 | (64 << 32);
            attributes[5] = 0b110_0000;
            call!(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0).map(drop)
        })
        .where_available(),
        attack(Other, "T86", "add a key", "add_key", |_| {
            const PROCESS_KEYRING: i32 = -2;
            let (kind, name) = (c"user".as_ptr(), c"wave".as_ptr());
            call!(libc::SYS_add_key, kind, name, name, 4, PROCESS_KEYRING).map(drop)
        })
        .where_available(),
        attack(Other, "T86", "ask for a key", "request_key", |_| {
            call!(libc::SYS_request_key, c"user".as_ptr(), c"wave-no-such".as_ptr(), 0, 0).map(drop)
        })
        .reached(libc::ENOKEY)
        .where_available(),
        attack(Other, "T86", "a keyring", "keyctl", |_| {
            const GET_KEYRING_ID: i32 = 0;
            const PROCESS_KEYRING: i32 = -2;
            call!(libc::SYS_keyctl, GET_KEYRING_ID, PROCESS_KEYRING, 1).map(drop)
        })
        .where_available(),
        attack(Other, "T79", "input to a terminal, as if typed", "ioctl", |s| {
            call!(libc::SYS_ioctl, s.terminal[0], libc::TIOCSTI, c"x".as_ptr()).map(drop)
        })
        .needs_root()
        .where_available(),
        attack(Other, "T79", "size of a terminal", "ioctl", |s| {
            let size = [1_u16, 1, 0, 0];
            call!(libc::SYS_ioctl, s.terminal[0], libc::TIOCSWINSZ, size.as_ptr()).map(drop)
        }),
        attack(Other, "T79", "how much a terminal has to read", "ioctl", |s| {
            let mut waiting = 0_i32;
            call!(libc::SYS_ioctl, s.terminal[0], libc::FIONREAD, &raw mut waiting).map(drop)
        }),
        attack(Other, "T81", "a message queue", "mq_open", |_| {
            let attributes = [0_i64, 1, 8, 0, 0, 0, 0, 0];
            let name = c"wave-breach";
            let queue =
                call!(libc::SYS_mq_open, name.as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o600, attributes.as_ptr());
            call!(libc::SYS_mq_unlink, name.as_ptr())?;
            queue.map(drop)
        })
        .where_available(),
        attack(Other, "T81", "a shared segment", "shmget", |_| {
            let segment = call!(libc::SYS_shmget, libc::IPC_PRIVATE, 4096, 0o600)?;
            call!(libc::SYS_shmctl, segment, libc::IPC_RMID, 0).map(drop)
        }),
        attack(Other, "T82", "locked memory", "mlock", |s| call!(libc::SYS_mlock, s.data, 4096).map(drop)),
    ]
}

/// The whole machine. Success of some would harm it even from within namespaces: their control ends with bad arguments.
fn machine() -> Vec<Probe> {
    vec![
        attack(Other, "T81", "name of the host", "sethostname", |_| {
            call!(libc::SYS_sethostname, CHANGED_NAME.as_ptr(), CHANGED_NAME.len()).map(drop)
        })
        .needs_root()
        .seen_by(Evidence::Hostname),
        attack(Other, "T81", "reboot", "reboot", |_| call!(libc::SYS_reboot, 0, 0, 0, 0).map(drop))
            .reached(libc::EINVAL)
            .needs_root(),
        attack(Other, "T81", "another kernel", "kexec_load", |_| call!(libc::SYS_kexec_load, 0, 0, 0, 1).map(drop))
            .reached(libc::EINVAL)
            .needs_root()
            .where_available(),
        attack(Other, "T81", "a kernel module", "init_module", |_| {
            call!(libc::SYS_init_module, 0, 0, c"".as_ptr()).map(drop)
        })
        .reached(libc::ENOEXEC)
        .needs_root()
        .where_available(),
        attack(Other, "T81", "a kernel module, taken out", "delete_module", |_| {
            call!(libc::SYS_delete_module, c"wave_no_such".as_ptr(), libc::O_NONBLOCK).map(drop)
        })
        .reached(libc::ENOENT)
        .needs_root()
        .where_available(),
        attack(Other, "T81", "the clock (no new time is given)", "settimeofday", |_| {
            call!(libc::SYS_settimeofday, 0, 0).map(drop)
        })
        .needs_root(),
        attack(Other, "T81", "speed of the clock, read", "adjtimex", |_| {
            let mut state = [0_u8; 256];
            call!(libc::SYS_adjtimex, state.as_mut_ptr()).map(drop)
        }),
        attack(Other, "T81", "accounting of processes", "acct", |_| call!(libc::SYS_acct, 0).map(drop)).needs_root(),
        attack(Other, "T81", "messages of the kernel", "syslog", |_| {
            const SIZE_UNREAD: i32 = 9;
            call!(libc::SYS_syslog, SIZE_UNREAD, 0, 0).map(drop)
        })
        .needs_root(),
        attack(Other, "T94", "swap to a file", "swapon", |s| {
            call!(libc::SYS_swapon, s.path("rw/file").as_ptr(), 0).map(drop)
        })
        .reached(libc::EINVAL)
        .needs_root()
        .where_available(),
        attack(Other, "T94", "quotas", "quotactl", |_| {
            const SYNC_USERS: i32 = 0x80_0001 << 8;
            call!(libc::SYS_quotactl, SYNC_USERS, 0, 0, 0).map(drop)
        })
        .where_available(),
        attack(Other, "T81", "hang up the terminal", "vhangup", |_| call!(libc::SYS_vhangup).map(drop)).needs_root(),
    ]
}

fn waiting() -> Vec<Probe> {
    vec![
        attack(Other, "T81", "a timer that sends signals", "timer_create", |_| {
            let mut timer = 0_i32;
            call!(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, 0, &raw mut timer).map(drop)
        }),
        attack(Other, "T81", "an alarm", "alarm", |_| call!(libc::SYS_alarm, 9).map(drop)),
        attack(Other, "T84", "a call that no kernel has", "unknown", |_| call!(1_000).map(drop))
            .reached(libc::ENOSYS)
            .always(End::Denied("unknown")),
    ]
}
