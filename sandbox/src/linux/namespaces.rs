//! Namespaces of its own for the process.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, readlinkat};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;

use crate::error::Cause;
use crate::plan::Namespaces;

/// Moves the process into new network, IPC and UTS namespaces. The network has only an interface that is down, so nothing can be
/// reached. Needs `CAP_SYS_ADMIN`.
///
/// This is a part of the seal that can come early, because the steps before the seal use nothing that it takes away: open
/// sockets stay in their network. It should come early, because it costs more than all the other parts together, and the
/// process may have to wait for something else meanwhile. The result goes into
/// [`SealPlan::namespaces`](crate::SealPlan::namespaces).
#[must_use]
pub fn leave_namespaces() -> Namespaces {
    let all = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    let links = links();
    let names = || links.as_ref().and_then(names);
    let before = names();
    match (unshare(all), before, names()) {
        (Err(errno), ..) => Namespaces::Refused(errno as i32),
        (Ok(()), Some(before), Some(after)) if before.iter().zip(&after).all(|(old, new)| old != new) => {
            Namespaces::Left
        }
        (Ok(()), Some(_), Some(_)) => Namespaces::Unchanged,
        (Ok(()), ..) => Namespaces::Unseen,
    }
}

/// The directory of the links to the namespaces of this process.
fn links() -> Option<OwnedFd> {
    open("/proc/self/ns", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

/// The current namespaces, each with its number: `net:[4026531840]`. Source: namespaces(7).
fn names(links: &OwnedFd) -> Option<[OsString; 3]> {
    let name = |link| readlinkat(links.as_fd(), link).ok();
    Some([name("net")?, name("ipc")?, name("uts")?])
}

/// What the report says of the namespaces.
pub(crate) fn describe(namespaces: Namespaces) -> Result<String, Cause> {
    match namespaces {
        Namespaces::Left => Ok("network, ipc, uts".to_owned()),
        Namespaces::Refused(errno) => Err(Cause::refused("unshare")(Errno::from_raw(errno))),
        Namespaces::Unchanged => Err(Cause::StillThere("a namespace of the host")),
        Namespaces::Unseen => Err(Cause::Unseen("the namespaces", "no /proc")),
        Namespaces::Missing => Err(Cause::Platform("leave namespaces", std::env::consts::OS)),
    }
}
