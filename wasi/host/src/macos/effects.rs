//! Calls that only macOS has, or without those that only Linux has.
#![allow(unsafe_code, reason = "`getentropy` has no safe form")]

use super::errno::of_number;
use super::resolve::{Handle, find};
use crate::{Failure, Wasi, walk};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{OFlags, Stat, fcntl_getfl, fcntl_setfl, fstat, fstatfs};
use rustix::io::{Errno as Host, FdFlags, Result};
use rustix::net::{SendFlags, SocketAddrAny};
use rustix::time::ClockId;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use wave_monitor::{Advice, DirectoryPath, Errno, Rule};

pub(crate) use walk::open as open_beneath;

/// The clock of file timestamps. macOS has no coarse one.
pub(crate) const FILE_CLOCK: ClockId = ClockId::Realtime;

/// Flags of each `sendto`. Only new releases have `MSG_NOSIGNAL`; the process ignores `SIGPIPE`.
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::empty();

/// The most bytes of one call (`getentropy(2)`).
const MAX_ENTROPY_BYTES: usize = 256;

/// The longest wait of one `poll`. Callers poll again until their own time is over.
const LONGEST_POLL: Timespec = Timespec { tv_sec: 24 * 60 * 60, tv_nsec: 0 };

/// File systems of the kernel that store no data: their names in XNU's `bsd/vfs/vfs_conf.c` and `bsd/miscfs`.
const KERNEL_INTERFACES: [&[u8]; 4] = [b"devfs", b"fdesc", b"procfs", b"volfs"];

/// macOS has no call that resolves a path beneath a directory.
pub(crate) const fn has_openat2() -> bool {
    false
}

/// macOS has no handle on a link: `O_NOFOLLOW` opens none.
pub(crate) const fn is_link_handle(_: OFlags, _: &OwnedFd) -> std::result::Result<bool, Failure> {
    Ok(false)
}

/// Finds what a whole path leads to.
pub(crate) fn handle(
    wasi: &Wasi,
    place: &DirectoryPath<'_>,
    follow: bool,
) -> std::result::Result<(Handle, Stat), Failure> {
    let object = wasi.objects.get(&place.dir)?;
    let path = place.path.whole();
    let (handle, found) = find(object.as_fd(), path, follow, place.path.demands_directory(), wasi.interrupted)?;
    if device(&found) != object.device {
        // Only directories are mount points. So what is no directory is on the file system of its directory.
        let directory = handle.directory(&found, wasi.interrupted)?;
        check_filesystem(directory.as_fd())?;
        if device(&fstat(&directory)?) != device(&found) {
            return Err(kernel_interface());
        }
    }
    Ok((handle, found))
}

/// Denies a descriptor on a kernel interface.
pub(crate) fn check_filesystem(fd: BorrowedFd<'_>) -> std::result::Result<(), Failure> {
    let name = fstatfs(fd)?.f_fstypename.map(i8::cast_unsigned);
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    if KERNEL_INTERFACES.contains(&name) { Err(kernel_interface()) } else { Ok(()) }
}

fn kernel_interface() -> Failure {
    Errno::NOTCAPABLE.because(Rule::KernelInterface).into()
}

/// The number of the file system's device.
pub(crate) fn device(stat: &Stat) -> u64 {
    u64::from(stat.st_dev.cast_unsigned())
}

/// The number of the device that a device node stands for.
pub(crate) fn node_device(stat: &Stat) -> u64 {
    u64::from(stat.st_rdev.cast_unsigned())
}

/// The number of hard links.
pub(crate) fn links(stat: &Stat) -> u64 {
    u64::from(stat.st_nlink)
}

/// The WASI error number of an error of a system call.
#[cold]
pub(crate) fn errno(error: Host) -> Errno {
    of_number(error.raw_os_error())
}

/// Waits, at most a day.
pub(crate) fn poll(descriptors: &mut [PollFd<'_>], timeout: Option<&Timespec>) -> Result<usize> {
    rustix::event::poll(descriptors, timeout.map(|timeout| timeout.min(&LONGEST_POLL)))
}

/// Whether a FIFO that read as empty and then was polled has data now. If not, there is no writer. At its end, macOS says
/// that it can be read and that it is hung up.
pub(crate) fn has_data(fd: BorrowedFd<'_>, found: PollFlags) -> Result<bool> {
    Ok(found.contains(PollFlags::IN) && (!found.contains(PollFlags::HUP) || rustix::io::ioctl_fionread(fd)? > 0))
}

/// Takes a connection from the queue. The descriptor is nonblocking. There is no `accept4`, and no other thread that could
/// start a program before the flags are set.
pub(crate) fn accept(fd: BorrowedFd<'_>) -> Result<(OwnedFd, Option<SocketAddrAny>)> {
    let (accepted, peer) = rustix::net::acceptfrom(fd)?;
    rustix::io::fcntl_setfd(&accepted, FdFlags::CLOEXEC)?;
    fcntl_setfl(&accepted, OFlags::NONBLOCK)?;
    Ok((accepted, peer))
}

/// The kernel's generator.
#[derive(Debug)]
pub(crate) struct Random;

impl Random {
    pub(crate) const fn new() -> Self {
        Self
    }

    /// Fills the start of the buffer and returns how much of it.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let len = buffer.len().min(MAX_ENTROPY_BYTES);
        // SAFETY: `buffer` is borrowed mutably until the call has returned, and `len` is at most its length.
        if unsafe { libc::getentropy(buffer.as_mut_ptr().cast(), len) } == 0 {
            Ok(len)
        } else {
            Err(crate::sys::last_error())
        }
    }
}

/// Announces how a range of a file will be used. macOS takes only one such hint, `F_RDADVISE`.
pub(crate) fn advise(fd: BorrowedFd<'_>, offset: u64, len: Option<NonZeroU64>, advice: Advice) -> Result<()> {
    match (advice, len) {
        (Advice::WillNeed, Some(len)) => rustix::fs::fcntl_rdadvise(fd, offset, len.get()),
        _ => Ok(()),
    }
}

/// macOS reserves space only behind the end of a file, which would be an effect of another kind. So nothing is reserved.
pub(crate) const fn reserve(_: BorrowedFd<'_>, _: u64, _: u64) -> Result<bool> {
    Ok(false)
}

/// Waits until a file is on the disk. `fsync` alone leaves it in the cache of the disk (`fsync(2)`); where a file system
/// has no `F_FULLFSYNC`, it is what there is.
pub(crate) fn sync(fd: BorrowedFd<'_>, _: bool) -> Result<()> {
    match rustix::fs::fcntl_fullfsync(fd) {
        Err(Host::NOTSUP | Host::OPNOTSUPP | Host::INVAL | Host::NOTTY) => rustix::fs::fsync(fd),
        done => done,
    }
}

/// Turns append mode on or off, on a descriptor that the guest opened. `F_SETFL` sets the synchronization flags, too.
pub(crate) fn set_append(fd: BorrowedFd<'_>, append: bool) -> Result<()> {
    let mut flags = fcntl_getfl(fd)?.intersection(OFlags::SYNC | OFlags::DSYNC) | OFlags::NONBLOCK;
    flags.set(OFlags::APPEND, append);
    fcntl_setfl(fd, flags)
}
