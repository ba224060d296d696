//! The hostcalls as functions that guests import.

use crate::{Failure, Stop, Wasi, preview1, unstable};
use wave_runtime::{Caller, HostFunction};

/// The name most modules import from.
pub const PREVIEW1: &str = "wasi_snapshot_preview1";

/// The name of the snapshot before, with other layouts in a few places.
pub const UNSTABLE: &str = "wasi_unstable";

/// The function behind an import, or `None` if there is none of that name.
#[must_use]
pub fn host_function(module: &str, name: &str) -> Option<HostFunction<Wasi>> {
    match module {
        PREVIEW1 => preview1_function(name),
        UNSTABLE => unstable_function(name),
        _ => None,
    }
}

/// One table: the name, where it is implemented, the types of its parameters as the specification gives them.
macro_rules! hostcalls {
    ($($path:path => $name:literal ($($arg:ident: $ty:ty),*))*) => {
        |name: &str| match name {
            $($name => Some(HostFunction::new(|caller: &mut Caller<'_, Wasi>, $($arg: $ty),*| {
                let (memory, wasi) = caller.parts();
                answer($path(wasi, memory, $($arg),*))
            })),)*
            _ => None,
        }
    };
}

fn preview1_function(name: &str) -> Option<HostFunction<Wasi>> {
    use preview1 as p;
    let table = hostcalls! {
        p::args_get => "args_get" (a: u32, b: u32)
        p::args_sizes_get => "args_sizes_get" (a: u32, b: u32)
        p::environ_get => "environ_get" (a: u32, b: u32)
        p::environ_sizes_get => "environ_sizes_get" (a: u32, b: u32)
        p::clock_res_get => "clock_res_get" (a: u32, b: u32)
        p::clock_time_get => "clock_time_get" (a: u32, b: u64, c: u32)
        p::fd_advise => "fd_advise" (a: u32, b: u64, c: u64, d: u32)
        p::fd_allocate => "fd_allocate" (a: u32, b: u64, c: u64)
        p::fd_close => "fd_close" (a: u32)
        p::fd_datasync => "fd_datasync" (a: u32)
        p::fd_fdstat_get => "fd_fdstat_get" (a: u32, b: u32)
        p::fd_fdstat_set_flags => "fd_fdstat_set_flags" (a: u32, b: u32)
        p::fd_fdstat_set_rights => "fd_fdstat_set_rights" (a: u32, b: u64, c: u64)
        p::fd_filestat_get => "fd_filestat_get" (a: u32, b: u32)
        p::fd_filestat_set_size => "fd_filestat_set_size" (a: u32, b: u64)
        p::fd_filestat_set_times => "fd_filestat_set_times" (a: u32, b: u64, c: u64, d: u32)
        p::fd_pread => "fd_pread" (a: u32, b: u32, c: u32, d: u64, e: u32)
        p::fd_prestat_get => "fd_prestat_get" (a: u32, b: u32)
        p::fd_prestat_dir_name => "fd_prestat_dir_name" (a: u32, b: u32, c: u32)
        p::fd_pwrite => "fd_pwrite" (a: u32, b: u32, c: u32, d: u64, e: u32)
        p::fd_read => "fd_read" (a: u32, b: u32, c: u32, d: u32)
        p::fd_readdir => "fd_readdir" (a: u32, b: u32, c: u32, d: u64, e: u32)
        p::fd_renumber => "fd_renumber" (a: u32, b: u32)
        p::fd_seek => "fd_seek" (a: u32, b: u64, c: u32, d: u32)
        p::fd_sync => "fd_sync" (a: u32)
        p::fd_tell => "fd_tell" (a: u32, b: u32)
        p::fd_write => "fd_write" (a: u32, b: u32, c: u32, d: u32)
        p::path_create_directory => "path_create_directory" (a: u32, b: u32, c: u32)
        p::path_filestat_get => "path_filestat_get" (a: u32, b: u32, c: u32, d: u32, e: u32)
        p::path_filestat_set_times => "path_filestat_set_times" (a: u32, b: u32, c: u32, d: u32, e: u64, f: u64, g: u32)
        p::path_link => "path_link" (a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32)
        p::path_open => "path_open" (a: u32, b: u32, c: u32, d: u32, e: u32, f: u64, g: u64, h: u32, i: u32)
        p::path_readlink => "path_readlink" (a: u32, b: u32, c: u32, d: u32, e: u32, f: u32)
        p::path_remove_directory => "path_remove_directory" (a: u32, b: u32, c: u32)
        p::path_rename => "path_rename" (a: u32, b: u32, c: u32, d: u32, e: u32, f: u32)
        p::path_symlink => "path_symlink" (a: u32, b: u32, c: u32, d: u32, e: u32)
        p::path_unlink_file => "path_unlink_file" (a: u32, b: u32, c: u32)
        p::poll_oneoff => "poll_oneoff" (a: u32, b: u32, c: u32, d: u32)
        p::proc_raise => "proc_raise" (a: u32)
        p::random_get => "random_get" (a: u32, b: u32)
        p::sched_yield => "sched_yield" ()
        p::sock_accept => "sock_accept" (a: u32, b: u32, c: u32)
        p::sock_recv => "sock_recv" (a: u32, b: u32, c: u32, d: u32, e: u32, f: u32)
        p::sock_send => "sock_send" (a: u32, b: u32, c: u32, d: u32, e: u32)
        p::sock_shutdown => "sock_shutdown" (a: u32, b: u32)
    };
    match name {
        // The only one without a result.
        "proc_exit" => Some(HostFunction::new(|caller: &mut Caller<'_, Wasi>, code: u32| {
            let (memory, wasi) = caller.parts();
            answer(p::proc_exit(wasi, memory, code)).map(drop)
        })),
        _ => table(name),
    }
}

/// Where the older snapshot differs; the rest is the same function.
fn unstable_function(name: &str) -> Option<HostFunction<Wasi>> {
    let table = hostcalls! {
        unstable::fd_filestat_get => "fd_filestat_get" (a: u32, b: u32)
        unstable::fd_seek => "fd_seek" (a: u32, b: u64, c: u32, d: u32)
        unstable::path_filestat_get => "path_filestat_get" (a: u32, b: u32, c: u32, d: u32, e: u32)
        unstable::poll_oneoff => "poll_oneoff" (a: u32, b: u32, c: u32, d: u32)
    };
    match name {
        // Came later.
        "sock_accept" => None,
        _ => table(name).or_else(|| preview1_function(name)),
    }
}

/// The errno that the guest gets, or the stop that it does not come back from.
fn answer(result: Result<(), Failure>) -> Result<u32, wave_runtime::Stop> {
    match result {
        Ok(()) => Ok(0),
        Err(Failure::Errno(errno)) => Ok(u32::from(errno.raw())),
        Err(Failure::Stop(Stop::Exit(code))) => Err(wave_runtime::Stop::Exit(code)),
        Err(Failure::Stop(Stop::Signal(number))) => Err(wave_runtime::Stop::Signal(number)),
        Err(Failure::Stop(Stop::Deadline)) => Err(wave_runtime::Stop::Deadline),
    }
}
