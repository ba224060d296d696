//! The state of one instance, and what it is made from.

use crate::clock::Time;
use crate::objects::{Object, Objects};
use crate::random::Random;
use crate::resolve::{self, Resolver};
use crate::stat;
use crate::strings::Strings;
use crate::trace::{Record, Tracer};
use crate::wait::Interrupted;
use rustix::fs::OFlags;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use wave_monitor::{Access, Errno, FdFlags, Kind, Limits, Monitor, PeerRule};

/// How many bytes a run with a deadline moves at once: a few milliseconds' worth, fresh pages and a slow disk included. Small
/// transfers are made whole, and much less than this is atomic anywhere.
pub const STEP_BYTES: usize = 1 << 20;

/// What the guest is given. Nothing else is reachable (T13, T113). The default is nothing at all.
#[derive(Debug)]
pub struct Config {
    /// The arguments, the program's name first.
    pub args: Vec<Vec<u8>>,
    /// The environment, as `KEY=VALUE`.
    pub env: Vec<Vec<u8>>,
    /// The directory trees, numbered from 3 in this order.
    pub preopens: Vec<Preopen>,
    /// Whether the run has to stop. Asked after a system call was interrupted and between the
    /// steps of long work. It is called often, so it should be a load of an atomic.
    pub interrupted: fn() -> bool,
    /// The most bytes that one system call moves; `interrupted` is asked before the next. `usize::MAX`, all at once, is for runs
    /// that are never interrupted; [`STEP_BYTES`] for others.
    pub step_bytes: usize,
    /// How much of the host it may use.
    pub limits: Limits,
    /// The peers whose connections it may accept. `None`: all; an empty list: none.
    pub peers: Option<Vec<PeerRule>>,
    /// The device nodes it may open beneath a grant, by their number (`st_rdev`); no others (T25).
    pub devices: Vec<u64>,
    /// Who resolves paths.
    pub resolver: Resolver,
    /// The steps in which clocks move, in nanoseconds; 1 is what the host has (T106).
    pub clock_resolution_ns: u64,
    /// Clocks and random numbers are the same in every run.
    pub deterministic: bool,
    /// Random numbers are those of this seed: the same in each run, and known to whoever knows it.
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

/// A directory tree the user granted.
#[derive(Debug)]
pub struct Preopen {
    /// The directory, opened for reading (not with `O_PATH`: it has to be listed).
    pub dir: OwnedFd,
    /// The name the guest knows it by.
    pub guest_path: String,
    /// What the guest may do beneath it.
    pub access: Access,
}

/// Why a [`Config`] cannot be used. Nothing has run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An argument or variable contains a NUL byte, which ends it for the guest.
    #[error("{what} {index} contains a NUL byte")]
    Nul {
        /// "argument" or "environment variable".
        what: &'static str,
        /// Its place in the list.
        index: usize,
    },
    /// The strings do not fit in 32-bit sizes.
    #[error("{what} list takes {bytes} bytes, more than a guest can address")]
    TooLarge {
        /// "argument" or "environment variable".
        what: &'static str,
        /// Their size with NULs.
        bytes: u64,
    },
    /// What was to be preopened is no directory.
    #[error("preopen `{0}` is not a directory")]
    NotADirectory(String),
    /// A preopen lies on a file system that exposes the kernel (T24).
    #[error("preopen `{0}` is on a kernel interface such as procfs or sysfs")]
    KernelInterface(String),
    /// The host refused to describe a descriptor.
    #[error("cannot examine `{name}`")]
    Examine {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: rustix::io::Errno,
    },
    /// More descriptors were granted than may be open.
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
}

impl Wasi {
    /// Takes the grants, and the standard streams of the process that are open.
    ///
    /// The streams are borrowed: whatever the guest does with their numbers, 0 to 2 of the host
    /// stay open and keep their flags (T31, T35).
    ///
    /// # Errors
    /// [`ConfigError`]; nothing is open then that was not before.
    ///
    /// Host syscalls: `fstat`, `fstatfs`, `fcntl` (`F_GETFL`), `ioctl` (`TIOCGWINSZ`). The
    /// first reading of the clock also finds the vDSO: `prctl` (`PR_GET_AUXV`), on a kernel before
    /// 6.4 a read of `/proc/self/auxv`. All of it happens before the seal.
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
    /// Sockets come after the preopens, because libraries look for preopens from 3 up to the first
    /// number that is none.
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

    /// The granted descriptors, preopens first and in their order, until the guest runs: what the kernel's rules are made
    /// from.
    pub fn granted(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.objects.opened()
    }

    /// Closes granted descriptors that the guest has no use for, by their places in [`granted`](Self::granted). It keeps their
    /// numbers, so that those of others stay: what is behind them is [`Errno::BADF`].
    ///
    /// Host syscalls: `close`.
    pub fn withhold(&mut self, places: Range<usize>) {
        self.objects.forget(places);
    }

    /// Lets control sequences through to terminals. Off at first (T115).
    pub fn allow_terminal_controls(&mut self) {
        self.terminal_controls = true;
    }

    /// Has every call of a [traced function](crate::traced_function) told to `tracer`.
    pub fn trace(&mut self, tracer: impl FnMut(&Record) + Send + 'static) {
        self.tracer = Some(Tracer(Box::new(tracer)));
    }

    fn add_socket(&mut self, socket: OwnedFd, kind: Kind) -> Result<u32, Errno> {
        let host = self.objects.insert(Object::opened(socket, None));
        self.monitor.grant_socket(host, kind)
    }

    fn add_stream(&mut self, fd: u32, stream: BorrowedFd<'static>) -> Result<(), Errno> {
        // A stream the parent closed is closed for the guest too (T111).
        let Ok(found) = rustix::fs::fstat(stream) else { return Ok(()) };
        let flags = rustix::fs::fcntl_getfl(stream).unwrap_or(OFlags::empty());
        let append = if flags.contains(OFlags::APPEND) { FdFlags::APPEND } else { FdFlags::empty() };
        let kind = stat::stream_kind(&found, rustix::termios::isatty(stream));
        let host = self.objects.insert(Object::inherited(stream));
        self.monitor.grant_stdio(fd, host, kind, append)
    }

    fn add_preopen(&mut self, preopen: Preopen, few: impl Fn(Errno) -> ConfigError) -> Result<(), ConfigError> {
        let Preopen { dir, guest_path: name, access } = preopen;
        let found = rustix::fs::fstat(&dir).map_err(|source| ConfigError::Examine { name: name.clone(), source })?;
        if stat::opened_kind(&found, &[]) != Ok(Kind::Directory) {
            return Err(ConfigError::NotADirectory(name));
        }
        if resolve::check_filesystem(dir.as_fd()).is_err() {
            return Err(ConfigError::KernelInterface(name));
        }
        let host = self.objects.insert(Object::opened(dir, Some(&found)));
        self.monitor.grant_directory(host, name.into_bytes(), access).map(drop).map_err(few)
    }
}
