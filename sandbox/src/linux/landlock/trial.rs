//! The self-test: an access that worked before and that no grant allows. The kernel must deny it afterwards (T90).

use std::fs::File;
use std::io;

use ::landlock::{ABI, AccessFs, BitFlags};
use nix::errno::Errno;
use nix::sys::stat::{FileStat, fstat, stat};
use nix::unistd::isatty;

use super::rights;
use crate::plan::Grant;

/// An access to try. It changes nothing if it works.
#[derive(Clone, Copy)]
pub(super) enum Trial {
    /// Opens `/`.
    Root,
    /// Opens `/dev/null` for writing.
    Write,
    /// Controls a device. `/dev/null` has no controls, so the error is another one without Landlock.
    Control,
}

impl Trial {
    /// The first access that no grant allows and that works now; otherwise a denial would prove nothing. `None` if there is none.
    pub(super) fn choose(grants: &[Grant<'_>], abi: ABI) -> Option<Self> {
        let root_is_granted = grants.iter().any(is_root);
        let granted = grants.iter().fold(BitFlags::EMPTY, |all, grant| all | rights::of_access(grant.access));
        let can_be_denied = |trial: &Self| match trial {
            Self::Root => !root_is_granted,
            Self::Write => !granted.contains(AccessFs::WriteFile),
            Self::Control => abi >= ABI::V5,
        };
        [Self::Root, Self::Write, Self::Control].into_iter().find(|trial| can_be_denied(trial) && !trial.is_denied())
    }

    /// Whether Landlock denies the access. Another error than Landlock's does not count.
    pub(super) fn is_denied(self) -> bool {
        match self {
            Self::Root => has_permission_error(&File::open("/")),
            Self::Write => has_permission_error(&File::options().write(true).open(DEVICE)),
            // Opened again each time: Landlock decides at the opening what a descriptor may do.
            Self::Control => match File::open(DEVICE) {
                Ok(device) => isatty(device) == Err(Errno::EACCES),
                failed => has_permission_error(&failed),
            },
        }
    }

    /// What it accesses, for an error message.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Root => "the directory `/`",
            Self::Write => "the device /dev/null for writing",
            Self::Control => "a control of the device /dev/null",
        }
    }
}

const DEVICE: &str = "/dev/null";

fn has_permission_error(opened: &io::Result<File>) -> bool {
    opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn is_root(grant: &Grant<'_>) -> bool {
    let id = |metadata: FileStat| (metadata.st_dev, metadata.st_ino);
    match (fstat(grant.fd), stat("/")) {
        (Ok(granted), Ok(root)) => id(granted) == id(root),
        // If it is unknown, `/` counts as granted: the other accesses do not depend on it.
        _ => true,
    }
}
