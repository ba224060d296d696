//! What an attacker finds: granted trees and a neighbor, sockets of the host, other processes, pages of code.

use std::ffi::CString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::cage::User;
use crate::raw::{self, call};

/// Numbers of descriptors that the parent left open by mistake.
pub const LEAKED_FILE: RawFd = 200;
pub const LEAKED_DIRECTORY: RawFd = 201;
pub const LEAKED_SOCKET: RawFd = 202;

/// The user the sealed process becomes when root starts it: a free id, which owns the writable grant, and `own` outside of it.
pub const IDENTITY: u32 = 1_950_000_001;

pub const PAGE: usize = 4096;

/// What the other processes have at [`VALUE`].
pub const SECRET: u64 = 0x5ec2_e75e_c2e7;
pub static VALUE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Everything an action can refer to, made before the seal, since an action cannot allocate.
pub struct Scene {
    pub ro: RawFd,
    pub rw: RawFd,
    /// The granted listener, or -1.
    pub listener: RawFd,
    /// A terminal, and the end of who looks at it.
    pub terminal: [RawFd; 2],
    /// Descriptor of another process, or -1.
    pub pidfd: RawFd,
    pub parent: i32,
    pub sibling: i32,
    pub own: u32,
    /// A page of code that counts as the guest's and is final.
    pub code: *mut u8,
    /// Two pages that can be written.
    pub data: *mut u8,
    /// A page shared with nobody yet.
    pub shared: *mut u8,
    /// A reservation that may grow.
    pub memory: *mut u8,
    /// A segment of System V shared memory of the host.
    pub segment: i64,
    pub addresses: Addresses,
    /// `struct file_handle` of `outside/file`, and its mount.
    pub handle: [u8; 136],
    pub program: Vec<u8>,
    root: String,
}

/// Where the host listens.
#[derive(Clone, Copy)]
pub struct Addresses {
    pub tcp: libc::sockaddr_in,
    pub udp: libc::sockaddr_in,
    pub path: libc::sockaddr_un,
    pub name: libc::sockaddr_un,
}

/// A path beneath the scene, ended by zero.
pub struct Name([u8; 256]);

impl Name {
    pub fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }
}

impl Scene {
    /// Takes no memory from the allocator.
    pub fn path(&self, name: &str) -> Name {
        let mut bytes = [0; 256];
        let text = [self.root.as_bytes(), b"/", name.as_bytes()];
        let mut at = 0;
        for part in text {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Name(bytes)
    }
}

/// The host's side of the scene, which outlives the attackers.
pub struct Host {
    dir: tempfile::TempDir,
    user: User,
    clean: Vec<Entry>,
    tcp: TcpListener,
    udp: UdpSocket,
    by_path: UnixListener,
    by_name: UnixListener,
    segment: i64,
    serial: u32,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    name: String,
    mode: u32,
    owners: (u32, u32),
    links: u64,
    size: u64,
    modified: (i64, i64),
    content: Vec<u8>,
    attribute: Vec<u8>,
}

impl Host {
    /// `user`: who the attacker is.
    pub fn new(user: User) -> Self {
        let dir = directory();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("own directory");
        let path = dir.path().join("socket");
        let by_path = UnixListener::bind(&path).expect("a socket");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("own file");
        let name = SocketAddr::from_abstract_name(b"wave-breach").expect("a name");
        let by_name = UnixListener::bind_addr(&name).expect("network namespace of its own");
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
        by_path.set_nonblocking(true).expect("own socket");
        by_name.set_nonblocking(true).expect("own socket");
        tcp.set_nonblocking(true).expect("own socket");
        udp.set_nonblocking(true).expect("own socket");
        let segment = call!(libc::SYS_shmget, libc::IPC_PRIVATE, PAGE, 0o1777).expect("ipc namespace of its own");
        let mut host = Self { dir, user, clean: Vec::new(), tcp, udp, by_path, by_name, segment, serial: 0 };
        host.plant();
        host
    }

    /// Where the files of this attempt are.
    fn root(&self) -> PathBuf {
        self.dir.path().join(self.serial.to_string())
    }

    fn plant(&mut self) {
        self.serial += 1;
        let root = self.root();
        self.make(&root, None);
        for place in ["ro", "rw", "outside", "own"] {
            self.make(&root.join(place), None);
            for dir in ["dir", "empty"] {
                self.make(&root.join(place).join(dir), None);
            }
            for file in ["file", "other"] {
                let path = root.join(place).join(file);
                self.make(&path, Some(b"content"));
                assert!(set_attribute(&path), "the file system has extended attributes");
            }
            self.make(&root.join(place).join("code"), Some(&raw::CODE));
            let program = root.join(place).join("program");
            self.make(&program, Some(&raw::program()));
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("own file");
            symlink("file", root.join(place).join("link")).expect("a link");
        }
        // Long ago, so that any change of times shows.
        for place in ["ro", "rw", "outside", "own"] {
            for name in ["file", "other", "dir"] {
                age(&root.join(place).join(name));
            }
        }
        self.clean = picture(&root);
    }

    fn make(&self, path: &Path, content: Option<&[u8]>) {
        match content {
            Some(bytes) => fs::write(path, bytes).expect("a file"),
            None => fs::create_dir(path).expect("a directory"),
        }
        let mode = if content.is_some() { 0o644 } else { 0o755 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own file");
        // The files of the host belong to whom started the run; those granted to write, to whom the run becomes.
        let beneath = path.strip_prefix(self.root()).expect("a file of the scene");
        let is_of_attacker = beneath.starts_with("rw") || beneath.starts_with("own");
        if nix::unistd::geteuid().is_root() && (is_of_attacker || self.user == User::Ordinary) {
            let owner = self.user.owner();
            chown(path, Some(owner), Some(owner)).expect("root gives files away");
        }
    }

    /// Whether the files differ from what was planted; if so, they are planted anew.
    pub fn files_changed(&mut self) -> bool {
        let root = self.root();
        if picture(&root) == self.clean {
            return false;
        }
        fs::remove_dir_all(root).expect("own files");
        self.plant();
        true
    }

    /// Whether there is a core file, which is removed.
    pub fn core_dumped(&mut self) -> bool {
        let dir = self.root().join("rw");
        let is_core = |entry: &fs::DirEntry| entry.file_name().as_bytes().starts_with(b"core");
        fs::read_dir(dir).expect("own directory").map(|entry| entry.expect("an entry")).any(|entry| is_core(&entry))
    }

    /// Whether anything arrived since the last look.
    pub fn packet_arrived(&self) -> bool {
        let mut arrived = false;
        while self.tcp.accept().is_ok() {
            arrived = true;
        }
        while self.by_path.accept().is_ok() || self.by_name.accept().is_ok() {
            arrived = true;
        }
        let mut buffer = [0; 16];
        while self.udp.recv(&mut buffer).is_ok() {
            arrived = true;
        }
        arrived
    }

    pub fn work_dir(&self) -> PathBuf {
        self.root().join("rw")
    }

    /// In the process of the attacker, before the seal.
    pub fn enter(&self, listening: bool, (parent, sibling): (i32, i32)) -> Scene {
        let root = self.root();
        let open = |name: &str| File::open(root.join(name)).expect("own directory").into_raw_fd();
        let leak = |fd: OwnedFd, number: RawFd| {
            assert_eq!(call!(libc::SYS_dup2, fd.as_raw_fd(), number), Ok(i64::from(number)));
        };
        let file = File::options().read(true).write(true).open(root.join("outside/file")).expect("own file");
        leak(file.into(), LEAKED_FILE);
        leak(File::open(root.join("outside")).expect("own directory").into(), LEAKED_DIRECTORY);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
        socket.connect(self.udp.local_addr().expect("own socket")).expect("loopback");
        leak(socket.into(), LEAKED_SOCKET);
        let listener = if listening { nonblocking_listener() } else { -1 };
        let pidfd = if sibling > 0 {
            i32::try_from(call!(libc::SYS_pidfd_open, sibling, 0).expect("own child")).expect("a descriptor")
        } else {
            -1
        };
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        let code = map(rw, libc::MAP_PRIVATE, PAGE);
        // SAFETY: a fresh page that nothing else uses.
        unsafe { code.copy_from_nonoverlapping(raw::CODE.as_ptr(), raw::CODE.len()) };
        call!(libc::SYS_mprotect, code, PAGE, libc::PROT_READ | libc::PROT_EXEC).expect("not sealed yet");
        let data = map(rw, libc::MAP_PRIVATE, 2 * PAGE);
        // SAFETY: as above.
        unsafe { data.copy_from_nonoverlapping(raw::CODE.as_ptr(), raw::CODE.len()) };
        let root = root.to_str().expect("temporary directories have plain names").to_owned();
        let mut scene = Scene {
            ro: open("ro"),
            rw: open("rw"),
            listener,
            terminal: terminal(),
            pidfd,
            parent,
            sibling,
            own: std::process::id(),
            code,
            data,
            shared: map(rw, libc::MAP_SHARED, 2 * PAGE),
            memory: map(libc::PROT_NONE, libc::MAP_PRIVATE, 16 * PAGE),
            segment: self.segment,
            addresses: self.addresses(),
            handle: [0; 136],
            program: raw::program(),
            root,
        };
        write_handle(scene.path("outside/file").as_ptr(), &mut scene.handle).expect("the file system has handles");
        scene
    }

    fn addresses(&self) -> Addresses {
        let ip = |address: std::net::SocketAddr| libc::sockaddr_in {
            sin_family: INET,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be() },
            sin_zero: [0; 8],
        };
        Addresses {
            tcp: ip(self.tcp.local_addr().expect("own socket")),
            udp: ip(self.udp.local_addr().expect("own socket")),
            path: unix(self.dir.path().join("socket").as_os_str().as_bytes()),
            name: unix(b"\0wave-breach"),
        }
    }
}

/// `AF_INET` and `AF_UNIX`, as addresses have them.
pub const INET: u16 = 2;
const UNIX: u16 = 1;

/// Length of the abstract address.
pub const NAME_LEN: usize = 2 + "\0wave-breach".len();

fn unix(name: &[u8]) -> libc::sockaddr_un {
    let mut address = libc::sockaddr_un { sun_family: UNIX, sun_path: [0; 108] };
    for (to, from) in address.sun_path.iter_mut().zip(name) {
        *to = from.cast_signed();
    }
    address
}

pub fn map(prot: i32, flags: i32, len: usize) -> *mut u8 {
    let at = call!(libc::SYS_mmap, 0, len, prot, flags | libc::MAP_ANONYMOUS, -1, 0).expect("memory");
    at as *mut u8
}

/// A directory for temporary files on a file system that has all that attackers want of one: programs can be run from it, it has
/// extended attributes, as tmpfs from Linux 6.6 on, and handles, as overlayfs by request.
fn directory() -> tempfile::TempDir {
    let is_suitable = |dir: &tempfile::TempDir| {
        let file = dir.path().join("file");
        fs::write(&file, "").expect("own directory");
        let name = CString::new(file.as_os_str().as_bytes()).expect("no zero");
        let runs_programs = statvfs(&file).is_ok_and(|found| !found.flags().contains(FsFlags::ST_NOEXEC));
        let suits = runs_programs && set_attribute(&file) && write_handle(name.as_ptr().cast(), &mut [0; 136]).is_ok();
        fs::remove_file(file).expect("own file");
        suits
    };
    let places = [std::env::temp_dir(), "/var/tmp".into(), "/dev/shm".into()];
    let mut dirs = places.iter().filter_map(|place| tempfile::tempdir_in(place).ok());
    dirs.find(is_suitable)
        .unwrap_or_else(|| panic!("no file system of {places:?} has programs, attributes and handles"))
}

/// Writes the handle of a file, `struct file_handle`.
fn write_handle(path: *const u8, handle: &mut [u8; 136]) -> Result<i64, i32> {
    handle[0] = 128;
    let mut mount = 0_i32;
    call!(libc::SYS_name_to_handle_at, libc::AT_FDCWD, path, handle.as_mut_ptr(), &raw mut mount, 0)
}

/// Whether it could be set.
fn set_attribute(path: &Path) -> bool {
    let path = CString::new(path.as_os_str().as_bytes()).expect("no zero");
    // SAFETY: three live texts.
    unsafe { libc::setxattr(path.as_ptr(), c"user.wave".as_ptr(), c"x".as_ptr().cast(), 1, 0) == 0 }
}

/// The attribute that was planted, and whether there is another.
fn attributes(path: &Path) -> Vec<u8> {
    let path = CString::new(path.as_os_str().as_bytes()).expect("no zero");
    let mut names = vec![0_u8; 256];
    // SAFETY: a live text and a buffer of the given length.
    let len = unsafe { libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    names.truncate(usize::try_from(len).unwrap_or(0));
    names
}

fn age(path: &Path) {
    if let Ok(file) = File::open(path) {
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        file.set_times(fs::FileTimes::new().set_accessed(time).set_modified(time)).expect("own file");
    }
}

/// All there is beneath a directory, in order.
fn picture(root: &Path) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).expect("own file");
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).expect("own directory").map(|entry| entry.expect("an entry").path()));
        }
        found.push(Entry {
            name: path.to_string_lossy().into_owned(),
            mode: metadata.mode(),
            owners: (metadata.uid(), metadata.gid()),
            links: metadata.nlink(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            content: if metadata.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() },
            attribute: attributes(&path),
        });
    }
    found.sort();
    found
}

/// A terminal as a guest's stream may be, and its other end.
fn terminal() -> [RawFd; 2] {
    let name = c"/dev/ptmx".as_ptr();
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let other = call!(libc::SYS_openat, libc::AT_FDCWD, name, flags).expect("terminals can be made");
    let unlocked = 0_i32;
    call!(libc::SYS_ioctl, other, libc::TIOCSPTLCK, &raw const unlocked).expect("own terminal");
    let terminal = call!(libc::SYS_ioctl, other, libc::TIOCGPTPEER, flags).expect("own terminal");
    [terminal, other].map(|fd| i32::try_from(fd).expect("a descriptor"))
}

/// As the runtime has them.
fn nonblocking_listener() -> RawFd {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    listener.set_nonblocking(true).expect("own socket");
    listener.into_raw_fd()
}
