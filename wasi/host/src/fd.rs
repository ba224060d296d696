//! `fd_*`: hostcalls on open descriptors.

use crate::stat::{self, FileStat};
use crate::wait::{self, retry_interrupted};
use crate::{Failure, Wasi, clock, dir, files, platform, transfer};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use std::num::NonZeroU64;
use wave_monitor::{
    Admitted, Advice, Advise, Allocate, Buffers, Claim, Errno, FdFlags, FdStat, GuestRange, NewTime, NewTimes,
    Performed, Seek, SeekFrom, SetFlags, SetSize, SetTimes, Stat, Sync, Whence,
};

/// How many write steps are allocated at once. No bytes are copied, so that is fast.
const ALLOCATED_AT_ONCE: u64 = 8;

/// How many write steps a file is truncated by at once.
const TRUNCATED_AT_ONCE: u64 = 32;

/// Maximum steps of one truncation.
const MOST_TRUNCATIONS: u64 = 256;

/// A position that every file system has (the kernel's `MAX_NON_LFS`). Whether a file can have a larger one, it knows.
const EVERYWHERE: u64 = 0x7fff_ffff;

/// Announces to the kernel how a range of a file will be used.
///
/// # Errors
/// `INVAL` for unknown advice or an end at 2^63 or beyond, `BADF`, `NOTCAPABLE`.
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
    advise_range(wasi, advise)
}

/// Reserves space for a range of a file. The file grows if the range ends beyond its end.
///
/// If the file system cannot reserve space, the file still grows. If the call fails, a part may be reserved.
///
/// # Errors
/// `INVAL` for an empty range or an end at 2^63 or beyond, `NOSPC`, `FBIG`, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `fallocate`; `fstat` and `ftruncate` where that is not supported.
pub fn fd_allocate(wasi: &mut Wasi, _memory: &mut [u8], fd: u32, offset: u64, len: u64) -> Result<(), Failure> {
    let allocate = wasi.monitor.admit_allocate(fd, offset, len)?;
    let performed = allocate_range(wasi, allocate)?;
    wasi.monitor.allocated(performed);
    Ok(())
}

/// Closes a descriptor. The number of a standard stream becomes free, but the stream stays open (T31).
///
/// # Errors
/// `BADF`.
///
/// Host syscalls: `close`.
pub fn fd_close(wasi: &mut Wasi, _memory: &mut [u8], fd: u32) -> Result<(), Failure> {
    let close = wasi.monitor.admit_close(fd)?;
    wasi.objects.close(close);
    Ok(())
}

/// Waits until the data of a file is on the disk.
///
/// # Errors
/// `INVAL` for anything but a file or directory, `IO`, `NOSPC`, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `fdatasync`.
pub fn fd_datasync(wasi: &mut Wasi, _memory: &mut [u8], fd: u32) -> Result<(), Failure> {
    let sync = wasi.monitor.admit_datasync(fd)?;
    sync_file(wasi, sync)
}

/// Waits until the data and metadata of a file are on the disk.
///
/// # Errors
/// As [`fd_datasync`].
///
/// Host syscalls: `fsync`.
pub fn fd_sync(wasi: &mut Wasi, _memory: &mut [u8], fd: u32) -> Result<(), Failure> {
    let sync = wasi.monitor.admit_sync(fd)?;
    sync_file(wasi, sync)
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

/// Changes append mode and nonblocking mode.
///
/// # Errors
/// `INVAL` for unknown flags and for a change of a synchronization flag, `NOTSUP` for a change of append mode on
/// anything but an opened file, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `fcntl` (`F_SETFL`) and `lseek`, only for append mode of an opened file.
pub fn fd_fdstat_set_flags(wasi: &mut Wasi, _memory: &mut [u8], fd: u32, flags: u32) -> Result<(), Failure> {
    let flags = FdFlags::from_guest(flags)?;
    let change = wasi.monitor.admit_set_flags(fd, flags)?;
    let performed = set_host_flags(wasi, change)?;
    wasi.monitor.commit_flags(performed)?;
    Ok(())
}

/// Drops rights of a descriptor permanently.
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
#[inline(always)]
pub fn fd_filestat_get(wasi: &mut Wasi, memory: &mut [u8], fd: u32, out: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), out, stat::SIZE)?;
    let stat = wasi.monitor.admit_stat(fd)?;
    let found = stat_open_file(wasi, stat)?;
    out.store(memory, &found.to_bytes())?;
    Ok(())
}

/// Sets the size of a file; new bytes are zero.
///
/// # Errors
/// `INVAL` for 2^63 bytes or more, `FBIG`, `NOSPC`, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `ftruncate`; `fstat` where written bytes or the time are limited.
pub fn fd_filestat_set_size(wasi: &mut Wasi, _memory: &mut [u8], fd: u32, size: u64) -> Result<(), Failure> {
    let resize = wasi.monitor.admit_set_size(fd, size)?;
    if let Some(claim) = set_file_size(wasi, resize)? {
        wasi.monitor.spend(claim);
    }
    Ok(())
}

/// Sets the timestamps of an open file.
///
/// # Errors
/// `INVAL` for unknown flags and for a time that is set to both a value and now, `BADF`, `NOTCAPABLE`.
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
    set_file_times(wasi, change)
}

/// Reads at `offset` into the buffers listed at `iovs` and stores the count at `nread`. The position does not change.
///
/// # Errors
/// `INVAL` for an offset of 2^63 or more, `SPIPE` on a stream, `BADF`, `NOTCAPABLE`, `FAULT`.
///
/// Host syscalls: `pread64`, `preadv`.
#[inline(always)]
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
    let mut buffers = Buffers::new();
    buffers.copy_in(memory, iovs, iovs_len, wasi.monitor.limits().iovecs)?;
    let read = wasi.monitor.admit_read_at(fd, offset)?;
    let count = transfer::read_at(wasi, read, memory, &mut buffers)?;
    out.store_u32(memory, self::count(count))?;
    Ok(())
}

/// Writes the buffers listed at `iovs` at `offset` and stores the count at `nwritten`. The position does not change.
///
/// On a descriptor in append mode, the bytes are appended, as on Linux.
///
/// # Errors
/// As [`fd_pread`]; also `NOSPC`, `FBIG`; `NOTCAPABLE` under an append-only grant.
///
/// Host syscalls: `pwrite64`, `pwritev`.
#[inline(always)]
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
    let mut buffers = Buffers::new();
    buffers.copy_in(memory, iovs, iovs_len, wasi.monitor.limits().iovecs)?;
    let write = wasi.monitor.admit_write_at(fd, offset)?;
    let count = transfer::write_at(wasi, write, memory, &mut buffers)?;
    out.store_u32(memory, self::count(count))?;
    Ok(())
}

/// Stores the type of a preopened descriptor (always a directory) and the length of its name at `out` (`$prestat`, 8 bytes).
///
/// # Errors
/// `BADF` for a descriptor that is not preopened, `FAULT`.
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
/// On a FIFO that no writer has opened yet, the call waits for one.
///
/// # Errors
/// `AGAIN` if it would wait and the descriptor is nonblocking, `BADF`, `NOTCAPABLE`, `FAULT`, `IO`.
/// [`Stop::Deadline`](crate::Stop::Deadline) while waiting.
///
/// Host syscalls: `read`, `readv`, `ppoll`; `pread64`, `preadv` for a file that the guest opened.
#[inline(always)]
pub fn fd_read(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nread: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), nread, 4)?;
    let mut buffers = Buffers::new();
    buffers.copy_in(memory, iovs, iovs_len, wasi.monitor.limits().iovecs)?;
    let read = wasi.monitor.admit_read(fd)?;
    let count = transfer::read(wasi, read, memory, &mut buffers)?;
    out.store_u32(memory, self::count(count))?;
    Ok(())
}

/// Writes the buffers listed at `iovs` and stores the count at `nwritten`.
///
/// On a terminal, control characters become `?` unless the user allowed them (T115).
///
/// # Errors
/// As [`fd_read`]; also `NOSPC`, `FBIG`, and `PIPE` if the other end is closed.
///
/// Host syscalls: `write`, `writev`, `ppoll`; `pwrite64`, `pwritev` for a file that the guest opened.
#[inline(always)]
pub fn fd_write(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nwritten: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), nwritten, 4)?;
    let mut buffers = Buffers::new();
    buffers.copy_in(memory, iovs, iovs_len, wasi.monitor.limits().iovecs)?;
    let write = wasi.monitor.admit_write(fd)?;
    let count = transfer::write(wasi, write, memory, &mut buffers)?;
    out.store_u32(memory, self::count(count))?;
    Ok(())
}

/// Lists a directory from the entry `cookie` on into `buf`, as much as fits. The last entry may be truncated. Stores
/// the number of bytes at `bufused`. Fewer than `buf_len` mean the end.
///
/// # Errors
/// `INVAL` for a cookie far beyond every cookie returned so far, `TOOBIG` for a buffer larger than one call may fill,
/// `NOTDIR`, `BADF`, `NOTCAPABLE`, `FAULT`.
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
    let used = match wasi.monitor.admit_readdir(fd, cookie, buf_len) {
        Err(_) if wasi.monitor.is_list(fd) => files::read(wasi, fd, cookie, buffer.bytes_mut(memory)?)?,
        read => dir::read(wasi, read?, buffer.bytes_mut(memory)?)?,
    };
    out.store_u32(memory, count(used))?;
    Ok(())
}

/// Moves the descriptor `fd` to the number `to`, and closes the old descriptor `to`. Both must be open.
///
/// # Errors
/// `BADF`.
///
/// Host syscalls: `close`.
pub fn fd_renumber(wasi: &mut Wasi, _memory: &mut [u8], fd: u32, to: u32) -> Result<(), Failure> {
    if let Some(close) = wasi.monitor.admit_renumber(fd, to)? {
        wasi.objects.close(close);
    }
    Ok(())
}

/// Moves the position of a descriptor and stores the new one at `newoffset`.
///
/// # Errors
/// `INVAL` for an unknown `whence` or a position before the start, `SPIPE` on a stream, `BADF`,
/// `NOTCAPABLE`, `FAULT`.
///
/// Host syscalls: `lseek`; none for a file that the guest opened, except from its end or beyond 2 GiB.
#[inline(always)]
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

/// `fd_seek` for both encodings of `whence`.
#[inline(always)]
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
    let position = move_position(wasi, seek)?;
    out.store_u64(memory, position)?;
    Ok(())
}

/// Stores the position of a descriptor at `offset`.
///
/// # Errors
/// `SPIPE` on a stream, `BADF`, `NOTCAPABLE`, `FAULT`.
///
/// Host syscalls: `lseek`; none for a file that the guest opened, below 2 GiB.
pub fn fd_tell(wasi: &mut Wasi, memory: &mut [u8], fd: u32, offset: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), offset, 8)?;
    let tell = wasi.monitor.admit_tell(fd)?;
    let position = move_position(wasi, tell)?;
    out.store_u64(memory, position)?;
    Ok(())
}

// ---- effects ------------------------------------------------------------------------------------

fn advise_range(wasi: &Wasi, advise: Admitted<Advise>) -> Result<(), Failure> {
    let fd = wasi.objects.fd(&advise.on)?;
    Ok(platform::advise(fd, advise.offset, NonZeroU64::new(advise.len), advise.advice)?)
}

fn allocate_range(wasi: &Wasi, allocate: Admitted<Allocate>) -> Result<Performed<Allocate>, Failure> {
    let fd = wasi.objects.fd(&allocate.on)?;
    let (offset, len) = (allocate.offset, allocate.len);
    let reserve = |offset, len| retry_interrupted(wasi.interrupted, || platform::reserve(fd, offset, len));
    // On tmpfs it takes as long as writing, and an interrupted call is undone. So it is made in steps, as a write is.
    // Together they reserve the admitted range, once.
    let step = (wasi.step_bytes as u64).saturating_mul(ALLOCATED_AT_ONCE);
    let mut done = 0;
    let mut reserved = true;
    while reserved && done < len {
        let next = step.min(len - done);
        reserved = reserve(offset + done, next)?;
        done += next;
        wait::check(wasi.interrupted)?;
    }
    if !reserved {
        let size = u64::try_from(rustix::fs::fstat(fd)?.st_size).unwrap_or(0);
        if offset + len > size {
            retry_interrupted(wasi.interrupted, || rustix::fs::ftruncate(fd, offset + len))?;
        }
    }
    Ok(allocate.performed())
}

fn set_file_size(wasi: &Wasi, resize: Admitted<SetSize>) -> Result<Option<Claim>, Failure> {
    let fd = wasi.objects.fd(&resize.on)?;
    let truncate = |size| retry_interrupted(wasi.interrupted, || rustix::fs::ftruncate(fd, size));
    let (counts, in_steps) = (wasi.monitor.counts_changes(), wasi.step_bytes != usize::MAX);
    if !counts && !in_steps {
        return truncate(resize.size).map(|()| None);
    }
    let mut size = u64::try_from(rustix::fs::fstat(fd)?.st_size).unwrap_or(0);
    // Not every file system has holes, so added bytes count as written.
    let claim = counts.then(|| wasi.monitor.claim_growth(resize.size.saturating_sub(size))).transpose()?;
    // Freeing pages takes the kernel a while, too, so a long file is truncated in steps. All are part of one effect:
    // each leaves a size between the old and the admitted one. A file with holes can have any length, so their number
    // is limited.
    let lost = size.saturating_sub(resize.size);
    let step = (wasi.step_bytes as u64).saturating_mul(TRUNCATED_AT_ONCE).max(lost / MOST_TRUNCATIONS);
    while size.saturating_sub(resize.size) > step {
        size -= step;
        truncate(size)?;
        wait::check(wasi.interrupted)?;
    }
    truncate(resize.size)?;
    Ok(claim)
}

fn set_file_times(wasi: &Wasi, change: Admitted<SetTimes>) -> Result<(), Failure> {
    Ok(rustix::fs::futimens(wasi.objects.fd(&change.on)?, &timestamps(change.times))?)
}

fn sync_file(wasi: &Wasi, sync: Admitted<Sync>) -> Result<(), Failure> {
    let fd = wasi.objects.fd(&sync.on)?;
    retry_interrupted(wasi.interrupted, || platform::sync(fd, sync.data_only))
}

fn set_host_flags(wasi: &mut Wasi, change: Admitted<SetFlags>) -> Result<Performed<SetFlags>, Failure> {
    if let Some(append) = change.append {
        // Only the kernel knows where the bytes went that it appended.
        let object = wasi.objects.get_mut(&change.on)?;
        if append && let Some(position) = object.position {
            rustix::fs::seek(&*object, rustix::fs::SeekFrom::Start(position))?;
            object.position = None;
        }
        platform::set_append(wasi.objects.fd(&change.on)?, append)?;
    }
    Ok(change.performed())
}

#[inline(always)]
pub(crate) fn stat_open_file(wasi: &Wasi, stat: Admitted<Stat>) -> Result<FileStat, Failure> {
    match wasi.objects.fd(&stat.on) {
        Ok(fd) => Ok(FileStat::new(&rustix::fs::fstat(fd)?, &wasi.time)),
        // A list has no object.
        Err(_) => Ok(wasi.lists.stat(&stat.on)?),
    }
}

#[inline(always)]
fn move_position(wasi: &mut Wasi, seek: Admitted<Seek>) -> Result<u64, Failure> {
    let object = wasi.objects.get_mut(&seek.on)?;
    let to = match (seek.to, object.position) {
        (SeekFrom::Start(offset), _) => rustix::fs::SeekFrom::Start(offset),
        // Where the kernel would be.
        (SeekFrom::Current(delta), Some(position)) => {
            rustix::fs::SeekFrom::Start(position.checked_add_signed(delta).ok_or(Errno::INVAL)?)
        }
        (SeekFrom::Current(delta), None) => rustix::fs::SeekFrom::Current(delta),
        (SeekFrom::End(delta), _) => rustix::fs::SeekFrom::End(delta),
    };
    let moved = match to {
        rustix::fs::SeekFrom::Start(offset) if object.position.is_some() && offset <= EVERYWHERE => offset,
        _ => rustix::fs::seek(&*object, to)?,
    };
    object.position = object.position.map(|_| moved);
    Ok(moved)
}

// ---- layouts ------------------------------------------------------------------------------------

/// Layout of `$fdstat`: type, padding, flags (16 bits), padding, rights, inheriting rights.
fn fdstat_bytes(stat: FdStat) -> [u8; 24] {
    let mut bytes = [0; 24];
    let [file_type, _, flags_low, flags_high, ..] = &mut bytes;
    *file_type = stat.file_type.raw();
    [*flags_low, *flags_high] = stat.flags.bits().to_le_bytes();
    bytes[8..16].copy_from_slice(&stat.base.bits().to_le_bytes());
    bytes[16..].copy_from_slice(&stat.inheriting.bits().to_le_bytes());
    bytes
}

/// A byte count for the guest. It fits: no call moves more than Linux's limit of 2^31 - 4096 bytes.
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
