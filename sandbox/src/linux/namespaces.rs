//! Namespaces of its own for the process.

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::stat;

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
    let before = numbers();
    match (unshare(all), before, numbers()) {
        (Err(errno), ..) => Namespaces::Refused(errno as i32),
        (Ok(()), Some(before), Some(after)) if before.iter().zip(&after).all(|(old, new)| old != new) => {
            Namespaces::Left
        }
        (Ok(()), Some(_), Some(_)) => Namespaces::Unchanged,
        (Ok(()), ..) => Namespaces::Unseen,
    }
}

/// Device and inode numbers of the current namespaces. Source: namespaces(7).
fn numbers() -> Option<[(u64, u64); 3]> {
    let number = |path| stat(path).ok().map(|found| (found.st_dev, found.st_ino));
    Some([number("/proc/self/ns/net")?, number("/proc/self/ns/ipc")?, number("/proc/self/ns/uts")?])
}

/// What the report says of the namespaces.
pub(crate) fn describe(namespaces: Namespaces) -> Result<String, Cause> {
    match namespaces {
        Namespaces::Left => Ok("network, ipc, uts".to_owned()),
        Namespaces::Refused(errno) => Err(Cause::refused("unshare")(Errno::from_raw(errno))),
        Namespaces::Unchanged => Err(Cause::StillThere("a namespace of the host")),
        Namespaces::Unseen => Err(Cause::Unseen("the namespaces", "no /proc")),
        Namespaces::Missing => Err(Cause::Platform(std::env::consts::OS)),
    }
}
