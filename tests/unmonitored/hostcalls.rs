//! Hostcalls that decide nothing: each is the system call itself, on the guest's string and number.
//!
//! Where the filter pins an argument the worst that is left is asked for. Links are followed whether or not the guest says so,
//! and what the filter makes `newfstatat` and `utimensat` not follow is reached through a handle, which Landlock does not ask
//! about. Memory accesses are checked, since this program may not crash, and nothing else is.
#![allow(clippy::too_many_arguments, reason = "the interface has this many")]

use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{
    self, AtFlags, CWD, FallocateFlags, Mode, OFlags, RawDir, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT,
};
use rustix::io::{self, Errno};
use rustix::net::sockopt::socket_error;
use rustix::stdio;
use rustix::time::{ClockId, clock_gettime};
use wave_runtime::{Caller, HostFunction, Stop};
use wave_sandbox::BrokerClient;
use wave_wasi::Errno as Wasi;

type Result<T = ()> = std::result::Result<T, Errno>;

/// The kernel's name for the working directory, as a number of 32 bits.
const AT_FDCWD: u32 = 0xffff_ff9c;
const FOLLOW: u32 = 1;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 6;

/// Every mode bit, set-user-ID and set-group-ID among them.
const ANY_MODE: Mode = Mode::from_raw_mode(0o7777);

/// The descriptors of a guest, from number 3 on: its grants, then what it opened.
pub struct Unmonitored {
    /// `None` where one was closed.
    pub files: Vec<Option<OwnedFd>>,
    /// The way to the broker, if it may have connections.
    pub broker: Option<BrokerClient>,
}

impl Unmonitored {
    fn fd(&self, number: u32) -> Result<BorrowedFd<'_>> {
        match number {
            0 => Ok(stdio::stdin()),
            1 => Ok(stdio::stdout()),
            2 => Ok(stdio::stderr()),
            AT_FDCWD => Ok(CWD),
            _ => self
                .files
                .get((number as usize).wrapping_sub(3))
                .and_then(Option::as_ref)
                .map(AsFd::as_fd)
                .ok_or(Errno::BADF),
        }
    }
}

/// The function of this name, whatever the module is called.
pub fn function(name: &str) -> Option<HostFunction<Unmonitored>> {
    macro_rules! hostcalls {
        ($($call:ident($($arg:ident: $ty:ty),*))*) => {
            $(if name == stringify!($call) {
                return Some(HostFunction::new(|caller: &mut Caller<'_, Unmonitored>, $($arg: $ty),*| {
                    let (memory, raw) = caller.parts();
                    Ok::<u32, Stop>(number($call(raw, memory, $($arg),*)))
                }));
            })*
        };
    }
    macro_rules! missing {
        ($($call:ident($($ty:ty),*))*) => {
            $(if name == stringify!($call) {
                return Some(HostFunction::new(|_: &mut Caller<'_, Unmonitored>, $(_: $ty),*| {
                    Ok::<u32, Stop>(number(Err(Errno::NOSYS)))
                }));
            })*
        };
    }
    hostcalls! {
        clock_time_get(id: u32, precision: u64, time: u32)
        fd_allocate(fd: u32, offset: u64, len: u64)
        fd_close(fd: u32)
        fd_filestat_get(fd: u32, stat: u32)
        fd_filestat_set_size(fd: u32, size: u64)
        fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, flags: u32)
        fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nread: u32)
        fd_pwrite(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nwritten: u32)
        fd_read(fd: u32, iovs: u32, iovs_len: u32, nread: u32)
        fd_readdir(fd: u32, buf: u32, buf_len: u32, cookie: u64, used: u32)
        fd_write(fd: u32, iovs: u32, iovs_len: u32, nwritten: u32)
        path_create_directory(fd: u32, path: u32, len: u32)
        path_filestat_get(fd: u32, lookup: u32, path: u32, len: u32, stat: u32)
        path_filestat_set_times(fd: u32, lookup: u32, path: u32, len: u32, atim: u64, mtim: u64, flags: u32)
        path_link(fd: u32, lookup: u32, old: u32, old_len: u32, to: u32, new: u32, new_len: u32)
        path_open(fd: u32, lookup: u32, path: u32, len: u32, oflags: u32, base: u64, inheriting: u64, fdflags: u32, opened: u32)
        path_readlink(fd: u32, path: u32, len: u32, buf: u32, buf_len: u32, used: u32)
        path_remove_directory(fd: u32, path: u32, len: u32)
        path_rename(fd: u32, old: u32, old_len: u32, to: u32, new: u32, new_len: u32)
        path_symlink(target: u32, target_len: u32, fd: u32, path: u32, len: u32)
        path_unlink_file(fd: u32, path: u32, len: u32)
        tcp_connect(remote: u32, opened: u32)
    }
    missing! {
        args_get(u32, u32)
        args_sizes_get(u32, u32)
        clock_res_get(u32, u32)
        environ_get(u32, u32)
        environ_sizes_get(u32, u32)
        fd_advise(u32, u64, u64, u32)
        fd_datasync(u32)
        fd_fdstat_get(u32, u32)
        fd_fdstat_set_flags(u32, u32)
        fd_fdstat_set_rights(u32, u64, u64)
        fd_prestat_dir_name(u32, u32, u32)
        fd_prestat_get(u32, u32)
        fd_renumber(u32, u32)
        fd_seek(u32, u64, u32, u32)
        fd_sync(u32)
        fd_tell(u32, u32)
        poll_oneoff(u32, u32, u32, u32)
        proc_raise(u32)
        random_get(u32, u32)
        sched_yield()
        sock_accept(u32, u32, u32)
        sock_recv(u32, u32, u32, u32, u32, u32)
        sock_send(u32, u32, u32, u32, u32)
        sock_shutdown(u32, u32)
    }
    let exit = |_: &mut Caller<'_, Unmonitored>, code: u32| Err::<(), Stop>(Stop::Exit(code));
    (name == "proc_exit").then(|| HostFunction::new(exit))
}

// ---- descriptors --------------------------------------------------------------------------------

fn clock_time_get(_: &mut Unmonitored, memory: &mut [u8], _id: u32, _precision: u64, time: u32) -> Result {
    let now = clock_gettime(ClockId::Monotonic);
    put(memory, time, &(now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()).to_le_bytes())
}

fn fd_allocate(raw: &mut Unmonitored, _: &mut [u8], fd: u32, offset: u64, len: u64) -> Result {
    fs::fallocate(raw.fd(fd)?, FallocateFlags::empty(), offset, len)
}

fn fd_close(raw: &mut Unmonitored, _: &mut [u8], fd: u32) -> Result {
    raw.fd(fd)?;
    // Standard streams stay, since the report of the test goes there.
    raw.files.get_mut((fd as usize).wrapping_sub(3)).ok_or(Errno::BADF)?.take();
    Ok(())
}

fn fd_filestat_get(raw: &mut Unmonitored, memory: &mut [u8], fd: u32, stat: u32) -> Result {
    put(memory, stat, &filestat(&fs::fstat(raw.fd(fd)?)?))
}

fn fd_filestat_set_size(raw: &mut Unmonitored, _: &mut [u8], fd: u32, size: u64) -> Result {
    fs::ftruncate(raw.fd(fd)?, size)
}

fn fd_filestat_set_times(raw: &mut Unmonitored, _: &mut [u8], fd: u32, atim: u64, mtim: u64, flags: u32) -> Result {
    fs::futimens(raw.fd(fd)?, &timestamps(atim, mtim, flags))
}

fn fd_pread(
    raw: &mut Unmonitored,
    memory: &mut [u8],
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    done: u32,
) -> Result {
    let fd = raw.fd(fd)?;
    transfer(memory, iovs, count, done, |part, at| io::pread(fd, part, offset.wrapping_add(at)))
}

fn fd_pwrite(
    raw: &mut Unmonitored,
    memory: &mut [u8],
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    done: u32,
) -> Result {
    let fd = raw.fd(fd)?;
    transfer(memory, iovs, count, done, |part, at| io::pwrite(fd, part, offset.wrapping_add(at)))
}

fn fd_read(raw: &mut Unmonitored, memory: &mut [u8], fd: u32, iovs: u32, count: u32, done: u32) -> Result {
    let fd = raw.fd(fd)?;
    transfer(memory, iovs, count, done, |part, _| io::read(fd, part))
}

fn fd_write(raw: &mut Unmonitored, memory: &mut [u8], fd: u32, iovs: u32, count: u32, done: u32) -> Result {
    let fd = raw.fd(fd)?;
    transfer(memory, iovs, count, done, |part, _| io::write(fd, part))
}

/// Stores the names alone, each ended by NUL.
fn fd_readdir(
    raw: &mut Unmonitored,
    memory: &mut [u8],
    fd: u32,
    buf: u32,
    len: u32,
    _cookie: u64,
    used: u32,
) -> Result {
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(raw.fd(fd)?, &mut space);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        names.extend_from_slice(entry?.file_name().to_bytes_with_nul());
    }
    names.truncate(len as usize);
    put(memory, buf, &names)?;
    put(memory, used, &word(names.len()))
}

// ---- paths --------------------------------------------------------------------------------------

fn path_create_directory(raw: &mut Unmonitored, memory: &mut [u8], fd: u32, path: u32, len: u32) -> Result {
    fs::mkdirat(raw.fd(fd)?, get(memory, path, len)?, ANY_MODE)
}

fn path_filestat_get(
    raw: &mut Unmonitored,
    memory: &mut [u8],
    fd: u32,
    lookup: u32,
    path: u32,
    len: u32,
    stat: u32,
) -> Result {
    let (fd, path) = (raw.fd(fd)?, get(memory, path, len)?);
    let found = match lookup & FOLLOW {
        0 => fs::statat(fd, path, AtFlags::SYMLINK_NOFOLLOW)?,
        _ => fs::fstat(handle(fd, path)?)?,
    };
    put(memory, stat, &filestat(&found))
}

fn path_filestat_set_times(
    raw: &mut Unmonitored,
    memory: &mut [u8],
    fd: u32,
    lookup: u32,
    path: u32,
    len: u32,
    atim: u64,
    mtim: u64,
    flags: u32,
) -> Result {
    let (fd, path, times) = (raw.fd(fd)?, get(memory, path, len)?, timestamps(atim, mtim, flags));
    match lookup & FOLLOW {
        0 => fs::utimensat(fd, path, &times, AtFlags::SYMLINK_NOFOLLOW),
        _ => fs::utimensat(handle(fd, path)?, c"", &times, AtFlags::EMPTY_PATH),
    }
}

fn path_link(
    raw: &mut Unmonitored,
    memory: &mut [u8],
    fd: u32,
    _lookup: u32,
    old: u32,
    old_len: u32,
    to: u32,
    new: u32,
    new_len: u32,
) -> Result {
    let (old, new) = (get(memory, old, old_len)?, get(memory, new, new_len)?);
    fs::linkat(raw.fd(fd)?, old, raw.fd(to)?, new, AtFlags::empty())
}

/// No right at all asks for a handle, and a directory to write to for a file without a name.
fn path_open(
    raw: &mut Unmonitored,
    memory: &mut [u8],
    fd: u32,
    _lookup: u32,
    path: u32,
    len: u32,
    oflags: u32,
    base: u64,
    _inheriting: u64,
    _fdflags: u32,
    opened: u32,
) -> Result {
    let write = base & WRITE != 0;
    // `O_NONBLOCK`, because a test that waits for the other end of a FIFO says nothing.
    let mut flags = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    flags |= match (base & READ != 0, write) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    flags.set(OFlags::PATH, base == 0);
    flags.set(OFlags::CREATE, oflags & 1 != 0);
    flags.set(OFlags::EXCL, oflags & 4 != 0);
    flags.set(OFlags::TRUNC, oflags & 8 != 0);
    if oflags & 2 != 0 {
        flags |= if write { OFlags::TMPFILE } else { OFlags::DIRECTORY };
    }
    let file = fs::openat(raw.fd(fd)?, get(memory, path, len)?, flags, ANY_MODE)?;
    raw.files.push(Some(file));
    put(memory, opened, &word(raw.files.len() + 2))
}

/// Asks the broker for whatever address the guest says. It waits until the peer says something or the connection has failed.
fn tcp_connect(raw: &mut Unmonitored, memory: &mut [u8], remote: u32, opened: u32) -> Result {
    let [family, _, low, high, _, _, _, _, address @ ..] =
        *<&[u8; 24]>::try_from(get(memory, remote, 24)?).map_err(|_| Errno::INVAL)?;
    let [a, b, c, d, ..] = address;
    let ip = if family == 4 { IpAddr::from([a, b, c, d]) } else { IpAddr::from(address) };
    let remote = SocketAddr::new(ip, u16::from_le_bytes([low, high]));
    let socket = raw.broker.as_ref().ok_or(Errno::NOTCONN)?.connect_tcp(remote);
    let socket = socket.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    rustix::event::poll(&mut [PollFd::new(&socket, PollFlags::IN)], None)?;
    socket_error(&socket)??;
    raw.files.push(Some(socket));
    put(memory, opened, &word(raw.files.len() + 2))
}

fn path_readlink(
    raw: &mut Unmonitored,
    memory: &mut [u8],
    fd: u32,
    path: u32,
    len: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Result {
    let mut text = [0; 4096];
    let read = fs::readlinkat_raw(raw.fd(fd)?, get(memory, path, len)?, &mut text[..])?;
    let text = text.get(..read.min(buf_len as usize)).unwrap_or_default();
    put(memory, buf, text)?;
    put(memory, used, &word(text.len()))
}

fn path_remove_directory(raw: &mut Unmonitored, memory: &mut [u8], fd: u32, path: u32, len: u32) -> Result {
    fs::unlinkat(raw.fd(fd)?, get(memory, path, len)?, AtFlags::REMOVEDIR)
}

fn path_rename(
    raw: &mut Unmonitored,
    memory: &mut [u8],
    fd: u32,
    old: u32,
    old_len: u32,
    to: u32,
    new: u32,
    new_len: u32,
) -> Result {
    fs::renameat(raw.fd(fd)?, get(memory, old, old_len)?, raw.fd(to)?, get(memory, new, new_len)?)
}

fn path_symlink(
    raw: &mut Unmonitored,
    memory: &mut [u8],
    target: u32,
    target_len: u32,
    fd: u32,
    path: u32,
    len: u32,
) -> Result {
    fs::symlinkat(get(memory, target, target_len)?, raw.fd(fd)?, get(memory, path, len)?)
}

fn path_unlink_file(raw: &mut Unmonitored, memory: &mut [u8], fd: u32, path: u32, len: u32) -> Result {
    fs::unlinkat(raw.fd(fd)?, get(memory, path, len)?, AtFlags::empty())
}

// ---- values -------------------------------------------------------------------------------------

/// Landlock has no say in `O_PATH`, and links are followed.
fn handle(fd: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    fs::openat(fd, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

fn get(memory: &[u8], at: u32, len: u32) -> Result<&[u8]> {
    memory.get(at as usize..at as usize + len as usize).ok_or(Errno::FAULT)
}

fn put(memory: &mut [u8], at: u32, bytes: &[u8]) -> Result {
    let place = memory.get_mut(at as usize..at as usize + bytes.len()).ok_or(Errno::FAULT)?;
    place.copy_from_slice(bytes);
    Ok(())
}

fn word(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

/// Reads or writes each buffer of a list until one is not filled; stores the sum at `done`.
fn transfer(
    memory: &mut [u8],
    iovs: u32,
    count: u32,
    done: u32,
    mut one: impl FnMut(&mut [u8], u64) -> Result<usize>,
) -> Result {
    let list = get(memory, iovs, count.saturating_mul(8))?.to_vec();
    let mut sum = 0;
    for iovec in list.chunks_exact(8) {
        let [a, b, c, d, e, f, g, h] = *iovec else { return Err(Errno::FAULT) };
        let (at, len) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize);
        let moved = one(memory.get_mut(at..at + len).ok_or(Errno::FAULT)?, sum)?;
        sum += moved as u64;
        if moved < len {
            break;
        }
    }
    put(memory, done, &word(usize::try_from(sum).unwrap_or(usize::MAX)))
}

fn timestamps(atim: u64, mtim: u64, flags: u32) -> Timestamps {
    let time = |nanoseconds: u64, set: bool, now: bool| {
        let tv_nsec = match (set, now) {
            (_, true) => UTIME_NOW,
            (true, _) => i64::try_from(nanoseconds % 1_000_000_000).unwrap_or(0),
            _ => UTIME_OMIT,
        };
        Timespec { tv_sec: i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(0), tv_nsec }
    };
    Timestamps {
        last_access: time(atim, flags & 1 != 0, flags & 2 != 0),
        last_modification: time(mtim, flags & 4 != 0, flags & 8 != 0),
    }
}

/// `$filestat` without the type, which no attack needs.
fn filestat(stat: &Stat) -> [u8; 64] {
    let time = |seconds: i64, nanoseconds: u64| seconds.cast_unsigned().wrapping_mul(1_000_000_000) + nanoseconds;
    let words = [
        stat.st_dev,
        stat.st_ino,
        0,
        stat.st_nlink,
        stat.st_size.cast_unsigned(),
        time(stat.st_atime, stat.st_atime_nsec),
        time(stat.st_mtime, stat.st_mtime_nsec),
        time(stat.st_ctime, stat.st_ctime_nsec),
    ];
    let mut bytes = [0; 64];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// What the guest is told: the kernel's word, by WASI's number for it.
fn number(answer: Result) -> u32 {
    let Err(error) = answer else { return 0 };
    let errno = match error {
        Errno::ACCESS => Wasi::ACCES,
        Errno::AGAIN => Wasi::AGAIN,
        Errno::BADF => Wasi::BADF,
        Errno::BUSY => Wasi::BUSY,
        Errno::EXIST => Wasi::EXIST,
        Errno::FAULT => Wasi::FAULT,
        Errno::INVAL => Wasi::INVAL,
        Errno::ISDIR => Wasi::ISDIR,
        Errno::LOOP => Wasi::LOOP,
        Errno::MFILE => Wasi::MFILE,
        Errno::NAMETOOLONG => Wasi::NAMETOOLONG,
        Errno::NODEV => Wasi::NODEV,
        Errno::NOENT => Wasi::NOENT,
        Errno::NOSYS => Wasi::NOSYS,
        Errno::NOTDIR => Wasi::NOTDIR,
        Errno::NOTEMPTY => Wasi::NOTEMPTY,
        Errno::NXIO => Wasi::NXIO,
        Errno::OPNOTSUPP => Wasi::NOTSUP,
        Errno::PERM => Wasi::PERM,
        Errno::ROFS => Wasi::ROFS,
        Errno::SPIPE => Wasi::SPIPE,
        Errno::TXTBSY => Wasi::TXTBSY,
        Errno::XDEV => Wasi::XDEV,
        _ => Wasi::IO,
    };
    u32::from(errno.raw())
}
