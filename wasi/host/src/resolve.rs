//! From a path to an object under its grant.
//!
//! A single name takes one system call that follows no link. The kernel resolves any other path in one step, with
//! `openat2(2)`. It refuses to leave the directory by `..`, by an absolute link or by a magic link, even if directories
//! on the path are renamed meanwhile (T14 to T18, T23). `walk` does the same where the kernel has no `openat2`.

use crate::wait::Interrupted;
use crate::{Failure, Wasi, wait, walk};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Stat, fstat, fstatfs, openat2};
use rustix::io::Errno as Host;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use wave_monitor::{DirectoryPath, Errno, Rule, admit_filesystem};

/// How often a resolution is tried again after a rename or a mount anywhere on the host has disturbed it (T23).
const TRIES: usize = 256;

/// Flags for a handle that only refers to an object.
pub(crate) const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

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
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match openat2(CWD, c".", HANDLE, Mode::empty(), beneath) {
            // A filter may answer with any of these; a kernel before 5.6 with the first.
            Err(Host::NOSYS | Host::PERM | Host::INVAL | Host::TOOBIG | Host::OPNOTSUPP) => Self::Manual,
            _ => Self::Kernel,
        }
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
    let flags = HANDLE.union(OFlags::DIRECTORY);
    let fd = open_beneath(wasi, place, place.path.parent(), flags, Mode::empty())?;
    check_object(wasi, place, &fd)?;
    Ok(Parent::Under(fd))
}

/// Finds what a whole path leads to.
#[inline(always)]
pub(crate) fn handle(wasi: &Wasi, place: &DirectoryPath<'_>, follow: bool) -> Result<(OwnedFd, Stat), Failure> {
    let mut flags = HANDLE;
    if place.path.demands_directory() {
        flags |= OFlags::DIRECTORY;
    }
    let fd = open_whole(wasi, place, follow, flags, Mode::empty())?;
    let stat = check_object(wasi, place, &fd)?;
    Ok((fd, stat))
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
        Resolver::Kernel => open_by_kernel(dir, path, flags, mode, wasi.interrupted),
        Resolver::Manual => walk::open(dir, path, flags, mode, wasi.interrupted),
    }
}

fn open_by_kernel(
    dir: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
    interrupted: Interrupted,
) -> Result<OwnedFd, Failure> {
    match try_by_kernel(dir, path, flags, mode, interrupted) {
        Err(failure) if failure == Errno::AGAIN.into() => {
            let path = without_returns(dir, path, interrupted)?;
            try_by_kernel(dir, &path, flags, mode, interrupted)
        }
        done => done,
    }
}

#[inline(always)]
fn try_by_kernel(
    dir: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
    interrupted: Interrupted,
) -> Result<OwnedFd, Failure> {
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0..TRIES;
    loop {
        match openat2(dir, path, flags, mode, beneath) {
            Err(Host::AGAIN) if tries.next().is_some() => wait::check(interrupted)?,
            Err(Host::INTR) => wait::check(interrupted)?,
            Err(Host::XDEV) => return Err(escape()),
            done => return Ok(done?),
        }
    }
}

/// A path to the same object with fewer `..`: each `name/..` is left out if `name` is a directory, no link, and may be
/// searched.
///
/// The kernel starts over at a `..` if anything on the host was renamed or mounted since the path began. On a busy host
/// it never gets through a path with hundreds of them. A single name is never disturbed.
#[cold]
fn without_returns(dir: BorrowedFd<'_>, path: &[u8], interrupted: Interrupted) -> Result<Vec<u8>, Failure> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")) {
        let is_return = name == b".."
            && match names.split_last() {
                Some((last, before)) if *last != b".." => is_directory(dir, before, last, interrupted)?,
                _ => false,
            };
        if is_return {
            names.pop();
        } else {
            names.push(name);
        }
    }
    // Without it, a link that was on the way would now be the last component, and might not be followed.
    if names.is_empty() || path.ends_with(b"/.") || path.ends_with(b"/..") {
        names.push(b".");
    }
    Ok(names.join(&b'/'))
}

/// Whether `name`, in the directory that `before` leads to, is a directory that may be searched, and not a link.
fn is_directory(dir: BorrowedFd<'_>, before: &[&[u8]], name: &[u8], interrupted: Interrupted) -> Result<bool, Failure> {
    let flags = HANDLE | OFlags::DIRECTORY;
    let parent = match before {
        [] => None,
        names => Some(try_by_kernel(dir, &names.join(&b'/'), flags, Mode::empty(), interrupted)?),
    };
    let parent = parent.as_ref().map_or(dir, AsFd::as_fd);
    let no_links = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let name = [name, b"/."].concat();
    wait::retry_interrupted(interrupted, || Ok(openat2(parent, &*name, flags, Mode::empty(), no_links).is_ok()))
}

/// Denies an object on a kernel interface such as procfs (T24).
///
/// The directory that the guest has open was checked when it was opened. So only an object on another file system is
/// checked.
#[inline(always)]
pub(crate) fn check_object(wasi: &Wasi, place: &DirectoryPath<'_>, fd: &OwnedFd) -> Result<Stat, Failure> {
    let stat = fstat(fd)?;
    if stat.st_dev != wasi.objects.get(&place.dir)?.device {
        check_filesystem(fd.as_fd())?;
    }
    Ok(stat)
}

/// Denies a descriptor on a kernel interface.
pub(crate) fn check_filesystem(fd: BorrowedFd<'_>) -> Result<(), Failure> {
    // The kernel's type is signed and wider than any magic number.
    let magic = fstatfs(fd)?.f_type.cast_unsigned() & 0xffff_ffff;
    Ok(admit_filesystem(magic)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        symlink("a/b", dir.path().join("link")).unwrap();
        dir
    }

    #[test]
    fn t26_a_path_without_returns_leads_to_the_same_object() {
        let tree = tree();
        let top = File::open(tree.path()).unwrap();
        for (path, shorter) in [
            ("a/../file", "file"),
            ("a/b/../../a/./b/../b", "a/b"),
            ("a/../a/..", "."),
            ("link/../b", "link/../b"),
            ("link/../b/..", "link/../."),
            ("link/../b/../../file", "link/../../file"),
            ("file/../a", "file/../a"),
            ("missing/../a", "missing/../a"),
            ("a/.", "a/."),
        ] {
            let found = without_returns(top.as_fd(), path.as_bytes(), || false).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), shorter, "{path}");
            let open = |path: &str| {
                let found = try_by_kernel(top.as_fd(), path.as_bytes(), HANDLE, Mode::empty(), || false)?;
                fstat(found).map(|stat| stat.st_ino).map_err(Failure::from)
            };
            assert_eq!(open(path), open(shorter), "{path}");
        }
        assert_eq!(without_returns(top.as_fd(), b"../a/../file", || false), Err(escape()));
    }

    /// T23: renames elsewhere on the host, without a pause.
    #[test]
    fn t23_renames_elsewhere_do_not_disturb_a_long_path() {
        let (tree, elsewhere) = (tree(), tree());
        let top = File::open(tree.path()).unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let [one, other] = ["file", "renamed"].map(|name| elsewhere.path().join(name));
                while !is_over.load(Ordering::Relaxed) {
                    fs::rename(&one, &other).unwrap();
                    fs::rename(&other, &one).unwrap();
                }
            });
            let path = "a/../".repeat(800) + "file";
            let opened: Vec<_> = (0..200)
                .map(|_| open_by_kernel(top.as_fd(), path.as_bytes(), HANDLE, Mode::empty(), || false).map(drop))
                .collect();
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(opened, vec![Ok(()); 200]);
        });
    }
}
