//! Objects without a handle: macOS has no `O_PATH`, and opening a device or a FIFO only to look at it has effects.
//!
//! An object is found by its directory and its name in it, and is never opened. The last call on it follows no link, so
//! whatever has the name by then is in the same directory, under the grant.

use crate::Failure;
use crate::resolve::escape;
use crate::wait::{Interrupted, retry_interrupted};
use crate::walk::{Answer, walk};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timestamps, fstat, futimens, openat, statat, utimensat};
use rustix::io::Errno as Host;
use std::os::fd::{BorrowedFd, OwnedFd};
use wave_monitor::{Errno, Rule};

/// Flags for a directory that paths start from. It must be readable, which Linux does not ask for.
pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::DIRECTORY);

/// An object that was found.
#[derive(Debug)]
pub(crate) struct Handle {
    dir: OwnedFd,
    /// Its name in the directory. `None`: the directory itself.
    name: Option<Vec<u8>>,
}

impl Handle {
    /// Sets the timestamps of the object.
    pub(crate) fn set_times(&self, times: &Timestamps) -> rustix::io::Result<()> {
        match &self.name {
            Some(name) => utimensat(&self.dir, &**name, times, AtFlags::SYMLINK_NOFOLLOW),
            None => futimens(&self.dir, times),
        }
    }

    /// The directory to ask for the file system of the object: the object itself if it is a directory.
    pub(super) fn directory(&self, found: &Stat, interrupted: Interrupted) -> Result<OwnedFd, Failure> {
        let name = self.name.as_deref().filter(|_| is(found, FileType::Directory)).unwrap_or(b".");
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        retry_interrupted(interrupted, || openat(&self.dir, name, flags, Mode::empty()))
    }
}

/// Finds what `path` leads to under `top`. `follow`: follow a final link, too. `slash`: it has to be a directory, and a
/// link to one is followed in any case; if it leads out of the grant, the answer is that of a link (T17).
pub(super) fn find(
    top: BorrowedFd<'_>,
    path: &[u8],
    follow: bool,
    slash: bool,
    interrupted: Interrupted,
) -> Result<(Handle, Stat), Failure> {
    let mut followed = false;
    let found = walk(top, path, interrupted, |last| {
        let Some(name) = last.name else {
            return Ok(Answer::Found((Handle { dir: own(last.dir)?, name: None }, fstat(last.dir)?)));
        };
        let found = retry_interrupted(interrupted, || statat(last.dir, name, AtFlags::SYMLINK_NOFOLLOW))?;
        let slash = slash || last.has_slash;
        if is(&found, FileType::Symlink) && (follow || slash || followed) {
            followed = true;
            return Ok(Answer::Link { to_directory: slash });
        }
        if slash && !is(&found, FileType::Directory) {
            return Err(Host::NOTDIR.into());
        }
        Ok(Answer::Found((Handle { dir: own(last.dir)?, name: Some(name.to_vec()) }, found)))
    });
    match found {
        Err(failure) if failure == escape() && followed && !follow => Err(Errno::NOTDIR.because(Rule::Beneath).into()),
        found => found,
    }
}

/// Removes a name that is not a directory. The error for a directory is Linux's: macOS says `EPERM`, as for a file that may
/// not be removed (`unlink(2)`).
pub(crate) fn unlink(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Host::PERM)
            if statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|found| is(&found, FileType::Directory)) =>
        {
            Err(Host::ISDIR)
        }
        done => done,
    }
}

fn own(dir: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    dir.try_clone_to_owned().map_err(|error| Host::from_io_error(&error).unwrap_or(Host::IO).into())
}

fn is(found: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(found.st_mode) == kind
}
