//! Granted files: the host's side of the monitor's lists.
//!
//! A granted file is a name in a directory of the host, and the file that was there when it was granted. Each open is a new
//! one, so that it has a position and flags of its own, and it is one by name, because nothing else opens a file again
//! without procfs. So what was opened is compared with what was granted, before the guest gets it (T23).

use crate::dir::{copy, dirent_bytes};
use crate::path::{mode_flags, opened};
use crate::stat::{self, FileStat};
use crate::wait::{Interrupted, retry_interrupted};
use crate::{Failure, Wasi};
use rustix::fs::{AtFlags, FileType as HostType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno as Host;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use wave_monitor::{
    Admitted, Errno, FileType, HostFd, Kind, ListItem, OpenListed, OpenRequest, ReadList, Rule, StatListed, Target,
};

/// The host's numbers of lists and files are from here on. No object has one, so no effect on an object acts on them.
const LISTS: u32 = 1 << 31;
const FILES: u32 = LISTS | 1 << 30;

/// A file that the user granted, and the name that it had then.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) parent: OwnedFd,
    pub(crate) name: Vec<u8>,
    /// A handle on the file. Its inode number is not used again as long as it is open.
    pub(crate) file: OwnedFd,
}

/// What a guest sees in a list: names, inodes and types.
#[derive(Debug)]
pub(crate) struct Names(pub(crate) Vec<(Vec<u8>, u64, FileType)>);

/// The lists of one guest and their files, by number.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    lists: Vec<Names>,
    files: Vec<File>,
}

impl Lists {
    /// The number of the next list.
    pub(crate) fn next_list(&self) -> HostFd {
        HostFd::new(LISTS | number(self.lists.len()))
    }

    pub(crate) fn add_list(&mut self, names: Names) {
        self.lists.push(names);
    }

    pub(crate) fn add_file(&mut self, file: File) -> HostFd {
        self.files.push(file);
        HostFd::new(FILES | number(self.files.len() - 1))
    }

    /// The granted file with this number, before the guest runs. `None` if it was forgotten.
    pub(crate) fn granted(&self, host: HostFd) -> Option<BorrowedFd<'_>> {
        self.at(host).map(|file| file.file.as_fd())
    }

    /// The directories that the files are in.
    pub(crate) fn parents(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.files.iter().map(|file| file.parent.as_fd())
    }

    /// Closes everything. What is behind the numbers is [`Errno::BADF`].
    pub(crate) fn forget(&mut self) {
        (self.lists, self.files) = (Vec::new(), Vec::new());
    }

    fn at(&self, host: HostFd) -> Option<&File> {
        self.files.get(host.index().checked_sub(FILES)? as usize)
    }

    fn file(&self, target: &Target) -> Result<&File, Errno> {
        self.at(target.host()).ok_or(Errno::BADF)
    }

    /// The names of a list, and its inode number, which is our own.
    fn list(&self, target: &Target) -> Result<(&Names, u64), Errno> {
        let index = target.host().index().checked_sub(LISTS).ok_or(Errno::BADF)?;
        Ok((self.lists.get(index as usize).ok_or(Errno::BADF)?, u64::from(index) + 1))
    }

    /// The attributes of a list.
    ///
    /// # Errors
    /// `BADF` if the target is no list.
    pub(crate) fn stat(&self, target: &Target) -> Result<FileStat, Errno> {
        self.list(target).map(|(_, inode)| FileStat::of_list(inode))
    }
}

/// A run has at most 65 536 grants.
fn number(index: usize) -> u32 {
    u32::try_from(index).expect("the monitor numbers grants in 16 bits")
}

impl File {
    /// Opens the file again.
    ///
    /// # Errors
    /// `NOTCAPABLE` if another file has its name, and the kernel's.
    fn open(&self, flags: OFlags, interrupted: Interrupted) -> Result<(OwnedFd, Stat), Failure> {
        let flags = flags | OFlags::NOFOLLOW;
        let fd = retry_interrupted(interrupted, || match openat(&self.parent, &*self.name, flags, Mode::empty()) {
            Err(Host::LOOP) => Ok(None),
            opened => opened.map(Some),
        })?;
        let fd = fd.ok_or_else(replaced)?;
        let found = fstat(&fd)?;
        self.require_same(&found)?;
        Ok((fd, found))
    }

    fn require_same(&self, found: &Stat) -> Result<(), Failure> {
        // Not as it was at first: the first write to a file of an overlay can change its numbers.
        let granted = fstat(&self.file)?;
        let is_same = (granted.st_dev, granted.st_ino) == (found.st_dev, found.st_ino);
        if is_same { Ok(()) } else { Err(replaced()) }
    }
}

fn replaced() -> Failure {
    Errno::NOTCAPABLE.because(Rule::Replaced).into()
}

/// `path_open` under a list. Returns the number of the new descriptor.
#[cold]
pub(crate) fn open(wasi: &mut Wasi, request: OpenRequest<'_>) -> Result<u32, Failure> {
    let open = wasi.monitor.admit_open_listed(request)?;
    let ListItem::File(target) = &open.item else {
        // It has no object of the host.
        let none = HostFd::new(LISTS);
        return Ok(wasi.monitor.install_listed(open.performed(), none, Kind::List));
    };
    let (fd, found) = open_file(wasi, &open, target)?;
    let kind = stat::opened_kind(&found, &wasi.devices)?;
    let flags = mode_flags(open.read, open.write, open.fdflags);
    let host = wasi.objects.insert(opened(fd, &found, kind, flags));
    Ok(wasi.monitor.install_listed(open.performed(), host, kind))
}

/// A file is truncated by a second open, after the first has shown that it is the granted one. If its name is given to another
/// one in between, Landlock does not let that be truncated.
fn open_file(wasi: &Wasi, open: &Admitted<OpenListed>, target: &Target) -> Result<(OwnedFd, Stat), Failure> {
    let file = wasi.lists.file(target)?;
    let opened = file.open(mode_flags(open.read, open.write, open.fdflags), wasi.interrupted)?;
    if open.truncate {
        file.open(mode_flags(false, true, open.fdflags) | OFlags::TRUNC, wasi.interrupted)?;
    }
    Ok(opened)
}

/// `path_filestat_get` under a list.
#[cold]
pub(crate) fn stat(wasi: &Wasi, fd: u32, flags: u32, path: &[u8]) -> Result<FileStat, Failure> {
    let stat: Admitted<StatListed> = wasi.monitor.admit_stat_listed(fd, flags, path)?;
    match &stat.item {
        ListItem::List(list) => Ok(wasi.lists.stat(list)?),
        ListItem::File(target) => {
            let file = wasi.lists.file(target)?;
            let found = statat(&file.parent, &*file.name, AtFlags::SYMLINK_NOFOLLOW)?;
            file.require_same(&found)?;
            Ok(FileStat::new(&found, &wasi.time))
        }
    }
}

/// `fd_readdir` of a list: fills a guest buffer with entries and returns the number of bytes used. A cookie is the ordinal of
/// an entry.
#[cold]
pub(crate) fn read(wasi: &Wasi, fd: u32, cookie: u64, buffer: &mut [u8]) -> Result<usize, Failure> {
    let read: Admitted<ReadList> = wasi.monitor.admit_read_list(fd, cookie, crate::fd::count(buffer.len()))?;
    let (names, inode) = wasi.lists.list(&read.on)?;
    let dots = [&b"."[..], b".."].map(|name| (name, inode, FileType::Directory));
    let files = names.0.iter().map(|(name, inode, file_type)| (name.as_slice(), *inode, *file_type));
    let skipped = usize::try_from(read.cookie).unwrap_or(usize::MAX);
    let mut used = 0;
    for ((name, inode, file_type), next) in dots.into_iter().chain(files).zip(1..).skip(skipped) {
        let head = dirent_bytes(next, inode, name.len(), file_type.raw());
        for part in [&head[..], name] {
            used += copy(buffer.get_mut(used..).unwrap_or_default(), part);
        }
    }
    Ok(used)
}

/// The entry that a listing has for a granted file.
pub(crate) fn entry(name: Vec<u8>, found: &Stat) -> (Vec<u8>, u64, FileType) {
    (name, found.st_ino, stat::file_type(HostType::from_raw_mode(found.st_mode)))
}
