//! WASI preview 1: check and copy the arguments, ask the monitor, perform the effect.
//!
//! Each hostcall is a plain function over the state of one instance and its linear memory:
//!
//! ```
//! use wave_wasi::{Config, Failure, Stop, Wasi, preview1};
//!
//! let mut wasi = Wasi::new(Config {
//!     args: vec![b"hello".to_vec()],
//!     env: vec![b"LANG=C".to_vec()],
//!     ..Config::default()
//! })?;
//! let mut memory = vec![0; 65_536];
//! preview1::args_sizes_get(&mut wasi, &mut memory, 0, 4).expect("both results are in memory");
//! assert_eq!(memory[..8], [1, 0, 0, 0, 6, 0, 0, 0]);
//!
//! let stopped = preview1::proc_exit(&mut wasi, &mut memory, 3);
//! assert_eq!(stopped, Err(Failure::Stop(Stop::Exit(3))));
//! # Ok::<(), wave_wasi::ConfigError>(())
//! ```
//!
//! Each hostcall has three steps, always in this order:
//!
//! 1. *copy in*: every pointer argument, including result pointers, becomes a checked range (T1, T5);
//! 2. *decide*: the [`Monitor`](wave_monitor::Monitor) admits an effect or returns an errno;
//! 3. *perform*: the effect, and nothing else, becomes system calls; results are stored.
//!
//! If a call fails, nothing is written to linear memory, unless its documentation says otherwise.
//!
//! There is one file per area of the interface ([`preview1`] and [`wave_net`] list the functions), and [`unstable`] for the older
//! layouts. `ctx` is the state, `objects` the host's side of the descriptor table, `resolve` turns a path into an
//! object under its grant, `files` has granted files, `wait` has every wait and checks the deadline, `sys` has all `unsafe` code.
//! `linux` and `macos` offer the same names: what differs between the two.
//!
//! The most frequent hostcalls are `inline(always)`, so that each is one function. After a system call, the processor
//! mispredicts each return to a frame from before it, because the kernel's calls have overwritten its return stack.
//! That costs about 7 ns per frame.
//!
//! # What the process must arrange
//! - `SIGPIPE` and `SIGXFSZ` are ignored (Rust's runtime ignores the first), so that a closed pipe or a size limit is an errno.
//! - The deadline's signal has a handler without `SA_RESTART` and is repeated until the run stops. Otherwise a signal right
//!   before a call blocks would be lost.

mod args;
mod clock;
mod ctx;
mod dir;
mod environ;
mod failure;
mod fd;
mod files;
mod link;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "macos", test))]
mod macos;
mod net;
mod objects;
mod path;
mod poll;
mod proc;
mod random;
mod resolve;
mod sched;
mod sock;
mod stat;
mod strings;
mod sys;
mod terminal;
mod trace;
mod transfer;
pub mod unstable;
mod wait;
mod walk;

// The platform is chosen here and nowhere else.
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;

pub use ctx::{Config, ConfigError, Granted, Preopen, STEP_BYTES, SingleFile, Wasi};
pub use failure::{Failure, Stop};
pub use link::{NET, PREVIEW1, THREAD_SPAWN, UNSTABLE, atomic_wait, host_function, traced_function};
pub use net::Connector;
pub use resolve::Resolver;
pub use trace::{Argument, Decision, Record};
pub use wave_monitor::{
    Access, ConnectRule, ENTRY_BYTES, Errno, FdFlags, LimitName, Limits, OFlags, PeerRule, Protocol, Rights, Rule,
    connect_allowed,
};

/// The functions of `wave_net`.
pub mod wave_net {
    pub use crate::net::{address, resolve, tcp_connect, tcp_listener, tcp_status};
}

/// The functions of `wasi_snapshot_preview1`, all of them.
pub mod preview1 {
    pub use crate::args::{args_get, args_sizes_get};
    pub use crate::clock::{clock_res_get, clock_time_get};
    pub use crate::environ::{environ_get, environ_sizes_get};
    pub use crate::fd::{
        fd_advise, fd_allocate, fd_close, fd_datasync, fd_fdstat_get, fd_fdstat_set_flags, fd_fdstat_set_rights,
        fd_filestat_get, fd_filestat_set_size, fd_filestat_set_times, fd_pread, fd_prestat_dir_name, fd_prestat_get,
        fd_pwrite, fd_read, fd_readdir, fd_renumber, fd_seek, fd_sync, fd_tell, fd_write,
    };
    pub use crate::path::{
        path_create_directory, path_filestat_get, path_filestat_set_times, path_link, path_open, path_readlink,
        path_remove_directory, path_rename, path_symlink, path_unlink_file,
    };
    pub use crate::poll::poll_oneoff;
    pub use crate::proc::{proc_exit, proc_raise};
    pub use crate::random::random_get;
    pub use crate::sched::sched_yield;
    pub use crate::sock::{sock_accept, sock_recv, sock_send, sock_shutdown};
}
