//! What Linux has and other systems have not, or have in another form.

mod errno;
mod listing;
mod random;
mod resolve;
mod sys;
mod vdso;

pub(crate) use errno::errno;
pub(crate) use listing::Listing;
pub(crate) use random::Random;
pub(crate) use resolve::{DIRECTORY, handle, has_openat2, open_beneath};
pub(crate) use rustix::event::poll;

use crate::Failure;
use rustix::event::PollFlags;
use rustix::fs::{
    Advice, AtFlags, FallocateFlags, FileType, OFlags, Stat, fadvise, fallocate, fcntl_setfl, fstat, fstatfs, unlinkat,
};
use rustix::io::{Errno as Host, Result};
use rustix::net::{SendFlags, SocketAddrAny, SocketFlags, acceptfrom_with};
use rustix::time::ClockId;
use std::num::NonZeroU64;
use std::os::fd::{BorrowedFd, OwnedFd};
use wave_monitor::admit_filesystem;

/// The clock of file timestamps, which is a little behind the precise one.
pub(crate) const FILE_CLOCK: ClockId = ClockId::RealtimeCoarse;

/// Flags of each `sendto`: a closed connection is an errno, not a signal.
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;

/// Whether `fd`, opened with these flags, is a handle on a link itself.
pub(crate) fn is_link_handle(flags: OFlags, fd: &OwnedFd) -> std::result::Result<bool, Failure> {
    Ok(flags.contains(OFlags::PATH) && FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Symlink)
}

/// Denies a descriptor on a kernel interface.
pub(crate) fn check_filesystem(fd: BorrowedFd<'_>) -> std::result::Result<(), Failure> {
    // The kernel's type is signed and wider than any magic number.
    let magic = fstatfs(fd)?.f_type.cast_unsigned() & 0xffff_ffff;
    Ok(admit_filesystem(magic)?)
}

/// The number of the file system's device.
#[inline(always)]
pub(crate) const fn device(stat: &Stat) -> u64 {
    stat.st_dev
}

/// The number of the device that a device node stands for.
pub(crate) const fn node_device(stat: &Stat) -> u64 {
    stat.st_rdev
}

/// The number of hard links.
#[inline(always)]
pub(crate) const fn links(stat: &Stat) -> u64 {
    stat.st_nlink
}

/// Takes a connection from the queue. The descriptor is nonblocking.
pub(crate) fn accept(fd: BorrowedFd<'_>) -> Result<(OwnedFd, Option<SocketAddrAny>)> {
    acceptfrom_with(fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// Announces how a range of a file will be used.
pub(crate) fn advise(
    fd: BorrowedFd<'_>,
    offset: u64,
    len: Option<NonZeroU64>,
    advice: wave_monitor::Advice,
) -> Result<()> {
    use wave_monitor::Advice as Guest;
    let advice = match advice {
        Guest::Normal => Advice::Normal,
        Guest::Sequential => Advice::Sequential,
        Guest::Random => Advice::Random,
        Guest::WillNeed => Advice::WillNeed,
        Guest::DontNeed => Advice::DontNeed,
        Guest::NoReuse => Advice::NoReuse,
    };
    fadvise(fd, offset, len, advice)
}

/// Reserves space for a range of a file, and returns false if the file system cannot.
pub(crate) fn reserve(fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<bool> {
    match fallocate(fd, FallocateFlags::empty(), offset, len) {
        Err(Host::OPNOTSUPP | Host::NOSYS) => Ok(false),
        done => done.map(|()| true),
    }
}

/// Waits until a file is on the disk.
pub(crate) fn sync(fd: BorrowedFd<'_>, data_only: bool) -> Result<()> {
    if data_only { rustix::fs::fdatasync(fd) } else { rustix::fs::fsync(fd) }
}

/// Turns append mode on or off, on a descriptor that the guest opened.
pub(crate) fn set_append(fd: BorrowedFd<'_>, append: bool) -> Result<()> {
    // What the guest opened is always O_NONBLOCK; F_SETFL leaves the synchronization flags alone.
    let mut flags = OFlags::NONBLOCK;
    flags.set(OFlags::APPEND, append);
    fcntl_setfl(fd, flags)
}

/// Whether a FIFO that read as empty and then was polled has data now. If not, there was a writer and none is left.
pub(crate) fn has_data(_fd: BorrowedFd<'_>, found: PollFlags) -> Result<bool> {
    Ok(found.contains(PollFlags::IN))
}

/// Removes a name that is not a directory.
#[inline(always)]
pub(crate) fn unlink(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    unlinkat(parent, name, AtFlags::empty())
}
