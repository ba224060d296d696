//! The state of one instance, and its configuration.

use crate::clock::Time;
use crate::files::{self, File, Lists, Names};
use crate::net::{Connector, ip_bytes};
use crate::objects::{Object, Objects};
use crate::platform;
use crate::random::Random;
use crate::resolve::Resolver;
use crate::stat;
use crate::strings::Strings;
use crate::trace::{Record, Tracer};
use crate::wait::Interrupted;
use rustix::fs::OFlags;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use wave_monitor::{
    Access, ConnectRule, Errno, FdFlags, FileType, GrantedFile, HostFd, Kind, KnownHost, Limits, Monitor, PeerRule,
};

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
    /// The directory trees and single files. The descriptors of the trees count from 3, in this order, and those of the lists
    /// that have the files follow.
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

/// What the user granted: a directory tree, or a single file.
#[derive(Debug)]
pub struct Preopen {
    /// The directory, opened for reading. Not with `O_PATH`, because it has to be listed. For a single file the directory that it
    /// is in; there, `O_PATH` is right.
    pub dir: OwnedFd,
    /// The path of what is granted, for the kernel's rules and for messages.
    pub host_path: PathBuf,
    /// The name of the directory for the guest. Files with the same one are in one list; lists come after the directories.
    pub guest_path: String,
    /// What the guest may do under it, or with the file.
    pub access: Access,
    /// `None`: all of the directory is granted.
    pub file: Option<SingleFile>,
}

/// The one file of a directory that the user granted.
#[derive(Debug)]
pub struct SingleFile {
    /// The file, opened with `O_PATH`.
    pub file: OwnedFd,
    /// Its name in the directory.
    pub host_name: Vec<u8>,
    /// Its name for the guest.
    pub guest_name: Vec<u8>,
}

/// A granted directory tree or file, open: what the monitor and the kernel's rules both work on.
#[derive(Clone, Copy, Debug)]
pub struct Granted<'a> {
    /// The directory or the file.
    pub fd: BorrowedFd<'a>,
    /// The path it was opened by.
    pub host_path: &'a Path,
    /// What the guest may do beneath it, or with it.
    pub access: Access,
}

/// A granted directory tree or file, whose descriptor the objects or the lists have.
#[derive(Debug)]
struct GrantedPath {
    host: HostFd,
    host_path: PathBuf,
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
    /// The object to grant as a single file is a directory, a socket, or a device that is not allowed (T25).
    #[error("`{0}` is not a file that can be granted")]
    NotAFile(String),
    /// Two files have one name, or a name is no name of a file.
    #[error("the files of `{0}` do not have names of their own")]
    Names(String),
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
    pub(crate) lists: Lists,
    pub(crate) connector: Option<Box<dyn Connector>>,
    grants: Vec<GrantedPath>,
    /// Which of them the monitor's grants are, by number. A list is none of them.
    pub(crate) numbers: Vec<Option<usize>>,
    sockets: Vec<HostFd>,
    /// The numbers of the listeners at the start.
    pub(crate) listeners: Vec<u32>,
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
    /// also looks for the vDSO: `prctl` (`PR_GET_AUXV`), before Linux 6.4 a read of `/proc/self/auxv`. `mmap` for the state of a
    /// generator of random bytes. All of it happens before the seal.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let mut wasi = Self {
            monitor: Monitor::new(config.limits),
            objects: Objects::default(),
            args: Strings::new("argument", &config.args)?,
            environ: Strings::new("environment variable", &config.env)?,
            time: if config.deterministic { Time::deterministic() } else { Time::host(config.clock_resolution_ns) },
            random: match config.random_seed {
                None if !config.deterministic => Random::Kernel(platform::Random::new()),
                seed => Random::fixed(seed),
            },
            resolver: config.resolver,
            devices: config.devices,
            interrupted: config.interrupted,
            step_bytes: config.step_bytes.max(1),
            terminal_controls: false,
            tracer: None,
            lists: Lists::default(),
            connector: None,
            grants: Vec::new(),
            numbers: Vec::new(),
            sockets: Vec::new(),
            listeners: Vec::new(),
        };
        if let Some(peers) = config.peers {
            wasi.monitor.set_peers(peers);
        }
        let few = |_: Errno| ConfigError::TooManyGrants(config.limits.open_files);
        let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        for (fd, stream) in (0..).zip(streams) {
            wasi.add_stream(fd, stream).map_err(few)?;
        }
        let mut grants: Vec<_> = std::iter::repeat_with(|| None).take(config.preopens.len()).collect();
        let mut files: BTreeMap<String, Vec<Single>> = BTreeMap::new();
        for (index, (preopen, place)) in config.preopens.into_iter().zip(&mut grants).enumerate() {
            let Preopen { dir, host_path, guest_path, access, file } = preopen;
            let host = match file {
                None => {
                    wasi.numbers.push(Some(index));
                    wasi.add_directory(dir, guest_path, access, few)?
                }
                Some(file) => {
                    let single = wasi.add_file(dir, file, &host_path, access, index)?;
                    let host = single.granted.host;
                    files.entry(guest_path).or_default().push(single);
                    host
                }
            };
            *place = Some(GrantedPath { host, host_path, access });
        }
        wasi.grants.extend(grants.into_iter().flatten());
        files.into_iter().try_for_each(|(directory, list)| wasi.add_list(directory, list, few))?;
        Ok(wasi)
    }

    /// Gives the guest a listening stream socket; returns its number.
    ///
    /// Sockets come after the preopens: libraries look for preopens from 3 on, up to the first number that is not one.
    ///
    /// # Errors
    /// [`Errno::MFILE`] if no more descriptors are allowed.
    pub fn add_listener(&mut self, socket: OwnedFd) -> Result<u32, Errno> {
        let fd = self.add_socket(socket, Kind::Listener)?;
        self.listeners.push(fd);
        Ok(fd)
    }

    /// Gives the guest a connected stream socket; returns its number.
    ///
    /// # Errors
    /// As [`add_listener`](Self::add_listener).
    pub fn add_stream_socket(&mut self, socket: OwnedFd) -> Result<u32, Errno> {
        self.add_socket(socket, Kind::Stream)
    }

    /// Lets the guest connect to what these rules allow, by this connector.
    pub fn allow_connections(&mut self, rules: Vec<ConnectRule>, connector: Box<dyn Connector>) {
        self.monitor.set_connections(rules);
        self.connector = Some(connector);
    }

    /// Lets the guest look up these names, in lower case and without a dot at their ends, and find these addresses.
    pub fn allow_names<'a>(&mut self, names: impl IntoIterator<Item = (&'a str, &'a [IpAddr])>) {
        let host = |(name, addresses): (&str, &[IpAddr])| {
            KnownHost::new(name.as_bytes().to_vec(), addresses.iter().map(|address| ip_bytes(*address)).collect())
        };
        self.monitor.set_hosts(names.into_iter().map(host).collect());
    }

    /// The granted directories and files in their order, until the guest runs.
    pub fn grants(&self) -> impl Iterator<Item = Granted<'_>> {
        self.grants.iter().filter_map(|GrantedPath { host, host_path, access }| {
            let fd = self.objects.granted(*host).or_else(|| self.lists.granted(*host))?;
            Some(Granted { fd, host_path, access: *access })
        })
    }

    /// The directories that granted files are in. They are only handles, and no rule of the kernel is for them.
    pub fn parents(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.lists.parents()
    }

    /// The granted sockets in their order, until the guest runs.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().filter_map(|host| self.objects.granted(*host))
    }

    /// Closes the granted directories and files, which the guest has no use for. Their numbers stay taken, so that those of others stay:
    /// what is behind them is [`Errno::BADF`].
    ///
    /// Host syscalls: `close`.
    pub fn withhold_directories(&mut self) {
        self.grants.drain(..).for_each(|granted| self.objects.forget(granted.host));
        self.lists.forget();
    }

    /// Closes the granted sockets, as [`withhold_directories`](Self::withhold_directories) does the directories.
    ///
    /// Host syscalls: `close`.
    pub fn withhold_sockets(&mut self) {
        self.sockets.drain(..).for_each(|socket| self.objects.forget(socket));
        self.listeners.clear();
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

    fn add_directory(
        &mut self,
        dir: OwnedFd,
        name: String,
        access: Access,
        few: impl Fn(Errno) -> ConfigError,
    ) -> Result<HostFd, ConfigError> {
        let found = rustix::fs::fstat(&dir).map_err(|source| ConfigError::Examine { name: name.clone(), source })?;
        if stat::opened_kind(&found, &[]) != Ok(Kind::Directory) {
            return Err(ConfigError::NotADirectory(name));
        }
        if platform::check_filesystem(dir.as_fd()).is_err() {
            return Err(ConfigError::KernelInterface(name));
        }
        let host = self.objects.insert(Object::opened(dir, Some(&found)));
        self.monitor.grant_directory(host, name.into_bytes(), access).map_err(few)?;
        Ok(host)
    }

    fn add_file(
        &mut self,
        parent: OwnedFd,
        single: SingleFile,
        host_path: &Path,
        access: Access,
        index: usize,
    ) -> Result<Single, ConfigError> {
        let SingleFile { file, host_name, guest_name } = single;
        let name = || host_path.display().to_string();
        let found = rustix::fs::fstat(&file).map_err(|source| ConfigError::Examine { name: name(), source })?;
        if stat::opened_kind(&found, &self.devices).is_ok_and(|kind| kind != Kind::Directory) {
            if platform::check_filesystem(file.as_fd()).is_err() {
                return Err(ConfigError::KernelInterface(name()));
            }
            let entry = files::entry(guest_name.clone(), &found);
            let host = self.lists.add_file(File { parent, name: host_name, file });
            return Ok(Single { granted: GrantedFile { name: guest_name, host, access }, entry, index });
        }
        Err(ConfigError::NotAFile(name()))
    }

    fn add_list(
        &mut self,
        directory: String,
        files: Vec<Single>,
        few: impl Fn(Errno) -> ConfigError,
    ) -> Result<(), ConfigError> {
        let host = self.lists.next_list();
        let mut names = Vec::with_capacity(files.len());
        let mut granted = Vec::with_capacity(files.len());
        self.numbers.push(None);
        for single in files {
            self.numbers.push(Some(single.index));
            names.push(single.entry);
            granted.push(single.granted);
        }
        self.lists.add_list(Names(names));
        match self.monitor.grant_list(host, directory.clone().into_bytes(), granted) {
            Ok(_) => Ok(()),
            Err(errno) if errno == Errno::INVAL => Err(ConfigError::Names(directory)),
            Err(errno) => Err(few(errno)),
        }
    }
}

/// A granted file on the way to its list.
struct Single {
    granted: GrantedFile,
    entry: (Vec<u8>, u64, FileType),
    index: usize,
}
