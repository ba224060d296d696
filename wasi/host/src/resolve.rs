//! From a path to an object under its grant.
//!
//! A single name takes one system call that follows no link. The kernel resolves any other path in one step, with
//! `openat2(2)`. It refuses to leave the directory by `..`, by an absolute link or by a magic link, even if directories
//! on the path are renamed meanwhile (T14 to T18, T23). `walk` does the same where the kernel has no `openat2`.

use crate::{Failure, Wasi, platform, walk};
use rustix::fs::{Mode, OFlags, Stat, fstat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use wave_monitor::{DirectoryPath, Errno, Rule};

/// How paths of more than one component, and links, are resolved. Both ways find the same objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolver {
    /// The kernel, by `openat2`.
    #[default]
    Kernel,
    /// This crate, by one `openat` for each component.
    Manual,
}

impl Resolver {
    /// The kernel if it has `openat2` and no filter around this process denies it (T88).
    ///
    /// Host syscalls: `openat2`, `close`.
    #[must_use]
    pub fn detect() -> Self {
        if platform::has_openat2() { Self::Kernel } else { Self::Manual }
    }
}

/// The directory that contains the last component of a path.
pub(crate) enum Parent<'w> {
    /// The directory that the guest has open.
    Held(BorrowedFd<'w>),
    /// A directory under it.
    Under(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Held(fd) => *fd,
            Self::Under(fd) => fd.as_fd(),
        }
    }
}

/// Finds the directory that contains the last component of a path.
#[inline(always)]
pub(crate) fn parent<'w>(wasi: &'w Wasi, place: &DirectoryPath<'_>) -> Result<Parent<'w>, Failure> {
    if place.path.parent().is_empty() {
        return Ok(Parent::Held(wasi.objects.fd(&place.dir)?));
    }
    let fd = open_beneath(wasi, place, place.path.parent(), platform::DIRECTORY, Mode::empty())?;
    check_object(wasi, place, &fd)?;
    Ok(Parent::Under(fd))
}

/// Opens what a whole path leads to. `follow`: follow a final link, too.
///
/// A slash after a link asks for the directory that it leads to (POSIX, `path_resolution(7)`), so that link is followed
/// without `follow`, too. If it leads out of the grant, the answer is that of a link: not a directory (T17).
#[inline(always)]
pub(crate) fn open_whole(
    wasi: &Wasi,
    place: &DirectoryPath<'_>,
    follow: bool,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Failure> {
    let path = place.path.whole();
    if follow {
        return open_beneath(wasi, place, path, flags, mode);
    }
    match open_beneath(wasi, place, path, flags | OFlags::NOFOLLOW, mode) {
        Err(failure) if place.path.demands_directory() && may_be_link(failure) => {
            let found = open_beneath(wasi, place, path, flags, mode);
            found.map_err(
                |failure| if failure == escape() { Errno::NOTDIR.because(Rule::Beneath).into() } else { failure },
            )
        }
        done => done,
    }
}

/// Whether the kernel may have refused to follow a link: with `O_DIRECTORY`, the error is `ENOTDIR` instead of `ELOOP`.
pub(crate) fn may_be_link(failure: Failure) -> bool {
    [Errno::LOOP.into(), Errno::NOTDIR.into()].contains(&failure)
}

/// The errno for a path that leads out of its directory.
pub(crate) fn escape() -> Failure {
    Errno::NOTCAPABLE.because(Rule::Beneath).into()
}

/// Opens `path` under the directory of `place`.
///
/// # Errors
/// `NOTCAPABLE` if it leads out, `AGAIN` if renames on the host disturb every try and the path cannot do with fewer `..`.
#[inline(always)]
pub(crate) fn open_beneath(
    wasi: &Wasi,
    place: &DirectoryPath<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Failure> {
    let dir = wasi.objects.fd(&place.dir)?;
    match wasi.resolver {
        Resolver::Kernel => platform::open_beneath(dir, path, flags, mode, wasi.interrupted),
        Resolver::Manual => walk::open(dir, path, flags, mode, wasi.interrupted),
    }
}

/// Denies an object on a kernel interface such as procfs (T24).
///
/// The directory that the guest has open was checked when it was opened. So only an object on another file system is
/// checked.
#[inline(always)]
pub(crate) fn check_object(wasi: &Wasi, place: &DirectoryPath<'_>, fd: &OwnedFd) -> Result<Stat, Failure> {
    let stat = fstat(fd)?;
    if platform::device(&stat) != wasi.objects.get(&place.dir)?.device {
        platform::check_filesystem(fd.as_fd())?;
    }
    Ok(stat)
}
