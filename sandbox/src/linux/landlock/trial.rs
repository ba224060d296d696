//! The self-test: something that worked before, that no grant allows, and that must be refused afterwards (T90).

use std::fs::File;
use std::io;

use ::landlock::{ABI, AccessFs, BitFlags};
use nix::errno::Errno;
use nix::sys::stat::{FileStat, fstat, stat};
use nix::unistd::isatty;

use super::rights_of;
use crate::Grant;

/// One thing to try. None of them changes anything should it work.
#[derive(Clone, Copy)]
pub(super) enum Trial {
    /// Opens `/`.
    Root,
    /// Opens `/dev/null` for writing.
    Write,
    /// A control of a device. `/dev/null` has none, so that the answer is another one without Landlock.
    Control,
}

impl Trial {
    /// The first that no grant allows and that works now: else its refusal would say nothing. `None` when there is
    /// none.
    pub(super) fn choose(grants: &[Grant<'_>], abi: ABI) -> Option<Self> {
        let root_is_granted = grants.iter().any(is_root);
        let granted = grants.iter().fold(BitFlags::EMPTY, |all, grant| all | rights_of(grant.access));
        let can_refuse = |trial: &Self| match trial {
            Self::Root => !root_is_granted,
            Self::Write => !granted.contains(AccessFs::WriteFile),
            Self::Control => abi >= ABI::V5,
        };
        [Self::Root, Self::Write, Self::Control].into_iter().find(|trial| can_refuse(trial) && !trial.is_refused())
    }

    /// Whether Landlock refuses it; a refusal with another error than Landlock's does not count as one.
    pub(super) fn is_refused(self) -> bool {
        match self {
            Self::Root => is_denied(&File::open("/")),
            Self::Write => is_denied(&File::options().write(true).open(DEVICE)),
            // Opened anew each time: Landlock notes at the opening what a descriptor may do.
            Self::Control => match File::open(DEVICE) {
                Ok(device) => isatty(device) == Err(Errno::EACCES),
                refused => is_denied(&refused),
            },
        }
    }

    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Root => "the directory `/`",
            Self::Write => "the device /dev/null for writing",
            Self::Control => "a control of the device /dev/null",
        }
    }
}

const DEVICE: &str = "/dev/null";

fn is_denied(opened: &io::Result<File>) -> bool {
    opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn is_root(grant: &Grant<'_>) -> bool {
    let id = |metadata: FileStat| (metadata.st_dev, metadata.st_ino);
    match (fstat(grant.fd), stat("/")) {
        (Ok(granted), Ok(root)) => id(granted) == id(root),
        // Unknown counts as granted: the other trials do not depend on it.
        _ => true,
    }
}
