//! The state of one instance, and its configuration.

use crate::clock::Time;
use crate::objects::{Object, Objects};
use crate::random::Random;
use crate::resolve::{self, Resolver};
use crate::stat;
use crate::strings::Strings;
use crate::trace::{Record, Tracer};
use crate::wait::Interrupted;
use rustix::fs::OFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use wave_monitor::{Access, Errno, FdFlags, HostFd, Kind, Limits, Monitor, PeerRule};

/// Bytes that a run with a deadline moves at once. That takes a few milliseconds, even with fresh pages and a slow
/// disk. Smaller transfers are one system call. No transfer that large is atomic on any host.
pub const STEP_BYTES: usize = 1 << 20;

/// What the guest may use. Nothing else is reachable (T13, T113). The default grants nothing.
#[derive(Debug)]
pub struct Config {
    /// The arguments, the program's name first.
    pub args: Vec<Vec<u8>>,
    /// The environment, as `KEY=VALUE`.
    pub env: Vec<Vec<u8>>,
    /// The directory trees. Their descriptors count from 3, in this order.
    pub preopens: Vec<Preopen>,
    /// Whether the run has to stop. Called after a system call was interrupted, and between the steps of long work. It
    /// is called often, so it should only load an atomic.
    pub interrupted: fn() -> bool,
    /// Maximum bytes that one system call moves. `interrupted` is called before the next. `usize::MAX` (no steps) is
    /// for runs that are never interrupted, [`STEP_BYTES`] for others.
    pub step_bytes: usize,
    /// How much of the host the guest may use.
    pub limits: Limits,
    /// The peers whose connections the guest may accept. `None`: all. An empty list: none.
    pub peers: Option<Vec<PeerRule>>,
    /// The device nodes that the guest may open under a grant, by device number (`st_rdev`), and no others (T25).
    pub devices: Vec<u64>,
    /// How paths are resolved.
    pub resolver: Resolver,
    /// The resolution of the clocks in nanoseconds; 1 is the host's (T106).
    pub clock_resolution_ns: u64,
    /// Whether clocks and random numbers are the same in every run.
    pub deterministic: bool,
    /// The seed of random numbers. They are the same in each run with this seed, and whoever knows it can predict them.
    pub random_seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            env: Vec::new(),
            preopens: Vec::new(),
            interrupted: || false,
            step_bytes: usize::MAX,
            limits: Limits::default(),
            peers: None,
            devices: Vec::new(),
            resolver: Resolver::default(),
            clock_resolution_ns: 1,
            deterministic: false,
            random_seed: None,
        }
    }
}

/// A directory tree that the user granted.
#[derive(Debug)]
pub struct Preopen {
    /// The directory, opened for reading. Not with `O_PATH`, because it has to be listed.
    pub dir: OwnedFd,
    /// The path it was opened by, for the kernel's rules and for messages.
    pub host_path: PathBuf,
    /// Its name for the guest.
    pub guest_path: String,
    /// What the guest may do under it.
    pub access: Access,
}

/// A granted directory tree, open: what the monitor and the kernel's rules both work on.
#[derive(Clone, Copy, Debug)]
pub struct GrantedDirectory<'a> {
    /// The directory.
    pub dir: BorrowedFd<'a>,
    /// The path it was opened by.
    pub host_path: &'a Path,
    /// The name the guest knows it by.
    pub guest_path: &'a str,
    /// What the guest may do beneath it.
    pub access: Access,
}

/// A granted directory tree, whose descriptor the objects have.
#[derive(Debug)]
struct Directory {
    host: HostFd,
    host_path: PathBuf,
    guest_path: String,
    access: Access,
}

/// Why a [`Config`] cannot be used. Nothing has run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An argument or variable contains a NUL byte, which would end it for the guest.
    #[error("{what} {index} contains a NUL byte")]
    Nul {
        /// "argument" or "environment variable".
        what: &'static str,
        /// Its index in the list.
        index: usize,
    },
    /// The strings do not fit in 32-bit sizes.
    #[error("{what} list takes {bytes} bytes, more than a guest can address")]
    TooLarge {
        /// "argument" or "environment variable".
        what: &'static str,
        /// Their size, NULs included.
        bytes: u64,
    },
    /// The object to preopen is not a directory.
    #[error("preopen `{0}` is not a directory")]
    NotADirectory(String),
    /// A preopen lies on a file system that exposes the kernel (T24).
    #[error("preopen `{0}` is on a kernel interface such as procfs or sysfs")]
    KernelInterface(String),
    /// `fstat` of a descriptor failed.
    #[error("cannot examine `{name}`")]
    Examine {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: rustix::io::Errno,
    },
    /// More descriptors are granted than may be open.
    #[error("{0} open descriptors are too few for the standard streams and the preopens")]
    TooManyGrants(u32),
}

/// The WASI state of one instance.
#[derive(Debug)]
pub struct Wasi {
    pub(crate) monitor: Monitor,
    pub(crate) objects: Objects,
    pub(crate) args: Strings,
    pub(crate) environ: Strings,
    pub(crate) time: Time,
    pub(crate) random: Random,
    pub(crate) resolver: Resolver,
    pub(crate) devices: Vec<u64>,
    pub(crate) interrupted: Interrupted,
    pub(crate) step_bytes: usize,
    pub(crate) terminal_controls: bool,
    pub(crate) tracer: Option<Tracer>,
    directories: Vec<Directory>,
    sockets: Vec<HostFd>,
}

impl Wasi {
    /// Creates the state from the grants and the open standard streams of the process.
    ///
    /// The streams are borrowed: 0 to 2 of the host stay open and keep their flags, whatever the guest does with its numbers
    /// (T31, T35).
    ///
    /// # Errors
    /// [`ConfigError`]. Nothing is left open.
    ///
    /// Host syscalls: `fstat`, `fstatfs`, `fcntl` (`F_GETFL`), `ioctl` (`TIOCGWINSZ`). The first reading of a clock
    /// also looks for the vDSO: `prctl` (`PR_GET_AUXV`), before Linux 6.4 a read of `/proc/self/auxv`. All of it
    /// happens before the seal.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let mut wasi = Self {
            monitor: Monitor::new(config.limits),
            objects: Objects::default(),
            args: Strings::new("argument", &config.args)?,
            environ: Strings::new("environment variable", &config.env)?,
            time: if config.deterministic { Time::deterministic() } else { Time::host(config.clock_resolution_ns) },
            random: match config.random_seed {
                None if !config.deterministic => Random::Kernel,
                seed => Random::fixed(seed),
            },
            resolver: config.resolver,
            devices: config.devices,
            interrupted: config.interrupted,
            step_bytes: config.step_bytes.max(1),
            terminal_controls: false,
            tracer: None,
            directories: Vec::new(),
            sockets: Vec::new(),
        };
        if let Some(peers) = config.peers {
            wasi.monitor.set_peers(peers);
        }
        let few = |_: Errno| ConfigError::TooManyGrants(config.limits.open_files);
        let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        for (fd, stream) in (0..).zip(streams) {
            wasi.add_stream(fd, stream).map_err(few)?;
        }
        for preopen in config.preopens {
            wasi.add_preopen(preopen, few)?;
        }
        Ok(wasi)
    }

    /// Gives the guest a listening stream socket; returns its number.
    ///
    /// Sockets come after the preopens: libraries look for preopens from 3 on, up to the first number that is not one.
    ///
    /// # Errors
    /// [`Errno::MFILE`] if no more descriptors are allowed.
    pub fn add_listener(&mut self, socket: OwnedFd) -> Result<u32, Errno> {
        self.add_socket(socket, Kind::Listener)
    }

    /// Gives the guest a connected stream socket; returns its number.
    ///
    /// # Errors
    /// As [`add_listener`](Self::add_listener).
    pub fn add_stream_socket(&mut self, socket: OwnedFd) -> Result<u32, Errno> {
        self.add_socket(socket, Kind::Stream)
    }

    /// The granted directories in their order, until the guest runs.
    pub fn directories(&self) -> impl Iterator<Item = GrantedDirectory<'_>> {
        self.directories.iter().filter_map(|Directory { host, host_path, guest_path, access }| {
            Some(GrantedDirectory { dir: self.objects.granted(*host)?, host_path, guest_path, access: *access })
        })
    }

    /// The granted sockets in their order, until the guest runs.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().filter_map(|host| self.objects.granted(*host))
    }

    /// Closes the granted directories, which the guest has no use for. Their numbers stay taken, so that those of others stay:
    /// what is behind them is [`Errno::BADF`].
    ///
    /// Host syscalls: `close`.
    pub fn withhold_directories(&mut self) {
        self.directories.drain(..).for_each(|directory| self.objects.forget(directory.host));
    }

    /// Closes the granted sockets, as [`withhold_directories`](Self::withhold_directories) does the directories.
    ///
    /// Host syscalls: `close`.
    pub fn withhold_sockets(&mut self) {
        self.sockets.drain(..).for_each(|socket| self.objects.forget(socket));
    }

    /// Writes control sequences to terminals unchanged. Off by default (T115).
    pub fn allow_terminal_controls(&mut self) {
        self.terminal_controls = true;
    }

    /// Calls `tracer` for every call of a [traced function](crate::traced_function).
    pub fn trace(&mut self, tracer: impl FnMut(&Record) + Send + 'static) {
        self.tracer = Some(Tracer(Box::new(tracer)));
    }

    fn add_socket(&mut self, socket: OwnedFd, kind: Kind) -> Result<u32, Errno> {
        let host = self.objects.insert(Object::opened(socket, None));
        self.sockets.push(host);
        self.monitor.grant_socket(host, kind)
    }

    fn add_stream(&mut self, fd: u32, stream: BorrowedFd<'static>) -> Result<(), Errno> {
        // A stream that the parent closed is closed for the guest, too (T111).
        let Ok(found) = rustix::fs::fstat(stream) else { return Ok(()) };
        let flags = rustix::fs::fcntl_getfl(stream).unwrap_or(OFlags::empty());
        let append = if flags.contains(OFlags::APPEND) { FdFlags::APPEND } else { FdFlags::empty() };
        let kind = stat::stream_kind(&found, rustix::termios::isatty(stream));
        let host = self.objects.insert(Object::inherited(stream));
        self.monitor.grant_stdio(fd, host, kind, append)
    }

    fn add_preopen(&mut self, preopen: Preopen, few: impl Fn(Errno) -> ConfigError) -> Result<(), ConfigError> {
        let Preopen { dir, host_path, guest_path: name, access } = preopen;
        let found = rustix::fs::fstat(&dir).map_err(|source| ConfigError::Examine { name: name.clone(), source })?;
        if stat::opened_kind(&found, &[]) != Ok(Kind::Directory) {
            return Err(ConfigError::NotADirectory(name));
        }
        if resolve::check_filesystem(dir.as_fd()).is_err() {
            return Err(ConfigError::KernelInterface(name));
        }
        let host = self.objects.insert(Object::opened(dir, Some(&found)));
        self.directories.push(Directory { host, host_path, guest_path: name.clone(), access });
        self.monitor.grant_directory(host, name.into_bytes(), access).map(drop).map_err(few)
    }
}
