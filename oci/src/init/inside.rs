//! Paths inside the root of a container, whose files nobody trusts: each is resolved by openat2(2) as if the root were `/`.

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// No link leads out, and none of procfs leads to an open file.
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// As often is a path tried again: `openat2` returns EAGAIN if the host renames files meanwhile.
const ATTEMPTS: usize = 256;

/// What a path should lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// Any other file.
    File,
}

/// Opens what a path leads to, as a handle.
///
/// # Errors
/// The kernel's.
pub fn find(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    open(root, path, OFlags::PATH)
}

/// Opens what a path leads to.
///
/// # Errors
/// The kernel's.
pub fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut outcome = Err(Errno::AGAIN);
    for _ in 0..ATTEMPTS {
        outcome = openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), INSIDE);
        if outcome.as_ref().err() != Some(&Errno::AGAIN) {
            break;
        }
    }
    outcome
}

/// Opens what a path leads to, as a handle. What is missing is created.
///
/// # Errors
/// The kernel's.
pub fn find_or_create(root: BorrowedFd<'_>, path: &Path, kind: Kind) -> Result<OwnedFd, Errno> {
    match find(root, path) {
        Err(Errno::NOENT) => {}
        outcome => return outcome,
    }
    let (parent, name) = split(path).ok_or(Errno::NOENT)?;
    let parent = find_or_create(root, &parent, Kind::Directory)?;
    match kind {
        Kind::Directory => mkdirat(&parent, name, Mode::from_raw_mode(0o755))?,
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            drop(openat(&parent, name, flags, Mode::from_raw_mode(0o644))?);
        }
    }
    find(parent.as_fd(), Path::new(name))
}

/// The directory and the name in it. `None` for the root. A `..` is resolved by name, as the kernel does at the root.
pub fn split(path: &Path) -> Option<(PathBuf, &OsStr)> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => drop(names.pop()),
            _ => {}
        }
    }
    let name = names.pop()?;
    Some((Path::new("/").join(names.into_iter().collect::<PathBuf>()), name))
}

/// Whether a descriptor is a directory.
///
/// # Errors
/// The kernel's.
pub fn is_directory(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory)
}

/// Opens a regular file inside for reading.
///
/// # Errors
/// The kernel's; `EACCES` for any other file.
pub fn read(root: BorrowedFd<'_>, path: &Path) -> Result<File, Errno> {
    // A FIFO would block.
    let file = open(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let stat = rustix::fs::fstat(&file)?;
    match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        rustix::fs::FileType::RegularFile => Ok(file.into()),
        _ => Err(Errno::ACCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_inside_and_what_is_missing_is_created_there() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, root.join("absolute")).unwrap();
        symlink("../outside", root.join("relative")).unwrap();
        symlink("/real", root.join("link")).unwrap();
        fs::create_dir(root.join("real")).unwrap();
        let fd = File::open(&root).unwrap();
        find_or_create(fd.as_fd(), Path::new("/link/a/b"), Kind::Directory).unwrap();
        assert!(root.join("real/a/b").is_dir());
        find_or_create(fd.as_fd(), Path::new("/link/f"), Kind::File).unwrap();
        assert!(root.join("real/f").is_file());
        // A link that leads nowhere is not followed to create its target.
        assert_eq!(find_or_create(fd.as_fd(), Path::new("/relative"), Kind::Directory).unwrap_err(), Errno::EXIST);
        assert_eq!(find_or_create(fd.as_fd(), Path::new("/absolute/x"), Kind::File).unwrap_err(), Errno::EXIST);
        assert_eq!(find(fd.as_fd(), Path::new("/../../outside")).unwrap_err(), Errno::NOENT);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }

    #[test]
    fn links_of_procfs_are_not_followed() {
        let host = File::open("/").unwrap();
        assert!(find(host.as_fd(), Path::new("/proc/self/status")).is_ok());
        assert_eq!(find(host.as_fd(), Path::new("/proc/self/exe")).unwrap_err(), Errno::LOOP);
        assert_eq!(find(host.as_fd(), Path::new("/proc/self/root/etc")).unwrap_err(), Errno::LOOP);
    }

    #[test]
    fn paths_are_split_by_name() {
        let parts = |path| split(Path::new(path)).map(|(parent, name)| (parent.display().to_string(), name.to_owned()));
        assert_eq!(parts("/a/b/../c/"), Some(("/a".to_owned(), "c".into())));
        assert_eq!(parts("x"), Some(("/".to_owned(), "x".into())));
        assert_eq!(parts("/.."), None);
    }
}
