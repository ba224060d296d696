//! The directory of the cache. No other user can write to it.

use crate::platform::{HANDLE, LINK_HANDLE, link_target};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Access for the owner only.
const PRIVATE: Mode = Mode::RWXU;

/// Permissions that let other users write.
const WRITABLE_BY_OTHERS: Mode = Mode::WGRP.union(Mode::WOTH);

/// Prefix of the names of unfinished files.
pub const UNFINISHED: &str = ".new-";

/// Interval at which the time of the last use is updated.
const USE_INTERVAL: Duration = Duration::from_secs(3600);

/// Size of a block on the disk. Each file takes whole blocks.
const BLOCK_BYTES: u64 = 4096;

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// No environment variable names its location.
    #[error("neither XDG_CACHE_HOME nor HOME is set to an absolute path")]
    Nowhere,
    /// There is no key to sign entries with.
    #[error("the kernel keyring is not available")]
    NoKey,
    /// The real and the effective user or group differ.
    #[error("the process runs with the privileges of another user")]
    Privileged,
    /// Another user could change its contents, or it cannot be opened.
    #[error("`{}` {what}", .place.display())]
    Directory {
        /// The directory.
        place: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// The open directory of the cache.
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

/// A file of the cache.
pub struct Item {
    pub name: OsString,
    pub bytes: u64,
    /// Time of the last use, in seconds since 1970.
    pub used: i64,
}

impl Item {
    /// Bytes that it takes on the disk.
    pub fn disk_bytes(&self) -> u64 {
        self.bytes.next_multiple_of(BLOCK_BYTES)
    }
}

impl Directory {
    /// Opens the directory. Creates it if it does not exist.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn open() -> Result<Self, Unusable> {
        if rustix::process::getuid() != rustix::process::geteuid()
            || rustix::process::getgid() != rustix::process::getegid()
        {
            return Err(Unusable::Privileged);
        }
        let absolute = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
        Self::within(&base.ok_or(Unusable::Nowhere)?)
    }

    fn within(base: &Path) -> Result<Self, Unusable> {
        let base = TrustedPath::find(base)?;
        if let Some(what) = others_can_write(&base.stat) {
            return Err(base.unusable(what));
        }
        base.create_directory(c"wave")?;
        let path = base.path.join("wave");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&base.fd, c"wave", flags, Mode::empty());
        let fd = opened.map_err(|error| unusable(&path, cannot_be_used(error)))?;
        let stat = rustix::fs::fstat(&fd).map_err(|error| unusable(&path, cannot_be_used(error)))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(unusable(&path, "belongs to another user".to_owned()));
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
            return Err(unusable(&path, "is accessible to other users: its mode must be 0700".to_owned()));
        }
        Ok(Self { fd, path })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file of this user.
    pub fn read(&self, name: &str) -> io::Result<(File, Stat)> {
        // A FIFO would block.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !is_file || stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok((file.into(), stat))
    }

    /// Creates a file. Fails if the name exists.
    fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Renames a file. Replaces a file of the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Writes a file atomically. Replaces a file of the same name.
    pub fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let unfinished = format!("{UNFINISHED}{:016x}", wave_runtime::random_u64()?);
        let mut file = self.create(&unfinished)?;
        let written = parts.iter().try_for_each(|bytes| file.write_all(bytes));
        written.and_then(|()| self.rename(&unfinished, name)).inspect_err(|_| {
            // If this fails, the file is removed later as abandoned.
            drop(self.remove(&*unfinished));
        })
    }

    /// Removes a file.
    pub fn remove(&self, name: impl rustix::path::Arg) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// All files, in no order.
    pub fn items(&self) -> io::Result<Vec<Item>> {
        let mut items = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name: &CStr = entry.file_name();
            // Another process may have removed it.
            let Ok(stat) = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                continue;
            }
            items.push(Item {
                name: OsStr::from_bytes(name.to_bytes()).to_owned(),
                bytes: u64::try_from(stat.st_size).unwrap_or(0),
                used: stat.st_mtime,
            });
        }
        Ok(items)
    }
}

/// An open directory or symbolic link on the path to the cache. It was reached only through directories and links that
/// belong to this user or root and that no other user can replace.
struct TrustedPath {
    fd: OwnedFd,
    path: PathBuf,
    stat: Stat,
}

impl TrustedPath {
    /// Opens a directory by its absolute path. Every component is opened and checked by itself, and the kernel follows
    /// no link. If only the last component is missing, it is created in its checked parent.
    fn find(path: &Path) -> Result<Self, Unusable> {
        /// As many as the kernel follows (path_resolution(7)).
        const MAX_LINKS: usize = 40;
        let mut place = Self::root()?;
        let mut above = Vec::new();
        let mut names: Vec<OsString> = names(path).rev().collect();
        let mut links = 0;
        while let Some(name) = names.pop() {
            if name == ".." {
                // The parents were checked on the way down.
                place = match above.pop() {
                    Some(above) => above,
                    None => place,
                };
                continue;
            }
            if let Some(what) = others_can_replace(&place.stat) {
                return Err(place.unusable(what));
            }
            let text =
                std::ffi::CString::new(name.as_bytes()).map_err(|_| place.unusable(cannot_be_used(Errno::INVAL)))?;
            if names.is_empty() {
                place.create_directory(&text)?;
            }
            let found = place.open(&text)?;
            if FileType::from_raw_mode(found.stat.st_mode) != FileType::Symlink {
                above.push(std::mem::replace(&mut place, found));
                continue;
            }
            links += 1;
            let target = link_target(&found.fd, &place.fd, &text);
            let target = target.and_then(|target| if links > MAX_LINKS { Err(Errno::LOOP) } else { Ok(target) });
            let target = target.map_err(|error| found.unusable(cannot_be_used(error)))?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            names.extend(self::names(&target).rev());
            if target.is_absolute() {
                place = Self::root()?;
                above.clear();
            }
        }
        Ok(place)
    }

    fn root() -> Result<Self, Unusable> {
        Self::open_checked("/".into(), || rustix::fs::open(c"/", HANDLE, Mode::empty()))
    }

    /// Creates a directory here unless the name exists.
    fn create_directory(&self, name: &CStr) -> Result<(), Unusable> {
        match rustix::fs::mkdirat(&self.fd, name, PRIVATE) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(unusable(&self.path.join(OsStr::from_bytes(name.to_bytes())), cannot_be_used(error))),
        }
    }

    /// Opens a directory or link here, and checks it.
    fn open(&self, name: &CStr) -> Result<Self, Unusable> {
        let path = self.path.join(OsStr::from_bytes(name.to_bytes()));
        Self::open_checked(path, || rustix::fs::openat(&self.fd, name, LINK_HANDLE, Mode::empty()))
    }

    /// Checks that `open` opens a directory or link that belongs to this user or root.
    fn open_checked(path: PathBuf, open: impl FnOnce() -> rustix::io::Result<OwnedFd>) -> Result<Self, Unusable> {
        let opened = open().and_then(|fd| Ok((rustix::fs::fstat(&fd)?, fd)));
        let (stat, fd) = opened.map_err(|error| unusable(&path, cannot_be_used(error)))?;
        let place = Self { fd, path, stat };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory | FileType::Symlink if is_ours_or_roots(&stat) => Ok(place),
            FileType::Directory | FileType::Symlink => Err(place.unusable("belongs to another user".to_owned())),
            _ => Err(place.unusable(cannot_be_used(Errno::NOTDIR))),
        }
    }

    fn unusable(&self, what: String) -> Unusable {
        unusable(&self.path, what)
    }
}

fn unusable(place: &Path, what: String) -> Unusable {
    Unusable::Directory { place: place.to_owned(), what }
}

fn cannot_be_used(error: Errno) -> String {
    format!("cannot be used: {error}")
}

/// The names in a path, from the first to the last.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// Describes the problem if other users can write to a directory.
fn others_can_write(stat: &Stat) -> Option<String> {
    let is_open = Mode::from_raw_mode(stat.st_mode).intersects(WRITABLE_BY_OTHERS);
    is_open.then(|| "is writable by its group or by everyone".to_owned())
}

/// Describes the problem if other users can replace what is in a directory. In a sticky directory they cannot.
fn others_can_replace(stat: &Stat) -> Option<String> {
    others_can_write(stat).filter(|_| !Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX))
}

/// Updates the time of the last use, because the files that were not used for longest are removed first.
pub fn record_use(file: &File, stat: &Stat) {
    let now = SystemTime::now();
    let used = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    if now.duration_since(used).is_ok_and(|since| since > USE_INTERVAL) {
        // If this fails, the file is only removed earlier.
        drop(file.set_modified(now));
    }
}

fn is_ours_or_roots(stat: &Stat) -> bool {
    stat.st_uid == 0 || stat.st_uid == rustix::process::geteuid().as_raw()
}
