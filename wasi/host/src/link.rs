//! The hostcalls as functions that guests import.

use crate::{Failure, Stop, Wasi, poll, preview1, trace, unstable, wave_net};
use wave_monitor::Errno;
use wave_runtime::{Caller, HostFunction, TIMED_OUT, Trap};

/// The module name that most programs import from.
pub const PREVIEW1: &str = "wasi_snapshot_preview1";

/// The module name of the snapshot before, which has a few other layouts.
pub const UNSTABLE: &str = "wasi_unstable";

/// The module name of what connects. It is an interface of this runtime.
pub const NET: &str = "wave_net";

/// Module and name of the function that starts threads: <https://github.com/WebAssembly/wasi-threads>.
pub const THREAD_SPAWN: (&str, &str) = ("wasi", "thread-spawn");

/// The function for an import, or `None` if there is no such function.
#[must_use]
pub fn host_function(module: &str, name: &str) -> Option<HostFunction<Wasi>> {
    function::<false>(module, name)
}

/// The same function. Each call is passed to the [tracer](Wasi::trace).
#[must_use]
pub fn traced_function(module: &str, name: &str) -> Option<HostFunction<Wasi>> {
    function::<true>(module, name)
}

fn function<const TRACED: bool>(module: &str, name: &str) -> Option<HostFunction<Wasi>> {
    match module {
        _ if (module, name) == THREAD_SPAWN => Some(thread_spawn()),
        PREVIEW1 => preview1_function::<TRACED>(name),
        UNSTABLE => unstable_function::<TRACED>(name),
        NET => net_function::<TRACED>(name),
        _ => None,
    }
}

/// What starts a thread, according to programs that could work without one. No guest gets one (T7): the answer is always a
/// negative number, `AGAIN`, which libraries report as any lack of resources.
fn thread_spawn() -> HostFunction<Wasi> {
    HostFunction::new(|_: &mut Caller<'_, Wasi>, _argument: u32| {
        Ok::<_, wave_runtime::Stop>(-i32::from(Errno::AGAIN.raw().cast_signed()))
    })
}

/// What `memory.atomic.wait` does when it has found the expected value, for [`wave_runtime::Store::set_wait`]: sleeps until the
/// timeout, as `poll_oneoff` does. Without a timeout nothing could ever end it, because the guest has no other thread: a trap.
///
/// Host syscalls: `ppoll`; the clock as in [`clock_time_get`](crate::preview1::clock_time_get).
#[must_use]
pub fn atomic_wait() -> HostFunction<Wasi> {
    HostFunction::new(|caller: &mut Caller<'_, Wasi>, low: u32, high: u32| {
        let timeout = (u64::from(high) << 32 | u64::from(low)).cast_signed();
        let timeout = u64::try_from(timeout).map_err(|_| wave_runtime::Stop::Trap(Trap::Deadlock))?;
        to_guest(poll::sleep(caller.data(), timeout)).map(|_| TIMED_OUT)
    })
}

/// The table of hostcalls: implementation, name, and the parameters of the specification.
macro_rules! hostcalls {
    ($($path:path => $name:literal ($($arg:ident: $ty:ty),*))*) => {
        |name: &str| match name {
            $($name => Some(HostFunction::new(|caller: &mut Caller<'_, Wasi>, $($arg: $ty),*| {
                let (memory, wasi) = caller.parts();
                if TRACED {
                    let arguments = [$((stringify!($arg), u64::from($arg))),*];
                    return to_guest(trace::call(wasi, memory, $name, &arguments, |wasi, memory| $path(wasi, memory, $($arg),*)));
                }
                to_guest($path(wasi, memory, $($arg),*))
            })),)*
            _ => None,
        }
    };
}

fn preview1_function<const TRACED: bool>(name: &str) -> Option<HostFunction<Wasi>> {
    use preview1 as p;
    let table = hostcalls! {
        p::args_get => "args_get" (argv: u32, argv_buf: u32)
        p::args_sizes_get => "args_sizes_get" (argc: u32, argv_buf_size: u32)
        p::environ_get => "environ_get" (environ: u32, environ_buf: u32)
        p::environ_sizes_get => "environ_sizes_get" (environc: u32, environ_buf_size: u32)
        p::clock_res_get => "clock_res_get" (id: u32, resolution: u32)
        p::clock_time_get => "clock_time_get" (id: u32, precision: u64, time: u32)
        p::fd_advise => "fd_advise" (fd: u32, offset: u64, len: u64, advice: u32)
        p::fd_allocate => "fd_allocate" (fd: u32, offset: u64, len: u64)
        p::fd_close => "fd_close" (fd: u32)
        p::fd_datasync => "fd_datasync" (fd: u32)
        p::fd_fdstat_get => "fd_fdstat_get" (fd: u32, stat: u32)
        p::fd_fdstat_set_flags => "fd_fdstat_set_flags" (fd: u32, fdflags: u32)
        p::fd_fdstat_set_rights => "fd_fdstat_set_rights" (fd: u32, rights_base: u64, rights_inheriting: u64)
        p::fd_filestat_get => "fd_filestat_get" (fd: u32, stat: u32)
        p::fd_filestat_set_size => "fd_filestat_set_size" (fd: u32, size: u64)
        p::fd_filestat_set_times => "fd_filestat_set_times" (fd: u32, atim: u64, mtim: u64, fst_flags: u32)
        p::fd_pread => "fd_pread" (fd: u32, iovs: u32, iovs_len: u32, offset: u64, nread: u32)
        p::fd_prestat_get => "fd_prestat_get" (fd: u32, prestat: u32)
        p::fd_prestat_dir_name => "fd_prestat_dir_name" (fd: u32, buf: u32, buf_len: u32)
        p::fd_pwrite => "fd_pwrite" (fd: u32, iovs: u32, iovs_len: u32, offset: u64, nwritten: u32)
        p::fd_read => "fd_read" (fd: u32, iovs: u32, iovs_len: u32, nread: u32)
        p::fd_readdir => "fd_readdir" (fd: u32, buf: u32, buf_len: u32, cookie: u64, bufused: u32)
        p::fd_renumber => "fd_renumber" (fd: u32, to: u32)
        p::fd_seek => "fd_seek" (fd: u32, offset: u64, whence: u32, newoffset: u32)
        p::fd_sync => "fd_sync" (fd: u32)
        p::fd_tell => "fd_tell" (fd: u32, newoffset: u32)
        p::fd_write => "fd_write" (fd: u32, iovs: u32, iovs_len: u32, nwritten: u32)
        p::path_create_directory => "path_create_directory" (fd: u32, path: u32, path_len: u32)
        p::path_filestat_get => "path_filestat_get" (fd: u32, lookupflags: u32, path: u32, path_len: u32, stat: u32)
        p::path_filestat_set_times => "path_filestat_set_times" (fd: u32, lookupflags: u32, path: u32, path_len: u32, atim: u64, mtim: u64, fst_flags: u32)
        p::path_link => "path_link" (old_fd: u32, lookupflags: u32, old_path: u32, old_path_len: u32, new_fd: u32, new_path: u32, new_path_len: u32)
        p::path_open => "path_open" (fd: u32, lookupflags: u32, path: u32, path_len: u32, oflags: u32, rights_base: u64, rights_inheriting: u64, fdflags: u32, opened_fd: u32)
        p::path_readlink => "path_readlink" (fd: u32, path: u32, path_len: u32, buf: u32, buf_len: u32, bufused: u32)
        p::path_remove_directory => "path_remove_directory" (fd: u32, path: u32, path_len: u32)
        p::path_rename => "path_rename" (fd: u32, old_path: u32, old_path_len: u32, new_fd: u32, new_path: u32, new_path_len: u32)
        p::path_symlink => "path_symlink" (old_path: u32, old_path_len: u32, fd: u32, new_path: u32, new_path_len: u32)
        p::path_unlink_file => "path_unlink_file" (fd: u32, path: u32, path_len: u32)
        p::poll_oneoff => "poll_oneoff" (input: u32, output: u32, nsubscriptions: u32, nevents: u32)
        p::proc_raise => "proc_raise" (signal: u32)
        p::random_get => "random_get" (buf: u32, buf_len: u32)
        p::sched_yield => "sched_yield" ()
        p::sock_accept => "sock_accept" (fd: u32, fdflags: u32, opened_fd: u32)
        p::sock_recv => "sock_recv" (fd: u32, iovs: u32, iovs_len: u32, ri_flags: u32, received: u32, ro_flags: u32)
        p::sock_send => "sock_send" (fd: u32, iovs: u32, iovs_len: u32, si_flags: u32, sent: u32)
        p::sock_shutdown => "sock_shutdown" (fd: u32, how: u32)
    };
    match name {
        // The only hostcall without a result.
        "proc_exit" => Some(HostFunction::new(|caller: &mut Caller<'_, Wasi>, code: u32| {
            let (memory, wasi) = caller.parts();
            if TRACED {
                let arguments = [("code", u64::from(code))];
                let exit = |wasi: &mut Wasi, memory: &mut [u8]| p::proc_exit(wasi, memory, code);
                return to_guest(trace::call(wasi, memory, "proc_exit", &arguments, exit)).map(drop);
            }
            to_guest(p::proc_exit(wasi, memory, code)).map(drop)
        })),
        _ => table(name),
    }
}

/// The functions of the older snapshot. A few differ, the others are the same functions.
fn unstable_function<const TRACED: bool>(name: &str) -> Option<HostFunction<Wasi>> {
    let table = hostcalls! {
        unstable::fd_filestat_get => "fd_filestat_get" (fd: u32, stat: u32)
        unstable::fd_seek => "fd_seek" (fd: u32, offset: u64, whence: u32, newoffset: u32)
        unstable::path_filestat_get => "path_filestat_get" (fd: u32, lookupflags: u32, path: u32, path_len: u32, stat: u32)
        unstable::poll_oneoff => "poll_oneoff" (input: u32, output: u32, nsubscriptions: u32, nevents: u32)
    };
    match name {
        // Added in preview 1.
        "sock_accept" => None,
        _ => table(name).or_else(|| preview1_function::<TRACED>(name)),
    }
}

fn net_function<const TRACED: bool>(name: &str) -> Option<HostFunction<Wasi>> {
    let table = hostcalls! {
        wave_net::address => "address" (fd: u32, which: u32, out: u32)
        wave_net::resolve => "resolve" (name: u32, name_len: u32, out: u32, capacity: u32, count: u32)
        wave_net::tcp_connect => "tcp_connect" (remote: u32, opened_fd: u32)
        wave_net::tcp_listener => "tcp_listener" (index: u32, opened_fd: u32)
        wave_net::tcp_status => "tcp_status" (fd: u32)
    };
    table(name)
}

/// The errno for the guest, or the stop that ends it.
fn to_guest(result: Result<(), Failure>) -> Result<u32, wave_runtime::Stop> {
    match result {
        Ok(()) => Ok(0),
        Err(Failure::Errno(errno)) => Ok(u32::from(errno.raw())),
        Err(Failure::Stop(Stop::Exit(code))) => Err(wave_runtime::Stop::Exit(code)),
        Err(Failure::Stop(Stop::Signal(number))) => Err(wave_runtime::Stop::Signal(number)),
        Err(Failure::Stop(Stop::Deadline)) => Err(wave_runtime::Stop::Deadline),
    }
}
