//! A guest for tests: linear memory, a bump allocator, and hostcalls with Rust arguments.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use wave_monitor::Rights;
use wave_wasi::{Access, Config, Errno, Failure, Limits, Preopen, Resolver, Wasi, preview1};

pub const CREAT: u32 = 1;
pub const DIRECTORY: u32 = 2;
pub const EXCL: u32 = 4;
pub const TRUNC: u32 = 8;
pub const FOLLOW: u32 = 1;
pub const APPEND: u32 = 1;
pub const NONBLOCK: u32 = 4;
pub const ROOT: u32 = 3;

/// Set where the tests of a program run again with the manual resolver.
const MANUAL: &str = "WAVE_TEST_MANUAL_RESOLVER";

fn resolver() -> Resolver {
    match std::env::var_os(MANUAL) {
        Some(_) => Resolver::Manual,
        None => Resolver::Kernel,
    }
}

/// Runs the tests of this program again with the manual resolver, which has to find what the kernel finds. `this` is the test
/// that calls it.
pub fn run_again_with_the_manual_resolver(this: &str) {
    if std::env::var_os(MANUAL).is_some() {
        return;
    }
    let own = std::env::current_exe().unwrap();
    let again = Command::new(own).args(["--exact", "--skip", this]).env(MANUAL, "").output().unwrap();
    let text = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success(), "{text}\n{}", String::from_utf8_lossy(&again.stderr));
    let passed = text.lines().filter(|line| line.starts_with("test ") && line.ends_with("... ok")).count();
    assert!(passed > 0 && text.contains(&format!("{passed} passed; 0 failed; 0 ignored")), "{text}");
}

pub struct Guest {
    pub wasi: Wasi,
    pub memory: Vec<u8>,
    next: u32,
    // Removed with the guest.
    pub tree: TempDir,
}

/// The processor time of this thread, in the kernel too: how much work was done, whatever else runs.
pub fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("less than a second"))
}

pub fn never() -> bool {
    false
}

/// These grants and nothing else.
pub fn config(preopens: Vec<Preopen>) -> Config {
    Config { preopens, resolver: resolver(), ..Config::default() }
}

pub fn open_dir(path: &Path) -> OwnedFd {
    fs::File::open(path).unwrap().into()
}

impl Guest {
    /// One read-write grant, number 3.
    pub fn new() -> Self {
        Self::with(&[("/", Access::ReadWrite)])
    }

    /// Grants `tree/0`, `tree/1`, ... under the given names; `tree/outside` is granted to nobody.
    pub fn with(grants: &[(&str, Access)]) -> Self {
        Self::configured(grants, 64, never)
    }

    pub fn configured(grants: &[(&str, Access)], max_open_files: u32, interrupted: fn() -> bool) -> Self {
        Self::changed(grants, |config| {
            config.interrupted = interrupted;
            config.limits.open_files = max_open_files;
        })
    }

    /// With another configuration than the usual one.
    pub fn changed(grants: &[(&str, Access)], change: impl FnOnce(&mut Config)) -> Self {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("outside")).unwrap();
        fs::write(tree.path().join("outside/secret"), "secret").unwrap();
        let mut preopens = Vec::new();
        for (at, (name, access)) in grants.iter().enumerate() {
            let path = tree.path().join(at.to_string());
            fs::create_dir(&path).unwrap();
            preopens.push(Preopen {
                dir: open_dir(&path),
                host_path: path,
                guest_path: (*name).into(),
                access: *access,
                file: None,
            });
        }
        let mut config = Config {
            args: vec![b"guest".to_vec()],
            env: vec![b"KEY=value".to_vec()],
            limits: Limits { open_files: 64, ..Limits::default() },
            ..config(preopens)
        };
        change(&mut config);
        Self { wasi: Wasi::new(config).unwrap(), memory: vec![0xaa; 4 << 16], next: 1024, tree }
    }

    /// The host path of something in the first grant.
    pub fn host(&self, path: &str) -> PathBuf {
        self.tree.path().join("0").join(path)
    }

    pub fn outside(&self, path: &str) -> PathBuf {
        self.tree.path().join("outside").join(path)
    }

    /// Everything in the tree with its content and link text, to compare before and after.
    pub fn snapshot(&self) -> Vec<(PathBuf, String)> {
        fn walk(dir: &Path, all: &mut Vec<(PathBuf, String)>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let kind = fs::symlink_metadata(&path).unwrap().file_type();
                if kind.is_dir() {
                    all.push((path.clone(), "/".into()));
                    walk(&path, all);
                } else if kind.is_symlink() {
                    let target = fs::read_link(&path).unwrap();
                    all.push((path, format!("-> {}", target.display())));
                } else {
                    let content = fs::read(&path).unwrap_or_default();
                    all.push((path, String::from_utf8_lossy(&content).into_owned()));
                }
            }
        }
        let mut all = Vec::new();
        walk(self.tree.path(), &mut all);
        all.sort();
        all
    }

    pub fn alloc(&mut self, len: usize) -> u32 {
        let at = self.next.next_multiple_of(8);
        self.next = at + u32::try_from(len).unwrap();
        assert!((self.next as usize) < self.memory.len(), "test memory is full");
        at
    }

    pub fn put(&mut self, bytes: &[u8]) -> (u32, u32) {
        let at = self.alloc(bytes.len());
        self.memory[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        (at, u32::try_from(bytes.len()).unwrap())
    }

    pub fn bytes(&self, at: u32, len: usize) -> &[u8] {
        &self.memory[at as usize..at as usize + len]
    }

    pub fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    pub fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    /// Puts a list of buffers.
    pub fn iovs(&mut self, buffers: &[(u32, u32)]) -> (u32, u32) {
        let mut list = Vec::new();
        for (ptr, len) in buffers {
            list.extend(ptr.to_le_bytes());
            list.extend(len.to_le_bytes());
        }
        (self.put(&list).0, u32::try_from(buffers.len()).unwrap())
    }

    pub fn open_with(
        &mut self,
        fd: u32,
        lookup: u32,
        path: &str,
        oflags: u32,
        rights: Rights,
        fdflags: u32,
    ) -> Result<u32, Errno> {
        let (ptr, len) = self.put(path.as_bytes());
        let out = self.alloc(4);
        let inheriting = Rights::ALL.bits();
        let opened = preview1::path_open(
            &mut self.wasi,
            &mut self.memory,
            fd,
            lookup,
            ptr,
            len,
            oflags,
            rights.bits(),
            inheriting,
            fdflags,
            out,
        );
        errno(opened).map(|()| self.u32(out))
    }

    pub fn open(&mut self, path: &str, oflags: u32, rights: Rights) -> Result<u32, Errno> {
        self.open_with(ROOT, 0, path, oflags, rights, 0)
    }

    /// Opens with every right there is for reading and writing.
    pub fn create(&mut self, path: &str) -> Result<u32, Errno> {
        self.open(path, CREAT, Rights::ALL)
    }

    pub fn read_only(&mut self, path: &str) -> Result<u32, Errno> {
        self.open(path, 0, Rights::ALL.without(Rights::FD_WRITE))
    }

    pub fn write(&mut self, fd: u32, text: &[u8]) -> Result<u32, Errno> {
        let buffer = self.put(text);
        let (iovs, count) = self.iovs(&[buffer]);
        let out = self.alloc(4);
        errno(preview1::fd_write(&mut self.wasi, &mut self.memory, fd, iovs, count, out)).map(|()| self.u32(out))
    }

    pub fn read(&mut self, fd: u32, len: u32) -> Result<Vec<u8>, Errno> {
        let at = self.alloc(len as usize);
        let (iovs, count) = self.iovs(&[(at, len)]);
        let out = self.alloc(4);
        errno(preview1::fd_read(&mut self.wasi, &mut self.memory, fd, iovs, count, out))?;
        Ok(self.bytes(at, self.u32(out) as usize).to_vec())
    }

    pub fn close(&mut self, fd: u32) -> Result<(), Errno> {
        errno(preview1::fd_close(&mut self.wasi, &mut self.memory, fd))
    }

    pub fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Result<u64, Errno> {
        let out = self.alloc(8);
        let offset = offset.cast_unsigned();
        errno(preview1::fd_seek(&mut self.wasi, &mut self.memory, fd, offset, whence, out)).map(|()| self.u64(out))
    }

    /// The 64 bytes of a `$filestat`.
    pub fn stat_at(&mut self, fd: u32, lookup: u32, path: &str) -> Result<Vec<u8>, Errno> {
        let (ptr, len) = self.put(path.as_bytes());
        let out = self.alloc(64);
        let done = preview1::path_filestat_get(&mut self.wasi, &mut self.memory, fd, lookup, ptr, len, out);
        errno(done).map(|()| self.bytes(out, 64).to_vec())
    }

    pub fn unlink(&mut self, fd: u32, path: &str) -> Result<(), Errno> {
        let (ptr, len) = self.put(path.as_bytes());
        errno(preview1::path_unlink_file(&mut self.wasi, &mut self.memory, fd, ptr, len))
    }

    pub fn mkdir(&mut self, fd: u32, path: &str) -> Result<(), Errno> {
        let (ptr, len) = self.put(path.as_bytes());
        errno(preview1::path_create_directory(&mut self.wasi, &mut self.memory, fd, ptr, len))
    }

    pub fn rmdir(&mut self, fd: u32, path: &str) -> Result<(), Errno> {
        let (ptr, len) = self.put(path.as_bytes());
        errno(preview1::path_remove_directory(&mut self.wasi, &mut self.memory, fd, ptr, len))
    }

    pub fn rename(&mut self, from: (u32, &str), to: (u32, &str)) -> Result<(), Errno> {
        let (old, old_len) = self.put(from.1.as_bytes());
        let (new, new_len) = self.put(to.1.as_bytes());
        errno(preview1::path_rename(&mut self.wasi, &mut self.memory, from.0, old, old_len, to.0, new, new_len))
    }

    pub fn link(&mut self, from: (u32, &str), lookup: u32, to: (u32, &str)) -> Result<(), Errno> {
        let (old, old_len) = self.put(from.1.as_bytes());
        let (new, new_len) = self.put(to.1.as_bytes());
        errno(preview1::path_link(&mut self.wasi, &mut self.memory, from.0, lookup, old, old_len, to.0, new, new_len))
    }

    pub fn symlink(&mut self, target: &str, fd: u32, path: &str) -> Result<(), Errno> {
        let (old, old_len) = self.put(target.as_bytes());
        let (new, new_len) = self.put(path.as_bytes());
        errno(preview1::path_symlink(&mut self.wasi, &mut self.memory, old, old_len, fd, new, new_len))
    }

    pub fn readlink(&mut self, fd: u32, path: &str, len: u32) -> Result<Vec<u8>, Errno> {
        let (ptr, path_len) = self.put(path.as_bytes());
        let buffer = self.alloc(len as usize + 8);
        let out = self.alloc(4);
        errno(preview1::path_readlink(&mut self.wasi, &mut self.memory, fd, ptr, path_len, buffer, len, out))?;
        Ok(self.bytes(buffer, self.u32(out) as usize).to_vec())
    }

    pub fn set_times_at(&mut self, fd: u32, lookup: u32, path: &str, mtim: u64) -> Result<(), Errno> {
        let (ptr, len) = self.put(path.as_bytes());
        errno(preview1::path_filestat_set_times(&mut self.wasi, &mut self.memory, fd, lookup, ptr, len, 0, mtim, 0b100))
    }

    /// Type, flags, base and inheriting rights.
    pub fn fdstat(&mut self, fd: u32) -> Result<(u8, u16, Rights, Rights), Errno> {
        let out = self.alloc(24);
        errno(preview1::fd_fdstat_get(&mut self.wasi, &mut self.memory, fd, out))?;
        let flags = u16::from_le_bytes(self.bytes(out + 2, 2).try_into().unwrap());
        let rights = |at| Rights::from_guest(self.u64(at)).unwrap();
        Ok((self.memory[out as usize], flags, rights(out + 8), rights(out + 16)))
    }
}

/// The errno of a call that must not have stopped the run.
pub fn errno(result: Result<(), Failure>) -> Result<(), Errno> {
    result.map_err(|failure| match failure {
        Failure::Errno(errno) => errno,
        Failure::Stop(stop) => panic!("stopped: {stop:?}"),
    })
}
