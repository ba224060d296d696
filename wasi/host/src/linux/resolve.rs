//! Paths by `openat2(2)`, and handles by `O_PATH`.

use crate::resolve::{check_object, escape, open_whole};
use crate::wait::{self, Interrupted};
use crate::{Failure, Wasi};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Stat, Timestamps, openat2, utimensat};
use rustix::io::Errno as Host;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use wave_monitor::{DirectoryPath, Errno};

/// How often a resolution is tried again after a rename or a mount anywhere on the host has disturbed it (T23).
const TRIES: usize = 256;

/// Flags for a handle that only refers to an object.
const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Flags for a directory that paths start from.
pub(crate) const DIRECTORY: OFlags = HANDLE.union(OFlags::DIRECTORY);

/// Whether the kernel has `openat2` and no filter around this process denies it.
pub(crate) fn has_openat2() -> bool {
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // A filter may answer with any of these; a kernel before 5.6 with the first.
    let missing = [Host::NOSYS, Host::PERM, Host::INVAL, Host::TOOBIG, Host::OPNOTSUPP];
    !openat2(CWD, c".", HANDLE, Mode::empty(), beneath).is_err_and(|error| missing.contains(&error))
}

/// A handle on any object.
pub(crate) struct Handle(OwnedFd);

impl Handle {
    /// Sets the timestamps of the object.
    pub(crate) fn set_times(&self, times: &Timestamps) -> rustix::io::Result<()> {
        utimensat(&self.0, c"", times, AtFlags::EMPTY_PATH)
    }
}

/// Finds what a whole path leads to.
#[inline(always)]
pub(crate) fn handle(wasi: &Wasi, place: &DirectoryPath<'_>, follow: bool) -> Result<(Handle, Stat), Failure> {
    let mut flags = HANDLE;
    if place.path.demands_directory() {
        flags |= OFlags::DIRECTORY;
    }
    let fd = open_whole(wasi, place, follow, flags, Mode::empty())?;
    let stat = check_object(wasi, place, &fd)?;
    Ok((Handle(fd), stat))
}

/// Opens `path` under `dir`. A path that leads out is `NOTCAPABLE`.
pub(crate) fn open_beneath(
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
    let parent = match before {
        [] => None,
        names => Some(try_by_kernel(dir, &names.join(&b'/'), DIRECTORY, Mode::empty(), interrupted)?),
    };
    let parent = parent.as_ref().map_or(dir, AsFd::as_fd);
    let no_links = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let name = [name, b"/."].concat();
    wait::retry_interrupted(interrupted, || Ok(openat2(parent, &*name, DIRECTORY, Mode::empty(), no_links).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::fstat;
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
                .map(|_| open_beneath(top.as_fd(), path.as_bytes(), HANDLE, Mode::empty(), || false).map(drop))
                .collect();
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(opened, vec![Ok(()); 200]);
        });
    }
}
