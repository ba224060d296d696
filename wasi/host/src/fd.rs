//! `fd_*`: hostcalls on open descriptors.

use crate::dir::Listing;
use crate::objects::Object;
use crate::stat::{self, FileStat};
use crate::wait::{patiently, uninterrupted};
use crate::{Failure, Wasi, clock, sys};
use rustix::event::PollFlags;
use rustix::fs::{FallocateFlags, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno as Host;
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use wave_monitor::{
    Admitted, Advice, Advise, Allocate, Buffers, Errno, FdFlags, FdStat, GuestRange, NewTime, NewTimes, Read, ReadAt,
    ReadDir, Seek, SeekFrom, SetFlags, Stat, Waiting, Whence, Write, WriteAt,
};

/// What a pipe with room is sure to take without waiting (`pipe(7)`, `PIPE_BUF`).
const PIPE_BUF: usize = 4096;

/// Tells the kernel how a part of a file will be used.
///
/// # Errors
/// `INVAL` for an unknown advice or an end at 2^63 or beyond, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `fadvise64`.
pub fn fd_advise(
    wasi: &mut Wasi,
    _memory: &mut [u8],
    fd: u32,
    offset: u64,
    len: u64,
    advice: u32,
) -> Result<(), Failure> {
    let advice = Advice::from_guest(advice)?;
    let advise = wasi.monitor.admit_advise(fd, offset, len, advice)?;
    perform_advise(wasi, &advise)
}

/// Makes sure that space is there for a part of a file, which grows if the part ends beyond it.
///
/// Where the file system cannot reserve space, the file still grows.
///
/// # Errors
/// `INVAL` for an empty part or an end at 2^63 or beyond, `NOSPC`, `FBIG`, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `fallocate`; `fstat` and `ftruncate` where that is not supported.
pub fn fd_allocate(wasi: &mut Wasi, _memory: &mut [u8], fd: u32, offset: u64, len: u64) -> Result<(), Failure> {
    let allocate = wasi.monitor.admit_allocate(fd, offset, len)?;
    perform_allocate(wasi, &allocate)
}

/// Closes a descriptor. The number of a standard stream becomes free; the stream stays open (T31).
///
/// # Errors
/// `BADF`.
///
/// Host syscalls: `close`.
pub fn fd_close(wasi: &mut Wasi, _memory: &mut [u8], fd: u32) -> Result<(), Failure> {
    let close = wasi.monitor.admit_close(fd)?;
    wasi.objects.close(&close);
    Ok(())
}

/// Waits until the data of a file is on the disk.
///
/// # Errors
/// `IO`, `NOSPC`, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `fdatasync`.
pub fn fd_datasync(wasi: &mut Wasi, _memory: &mut [u8], fd: u32) -> Result<(), Failure> {
    let sync = wasi.monitor.admit_datasync(fd)?;
    perform_sync(wasi, &sync)
}

/// Waits until the data and metadata of a file are on the disk.
///
/// # Errors
/// `IO`, `NOSPC`, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `fsync`.
pub fn fd_sync(wasi: &mut Wasi, _memory: &mut [u8], fd: u32) -> Result<(), Failure> {
    let sync = wasi.monitor.admit_sync(fd)?;
    perform_sync(wasi, &sync)
}

/// Stores type, flags and rights of a descriptor (`$fdstat`, 24 bytes) at `out`.
///
/// # Errors
/// `BADF`, `FAULT`.
///
/// Host syscalls: none.
pub fn fd_fdstat_get(wasi: &mut Wasi, memory: &mut [u8], fd: u32, out: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), out, 24)?;
    let stat = wasi.monitor.fdstat(fd)?;
    out.store(memory, &fdstat_bytes(stat))?;
    Ok(())
}

/// Changes append mode and whether calls wait.
///
/// # Errors
/// `INVAL` for unknown flags and to change a synchronisation flag, `NOTSUP` to change append mode
/// of anything but an opened file, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `fcntl` (`F_SETFL`), and only for append mode of an opened file.
pub fn fd_fdstat_set_flags(wasi: &mut Wasi, _memory: &mut [u8], fd: u32, flags: u32) -> Result<(), Failure> {
    let flags = FdFlags::from_guest(flags)?;
    let change = wasi.monitor.admit_set_flags(fd, flags)?;
    perform_set_flags(wasi, &change)?;
    wasi.monitor.commit_flags(&change)?;
    Ok(())
}

/// Drops rights of a descriptor, for good.
///
/// # Errors
/// `NOTCAPABLE` if a right would be added, `INVAL` for unknown bits, `BADF`.
///
/// Host syscalls: none.
pub fn fd_fdstat_set_rights(
    wasi: &mut Wasi,
    _memory: &mut [u8],
    fd: u32,
    base: u64,
    inheriting: u64,
) -> Result<(), Failure> {
    wasi.monitor.set_rights(fd, base, inheriting)?;
    Ok(())
}

/// Stores the attributes of an open file (`$filestat`, 64 bytes) at `out`.
///
/// # Errors
/// `BADF`, `NOTCAPABLE`, `FAULT`.
///
/// Host syscalls: `fstat`.
pub fn fd_filestat_get(wasi: &mut Wasi, memory: &mut [u8], fd: u32, out: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), out, stat::SIZE)?;
    let stat = wasi.monitor.admit_stat(fd)?;
    let found = perform_stat(wasi, &stat)?;
    out.store(memory, &found.to_bytes())?;
    Ok(())
}

/// Sets the size of a file; new bytes are zero.
///
/// # Errors
/// `INVAL` for 2^63 bytes or more, `FBIG`, `NOSPC`, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `ftruncate`.
pub fn fd_filestat_set_size(wasi: &mut Wasi, _memory: &mut [u8], fd: u32, size: u64) -> Result<(), Failure> {
    let resize = wasi.monitor.admit_set_size(fd, size)?;
    let fd = wasi.objects.fd(&resize.on)?;
    uninterrupted(wasi.interrupted, || rustix::fs::ftruncate(fd, resize.size))
}

/// Sets the timestamps of an open file.
///
/// # Errors
/// `INVAL` for unknown flags and for a time that is to be both given and now, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `utimensat`.
pub fn fd_filestat_set_times(
    wasi: &mut Wasi,
    _memory: &mut [u8],
    fd: u32,
    atim: u64,
    mtim: u64,
    flags: u32,
) -> Result<(), Failure> {
    let times = NewTimes::from_guest(atim, mtim, flags)?;
    let change = wasi.monitor.admit_set_times(fd, times)?;
    let fd = wasi.objects.fd(&change.on)?;
    Ok(rustix::fs::futimens(fd, &timestamps(change.times))?)
}

/// Reads at `offset` into the buffers listed at `iovs`; the position stays. Stores the count at `nread`.
///
/// # Errors
/// `INVAL` for an offset of 2^63 or more, `SPIPE` on a stream, `BADF`, `NOTCAPABLE`, `FAULT`.
///
/// Host syscalls: `pread64`, `preadv`.
pub fn fd_pread(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nread: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), nread, 4)?;
    let buffers = Buffers::copy_in(memory, iovs, iovs_len)?;
    let read = wasi.monitor.admit_read_at(fd, offset)?;
    let count = perform_read_at(wasi, &read, memory, &buffers)?;
    out.store_u32(memory, self::count(count))?;
    Ok(())
}

/// Writes the buffers listed at `iovs` at `offset`; the position stays. Stores the count at `nwritten`.
///
/// On a descriptor in append mode the bytes go to the end, as on Linux.
///
/// # Errors
/// As [`fd_pread`]; also `NOSPC`, `FBIG`; `NOTCAPABLE` under an append-only grant.
///
/// Host syscalls: `pwrite64`, `pwritev`.
pub fn fd_pwrite(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nwritten: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), nwritten, 4)?;
    let buffers = Buffers::copy_in(memory, iovs, iovs_len)?;
    let write = wasi.monitor.admit_write_at(fd, offset)?;
    let count = perform_write_at(wasi, &write, memory, &buffers)?;
    out.store_u32(memory, self::count(count))?;
    Ok(())
}

/// Stores what a preopened descriptor is (`$prestat`, 8 bytes) at `out`: a directory, and the
/// length of its name.
///
/// # Errors
/// `BADF` for everything that is not preopened, `FAULT`.
///
/// Host syscalls: none.
pub fn fd_prestat_get(wasi: &mut Wasi, memory: &mut [u8], fd: u32, out: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), out, 8)?;
    let name = wasi.monitor.preopen_name(fd)?;
    // The tag, 0 for a directory, and its padding are the low word.
    out.store_u64(memory, u64::from(count(name.len())) << 32)?;
    Ok(())
}

/// Stores the name of a preopened directory at `path`, without a NUL.
///
/// # Errors
/// `NAMETOOLONG` if it has more than `path_len` bytes, `BADF`, `FAULT`.
///
/// Host syscalls: none.
pub fn fd_prestat_dir_name(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Failure> {
    let place = GuestRange::check(memory.len(), path, path_len)?;
    let name = wasi.monitor.preopen_name(fd)?;
    if name.len() > place.len() {
        return Err(Errno::NAMETOOLONG.into());
    }
    place.shortened(name.len()).store(memory, name)?;
    Ok(())
}

/// Reads into the buffers listed at `iovs` and stores the count at `nread`.
///
/// # Errors
/// `AGAIN` if it would wait and the descriptor is not to, `BADF`, `NOTCAPABLE`, `FAULT`, `IO`.
/// [`Stop::Deadline`](crate::Stop::Deadline) while waiting.
///
/// Host syscalls: `read`, `readv`, `ppoll`.
pub fn fd_read(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nread: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), nread, 4)?;
    let buffers = Buffers::copy_in(memory, iovs, iovs_len)?;
    let read = wasi.monitor.admit_read(fd)?;
    let count = perform_read(wasi, &read, memory, &buffers)?;
    out.store_u32(memory, self::count(count))?;
    Ok(())
}

/// Writes the buffers listed at `iovs` and stores the count at `nwritten`.
///
/// On its way to a terminal, control characters become `?` unless the user opted out (T115).
///
/// # Errors
/// As [`fd_read`]; also `NOSPC`, `FBIG`, and `PIPE` when nobody reads any more.
///
/// Host syscalls: `write`, `writev`, `ppoll`.
pub fn fd_write(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nwritten: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), nwritten, 4)?;
    let buffers = Buffers::copy_in(memory, iovs, iovs_len)?;
    let write = wasi.monitor.admit_write(fd)?;
    let count = perform_write(wasi, &write, memory, buffers)?;
    out.store_u32(memory, self::count(count))?;
    Ok(())
}

/// Lists a directory from the entry `cookie` on into `buf`, as much as fits; the last entry may be
/// cut. Stores the number of bytes at `bufused`; fewer than `buf_len` means the end.
///
/// # Errors
/// `INVAL` for a cookie far beyond every one given out, `NOTDIR`, `BADF`, `NOTCAPABLE`, `FAULT`.
///
/// Host syscalls: `getdents64`, `lseek`.
pub fn fd_readdir(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    buf: u32,
    buf_len: u32,
    cookie: u64,
    bufused: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), bufused, 4)?;
    let buffer = GuestRange::check(memory.len(), buf, buf_len)?;
    let read = wasi.monitor.admit_readdir(fd, cookie)?;
    let used = perform_readdir(wasi, &read, buffer.bytes_mut(memory)?)?;
    out.store_u32(memory, count(used))?;
    Ok(())
}

/// Moves the descriptor `fd` to the number `to`, closing what was there. Both must be open.
///
/// # Errors
/// `BADF`.
///
/// Host syscalls: `close`.
pub fn fd_renumber(wasi: &mut Wasi, _memory: &mut [u8], fd: u32, to: u32) -> Result<(), Failure> {
    if let Some(close) = wasi.monitor.admit_renumber(fd, to)? {
        wasi.objects.close(&close);
    }
    Ok(())
}

/// Moves the position of a descriptor and stores the new one at `newoffset`.
///
/// # Errors
/// `INVAL` for an unknown `whence` or a position before the start, `SPIPE` on a stream, `BADF`,
/// `NOTCAPABLE`, `FAULT`.
///
/// Host syscalls: `lseek`.
pub fn fd_seek(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    offset: u64,
    whence: u32,
    newoffset: u32,
) -> Result<(), Failure> {
    seek(wasi, memory, fd, offset, Whence::from_guest(whence), newoffset)
}

/// `fd_seek` with either encoding of `whence`.
pub(crate) fn seek(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    offset: u64,
    whence: Result<Whence, Errno>,
    newoffset: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), newoffset, 8)?;
    let seek = wasi.monitor.admit_seek(fd, offset, whence?)?;
    let position = perform_seek(wasi, &seek)?;
    out.store_u64(memory, position)?;
    Ok(())
}

/// Stores the position of a descriptor at `offset`.
///
/// # Errors
/// `SPIPE` on a stream, `BADF`, `NOTCAPABLE`, `FAULT`.
///
/// Host syscalls: `lseek`.
pub fn fd_tell(wasi: &mut Wasi, memory: &mut [u8], fd: u32, offset: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), offset, 8)?;
    let tell = wasi.monitor.admit_tell(fd)?;
    let position = perform_seek(wasi, &tell)?;
    out.store_u64(memory, position)?;
    Ok(())
}

// ---- perform ------------------------------------------------------------------------------------

fn perform_advise(wasi: &Wasi, advise: &Admitted<Advise>) -> Result<(), Failure> {
    let advice = match advise.advice {
        Advice::Normal => rustix::fs::Advice::Normal,
        Advice::Sequential => rustix::fs::Advice::Sequential,
        Advice::Random => rustix::fs::Advice::Random,
        Advice::WillNeed => rustix::fs::Advice::WillNeed,
        Advice::DontNeed => rustix::fs::Advice::DontNeed,
        Advice::NoReuse => rustix::fs::Advice::NoReuse,
    };
    let fd = wasi.objects.fd(&advise.on)?;
    Ok(rustix::fs::fadvise(fd, advise.offset, NonZeroU64::new(advise.len), advice)?)
}

fn perform_allocate(wasi: &Wasi, allocate: &Admitted<Allocate>) -> Result<(), Failure> {
    let fd = wasi.objects.fd(&allocate.on)?;
    let (offset, len) = (allocate.offset, allocate.len);
    let reserved =
        uninterrupted(wasi.interrupted, || match rustix::fs::fallocate(fd, FallocateFlags::empty(), offset, len) {
            Err(Host::OPNOTSUPP | Host::NOSYS) => Ok(false),
            done => done.map(|()| true),
        })?;
    if !reserved {
        let size = u64::try_from(rustix::fs::fstat(fd)?.st_size).unwrap_or(0);
        if offset + len > size {
            uninterrupted(wasi.interrupted, || rustix::fs::ftruncate(fd, offset + len))?;
        }
    }
    Ok(())
}

fn perform_sync(wasi: &Wasi, sync: &Admitted<wave_monitor::Sync>) -> Result<(), Failure> {
    let fd = wasi.objects.fd(&sync.on)?;
    uninterrupted(wasi.interrupted, || if sync.data_only { rustix::fs::fdatasync(fd) } else { rustix::fs::fsync(fd) })
}

fn perform_set_flags(wasi: &Wasi, change: &Admitted<SetFlags>) -> Result<(), Failure> {
    let Some(append) = change.append else { return Ok(()) };
    // What the guest opened is always O_NONBLOCK; F_SETFL leaves the synchronisation flags alone.
    let mut flags = OFlags::NONBLOCK;
    flags.set(OFlags::APPEND, append);
    Ok(rustix::fs::fcntl_setfl(wasi.objects.fd(&change.on)?, flags)?)
}

pub(crate) fn perform_stat(wasi: &Wasi, stat: &Admitted<Stat>) -> Result<FileStat, Failure> {
    Ok(FileStat::from(&rustix::fs::fstat(wasi.objects.fd(&stat.on)?)?))
}

fn perform_read(wasi: &Wasi, read: &Admitted<Read>, memory: &mut [u8], buffers: &Buffers) -> Result<usize, Failure> {
    let fd = wasi.objects.fd(&read.on)?;
    patiently(wasi.interrupted, read.waiting, fd, PollFlags::IN, || match buffers.ranges() {
        [] => Ok(0),
        [one] => rustix::io::read(fd, one.bytes_mut(memory).map_err(fault)?),
        _ => sys::readv(fd, memory, buffers),
    })
}

fn perform_read_at(
    wasi: &Wasi,
    read: &Admitted<ReadAt>,
    memory: &mut [u8],
    buffers: &Buffers,
) -> Result<usize, Failure> {
    let fd = wasi.objects.fd(&read.on)?;
    uninterrupted(wasi.interrupted, || match buffers.ranges() {
        [] => Ok(0),
        [one] => rustix::io::pread(fd, one.bytes_mut(memory).map_err(fault)?, read.offset),
        _ => sys::preadv(fd, memory, buffers, read.offset),
    })
}

fn perform_write(
    wasi: &mut Wasi,
    write: &Admitted<Write>,
    memory: &[u8],
    mut buffers: Buffers,
) -> Result<usize, Failure> {
    if write.waiting == Waiting::Refuse {
        // An inherited pipe may be a blocking one: more than this could wait after all.
        buffers.shorten(PIPE_BUF);
    }
    if write.terminal && !wasi.terminal_controls {
        return write_to_terminal(wasi, write, memory, &buffers);
    }
    let fd = wasi.objects.fd(&write.on)?;
    patiently(wasi.interrupted, write.waiting, fd, PollFlags::OUT, || match buffers.ranges() {
        [] => Ok(0),
        [one] => rustix::io::write(fd, one.bytes(memory).map_err(fault)?),
        _ => sys::writev(fd, memory, &buffers),
    })
}

/// Writes the first few kilobytes, cleaned. Libraries go on with the rest.
fn write_to_terminal(
    wasi: &mut Wasi,
    write: &Admitted<Write>,
    memory: &[u8],
    buffers: &Buffers,
) -> Result<usize, Failure> {
    let mut text = [0; PIPE_BUF];
    let mut len = 0;
    for range in buffers.ranges() {
        let Some(free) = text.get_mut(len..) else { break };
        let bytes = range.shortened(free.len()).bytes(memory)?;
        for (place, byte) in free.iter_mut().zip(bytes) {
            *place = *byte;
        }
        len += bytes.len();
    }
    let mut cleaned = text;
    let cleaned = cleaned.get_mut(..len).unwrap_or_default();
    let mut cleaner = wasi.objects.get(&write.on)?.cleaner;
    cleaner.clean(cleaned);

    let fd = wasi.objects.fd(&write.on)?;
    let written = patiently(wasi.interrupted, write.waiting, fd, PollFlags::OUT, || rustix::io::write(fd, cleaned))?;
    // Only what the terminal took counts for where the next write starts.
    if let Some(sent) = text.get_mut(..written) {
        wasi.objects.get_mut(&write.on)?.cleaner.clean(sent);
    }
    Ok(written)
}

fn perform_write_at(
    wasi: &Wasi,
    write: &Admitted<WriteAt>,
    memory: &[u8],
    buffers: &Buffers,
) -> Result<usize, Failure> {
    let fd = wasi.objects.fd(&write.on)?;
    uninterrupted(wasi.interrupted, || match buffers.ranges() {
        [] => Ok(0),
        [one] => rustix::io::pwrite(fd, one.bytes(memory).map_err(fault)?, write.offset),
        _ => sys::pwritev(fd, memory, buffers, write.offset),
    })
}

fn perform_seek(wasi: &Wasi, seek: &Admitted<Seek>) -> Result<u64, Failure> {
    let to = match seek.to {
        SeekFrom::Start(offset) => rustix::fs::SeekFrom::Start(offset),
        SeekFrom::Current(delta) => rustix::fs::SeekFrom::Current(delta),
        SeekFrom::End(delta) => rustix::fs::SeekFrom::End(delta),
    };
    Ok(rustix::fs::seek(wasi.objects.fd(&seek.on)?, to)?)
}

fn perform_readdir(wasi: &mut Wasi, read: &Admitted<ReadDir>, buffer: &mut [u8]) -> Result<usize, Failure> {
    let interrupted = wasi.interrupted;
    let object = wasi.objects.get_mut(&read.on)?;
    let mut listing = object.listing.take().unwrap_or_else(|| Box::new(Listing::new()));
    let used = list(object, &mut listing, interrupted, read.cookie, buffer);
    object.listing = Some(listing);
    used
}

fn list(
    object: &Object,
    listing: &mut Listing,
    interrupted: fn() -> bool,
    cookie: u64,
    buffer: &mut [u8],
) -> Result<usize, Failure> {
    let fd = object.as_fd();
    listing.seek(fd, interrupted, cookie)?;
    let mut free = &mut *buffer;
    let mut used = 0;
    while !free.is_empty() {
        let next = listing.cookie_after();
        let Some(entry) = listing.peek(fd, interrupted)? else { break };
        // The inode of what lies above a grant is none of the guest's business.
        let inode = if entry.name == b".." { object.inode } else { entry.inode };
        let head = dirent_bytes(next, inode, entry.name.len(), entry.file_type.raw());
        let taken = copy(free, &head) + copy(free.get_mut(head.len()..).unwrap_or_default(), entry.name);
        let complete = taken == head.len() + entry.name.len();
        used += taken;
        free = free.get_mut(taken..).unwrap_or_default();
        if complete {
            listing.advance();
        }
    }
    Ok(used)
}

// ---- layouts ------------------------------------------------------------------------------------

/// `$fdstat`: type, padding, flags (16 bits), padding, rights, inheriting rights.
fn fdstat_bytes(stat: FdStat) -> [u8; 24] {
    let mut bytes = [0; 24];
    let [file_type, _, flags_low, flags_high, ..] = &mut bytes;
    *file_type = stat.file_type.raw();
    [*flags_low, *flags_high] = stat.flags.bits().to_le_bytes();
    copy(&mut bytes[8..], &stat.base.bits().to_le_bytes());
    copy(&mut bytes[16..], &stat.inheriting.bits().to_le_bytes());
    bytes
}

/// `$dirent`: next cookie, inode, length of the name, type, padding.
fn dirent_bytes(next: u64, inode: u64, name_len: usize, file_type: u8) -> [u8; 24] {
    let mut bytes = [0; 24];
    copy(&mut bytes, &next.to_le_bytes());
    copy(&mut bytes[8..], &inode.to_le_bytes());
    copy(&mut bytes[16..], &count(name_len).to_le_bytes());
    bytes[20] = file_type;
    bytes
}

/// Copies as much as fits; returns how much that was.
fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let len = to.len().min(from.len());
    for (place, byte) in to.iter_mut().zip(from) {
        *place = *byte;
    }
    len
}

/// A byte count for the guest. No call moves more than Linux's limit of 2^31 - 4096 bytes.
pub(crate) fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// New timestamps as `utimensat(2)` takes them.
pub(crate) fn timestamps(times: NewTimes) -> Timestamps {
    let one = |time| match time {
        NewTime::Keep => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        NewTime::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        NewTime::At(nanoseconds) => clock::timespec(nanoseconds),
    };
    Timestamps { last_access: one(times.access), last_modification: one(times.modification) }
}

fn fault(_: Errno) -> Host {
    Host::FAULT
}
