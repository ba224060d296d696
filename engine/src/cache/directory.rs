//! Where the cache is: a directory that nobody else can write.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nobody but the owner.
const PRIVATE: Mode = Mode::RWXU;

/// What others must not be able to do.
const WRITABLE_BY_OTHERS: Mode = Mode::WGRP.union(Mode::WOTH);

/// Files that are being written begin like this.
pub const UNFINISHED: &str = ".new-";

/// The time of the last use is noted no more often.
const USE_NOTED: Duration = Duration::from_secs(3600);

/// Bytes that a small file takes on the disk.
const BLOCK_BYTES: u64 = 4096;

/// Why there is no cache.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Nothing says where.
    #[error("neither XDG_CACHE_HOME nor HOME names a directory by an absolute path")]
    Nowhere,
    /// Nothing could be signed.
    #[error("this kernel keeps no keys for us")]
    NoKey,
    /// The process acts for somebody else than who started it.
    #[error("the process has the rights of another user than its own")]
    Privileged,
    /// Somebody else could put things there.
    #[error("`{}` {what}", .place.display())]
    Place {
        /// The directory.
        place: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// The directory, opened.
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

/// A file in it.
pub struct Item {
    pub name: OsString,
    pub bytes: u64,
    /// When it was used last, in seconds.
    pub used: i64,
}

impl Item {
    /// Bytes that it takes away from others.
    pub fn takes(&self) -> u64 {
        self.bytes.next_multiple_of(BLOCK_BYTES)
    }
}

impl Directory {
    /// Opens the directory, made now if there is none.
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
        let base = Place::find(base)?;
        if let Some(what) = open_to_others(&base.stat) {
            return Err(base.unusable(what));
        }
        base.make(c"wave")?;
        let path = base.path.join("wave");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&base.fd, c"wave", flags, Mode::empty());
        let fd = opened.map_err(|error| unusable(&path, cannot_be_used(error)))?;
        let stat = rustix::fs::fstat(&fd).map_err(|error| unusable(&path, cannot_be_used(error)))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(unusable(&path, "belongs to another user".to_owned()));
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
            return Err(unusable(&path, "is open to others than its owner: its mode must be 0700".to_owned()));
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

    /// Makes a file that was not there.
    fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Gives a file its name, in the place of what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Makes a file with these bytes, or replaces what has its name; it is there as a whole or not at all.
    pub fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let mut random = [0; 8];
        if rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())? != random.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let unfinished = format!("{UNFINISHED}{:016x}", u64::from_le_bytes(random));
        let mut file = self.create(&unfinished)?;
        let written = parts.iter().try_for_each(|bytes| file.write_all(bytes));
        written.and_then(|()| self.rename(&unfinished, name)).inspect_err(|_| {
            // It is found as abandoned otherwise.
            drop(self.remove(&*unfinished));
        })
    }

    /// Takes a file away.
    pub fn remove(&self, name: impl rustix::path::Arg) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// All files, in no order.
    pub fn items(&self) -> io::Result<Vec<Item>> {
        let mut items = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name: &CStr = entry.file_name();
            // One that is gone meanwhile is no item.
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

/// A directory on the way, opened. It was reached through directories and links of this user or root alone, where nobody else can
/// put something in their place.
struct Place {
    fd: OwnedFd,
    path: PathBuf,
    stat: Stat,
}

impl Place {
    /// Finds a directory by its absolute path, name by name: the kernel follows no link. If only the last name is not there, it is
    /// made, in a place that was looked at before.
    fn find(path: &Path) -> Result<Self, Unusable> {
        /// As many as the kernel follows (path_resolution(7)).
        const MOST_LINKS: usize = 40;
        let mut place = Self::root()?;
        let mut above = Vec::new();
        let mut names: Vec<OsString> = names(path).rev().collect();
        let mut links = 0;
        while let Some(name) = names.pop() {
            if name == ".." {
                // Those above were looked at on the way down.
                place = match above.pop() {
                    Some(above) => above,
                    None => place,
                };
                continue;
            }
            if let Some(what) = lets_others_replace(&place.stat) {
                return Err(place.unusable(what));
            }
            let text =
                std::ffi::CString::new(name.as_bytes()).map_err(|_| place.unusable(cannot_be_used(Errno::INVAL)))?;
            if names.is_empty() {
                place.make(&text)?;
            }
            let found = place.open(&text)?;
            if FileType::from_raw_mode(found.stat.st_mode) != FileType::Symlink {
                above.push(std::mem::replace(&mut place, found));
                continue;
            }
            links += 1;
            let target = rustix::fs::readlinkat(&found.fd, c"", Vec::new());
            let target = target.and_then(|target| if links > MOST_LINKS { Err(Errno::LOOP) } else { Ok(target) });
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
        Self::checked("/".into(), || rustix::fs::open(c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()))
    }

    /// Makes a directory here, if nothing has its name.
    fn make(&self, name: &CStr) -> Result<(), Unusable> {
        match rustix::fs::mkdirat(&self.fd, name, PRIVATE) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(unusable(&self.path.join(OsStr::from_bytes(name.to_bytes())), cannot_be_used(error))),
        }
    }

    /// A directory or link here.
    fn open(&self, name: &CStr) -> Result<Self, Unusable> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = self.path.join(OsStr::from_bytes(name.to_bytes()));
        Self::checked(path, || rustix::fs::openat(&self.fd, name, flags, Mode::empty()))
    }

    /// A directory or link of this user or root.
    fn checked(path: PathBuf, open: impl FnOnce() -> rustix::io::Result<OwnedFd>) -> Result<Self, Unusable> {
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
    Unusable::Place { place: place.to_owned(), what }
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

/// What is wrong with a directory in which others can put things.
fn open_to_others(stat: &Stat) -> Option<String> {
    let is_open = Mode::from_raw_mode(stat.st_mode).intersects(WRITABLE_BY_OTHERS);
    is_open.then(|| "can be written by its group or by everybody".to_owned())
}

/// What is wrong with a directory in which others can put something in the place of what is there. In a sticky one they cannot.
fn lets_others_replace(stat: &Stat) -> Option<String> {
    open_to_others(stat).filter(|_| !Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX))
}

/// Notes that a file is in use, so that it is not among those that go first.
pub fn note_use(file: &File, stat: &Stat) {
    let now = SystemTime::now();
    let used = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    if now.duration_since(used).is_ok_and(|since| since > USE_NOTED) {
        // It would only go earlier.
        drop(file.set_modified(now));
    }
}

fn is_ours_or_roots(stat: &Stat) -> bool {
    stat.st_uid == 0 || stat.st_uid == rustix::process::geteuid().as_raw()
}
