//! Where the cache is: a directory that nobody else can write.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::{CStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
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
        let unusable = |place: &Path, what: String| Unusable::Place { place: place.to_owned(), what };
        let failed = |place: &Path, error: Errno| unusable(place, format!("cannot be used: {error}"));
        match rustix::fs::mkdir(base, PRIVATE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(base, error)),
        }
        let base = base.canonicalize().map_err(|error| unusable(base, format!("cannot be used: {error}")))?;
        for place in base.ancestors() {
            let stat = rustix::fs::stat(place).map_err(|error| failed(place, error))?;
            // In a sticky directory others cannot take away what is ours.
            let is_kept = place != base && Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX);
            if !is_ours_or_roots(&stat) {
                return Err(unusable(place, "belongs to another user".to_owned()));
            }
            if Mode::from_raw_mode(stat.st_mode).intersects(WRITABLE_BY_OTHERS) && !is_kept {
                return Err(unusable(place, "can be written by its group or by everybody".to_owned()));
            }
        }
        let path = base.join("wave");
        match rustix::fs::mkdir(&path, PRIVATE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(&path, error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty()).map_err(|error| failed(&path, error))?;
        let stat = rustix::fs::fstat(&fd).map_err(|error| failed(&path, error))?;
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
        use std::os::unix::ffi::OsStrExt;
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
                name: std::ffi::OsStr::from_bytes(name.to_bytes()).to_owned(),
                bytes: u64::try_from(stat.st_size).unwrap_or(0),
                used: stat.st_mtime,
            });
        }
        Ok(items)
    }
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
