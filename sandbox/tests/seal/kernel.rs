//! A faked kernel: a supervisor answers the child's Landlock calls (seccomp_unotify(2)).
//!
//! `kernel=abi:N` reports the ABI N (0: Landlock is off); `hide:ERRNO` fails every Landlock call, as an outer filter would; `hollow`
//! reports that it restricts and does not. The supervisor prints each call on a line of standard output.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use landlock::{ABI, Access as _, AccessFs, AccessNet, Scope};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::child::raw;

// Source: `linux/seccomp.h`, `linux/landlock.h`.
const NOTIF_RECV: i64 = 0xc050_2100;
const NOTIF_SEND: i64 = 0xc018_2101;
const NOTIF_ADDFD: i64 = 0x4018_2103;
const CREATE_RULESET_VERSION: u64 = 1;
const CALLS: [i64; 3] =
    [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];

#[derive(Clone, Copy)]
enum Kernel {
    Abi(i32),
    Hidden(i32),
    Hollow,
}

impl Kernel {
    fn parse(text: &str) -> Self {
        let number = |text: &str| text.parse().expect("a number");
        match text.split_once(':') {
            Some(("abi", abi)) => Self::Abi(number(abi)),
            Some(("hide", errno)) => Self::Hidden(number(errno)),
            None if text == "hollow" => Self::Hollow,
            _ => panic!("unknown kernel {text}"),
        }
    }
}

/// Returns in a child process. This process answers its Landlock calls as `text` says, and ends with its status.
pub fn pretend(text: &str) {
    let kernel = Kernel::parse(text);
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    let (mut taken, take_note) = std::io::pipe().expect("a pipe");
    // SAFETY: this process has one thread, so the copy of its memory has no lock that another one holds.
    match unsafe { fork() }.expect("a child") {
        ForkResult::Child => {
            let listener = listen();
            writer.write_all(&listener.to_ne_bytes()).expect("the supervisor reads");
            drop(take_note);
            // The child will not be dumpable, so the supervisor takes the descriptor now. It closes its end of the pipe then.
            assert_eq!(taken.read(&mut [0]).expect("the supervisor is there"), 0);
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut number = [0; 4];
            reader.read_exact(&mut number).expect("the number of a descriptor");
            let listener = take(child, RawFd::from_ne_bytes(number));
            drop(take_note);
            supervise(kernel, &listener);
            let status = match waitpid(child, None).expect("own child") {
                WaitStatus::Exited(_, code) => code,
                WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
                other => panic!("{other:?}"),
            };
            std::process::exit(status);
        }
    }
}

/// Sends the Landlock calls of this thread to the process that has the descriptor.
fn listen() -> RawFd {
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let number = |call: i64| u32::try_from(call).expect("a system call");
    // Load the number; ask for one of the three; permit the rest.
    let mut steps = [
        step(0x20, 0, 0, 0),
        step(0x15, 3, 0, number(CALLS[0])),
        step(0x15, 2, 0, number(CALLS[1])),
        step(0x15, 1, 0, number(CALLS[2])),
        step(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
        step(0x06, 0, 0, libc::SECCOMP_RET_USER_NOTIF),
    ];
    let program = libc::sock_fprog { len: 6, filter: steps.as_mut_ptr() };
    nix::sys::prctl::set_no_new_privs().expect("no_new_privs is free");
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER.cast_signed();
    let mode = libc::SECCOMP_SET_MODE_FILTER.into();
    let fd = raw(&[libc::SYS_seccomp, mode, flags, (&raw const program) as i64]).expect("a filter");
    RawFd::try_from(fd).expect("a descriptor")
}

/// A copy of a descriptor of the child.
fn take(child: Pid, number: RawFd) -> OwnedFd {
    let process = owned(raw(&[libc::SYS_pidfd_open, child.as_raw().into(), 0]).expect("the child runs"));
    let fd = raw(&[libc::SYS_pidfd_getfd, process.as_raw_fd().into(), number.into(), 0]);
    owned(fd.expect("this process may trace its child"))
}

fn owned(fd: i64) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for this process, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).expect("a descriptor")) }
}

fn supervise(kernel: Kernel, listener: &OwnedFd) {
    let fd: i64 = listener.as_raw_fd().into();
    loop {
        // Hung up: the child has ended.
        let mut waiting = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        raw(&[libc::SYS_poll, (&raw mut waiting) as i64, 1, -1]).expect("poll");
        if waiting.revents & libc::POLLIN == 0 {
            return;
        }
        // SAFETY: all fields are numbers; the kernel demands zeroes.
        let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // ENOENT: the child ended in between.
        if raw(&[libc::SYS_ioctl, fd, NOTIF_RECV, (&raw mut asked) as i64]).is_err() {
            continue;
        }
        answer(kernel, fd, &asked);
    }
}

enum Answer {
    /// The kernel does it.
    Kernel,
    /// The call returns this; negative: an error number.
    Value(i64),
    /// The call returns this descriptor.
    Descriptor(OwnedFd),
}

fn answer(kernel: Kernel, listener: i64, asked: &libc::seccomp_notif) {
    let result = match decide(kernel, asked) {
        Answer::Descriptor(fd) => {
            let srcfd = fd.as_raw_fd().cast_unsigned();
            let flags = u32::try_from(libc::SECCOMP_ADDFD_FLAG_SEND).expect("one bit");
            let add = libc::seccomp_notif_addfd { id: asked.id, flags, srcfd, newfd: 0, newfd_flags: 0 };
            raw(&[libc::SYS_ioctl, listener, NOTIF_ADDFD, (&raw const add) as i64])
        }
        answer => {
            let (val, error, flags) = match answer {
                Answer::Value(value) if value < 0 => (0, i32::try_from(value).expect("an error number"), 0),
                Answer::Value(value) => (value, 0, 0),
                _ => (0, 0, u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).expect("one bit")),
            };
            let answer = libc::seccomp_notif_resp { id: asked.id, val, error, flags };
            raw(&[libc::SYS_ioctl, listener, NOTIF_SEND, (&raw const answer) as i64])
        }
    };
    result.expect("the child waits for the answer");
}

fn decide(kernel: Kernel, asked: &libc::seccomp_notif) -> Answer {
    let call = i64::from(asked.data.nr);
    let [first, second, third, ..] = asked.data.args;
    let is_version = call == libc::SYS_landlock_create_ruleset && first == 0 && third == CREATE_RULESET_VERSION;
    if !is_version {
        print_call(call, asked.pid, if call == libc::SYS_landlock_add_rule { third } else { first }, second);
    }
    match kernel {
        Kernel::Hidden(errno) => Answer::Value(-i64::from(errno)),
        Kernel::Abi(0) if is_version => Answer::Value(-i64::from(libc::EOPNOTSUPP)),
        Kernel::Abi(abi) if is_version => Answer::Value(abi.into()),
        // The real kernel refuses rights that it does not know, so the ruleset is made without them.
        Kernel::Abi(abi) if call == libc::SYS_landlock_create_ruleset && abi > real_abi() => {
            Answer::Descriptor(largest_ruleset())
        }
        Kernel::Hollow if call == libc::SYS_landlock_restrict_self => Answer::Value(0),
        _ => Answer::Kernel,
    }
}

/// The ABI of the real kernel.
pub fn real_abi() -> i32 {
    let abi = raw(&[libc::SYS_landlock_create_ruleset, 0, 0, CREATE_RULESET_VERSION.cast_signed()]);
    i32::try_from(abi.expect("a kernel with Landlock")).expect("a small number")
}

/// A ruleset that handles everything that the kernel and the crate know.
fn largest_ruleset() -> OwnedFd {
    let abi = ABI::from(real_abi());
    let ruleset = [AccessFs::from_all(abi).bits(), AccessNet::from_all(abi).bits(), Scope::from_all(abi).bits()];
    let size = match abi {
        ABI::V1 | ABI::V2 | ABI::V3 => 8,
        ABI::V4 | ABI::V5 => 16,
        _ => 24,
    };
    owned(raw(&[CALLS[0], (&raw const ruleset) as i64, size, 0]).expect("a ruleset"))
}

/// Prints a call, with the contents at its argument if this process may read them.
fn print_call(call: i64, pid: u32, at: u64, size: u64) {
    let words = |count: usize| {
        let mut bytes = vec![0_u8; count * 8];
        let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let remote = libc::iovec { iov_base: at as *mut libc::c_void, iov_len: bytes.len() };
        let (local, remote) = ((&raw const local) as i64, (&raw const remote) as i64);
        raw(&[libc::SYS_process_vm_readv, pid.into(), local, 1, remote, 1, 0]).ok()?;
        Some(bytes.chunks(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes"))).collect::<Vec<_>>())
    };
    match call {
        libc::SYS_landlock_create_ruleset => {
            let words = words(usize::try_from(size / 8).expect("a small size"));
            println!("create {}", words.map_or_else(unreadable, |words| format!("{words:x?}")));
        }
        libc::SYS_landlock_add_rule => {
            println!("rule {}", words(1).map_or_else(unreadable, |words| format!("{:x}", words[0])));
        }
        _ => println!("restrict"),
    }
}

/// The child is not dumpable by then, so only root may look.
fn unreadable() -> String {
    "?".to_owned()
}
