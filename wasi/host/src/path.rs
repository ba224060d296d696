//! `path_*`: hostcalls on names beneath a directory.
//!
//! A trailing slash demands a directory, as POSIX has it: a call that looks at what the path leads to then follows a
//! final link, also if it follows none otherwise, and one that makes, moves or removes a name does not. The slash is
//! taken off before the kernel sees the path, so each link is followed by the resolver, beneath the grant (T17).
#![allow(clippy::too_many_arguments, reason = "the interface has this many")]

use crate::fd::{count, timestamps};
use crate::objects::Object;
use crate::resolve::{self, Parent, parent};
use crate::stat::{self, FileStat};
use crate::wait::retry_interrupted;
use crate::{Failure, Resolver, Wasi};
use rustix::fs::{AtFlags, FileType as HostType, Mode, OFlags};
use rustix::io::Errno as Host;
use std::os::fd::{AsFd, OwnedFd};
use wave_monitor::{
    Admitted, Claim, DirectoryPath, Errno, FdFlags, GuestRange, Kind, Last, Link, MakeDirectory, NewTimes, Open,
    OpenRequest, Performed, ReadLink, RemoveDirectory, Rename, SetTimesAt, StatAt, Symlink, Unlink,
};

/// Read and write for all, less what the process's umask takes away.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o777);

/// Creates a directory.
///
/// # Errors
/// `EXIST`, `NOENT`, `NOTDIR`, `NOTCAPABLE` if the path leads out or the grant is read-only,
/// `NOSPC` if no more names may be made, `BADF`, `FAULT`.
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

/// Stores the attributes of a name (`$filestat`, 64 bytes) at `out`.
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
    let stat = wasi.monitor.admit_stat_at(fd, flags, path.bytes(memory)?)?;
    let found = stat_path(wasi, stat)?;
    out.store(memory, &found.to_bytes())?;
    Ok(())
}

/// Sets the timestamps of a name.
///
/// # Errors
/// As [`path_filestat_get`]; also `INVAL` for a time that is to be both given and now.
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

/// Gives an existing file a second name. A final link is linked itself, never followed: what has a
/// slash after it is a directory, which gets no second name.
///
/// # Errors
/// `EXIST`, `NOENT`, `PERM` for a directory, `XDEV`, `INVAL` to follow a link, `NOTCAPABLE` if a
/// path leads out or either grant is not read-write (T20), `NOSPC` as for a directory, `BADF`, `FAULT`.
///
/// Host syscalls: `linkat`; for deeper paths also `openat2`, `fstat`, `fstatfs`, `close`, as for an
/// old path with a trailing slash; with a trailing slash `newfstatat`.
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
/// `NOENT`, `EXIST`, `ISDIR`, `NOTDIR`, `LOOP` for a link that is not to be followed, `MFILE`;
/// `NOSPC` to create more names than may be made;
/// `NOTCAPABLE` if the path leads out, for a device, on a kernel interface such as procfs, or when
/// the grant does not allow it; `INVAL`, `BADF`, `FAULT`. Only a missing right is known before the
/// kernel is asked, so a file that was created stays if it then cannot be used.
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
    let open = wasi.monitor.admit_open(OpenRequest {
        fd,
        lookup: dirflags,
        path: path.bytes(memory)?,
        oflags,
        base: rights_base,
        inheriting: rights_inheriting,
        fdflags,
    })?;
    let (object, kind, performed) = open_object(wasi, open)?;
    let host = wasi.objects.insert(object);
    let opened = wasi.monitor.install(performed, host, kind);
    out.store_u32(memory, opened)?;
    Ok(())
}

/// Stores the text of a symbolic link at `buf`, cut to `buf_len`, and its stored length at `used`.
///
/// # Errors
/// `INVAL` if it is no link, also for `link/` to a directory, `NOTDIR` for `link/` to anything
/// else, `NOENT`, `NOTCAPABLE` if the path leads out, `BADF`, `FAULT`.
///
/// Host syscalls: `readlinkat`; for a deeper path also `openat2`, `fstat`, `fstatfs`, `close`,
/// which with a trailing slash are all.
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

/// Moves a file or directory, replacing what has the new name.
///
/// # Errors
/// `NOENT`, `ISDIR`, `NOTDIR`, `NOTEMPTY`, `XDEV`, `INVAL` to move a directory into itself,
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

/// Creates a symbolic link that says `old_path`, which has to be relative (T19).
///
/// # Errors
/// `EXIST`, `NOENT`, `NOTCAPABLE` if the target is absolute, the path leads out or the grant is
/// not read-write, `NOSPC` as for a directory, `BADF`, `FAULT`.
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

/// Removes a name that is not a directory. A link is removed itself.
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

// ---- perform ------------------------------------------------------------------------------------

fn create_directory(wasi: &Wasi, make: Admitted<MakeDirectory<'_>>) -> Result<Claim, Failure> {
    let parent = parent(wasi, &make.place)?;
    let name = make.name?;
    let claim = claim(wasi, &make.place, name.len())?;
    retry_interrupted(wasi.interrupted, || rustix::fs::mkdirat(&parent, name, DIRECTORY_MODE))?;
    Ok(claim)
}

/// Claims what a new name in a directory that is there takes. Where nothing is left, a name that is taken is still `EXIST`, as
/// on a full disk.
fn claim(wasi: &Wasi, place: &DirectoryPath<'_>, text_bytes: usize) -> Result<Claim, Failure> {
    let [absent, file, link] = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].map(Failure::from);
    wasi.monitor.claim_entry(text_bytes).map_err(|full| match resolve::handle(wasi, place, false) {
        Err(failure) if failure == absent => full.into(),
        Err(failure) if failure != file && failure != link => failure,
        // The latter two of a name with a trailing slash.
        Ok(_) | Err(_) => Errno::EXIST.into(),
    })
}

#[inline(always)]
pub(crate) fn stat_path(wasi: &Wasi, stat: Admitted<StatAt<'_>>) -> Result<FileStat, Failure> {
    let found = if let Some(name) = stat.place.path.single() {
        let dir = wasi.objects.fd(&stat.place.dir)?;
        let found = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_link = HostType::from_raw_mode(found.st_mode) == HostType::Symlink;
        // Another file system starts here: it may be an interface of the kernel, which only the resolver looks for (T24).
        let is_mount = is_directory(&found) && found.st_dev != wasi.objects.get(&stat.place.dir)?.device;
        let follow = stat.follow || stat.place.path.demands_directory();
        if (is_link && follow) || is_mount { resolve::handle(wasi, &stat.place, stat.follow)?.1 } else { found }
    } else {
        resolve::handle(wasi, &stat.place, stat.follow)?.1
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
            let (handle, _) = resolve::handle(wasi, place, change.follow)?;
            Ok(rustix::fs::utimensat(&handle, c"", &times, AtFlags::EMPTY_PATH)?)
        }
    }
}

fn create_hard_link(wasi: &Wasi, link: Admitted<Link<'_>>) -> Result<Claim, Failure> {
    let is_directory = link.old.path.demands_directory() || link.old_name.is_err();
    if is_directory {
        resolve::handle(wasi, &link.old, false)?;
    }
    let old = parent(wasi, &link.old)?;
    let new = parent(wasi, &link.new)?;
    if let Ok(name) = link.old_name
        && (link.new.path.demands_directory() || link.new_name.is_err())
    {
        // Linux looks for the file before it looks at the new name.
        rustix::fs::statat(&old, name, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    let new_name = link.new_name?;
    refuse_new_directory_name(&new, &link.new, new_name)?;
    if is_directory {
        refuse_taken_name(&new, new_name)?;
        return Err(Errno::PERM.into());
    }
    let old_name = link.old_name?;
    let claim = match claim(wasi, &link.new, new_name.len()) {
        Ok(claim) => claim,
        Err(failure) => {
            // As above: that the file is missing is said first.
            rustix::fs::statat(&old, old_name, AtFlags::SYMLINK_NOFOLLOW)?;
            return Err(failure);
        }
    };
    retry_interrupted(wasi.interrupted, || rustix::fs::linkat(&old, old_name, &new, new_name, AtFlags::empty()))?;
    Ok(claim)
}

/// Opens, and refuses what must not stay open.
///
/// `O_NONBLOCK` keeps a FIFO from waiting for its other end (T25). Files do not care, and on what
/// does, waiting is done by `ppoll`.
#[inline(always)]
fn open_object<'m>(wasi: &mut Wasi, open: Admitted<Open<'m>>) -> Result<(Object, Kind, Performed<Open<'m>>), Failure> {
    let flags = host_flags(&open);
    if flags.contains(OFlags::CREATE) && open.place.path.demands_directory() {
        return Err(refuse_to_create_directory(wasi, &open));
    }
    let fd = if flags.contains(OFlags::CREATE) && wasi.monitor.counts_changes() {
        open_counted(wasi, &open, flags)?
    } else {
        open_place(wasi, &open, flags)?
    };
    let stat = resolve::check_object(wasi, &open.place, &fd)?;
    let kind = stat::opened_kind(&stat, &wasi.devices)?;
    Ok((Object::opened(fd, Some(&stat)), kind, open.performed()))
}

/// Opens a file that is made if it is not there, where new names count: first as it is, then with a claim.
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
            // Only without `O_CREAT` the kernel opens a directory.
            Ok(fd) if is_directory(&rustix::fs::fstat(&fd)?) => return Err(Errno::ISDIR.into()),
            Ok(fd) => return Ok(fd),
            Err(failure) => failure,
        };
        // The kernel's answer to `O_CREAT` may be another one.
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

/// What Linux says to the creation of `name/`, once the path before it has led to a directory.
#[cold]
fn refuse_to_create_directory(wasi: &Wasi, open: &Open<'_>) -> Failure {
    match (parent(wasi, &open.place), open.place.path.last()) {
        (Err(failure), _) => failure,
        (Ok(_), Last::Dot | Last::DotDot) if open.oflags.contains(wave_monitor::OFlags::EXCL) => Errno::EXIST.into(),
        (Ok(_), _) => Errno::ISDIR.into(),
    }
}

/// Opens for reading, and cuts by an open for writing: where Landlock does not hold truncation, the filter refuses to cut by
/// any other, and `wave` takes the manual resolver. If either is not permitted, nothing is cut.
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
    let mut flags = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    flags |= match (open.read, open.write) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    flags.set(OFlags::CREATE, open.oflags.contains(Wanted::CREAT));
    flags.set(OFlags::EXCL, open.oflags.contains(Wanted::EXCL));
    flags.set(OFlags::TRUNC, open.oflags.contains(Wanted::TRUNC));
    let directory = open.oflags.contains(Wanted::DIRECTORY) || open.place.path.demands_directory();
    flags.set(OFlags::DIRECTORY, directory);
    flags.set(OFlags::APPEND, open.fdflags.contains(FdFlags::APPEND));
    flags.set(OFlags::DSYNC, open.fdflags.contains(FdFlags::DSYNC));
    // Linux has one flag for both: reads see what a synchronised write would.
    if open.fdflags.contains(FdFlags::SYNC) || open.fdflags.contains(FdFlags::RSYNC) {
        flags |= OFlags::SYNC;
    }
    flags
}

fn read_link_target<'t>(wasi: &Wasi, read: Admitted<ReadLink<'_>>, text: &'t mut [u8]) -> Result<&'t [u8], Failure> {
    if read.place.path.demands_directory() {
        resolve::handle(wasi, &read.place, false)?;
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
    refuse_new_directory_name(&parent, &link.place, name)?;
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
    retry_interrupted(wasi.interrupted, || rustix::fs::unlinkat(&parent, name, AtFlags::empty()))
}

/// `NOTDIR` unless the name, not followed, is a directory.
fn require_directory(parent: &Parent<'_>, name: &[u8]) -> Result<(), Failure> {
    let found = rustix::fs::statat(parent.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
    if is_directory(&found) { Ok(()) } else { Err(Errno::NOTDIR.into()) }
}

/// Neither kind of link can be made under a name with a trailing slash: `EXIST` or `NOENT`.
fn refuse_new_directory_name(parent: &Parent<'_>, place: &DirectoryPath<'_>, name: &[u8]) -> Result<(), Failure> {
    if place.path.demands_directory() {
        refuse_taken_name(parent, name)?;
        return Err(Errno::NOENT.into());
    }
    Ok(())
}

/// `EXIST` if there is something with the name, be it a link that leads nowhere.
fn refuse_taken_name(parent: &Parent<'_>, name: &[u8]) -> Result<(), Failure> {
    match rustix::fs::statat(parent.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST.into()),
        Err(Host::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_directory(stat: &rustix::fs::Stat) -> bool {
    HostType::from_raw_mode(stat.st_mode) == HostType::Directory
}
