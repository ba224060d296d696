//! `path_*`: hostcalls on paths under a directory.
//!
//! A trailing slash demands a directory, as in POSIX. With it, a call that uses the object of the path follows a final
//! link, even if it would not otherwise. A call that creates, moves or removes a name does not. The slash is removed
//! before the kernel gets the path, so that only the resolver follows links, under the grant (T17).
#![allow(clippy::too_many_arguments, reason = "the interface has this many")]

use crate::fd::{count, timestamps};
use crate::files;
use crate::objects::Object;
use crate::resolve::{self, Parent, parent};
use crate::stat::{self, FileStat};
use crate::wait::retry_interrupted;
use crate::{Failure, Resolver, Wasi, platform};
use rustix::fs::{AtFlags, FileType as HostType, Mode, OFlags, Stat};
use rustix::io::Errno as Host;
use std::os::fd::{AsFd, OwnedFd};
use wave_monitor::{
    Admitted, Claim, DirectoryPath, Errno, FdFlags, GuestRange, Kind, Last, Link, MakeDirectory, NewTimes, Open,
    OpenRequest, Performed, ReadLink, RemoveDirectory, Rename, SetTimesAt, StatAt, Symlink, Unlink,
};

/// Mode of new files: read and write for all. The process's umask removes bits.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o777);

/// Creates a directory.
///
/// # Errors
/// `EXIST`, `NOENT`, `NOTDIR`, `NOTCAPABLE` if the path leads out or the grant is read-only, `NOSPC` if no more names may be
/// created, `BADF`, `FAULT`.
///
/// Host syscalls: `mkdirat`; for a deeper path also `openat2`, `fstat`, `fstatfs`, `close`.
pub fn path_create_directory(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Failure> {
    let path = GuestRange::check(memory.len(), path, path_len)?;
    let make = wasi.monitor.admit_create_directory(fd, path.bytes(memory)?)?;
    let claim = create_directory(wasi, make)?;
    wasi.monitor.spend(claim);
    Ok(())
}

/// Stores the attributes of the object of a path (`$filestat`, 64 bytes) at `out`.
///
/// # Errors
/// `NOENT`, `NOTDIR`, `LOOP`, `NOTCAPABLE` if the path leads out, `INVAL`, `BADF`, `FAULT`.
///
/// Host syscalls: `newfstatat`; for a deeper path or a link also `openat2`, `fstat`, `fstatfs`,
/// `close`.
#[inline(always)]
pub fn path_filestat_get(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    out: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), out, stat::SIZE)?;
    let path = GuestRange::check(memory.len(), path, path_len)?;
    let found = stat_at(wasi, fd, flags, path.bytes(memory)?)?;
    out.store(memory, &found.to_bytes())?;
    Ok(())
}

/// Sets the timestamps of the object of a path.
///
/// # Errors
/// As [`path_filestat_get`]; also `INVAL` for a time that is set to both a value and now.
///
/// Host syscalls: `utimensat`; for a deeper path, with a trailing slash or to follow a link also
/// `openat2`, `fstat`, `fstatfs`, `close`.
pub fn path_filestat_set_times(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    atim: u64,
    mtim: u64,
    fst_flags: u32,
) -> Result<(), Failure> {
    let path = GuestRange::check(memory.len(), path, path_len)?;
    let times = NewTimes::from_guest(atim, mtim, fst_flags)?;
    let change = wasi.monitor.admit_set_times_at(fd, flags, path.bytes(memory)?, times)?;
    set_path_times(wasi, change)
}

/// Creates a hard link to an existing file. A final symbolic link is not followed: the hard link refers to the link
/// itself. A path with a trailing slash is a directory, which can have no hard link.
///
/// # Errors
/// `EXIST`, `NOENT`, `PERM` for a directory, `XDEV`, `INVAL` if a link is to be followed, `NOTCAPABLE` if a path leads
/// out or either grant is not read-write (T20), `NOSPC` as in [`path_create_directory`], `BADF`, `FAULT`.
///
/// Host syscalls: `linkat`; for deeper paths, and for an old path with a trailing slash, also `openat2`, `fstat`, `fstatfs`,
/// `close`; with a trailing slash `newfstatat`.
pub fn path_link(
    wasi: &mut Wasi,
    memory: &mut [u8],
    old_fd: u32,
    old_flags: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<(), Failure> {
    let old = GuestRange::check(memory.len(), old_path, old_path_len)?;
    let new = GuestRange::check(memory.len(), new_path, new_path_len)?;
    let link = wasi.monitor.admit_link(old_fd, old_flags, old.bytes(memory)?, new_fd, new.bytes(memory)?)?;
    let claim = create_hard_link(wasi, link)?;
    wasi.monitor.spend(claim);
    Ok(())
}

/// Opens a file or directory and stores the number of the new descriptor at `opened_fd`.
///
/// # Errors
/// `NOENT`, `EXIST`, `ISDIR`, `NOTDIR`, `LOOP` for a link that is not to be followed, `MFILE`; `NOSPC` if no more names
/// may be created; `NOTCAPABLE` if the path leads out, for a device, on a kernel interface such as procfs, or if the
/// grant does not allow it; `INVAL`, `BADF`, `FAULT`. Only rights are checked before the system call. So a file that
/// was created stays, even if the call then fails.
///
/// Host syscalls: `openat`, `fstat`; for a deeper path or a link `openat2`; `fstatfs` on another
/// file system than the directory's; `close` if what was opened is refused.
#[inline(always)]
pub fn path_open(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    dirflags: u32,
    path: u32,
    path_len: u32,
    oflags: u32,
    rights_base: u64,
    rights_inheriting: u64,
    fdflags: u32,
    opened_fd: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), opened_fd, 4)?;
    let path = GuestRange::check(memory.len(), path, path_len)?;
    let request = OpenRequest {
        fd,
        lookup: dirflags,
        path: path.bytes(memory)?,
        oflags,
        base: rights_base,
        inheriting: rights_inheriting,
        fdflags,
    };
    let opened = match wasi.monitor.admit_open(request) {
        Err(_) if wasi.monitor.is_list(fd) => files::open(wasi, request)?,
        open => {
            let (object, kind, performed) = open_object(wasi, open?)?;
            let host = wasi.objects.insert(object);
            wasi.monitor.install(performed, host, kind)
        }
    };
    out.store_u32(memory, opened)?;
    Ok(())
}

/// Stores the target of a symbolic link at `buf`, truncated to `buf_len`, and the stored length at `used`.
///
/// # Errors
/// `INVAL` if it is not a link, also for `link/` to a directory, `NOTDIR` for `link/` to anything else, `NOENT`,
/// `NOTCAPABLE` if the path leads out, `BADF`, `FAULT`.
///
/// Host syscalls: `readlinkat`; for a deeper path also `openat2`, `fstat`, `fstatfs`, `close`; with a trailing slash
/// only these.
pub fn path_readlink(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    path: u32,
    path_len: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), used, 4)?;
    let buffer = GuestRange::check(memory.len(), buf, buf_len)?;
    let path = GuestRange::check(memory.len(), path, path_len)?;
    let read = wasi.monitor.admit_readlink(fd, path.bytes(memory)?)?;
    let mut text = [0; wave_monitor::PATH_MAX_BYTES + 1];
    let text = read_link_target(wasi, read, &mut text)?;
    let part = buffer.shortened(text.len());
    part.store(memory, text.get(..part.len()).unwrap_or(text))?;
    out.store_u32(memory, count(part.len()))?;
    Ok(())
}

/// Removes an empty directory.
///
/// # Errors
/// `NOTEMPTY`, `NOTDIR`, `NOENT`, `NOTCAPABLE` if the path leads out or the grant is not
/// read-write, `BADF`, `FAULT`.
///
/// Host syscalls: `unlinkat`; for a deeper path also `openat2`, `fstat`, `fstatfs`, `close`.
pub fn path_remove_directory(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Failure> {
    let path = GuestRange::check(memory.len(), path, path_len)?;
    let remove = wasi.monitor.admit_remove_directory(fd, path.bytes(memory)?)?;
    remove_directory(wasi, remove)
}

/// Moves a file or directory, and replaces the object with the new name.
///
/// # Errors
/// `NOENT`, `ISDIR`, `NOTDIR`, `NOTEMPTY`, `XDEV`, `INVAL` if a directory is moved into itself,
/// `NOTCAPABLE` if a path leads out or either grant is not read-write (T20), `BADF`, `FAULT`.
///
/// Host syscalls: `renameat`; for deeper paths also `openat2`, `fstat`, `fstatfs`, `close`; with a
/// trailing slash `newfstatat`.
pub fn path_rename(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<(), Failure> {
    let old = GuestRange::check(memory.len(), old_path, old_path_len)?;
    let new = GuestRange::check(memory.len(), new_path, new_path_len)?;
    let rename = wasi.monitor.admit_rename(fd, old.bytes(memory)?, new_fd, new.bytes(memory)?)?;
    rename_object(wasi, rename)
}

/// Creates a symbolic link with the target `old_path`, which must be relative (T19).
///
/// # Errors
/// `EXIST`, `NOENT`, `NOTCAPABLE` if the target is absolute, the path leads out or the grant is
/// not read-write, `NOSPC` as in [`path_create_directory`], `BADF`, `FAULT`.
///
/// Host syscalls: `symlinkat`; for a deeper path also `openat2`, `fstat`, `fstatfs`, `close`; with
/// a trailing slash `newfstatat` instead.
pub fn path_symlink(
    wasi: &mut Wasi,
    memory: &mut [u8],
    old_path: u32,
    old_path_len: u32,
    fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<(), Failure> {
    let target = GuestRange::check(memory.len(), old_path, old_path_len)?;
    let path = GuestRange::check(memory.len(), new_path, new_path_len)?;
    let link = wasi.monitor.admit_symlink(target.bytes(memory)?, fd, path.bytes(memory)?)?;
    let claim = create_symlink(wasi, link)?;
    wasi.monitor.spend(claim);
    Ok(())
}

/// Removes a name that is not a directory. A final link is not followed.
///
/// # Errors
/// `ISDIR`, `NOTDIR` for `file/`, `NOENT`, `NOTCAPABLE` if the path leads out or the grant is not
/// read-write, `BADF`, `FAULT`.
///
/// Host syscalls: `unlinkat`; for a deeper path also `openat2`, `fstat`, `fstatfs`, `close`; with
/// a trailing slash `newfstatat` instead.
#[inline(always)]
pub fn path_unlink_file(wasi: &mut Wasi, memory: &mut [u8], fd: u32, path: u32, path_len: u32) -> Result<(), Failure> {
    let path = GuestRange::check(memory.len(), path, path_len)?;
    let unlink = wasi.monitor.admit_unlink(fd, path.bytes(memory)?)?;
    remove_name(wasi, unlink)
}

// ---- effects ------------------------------------------------------------------------------------

fn create_directory(wasi: &Wasi, make: Admitted<MakeDirectory<'_>>) -> Result<Claim, Failure> {
    let parent = parent(wasi, &make.place)?;
    let name = make.name?;
    let claim = claim(wasi, &make.place, name.len())?;
    retry_interrupted(wasi.interrupted, || rustix::fs::mkdirat(&parent, name, DIRECTORY_MODE))?;
    Ok(claim)
}

/// Claims what a new name takes of the limits. If nothing is left, a name that exists is still `EXIST`, as on a full disk.
fn claim(wasi: &Wasi, place: &DirectoryPath<'_>, text_bytes: usize) -> Result<Claim, Failure> {
    let [absent, file, link] = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].map(Failure::from);
    wasi.monitor.claim_entry(text_bytes).map_err(|full| match platform::handle(wasi, place, false) {
        Err(failure) if failure == absent => full.into(),
        Err(failure) if failure != file && failure != link => failure,
        // `NOTDIR` and `LOOP`: the name exists and has a trailing slash.
        Ok(_) | Err(_) => Errno::EXIST.into(),
    })
}

#[inline(always)]
pub(crate) fn stat_at(wasi: &Wasi, fd: u32, flags: u32, path: &[u8]) -> Result<FileStat, Failure> {
    match wasi.monitor.admit_stat_at(fd, flags, path) {
        Err(_) if wasi.monitor.is_list(fd) => files::stat(wasi, fd, flags, path),
        stat => stat_path(wasi, stat?),
    }
}

#[inline(always)]
fn stat_path(wasi: &Wasi, stat: Admitted<StatAt<'_>>) -> Result<FileStat, Failure> {
    let found = if let Some(name) = stat.place.path.single() {
        let dir = wasi.objects.fd(&stat.place.dir)?;
        let found = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_link = HostType::from_raw_mode(found.st_mode) == HostType::Symlink;
        // Another file system starts here. It may be a kernel interface, which only the resolver checks (T24).
        let is_mount = is_directory(&found) && platform::device(&found) != wasi.objects.get(&stat.place.dir)?.device;
        let follow = stat.follow || stat.place.path.demands_directory();
        if (is_link && follow) || is_mount { platform::handle(wasi, &stat.place, stat.follow)?.1 } else { found }
    } else {
        platform::handle(wasi, &stat.place, stat.follow)?.1
    };
    if stat.place.path.demands_directory() && !is_directory(&found) {
        return Err(Errno::NOTDIR.into());
    }
    Ok(FileStat::new(&found, &wasi.time))
}

fn set_path_times(wasi: &Wasi, change: Admitted<SetTimesAt<'_>>) -> Result<(), Failure> {
    let times = timestamps(change.times);
    let place = &change.place;
    match place.path.last() {
        Last::Name(name) if !change.follow && !place.path.demands_directory() => {
            let parent = parent(wasi, place)?;
            Ok(rustix::fs::utimensat(&parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
        }
        _ => {
            let (handle, _) = platform::handle(wasi, place, change.follow)?;
            Ok(handle.set_times(&times)?)
        }
    }
}

fn create_hard_link(wasi: &Wasi, link: Admitted<Link<'_>>) -> Result<Claim, Failure> {
    let is_directory = link.old.path.demands_directory() || link.old_name.is_err();
    if is_directory {
        platform::handle(wasi, &link.old, false)?;
    }
    let old = parent(wasi, &link.old)?;
    let new = parent(wasi, &link.new)?;
    if let Ok(name) = link.old_name
        && (link.new.path.demands_directory() || link.new_name.is_err())
    {
        // Linux looks up the file before it checks the new name.
        rustix::fs::statat(&old, name, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    let new_name = link.new_name?;
    require_no_trailing_slash(&new, &link.new, new_name)?;
    if is_directory {
        require_unused_name(&new, new_name)?;
        return Err(Errno::PERM.into());
    }
    let old_name = link.old_name?;
    let claim = match claim(wasi, &link.new, new_name.len()) {
        Ok(claim) => claim,
        Err(failure) => {
            // As above: a missing file is reported first.
            rustix::fs::statat(&old, old_name, AtFlags::SYMLINK_NOFOLLOW)?;
            return Err(failure);
        }
    };
    retry_interrupted(wasi.interrupted, || rustix::fs::linkat(&old, old_name, &new, new_name, AtFlags::empty()))?;
    Ok(claim)
}

/// Opens an object, and closes it again if it is denied.
///
/// With `O_NONBLOCK`, opening a FIFO does not wait for its other end (T25). Files ignore the flag. For other objects,
/// `ppoll` waits.
///
/// It can take several system calls to open one object: one that tries without `O_CREAT`, one that only truncates, one for a
/// link. That is one effect, because the guest gets one descriptor.
#[inline(always)]
fn open_object<'m>(wasi: &mut Wasi, open: Admitted<Open<'m>>) -> Result<(Object, Kind, Performed<Open<'m>>), Failure> {
    let flags = host_flags(&open);
    if flags.contains(OFlags::CREATE) && open.place.path.demands_directory() {
        return Err(error_of_creating_directory(wasi, &open));
    }
    let fd = if flags.contains(OFlags::CREATE) && wasi.monitor.counts_changes() {
        open_counted(wasi, &open, flags)?
    } else {
        open_place(wasi, &open, flags)?
    };
    let stat = resolve::check_object(wasi, &open.place, &fd)?;
    let kind = stat::opened_kind(&stat, &wasi.devices)?;
    Ok((opened(fd, &stat, kind, flags), kind, open.performed()))
}

/// What was just opened for the guest.
pub(crate) fn opened(fd: OwnedFd, found: &Stat, kind: Kind, flags: OFlags) -> Object {
    let mut object = Object::opened(fd, Some(found));
    // Nobody else has this open file, so nobody else has its position.
    let is_here = kind == Kind::RegularFile && !flags.contains(OFlags::APPEND);
    object.position = is_here.then_some(0);
    object
}

/// Opens a file and creates it if it does not exist, when new names are limited: first without `O_CREAT`, then with a claim.
#[cold]
fn open_counted(wasi: &mut Wasi, open: &Open<'_>, flags: OFlags) -> Result<OwnedFd, Failure> {
    let text_bytes = match open.place.path.last() {
        Last::Name(name) => name.len(),
        Last::Dot | Last::DotDot => 0,
    };
    let claim = if flags.contains(OFlags::EXCL) {
        parent(wasi, &open.place)?;
        claim(wasi, &open.place, text_bytes)?
    } else {
        let failure = match open_place(wasi, open, flags - OFlags::CREATE) {
            // With `O_CREAT`, the kernel does not open a directory.
            Ok(fd) if is_directory(&rustix::fs::fstat(&fd)?) => return Err(Errno::ISDIR.into()),
            Ok(fd) => return Ok(fd),
            Err(failure) => failure,
        };
        // With `O_CREAT` there may be another error.
        let absent = Failure::from(Errno::NOENT);
        wasi.monitor.claim_entry(text_bytes).map_err(|full| if failure == absent { full.into() } else { failure })?
    };
    let fd = open_place(wasi, open, flags)?;
    wasi.monitor.spend(claim);
    Ok(fd)
}

#[inline(always)]
fn open_place(wasi: &Wasi, open: &Open<'_>, flags: OFlags) -> Result<OwnedFd, Failure> {
    if wasi.resolver == Resolver::Manual && flags.contains(OFlags::TRUNC) && !open.write {
        return open_and_truncate(wasi, open, flags - OFlags::TRUNC);
    }
    open_with(wasi, open, flags)
}

/// The errno of Linux for the creation of `name/`, after the path before it has led to a directory.
#[cold]
fn error_of_creating_directory(wasi: &Wasi, open: &Open<'_>) -> Failure {
    match (parent(wasi, &open.place), open.place.path.last()) {
        (Err(failure), _) => failure,
        (Ok(_), Last::Dot | Last::DotDot) if open.oflags.contains(wave_monitor::OFlags::EXCL) => Errno::EXIST.into(),
        (Ok(_), _) => Errno::ISDIR.into(),
    }
}

/// Opens for reading, and truncates by another open for writing. Where Landlock does not restrict truncation, the
/// syscall filter denies any other way to truncate, and `wave` uses the manual resolver. If either open is denied,
/// nothing is truncated.
#[cold]
fn open_and_truncate(wasi: &Wasi, open: &Open<'_>, flags: OFlags) -> Result<OwnedFd, Failure> {
    let fd = open_with(wasi, open, flags)?;
    let truncating = (flags - OFlags::CREATE - OFlags::EXCL) | OFlags::WRONLY | OFlags::TRUNC;
    open_with(wasi, open, truncating).map(|_| fd)
}

#[inline(always)]
fn open_with(wasi: &Wasi, open: &Open<'_>, flags: OFlags) -> Result<OwnedFd, Failure> {
    let mode = if flags.contains(OFlags::CREATE) { FILE_MODE } else { Mode::empty() };
    let path = &open.place.path;
    if let Some(name) = path.single() {
        let dir = wasi.objects.fd(&open.place.dir)?;
        let opened = retry_interrupted(wasi.interrupted, || {
            match rustix::fs::openat(dir, name, flags | OFlags::NOFOLLOW, mode) {
                // A link, for all the kernel says: `O_DIRECTORY` turns `ELOOP` into `ENOTDIR`.
                Err(Host::LOOP | Host::NOTDIR) if open.follow || path.demands_directory() => Ok(None),
                done => done.map(Some),
            }
        })?;
        if let Some(fd) = opened {
            return Ok(fd);
        }
    }
    resolve::open_whole(wasi, &open.place, open.follow, flags, mode)
}

fn host_flags(open: &Open<'_>) -> OFlags {
    use wave_monitor::OFlags as Wanted;
    let mut flags = mode_flags(open.read, open.write, open.fdflags);
    flags.set(OFlags::CREATE, open.oflags.contains(Wanted::CREAT));
    flags.set(OFlags::EXCL, open.oflags.contains(Wanted::EXCL));
    flags.set(OFlags::TRUNC, open.oflags.contains(Wanted::TRUNC));
    let directory = open.oflags.contains(Wanted::DIRECTORY) || open.place.path.demands_directory();
    flags.set(OFlags::DIRECTORY, directory);
    flags
}

/// The flags of an open that do not depend on what is there.
#[inline]
pub(crate) fn mode_flags(read: bool, write: bool, fdflags: FdFlags) -> OFlags {
    let mut flags = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    flags |= match (read, write) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    flags.set(OFlags::APPEND, fdflags.contains(FdFlags::APPEND));
    flags.set(OFlags::DSYNC, fdflags.contains(FdFlags::DSYNC));
    // Linux has one flag for both.
    if fdflags.contains(FdFlags::SYNC) || fdflags.contains(FdFlags::RSYNC) {
        flags |= OFlags::SYNC;
    }
    flags
}

fn read_link_target<'t>(wasi: &Wasi, read: Admitted<ReadLink<'_>>, text: &'t mut [u8]) -> Result<&'t [u8], Failure> {
    if read.place.path.demands_directory() {
        platform::handle(wasi, &read.place, false)?;
        return Err(Errno::INVAL.into());
    }
    let parent = parent(wasi, &read.place)?;
    let len = rustix::fs::readlinkat_raw(&parent, read.name?, &mut *text)?;
    Ok(text.get(..len).unwrap_or(text))
}

fn remove_directory(wasi: &Wasi, remove: Admitted<RemoveDirectory<'_>>) -> Result<(), Failure> {
    let parent = parent(wasi, &remove.place)?;
    let name = remove.name?;
    retry_interrupted(wasi.interrupted, || rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR))
}

fn rename_object(wasi: &Wasi, rename: Admitted<Rename<'_>>) -> Result<(), Failure> {
    let old = parent(wasi, &rename.old)?;
    let new = parent(wasi, &rename.new)?;
    let (old_name, new_name) = (rename.old_name?, rename.new_name?);
    if rename.old.path.demands_directory() || rename.new.path.demands_directory() {
        require_directory(&old, old_name)?;
    }
    retry_interrupted(wasi.interrupted, || rustix::fs::renameat(&old, old_name, &new, new_name))
}

fn create_symlink(wasi: &Wasi, link: Admitted<Symlink<'_>>) -> Result<Claim, Failure> {
    let parent = parent(wasi, &link.place)?;
    let name = link.name?;
    require_no_trailing_slash(&parent, &link.place, name)?;
    let claim = claim(wasi, &link.place, name.len() + link.target.bytes().len())?;
    retry_interrupted(wasi.interrupted, || rustix::fs::symlinkat(link.target.bytes(), &parent, name))?;
    Ok(claim)
}

#[inline(always)]
fn remove_name(wasi: &Wasi, unlink: Admitted<Unlink<'_>>) -> Result<(), Failure> {
    let parent = parent(wasi, &unlink.place)?;
    let name = unlink.name?;
    if unlink.place.path.demands_directory() {
        require_directory(&parent, name)?;
        return Err(Errno::ISDIR.into());
    }
    retry_interrupted(wasi.interrupted, || platform::unlink(parent.as_fd(), name))
}

/// `NOTDIR` unless the name is a directory. A link is not followed.
fn require_directory(parent: &Parent<'_>, name: &[u8]) -> Result<(), Failure> {
    let found = rustix::fs::statat(parent.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
    if is_directory(&found) { Ok(()) } else { Err(Errno::NOTDIR.into()) }
}

/// The errno for a new link whose name has a trailing slash: `EXIST` or `NOENT`.
fn require_no_trailing_slash(parent: &Parent<'_>, place: &DirectoryPath<'_>, name: &[u8]) -> Result<(), Failure> {
    if place.path.demands_directory() {
        require_unused_name(parent, name)?;
        return Err(Errno::NOENT.into());
    }
    Ok(())
}

/// `EXIST` if the name exists, even as a dangling link.
fn require_unused_name(parent: &Parent<'_>, name: &[u8]) -> Result<(), Failure> {
    match rustix::fs::statat(parent.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST.into()),
        Err(Host::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_directory(stat: &rustix::fs::Stat) -> bool {
    HostType::from_raw_mode(stat.st_mode) == HostType::Directory
}
