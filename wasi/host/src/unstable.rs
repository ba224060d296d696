//! `wasi_unstable`, snapshot 0: the differences from `wasi_snapshot_preview1`.
//!
//! Four functions have other layouts: the two that return `$filestat` (56 bytes, a 32-bit link
//! count), `fd_seek` (`whence` counts current, end, set) and `poll_oneoff` (a subscription has 56
//! bytes). All others are the same functions; there is no `sock_accept`.

use crate::stat;
use crate::{Failure, Wasi};
use wave_monitor::{GuestRange, Layout, Whence};

pub use crate::preview1::{
    args_get, args_sizes_get, clock_res_get, clock_time_get, environ_get, environ_sizes_get, fd_advise, fd_allocate,
    fd_close, fd_datasync, fd_fdstat_get, fd_fdstat_set_flags, fd_fdstat_set_rights, fd_filestat_set_size,
    fd_filestat_set_times, fd_pread, fd_prestat_dir_name, fd_prestat_get, fd_pwrite, fd_read, fd_readdir, fd_renumber,
    fd_sync, fd_tell, fd_write, path_create_directory, path_filestat_set_times, path_link, path_open, path_readlink,
    path_remove_directory, path_rename, path_symlink, path_unlink_file, proc_exit, proc_raise, random_get, sched_yield,
    sock_recv, sock_send, sock_shutdown,
};

/// [`preview1::fd_filestat_get`](crate::preview1::fd_filestat_get) with the older layout.
///
/// # Errors
/// The same.
///
/// Host syscalls: the same.
pub fn fd_filestat_get(wasi: &mut Wasi, memory: &mut [u8], fd: u32, out: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), out, stat::UNSTABLE_SIZE)?;
    let stat = wasi.monitor.admit_stat(fd)?;
    let found = crate::fd::stat_open_file(wasi, stat)?;
    out.store(memory, &found.to_unstable_bytes())?;
    Ok(())
}

/// [`preview1::path_filestat_get`](crate::preview1::path_filestat_get) with the older layout.
///
/// # Errors
/// The same.
///
/// Host syscalls: the same.
pub fn path_filestat_get(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    out: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), out, stat::UNSTABLE_SIZE)?;
    let path = GuestRange::check(memory.len(), path, path_len)?;
    let found = crate::path::stat_at(wasi, fd, flags, path.bytes(memory)?)?;
    out.store(memory, &found.to_unstable_bytes())?;
    Ok(())
}

/// [`preview1::fd_seek`](crate::preview1::fd_seek) with the older order of `whence`.
///
/// # Errors
/// The same.
///
/// Host syscalls: the same.
pub fn fd_seek(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    offset: u64,
    whence: u32,
    newoffset: u32,
) -> Result<(), Failure> {
    crate::fd::seek(wasi, memory, fd, offset, Whence::from_guest_unstable(whence), newoffset)
}

/// [`preview1::poll_oneoff`](crate::preview1::poll_oneoff) with the older subscription.
///
/// # Errors
/// The same.
///
/// Host syscalls: the same.
pub fn poll_oneoff(
    wasi: &mut Wasi,
    memory: &mut [u8],
    input: u32,
    output: u32,
    nsubscriptions: u32,
    nevents: u32,
) -> Result<(), Failure> {
    crate::poll::poll(wasi, memory, input, output, nsubscriptions, nevents, Layout::Unstable)
}
