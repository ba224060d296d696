//! Namespaces in which attacks that succeed harm nobody.

use std::fs;
use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, setgroups, setresgid, setresuid};

use crate::raw::call;

/// Who starts the sealed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Root,
    Ordinary,
}

const NOBODY: u32 = 65534;

impl User {
    /// Root can be both; an ordinary user is one.
    pub fn available() -> &'static [Self] {
        if nix::unistd::geteuid().is_root() { &[Self::Root, Self::Ordinary] } else { &[Self::Ordinary] }
    }

    /// The owner of the files in the scene: whom the sealed process runs as.
    pub fn owner(self) -> u32 {
        match self {
            Self::Root => crate::scene::IDENTITY,
            Self::Ordinary if nix::unistd::geteuid().is_root() => NOBODY,
            Self::Ordinary => nix::unistd::geteuid().as_raw(),
        }
    }

    /// Becomes this user, with no capability that an ordinary user has not.
    pub fn become_it(self) {
        if self == Self::Root {
            return;
        }
        if nix::unistd::geteuid().is_root() {
            let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            setgroups(&[]).expect("root");
            setresgid(gid, gid, gid).expect("root");
            setresuid(uid, uid, uid).expect("root");
        } else {
            // The namespace of the cage gave them.
            let header = [0x2008_0522_u32, 0];
            let none = [0_u32; 6];
            call!(libc::SYS_capset, header.as_ptr(), none.as_ptr()).expect("own capabilities");
        }
        // Gone with the change of ids, and part of what is tested.
        call!(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1).expect("own flag");
    }
}

/// Mount, PID, UTS, IPC and network namespaces, and what runs in them.
pub struct Cage(Pid);

impl Cage {
    /// Runs `inside` as the first process of namespaces of its own.
    pub fn start(inside: impl FnOnce()) -> Self {
        // SAFETY: the harness has one thread.
        match unsafe { fork() }.expect("a process") {
            ForkResult::Parent { child } => Self(child),
            ForkResult::Child => {
                leave();
                // SAFETY: as above. The first child is process 1 of the new namespace.
                match unsafe { fork() }.expect("a process") {
                    ForkResult::Parent { child } => {
                        std::process::exit(i32::from(waitpid(child, None) != Ok(WaitStatus::Exited(child, 0))))
                    }
                    ForkResult::Child => {
                        let none: Option<&str> = None;
                        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("own mounts");
                        mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none).expect("own processes");
                        raise_loopback().expect("own network");
                        inside();
                        std::process::exit(0);
                    }
                }
            }
        }
    }

    /// Whether there can be one.
    pub fn is_possible() -> bool {
        // What is missing is said in one line, not as a panic.
        std::panic::set_hook(Box::new(|_| ()));
        // In a rootless container, root can give files to few others.
        let gives_away = || {
            if nix::unistd::geteuid().is_root() {
                let file = tempfile::NamedTempFile::new().expect("a temporary file");
                std::os::unix::fs::chown(file.path(), Some(crate::scene::IDENTITY), None).expect("all ids are there");
            }
        };
        let is_possible = Self::start(gives_away).ended_well();
        drop(std::panic::take_hook());
        is_possible
    }

    /// Waits for the end; whether `inside` returned.
    pub fn ended_well(self) -> bool {
        waitpid(self.0, None) == Ok(WaitStatus::Exited(self.0, 0))
    }
}

fn leave() {
    let all = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWNET;
    if nix::unistd::geteuid().is_root() {
        return unshare(all).expect("root makes namespaces");
    }
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    unshare(all | CloneFlags::CLONE_NEWUSER).expect("this test needs root, or user namespaces for everybody");
    fs::write("/proc/self/setgroups", "deny").expect("own namespace");
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).expect("own namespace");
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).expect("own namespace");
}

fn raise_loopback() -> io::Result<()> {
    const FLAGS_OFFSET: usize = 16;
    const UP: u16 = 1;
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // `struct ifreq`: a name of 16 bytes, then flags.
    let mut request = [0_u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[FLAGS_OFFSET..FLAGS_OFFSET + 2].copy_from_slice(&UP.to_le_bytes());
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    call!(libc::SYS_ioctl, fd, libc::SIOCSIFFLAGS, request.as_ptr()).map(drop).map_err(io::Error::from_raw_os_error)
}
