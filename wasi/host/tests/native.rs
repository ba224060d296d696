//! Files seen through hostcalls against the same calls made natively: same answer, same tree afterwards.
//!
//! One program of calls runs twice, on two equal trees: by Linux's own calls, and by hostcalls. What differs on purpose
//! is in [`what_differs_is_known`], and in CAVEATS.

mod guest;

use guest::{APPEND, CREAT, DIRECTORY, EXCL, FOLLOW, Guest, NONBLOCK, ROOT, TRUNC, errno};
use rustix::fs::{
    AtFlags, FallocateFlags, FileType, Mode, OFlags, SeekFrom, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT,
};
use rustix::io::Errno as Host;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use tempfile::TempDir;
use wave_monitor::Rights;
use wave_wasi::{Errno, preview1};

/// A time that no file has by itself.
const MARK: u64 = 1_000_000_000_000_000_123;

const READ: u32 = 1 << 16;
const WRITE: u32 = 1 << 17;
const AT_END: u32 = 1 << 18;
/// A link is opened itself, which fails.
const NOFOLLOW: u32 = 1 << 19;

/// Type as WASI numbers it, size but of directories, links.
type Attributes = (u8, Option<u64>, u64);

/// What a time is set to.
#[derive(Clone, Copy)]
enum To {
    Mark,
    Now,
    Keep,
}

/// The calls, however they are made. Paths are relative to the one directory there is.
trait Calls {
    fn open(&mut self, path: &[u8], how: u32) -> Result<u32, Errno>;
    fn close(&mut self, fd: u32) -> Result<(), Errno>;
    fn stat(&mut self, path: &[u8], follow: bool) -> Result<Attributes, Errno>;
    fn fstat(&mut self, fd: u32) -> Result<Attributes, Errno>;
    fn mkdir(&mut self, path: &[u8]) -> Result<(), Errno>;
    fn rmdir(&mut self, path: &[u8]) -> Result<(), Errno>;
    fn unlink(&mut self, path: &[u8]) -> Result<(), Errno>;
    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), Errno>;
    fn link(&mut self, old: &[u8], new: &[u8]) -> Result<(), Errno>;
    fn symlink(&mut self, text: &[u8], path: &[u8]) -> Result<(), Errno>;
    fn readlink(&mut self, path: &[u8]) -> Result<Vec<u8>, Errno>;
    fn set_times(&mut self, path: &[u8], follow: bool, to: [To; 2]) -> Result<(), Errno>;
    fn fset_times(&mut self, fd: u32, to: [To; 2]) -> Result<(), Errno>;
    fn read(&mut self, fd: u32, len: usize) -> Result<Vec<u8>, Errno>;
    fn read_at(&mut self, fd: u32, len: usize, at: u64) -> Result<Vec<u8>, Errno>;
    fn write(&mut self, fd: u32, text: &[u8]) -> Result<usize, Errno>;
    fn write_at(&mut self, fd: u32, text: &[u8], at: u64) -> Result<usize, Errno>;
    fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Result<u64, Errno>;
    fn set_size(&mut self, fd: u32, size: u64) -> Result<(), Errno>;
    fn allocate(&mut self, fd: u32, at: u64, len: u64) -> Result<(), Errno>;
    fn sync(&mut self, fd: u32) -> Result<(), Errno>;
    fn set_append(&mut self, fd: u32, on: bool) -> Result<(), Errno>;
    /// Names and types of a directory, from its start.
    fn list(&mut self, fd: u32) -> Result<BTreeMap<Vec<u8>, u8>, Errno>;
    fn root(&self) -> &Path;
}

// ---- by Linux -----------------------------------------------------------------------------------

struct Native {
    tree: TempDir,
    dir: OwnedFd,
    open: BTreeMap<u32, OwnedFd>,
}

impl Native {
    fn new() -> Self {
        let tree = tempfile::tempdir().unwrap();
        let dir = guest::open_dir(tree.path());
        Self { tree, dir, open: BTreeMap::new() }
    }

    fn fd(&self, fd: u32) -> Result<BorrowedFd<'_>, Errno> {
        self.open.get(&fd).map(AsFd::as_fd).ok_or(Errno::BADF)
    }
}

/// The number that WASI has for an error.
fn wasi(error: Host) -> Errno {
    match error {
        Host::NOENT => Errno::NOENT,
        Host::EXIST => Errno::EXIST,
        Host::NOTDIR => Errno::NOTDIR,
        Host::ISDIR => Errno::ISDIR,
        Host::NOTEMPTY => Errno::NOTEMPTY,
        Host::LOOP => Errno::LOOP,
        Host::INVAL => Errno::INVAL,
        Host::PERM => Errno::PERM,
        Host::BUSY => Errno::BUSY,
        Host::NXIO => Errno::NXIO,
        Host::NAMETOOLONG => Errno::NAMETOOLONG,
        Host::SPIPE => Errno::SPIPE,
        Host::FBIG => Errno::FBIG,
        Host::BADF => Errno::BADF,
        Host::OVERFLOW => Errno::OVERFLOW,
        error => panic!("{error:?} has no number here"),
    }
}

fn attributes(found: &rustix::fs::Stat) -> Attributes {
    let kind = FileType::from_raw_mode(found.st_mode);
    let number = match kind {
        FileType::RegularFile => 4,
        FileType::Directory => 3,
        FileType::Symlink => 7,
        _ => 0,
    };
    (number, (kind != FileType::Directory).then_some(found.st_size.cast_unsigned()), found.st_nlink)
}

fn timestamps(to: [To; 2]) -> Timestamps {
    let [last_access, last_modification] = to.map(|to| match to {
        To::Mark => {
            let second = 1_000_000_000;
            Timespec { tv_sec: (MARK / second).cast_signed(), tv_nsec: (MARK % second).cast_signed() }
        }
        To::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        To::Keep => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    });
    Timestamps { last_access, last_modification }
}

fn at(follow: bool) -> AtFlags {
    if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW }
}

impl Calls for Native {
    fn open(&mut self, path: &[u8], how: u32) -> Result<u32, Errno> {
        // The hostcalls never wait at an open (T25).
        let mut flags = OFlags::CLOEXEC | OFlags::NONBLOCK;
        flags |= match (how & READ != 0, how & WRITE != 0) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            (_, false) => OFlags::RDONLY,
        };
        for (bit, flag) in [
            (CREAT, OFlags::CREATE),
            (DIRECTORY, OFlags::DIRECTORY),
            (EXCL, OFlags::EXCL),
            (TRUNC, OFlags::TRUNC),
            (AT_END, OFlags::APPEND),
            (NOFOLLOW, OFlags::NOFOLLOW),
        ] {
            flags.set(flag, how & bit != 0);
        }
        let opened = rustix::fs::openat(&self.dir, path, flags, Mode::from_raw_mode(0o666)).map_err(wasi)?;
        let fd = (ROOT + 1..).find(|fd| !self.open.contains_key(fd)).unwrap();
        self.open.insert(fd, opened);
        Ok(fd)
    }

    fn close(&mut self, fd: u32) -> Result<(), Errno> {
        self.open.remove(&fd).map(drop).ok_or(Errno::BADF)
    }

    fn stat(&mut self, path: &[u8], follow: bool) -> Result<Attributes, Errno> {
        rustix::fs::statat(&self.dir, path, at(follow)).map(|found| attributes(&found)).map_err(wasi)
    }

    fn fstat(&mut self, fd: u32) -> Result<Attributes, Errno> {
        rustix::fs::fstat(self.fd(fd)?).map(|found| attributes(&found)).map_err(wasi)
    }

    fn mkdir(&mut self, path: &[u8]) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.dir, path, Mode::from_raw_mode(0o777)).map_err(wasi)
    }

    fn rmdir(&mut self, path: &[u8]) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.dir, path, AtFlags::REMOVEDIR).map_err(wasi)
    }

    fn unlink(&mut self, path: &[u8]) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.dir, path, AtFlags::empty()).map_err(wasi)
    }

    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), Errno> {
        rustix::fs::renameat(&self.dir, old, &self.dir, new).map_err(wasi)
    }

    fn link(&mut self, old: &[u8], new: &[u8]) -> Result<(), Errno> {
        rustix::fs::linkat(&self.dir, old, &self.dir, new, AtFlags::empty()).map_err(wasi)
    }

    fn symlink(&mut self, text: &[u8], path: &[u8]) -> Result<(), Errno> {
        rustix::fs::symlinkat(text, &self.dir, path).map_err(wasi)
    }

    fn readlink(&mut self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        rustix::fs::readlinkat(&self.dir, path, Vec::new()).map(|text| text.into_bytes()).map_err(wasi)
    }

    fn set_times(&mut self, path: &[u8], follow: bool, to: [To; 2]) -> Result<(), Errno> {
        rustix::fs::utimensat(&self.dir, path, &timestamps(to), at(follow)).map_err(wasi)
    }

    fn fset_times(&mut self, fd: u32, to: [To; 2]) -> Result<(), Errno> {
        rustix::fs::futimens(self.fd(fd)?, &timestamps(to)).map_err(wasi)
    }

    fn read(&mut self, fd: u32, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; len];
        let count = rustix::io::read(self.fd(fd)?, &mut bytes).map_err(wasi)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn read_at(&mut self, fd: u32, len: usize, at: u64) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; len];
        let count = rustix::io::pread(self.fd(fd)?, &mut bytes, at).map_err(wasi)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn write(&mut self, fd: u32, text: &[u8]) -> Result<usize, Errno> {
        rustix::io::write(self.fd(fd)?, text).map_err(wasi)
    }

    fn write_at(&mut self, fd: u32, text: &[u8], at: u64) -> Result<usize, Errno> {
        rustix::io::pwrite(self.fd(fd)?, text, at).map_err(wasi)
    }

    fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Result<u64, Errno> {
        let to = match whence {
            0 => SeekFrom::Start(offset.cast_unsigned()),
            1 => SeekFrom::Current(offset),
            _ => SeekFrom::End(offset),
        };
        rustix::fs::seek(self.fd(fd)?, to).map_err(wasi)
    }

    fn set_size(&mut self, fd: u32, size: u64) -> Result<(), Errno> {
        rustix::fs::ftruncate(self.fd(fd)?, size).map_err(wasi)
    }

    fn allocate(&mut self, fd: u32, at: u64, len: u64) -> Result<(), Errno> {
        // `posix_fallocate`, which grows the file also where the file system cannot reserve space.
        match rustix::fs::fallocate(self.fd(fd)?, FallocateFlags::empty(), at, len) {
            Err(Host::OPNOTSUPP) => {
                let size = rustix::fs::fstat(self.fd(fd)?).map_err(wasi)?.st_size.cast_unsigned();
                if size < at + len { self.set_size(fd, at + len) } else { Ok(()) }
            }
            done => done.map_err(wasi),
        }
    }

    fn sync(&mut self, fd: u32) -> Result<(), Errno> {
        rustix::fs::fsync(self.fd(fd)?).map_err(wasi)?;
        rustix::fs::fdatasync(self.fd(fd)?).map_err(wasi)
    }

    fn set_append(&mut self, fd: u32, on: bool) -> Result<(), Errno> {
        let flags = if on { OFlags::APPEND } else { OFlags::empty() };
        rustix::fs::fcntl_setfl(self.fd(fd)?, flags).map_err(wasi)
    }

    fn list(&mut self, fd: u32) -> Result<BTreeMap<Vec<u8>, u8>, Errno> {
        let mut names = BTreeMap::new();
        for entry in rustix::fs::Dir::read_from(self.fd(fd)?).map_err(wasi)? {
            let entry = entry.map_err(wasi)?;
            let kind = match entry.file_type() {
                FileType::RegularFile => 4,
                FileType::Directory => 3,
                FileType::Symlink => 7,
                _ => 0,
            };
            assert_eq!(names.insert(entry.file_name().to_bytes().to_vec(), kind), None);
        }
        Ok(names)
    }

    fn root(&self) -> &Path {
        self.tree.path()
    }
}

// ---- by hostcalls -------------------------------------------------------------------------------

/// Sets the guest's scratch memory free after each call.
struct Through(Guest, std::path::PathBuf);

impl Through {
    fn new() -> Self {
        let guest = Guest::new();
        let root = guest.host("");
        Self(guest, root)
    }

    /// Puts a path at a fixed place.
    fn path(&mut self, place: u32, path: &[u8]) -> (u32, u32) {
        let at = place as usize;
        self.0.memory[at..at + path.len()].copy_from_slice(path);
        (place, u32::try_from(path.len()).unwrap())
    }

    /// Puts one buffer at a fixed place: the list, and where it is.
    fn buffer(&mut self, len: usize) -> (u32, usize) {
        let (list, at) = (OUT + 128, 1 << 16);
        let words = [u32::try_from(at).unwrap(), u32::try_from(len).unwrap()];
        for (word, place) in words.into_iter().zip([list, list + 4]) {
            self.0.memory[place as usize..place as usize + 4].copy_from_slice(&word.to_le_bytes());
        }
        (list, at)
    }

    fn attributes(&self) -> Attributes {
        let (kind, links, size) = (self.0.memory[OUT as usize + 16], self.0.u64(OUT + 24), self.0.u64(OUT + 32));
        (kind, (kind != 3).then_some(size), links)
    }
}

const OUT: u32 = 64;
const OLD: u32 = 8192;
const NEW: u32 = 16_384;

fn lookup(follow: bool) -> u32 {
    if follow { FOLLOW } else { 0 }
}

fn time_flags([access, modification]: [To; 2]) -> u32 {
    let of = |to| match to {
        To::Mark => 1,
        To::Now => 2,
        To::Keep => 0,
    };
    of(access) | of(modification) << 2
}

/// Calls a function on this guest.
macro_rules! call {
    ($self:ident, $function:ident $(, $argument:expr)*) => {
        errno(preview1::$function(&mut $self.0.wasi, &mut $self.0.memory $(, $argument)*))
    };
}

impl Calls for Through {
    fn open(&mut self, path: &[u8], how: u32) -> Result<u32, Errno> {
        let (path, len) = self.path(OLD, path);
        let rights = if how & DIRECTORY != 0 || how & (READ | WRITE) == 0 {
            Rights::ALL.without(Rights::FD_READ).without(Rights::FD_WRITE)
        } else if how & WRITE == 0 {
            Rights::ALL.without(Rights::FD_WRITE)
        } else if how & READ == 0 {
            Rights::ALL.without(Rights::FD_READ)
        } else {
            Rights::ALL
        };
        let fdflags = NONBLOCK | if how & AT_END != 0 { APPEND } else { 0 };
        let (oflags, lookup) = (how & 15, lookup(how & NOFOLLOW == 0));
        call!(self, path_open, ROOT, lookup, path, len, oflags, rights.bits(), Rights::ALL.bits(), fdflags, OUT)?;
        Ok(self.0.u32(OUT))
    }

    fn close(&mut self, fd: u32) -> Result<(), Errno> {
        self.0.close(fd)
    }

    fn stat(&mut self, path: &[u8], follow: bool) -> Result<Attributes, Errno> {
        let (path, len) = self.path(OLD, path);
        call!(self, path_filestat_get, ROOT, lookup(follow), path, len, OUT)?;
        Ok(self.attributes())
    }

    fn fstat(&mut self, fd: u32) -> Result<Attributes, Errno> {
        call!(self, fd_filestat_get, fd, OUT)?;
        Ok(self.attributes())
    }

    fn mkdir(&mut self, path: &[u8]) -> Result<(), Errno> {
        let (path, len) = self.path(OLD, path);
        call!(self, path_create_directory, ROOT, path, len)
    }

    fn rmdir(&mut self, path: &[u8]) -> Result<(), Errno> {
        let (path, len) = self.path(OLD, path);
        call!(self, path_remove_directory, ROOT, path, len)
    }

    fn unlink(&mut self, path: &[u8]) -> Result<(), Errno> {
        let (path, len) = self.path(OLD, path);
        call!(self, path_unlink_file, ROOT, path, len)
    }

    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), Errno> {
        let ((old, old_len), (new, new_len)) = (self.path(OLD, old), self.path(NEW, new));
        call!(self, path_rename, ROOT, old, old_len, ROOT, new, new_len)
    }

    fn link(&mut self, old: &[u8], new: &[u8]) -> Result<(), Errno> {
        let ((old, old_len), (new, new_len)) = (self.path(OLD, old), self.path(NEW, new));
        call!(self, path_link, ROOT, 0, old, old_len, ROOT, new, new_len)
    }

    fn symlink(&mut self, text: &[u8], path: &[u8]) -> Result<(), Errno> {
        let ((text, text_len), (path, len)) = (self.path(OLD, text), self.path(NEW, path));
        call!(self, path_symlink, text, text_len, ROOT, path, len)
    }

    fn readlink(&mut self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let (path, len) = self.path(OLD, path);
        call!(self, path_readlink, ROOT, path, len, NEW, 4096, OUT)?;
        Ok(self.0.bytes(NEW, self.0.u32(OUT) as usize).to_vec())
    }

    fn set_times(&mut self, path: &[u8], follow: bool, to: [To; 2]) -> Result<(), Errno> {
        let (path, len) = self.path(OLD, path);
        call!(self, path_filestat_set_times, ROOT, lookup(follow), path, len, MARK, MARK, time_flags(to))
    }

    fn fset_times(&mut self, fd: u32, to: [To; 2]) -> Result<(), Errno> {
        call!(self, fd_filestat_set_times, fd, MARK, MARK, time_flags(to))
    }

    fn read(&mut self, fd: u32, len: usize) -> Result<Vec<u8>, Errno> {
        let (list, at) = self.buffer(len);
        call!(self, fd_read, fd, list, 1, OUT)?;
        Ok(self.0.memory[at..at + self.0.u32(OUT) as usize].to_vec())
    }

    fn read_at(&mut self, fd: u32, len: usize, offset: u64) -> Result<Vec<u8>, Errno> {
        let (list, at) = self.buffer(len);
        call!(self, fd_pread, fd, list, 1, offset, OUT)?;
        Ok(self.0.memory[at..at + self.0.u32(OUT) as usize].to_vec())
    }

    fn write(&mut self, fd: u32, text: &[u8]) -> Result<usize, Errno> {
        let (list, at) = self.buffer(text.len());
        self.0.memory[at..at + text.len()].copy_from_slice(text);
        call!(self, fd_write, fd, list, 1, OUT)?;
        Ok(self.0.u32(OUT) as usize)
    }

    fn write_at(&mut self, fd: u32, text: &[u8], offset: u64) -> Result<usize, Errno> {
        let (list, at) = self.buffer(text.len());
        self.0.memory[at..at + text.len()].copy_from_slice(text);
        call!(self, fd_pwrite, fd, list, 1, offset, OUT)?;
        Ok(self.0.u32(OUT) as usize)
    }

    fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Result<u64, Errno> {
        call!(self, fd_seek, fd, offset.cast_unsigned(), whence, OUT)?;
        Ok(self.0.u64(OUT))
    }

    fn set_size(&mut self, fd: u32, size: u64) -> Result<(), Errno> {
        call!(self, fd_filestat_set_size, fd, size)
    }

    fn allocate(&mut self, fd: u32, at: u64, len: u64) -> Result<(), Errno> {
        call!(self, fd_allocate, fd, at, len)
    }

    fn sync(&mut self, fd: u32) -> Result<(), Errno> {
        call!(self, fd_sync, fd)?;
        call!(self, fd_datasync, fd)
    }

    fn set_append(&mut self, fd: u32, on: bool) -> Result<(), Errno> {
        call!(self, fd_fdstat_set_flags, fd, NONBLOCK | if on { APPEND } else { 0 })
    }

    fn list(&mut self, fd: u32) -> Result<BTreeMap<Vec<u8>, u8>, Errno> {
        let (buffer, mut cookie) = (1 << 16, 0);
        let mut names = BTreeMap::new();
        loop {
            call!(self, fd_readdir, fd, buffer, 4096, cookie, OUT)?;
            let used = self.0.u32(OUT) as usize;
            let mut entries = self.0.bytes(buffer, used);
            while let Some((head, rest)) = entries.split_at_checked(24) {
                let len = u32::from_le_bytes(head[16..20].try_into().unwrap()) as usize;
                let Some((name, rest)) = rest.split_at_checked(len) else { break };
                assert_eq!(names.insert(name.to_vec(), head[20]), None);
                cookie = u64::from_le_bytes(head[..8].try_into().unwrap());
                entries = rest;
            }
            if used < 4096 {
                return Ok(names);
            }
        }
    }

    fn root(&self) -> &Path {
        &self.1
    }
}

// ---- trees --------------------------------------------------------------------------------------

/// Makes the tree that each program starts with.
fn plant(root: &Path) {
    for dir in ["dir/sub", "empty"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::write(root.join("file"), "text").unwrap();
    fs::write(root.join("dir/inner"), "inner").unwrap();
    fs::hard_link(root.join("file"), root.join("twin")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for (name, text) in [
        ("to-file", "file"),
        ("to-dir", "dir"),
        ("to-empty", "empty"),
        ("to-link", "to-dir"),
        ("to-fifo", "fifo"),
        ("dangling", "none"),
        ("dangling-slash", "none/"),
        ("dangling-deep", "none/none"),
        ("loop", "loop"),
        ("dir-slash", "dir/"),
        ("file-slash", "file/"),
        ("dir-dot", "dir/."),
        ("dir/up", ".."),
        ("dir/to-file", "../file"),
    ] {
        symlink(text, root.join(name)).unwrap();
    }
}

/// Everything in a tree: content or text of a link, number of links, and whether the times are the mark.
fn snapshot(root: &Path) -> Vec<(Vec<u8>, String)> {
    fn walk(root: &Path, dir: &Path, all: &mut Vec<(Vec<u8>, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            let content = if found.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if found.is_file() {
                format!("{} bytes {:?}", found.len(), start_of(&path))
            } else {
                format!("{:o}", found.mode())
            };
            let is_mark = |seconds: i64, rest: i64| seconds * 1_000_000_000 + rest == MARK.cast_signed();
            let times = (is_mark(found.atime(), found.atime_nsec()), is_mark(found.mtime(), found.mtime_nsec()));
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
            // Reading a link or a directory sets its time of access, also where nobody but this function does.
            let times = (times.0 && found.is_file(), times.1);
            all.push((name, format!("{content} {} {times:?}", found.nlink())));
            if found.is_dir() {
                walk(root, &path, all);
            }
        }
    }
    let mut all = Vec::new();
    walk(root, root, &mut all);
    all.sort();
    all
}

/// What a file starts with; sparse ones are long.
fn start_of(path: &Path) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(path).unwrap().take(64).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Two equal trees, one for each side.
struct Pair {
    native: Native,
    through: Through,
    planted: Vec<(Vec<u8>, String)>,
}

impl Pair {
    fn new() -> Self {
        let (native, through) = (Native::new(), Through::new());
        plant(native.root());
        plant(through.root());
        let planted = snapshot(native.root());
        assert_eq!(snapshot(through.root()), planted);
        Self { native, through, planted }
    }

    /// Runs a program on both sides; the answers and the trees afterwards have to be the same.
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, program: impl Fn(&mut dyn Calls) -> T) -> Result<T, String> {
        let (expected, found) = (program(&mut self.native), program(&mut self.through));
        let (tree, expected_tree) = (snapshot(self.through.root()), snapshot(self.native.root()));
        let is_same_tree = tree == expected_tree;
        if expected_tree != self.planted || !is_same_tree {
            *self = Self::new();
        }
        if found != expected {
            return Err(format!("Linux answers {expected:?}, the hostcall {found:?}"));
        }
        if !is_same_tree {
            let only = |these: &[(Vec<u8>, String)], those: &[(Vec<u8>, String)]| {
                let differ = these.iter().filter(|entry| !those.contains(entry));
                differ.map(|(name, what)| format!("{} {what}", name.escape_ascii())).collect::<Vec<_>>()
            };
            let (native, through) = (only(&expected_tree, &tree), only(&tree, &expected_tree));
            return Err(format!("Linux leaves {native:?}, the hostcall {through:?}"));
        }
        Ok(expected)
    }
}

#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(program: impl Fn(&mut dyn Calls) -> T) {
    if let Err(difference) = Pair::new().compare(program) {
        panic!("{difference}");
    }
}

// ---- every call on every kind of path -----------------------------------------------------------

/// Every kind of name with every kind of end, and some more.
fn paths() -> Vec<Vec<u8>> {
    const NAMES: [&str; 23] = [
        "file",
        "dir",
        "empty",
        "fifo",
        "none",
        "to-file",
        "to-dir",
        "to-empty",
        "to-link",
        "to-fifo",
        "dangling",
        "dangling-slash",
        "dangling-deep",
        "loop",
        "dir-slash",
        "file-slash",
        "dir-dot",
        "dir/inner",
        "dir/sub",
        "dir/none",
        "dir/up",
        "dir/to-file",
        "none/none",
    ];
    const ENDS: [&str; 5] = ["", "/", "/.", "/x", "/x/"];
    const MORE: [&[u8]; 25] = [
        b"dir//",
        b"to-dir//",
        b"to-file//",
        b"dir/./",
        b"to-dir/./",
        b"file/./",
        b"",
        b".",
        b"./",
        b"././",
        b"./file",
        b"./file/",
        b".//dir//inner",
        b"dir/./inner",
        b"dir/../file",
        b"dir/sub/..",
        b"dir/sub/../",
        b"dir/up/file",
        b"to-dir/..",
        b"to-dir/../file",
        b"file/..",
        b"none/..",
        b"dir/..",
        b"no\xff\xfename",
        b"...",
    ];
    let mut paths: Vec<_> = NAMES.iter().flat_map(|name| ENDS.map(|end| [name, end].concat().into_bytes())).collect();
    paths.extend(MORE.map(<[u8]>::to_vec));
    paths.extend([
        vec![b'n'; 255],
        vec![b'n'; 256],
        [&[b'n'; 256][..], b"/x"].concat(),
        b"./".repeat(2047),
        b"./".repeat(2048),
    ]);
    paths
}

type Call = fn(&mut dyn Calls, &[u8]) -> String;

/// The answer to a call, in words.
fn said<T: std::fmt::Debug>(answer: Result<T, Errno>) -> String {
    format!("{answer:?}")
}

/// Opens and says what it is.
fn opened(calls: &mut dyn Calls, path: &[u8], how: u32) -> String {
    let answer = calls.open(path, how).and_then(|fd| {
        let found = calls.fstat(fd);
        calls.close(fd)?;
        found
    });
    said(answer)
}

const CALLS: [(&str, Call); 36] = [
    ("stat", |c, p| said(c.stat(p, true))),
    ("lstat", |c, p| said(c.stat(p, false))),
    ("readlink", |c, p| said(c.readlink(p))),
    ("open", |c, p| opened(c, p, READ)),
    ("open to write", |c, p| opened(c, p, WRITE)),
    ("open to read and write", |c, p| opened(c, p, READ | WRITE)),
    ("open without following", |c, p| opened(c, p, READ | NOFOLLOW)),
    ("open a directory", |c, p| opened(c, p, DIRECTORY)),
    ("open a directory without following", |c, p| opened(c, p, DIRECTORY | NOFOLLOW)),
    ("create", |c, p| opened(c, p, CREAT | WRITE)),
    ("create to read", |c, p| opened(c, p, CREAT | READ)),
    ("create without following", |c, p| opened(c, p, CREAT | WRITE | NOFOLLOW)),
    ("create what is new", |c, p| opened(c, p, CREAT | EXCL | READ | WRITE)),
    ("truncate", |c, p| opened(c, p, TRUNC | WRITE)),
    ("truncate and read", |c, p| opened(c, p, TRUNC | READ)),
    ("truncate without following", |c, p| opened(c, p, TRUNC | WRITE | NOFOLLOW)),
    ("create or truncate", |c, p| opened(c, p, CREAT | TRUNC | WRITE)),
    ("mkdir", |c, p| said(c.mkdir(p))),
    ("rmdir", |c, p| said(c.rmdir(p))),
    ("unlink", |c, p| said(c.unlink(p))),
    ("symlink", |c, p| said(c.symlink(b"file", p))),
    ("set times", |c, p| said(c.set_times(p, true, [To::Mark; 2]))),
    ("set times without following", |c, p| said(c.set_times(p, false, [To::Mark; 2]))),
    ("rename", |c, p| said(c.rename(p, b"new"))),
    ("rename to new/", |c, p| said(c.rename(p, b"new/"))),
    ("rename to what is there", |c, p| said(c.rename(p, b"empty"))),
    ("rename to itself", |c, p| said(c.rename(p, p))),
    ("rename a file to it", |c, p| said(c.rename(b"twin", p))),
    ("rename a link to it", |c, p| said(c.rename(b"to-link", p))),
    ("rename a directory to it", |c, p| said(c.rename(b"dir", p))),
    ("link", |c, p| said(c.link(p, b"new"))),
    ("link to new/", |c, p| said(c.link(p, b"new/"))),
    ("link to what is there", |c, p| said(c.link(p, b"dangling"))),
    ("link a file to it", |c, p| said(c.link(b"file", p))),
    ("link a directory to it", |c, p| said(c.link(b"dir", p))),
    ("rename what is not there to it", |c, p| said(c.rename(b"none", p))),
];

#[test]
fn every_call_on_every_kind_of_path_does_what_linux_does() {
    let mut pair = Pair::new();
    let mut differences = Vec::new();
    let mut answers = BTreeMap::new();
    for path in paths() {
        for (name, call) in CALLS {
            match pair.compare(|calls| call(calls, &path)) {
                Ok(answer) => *answers.entry((name, answer.starts_with("Ok"))).or_insert(0) += 1,
                Err(difference) => differences.push(format!("{name} {}: {difference}", path.escape_ascii())),
            }
        }
    }
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
    for (name, _) in CALLS {
        // A link is no directory, and a name that is taken stays.
        let never =
            ["link to new/", "link to what is there", "link a directory to it", "rename what is not there to it"]
                .contains(&name);
        assert!(answers.contains_key(&(name, true)) != never, "{name}: whether a path succeeds");
        assert!(answers.contains_key(&(name, false)), "{name}: no path that fails");
    }
}

// ---- open files ---------------------------------------------------------------------------------

#[test]
fn append_mode_writes_at_the_end_wherever_the_position_is() {
    same(|c| {
        let fd = c.open(b"file", READ | WRITE | AT_END).unwrap();
        let first = (c.write(fd, b"-one"), c.seek(fd, 0, 1), c.seek(fd, 0, 0));
        let second = (c.write(fd, b"-two"), c.seek(fd, 0, 1));
        // Linux appends here, too; POSIX would not (pwrite(2), "BUGS").
        let third = (c.write_at(fd, b"-three", 0), c.seek(fd, 0, 1));
        let read = (c.read_at(fd, 100, 0), c.read_at(fd, 2, 4), c.read(fd, 10));
        let size = (c.set_size(fd, 2), c.write(fd, b"!"), c.fstat(fd));
        let off = (c.set_append(fd, false), c.seek(fd, 0, 0), c.write(fd, b"T"), c.write_at(fd, b"X", 2));
        let on = (c.set_append(fd, true), c.write_at(fd, b"end", 0), c.read_at(fd, 100, 0));
        (first, second, third, read, size, off, on)
    });
}

#[test]
fn positions_holes_and_ends() {
    same(|c| {
        let fd = c.open(b"file", READ | WRITE).unwrap();
        let beyond = (c.seek(fd, 10, 2), c.read(fd, 5), c.write(fd, b"far"), c.fstat(fd));
        let hole = (c.seek(fd, 0, 0), c.read(fd, 100), c.read(fd, 100), c.read_at(fd, 4, 1000));
        let before = (c.seek(fd, -1, 0), c.seek(fd, -100, 1), c.seek(fd, -100, 2), c.seek(fd, 0, 1));
        let last = (c.seek(fd, i64::MAX, 0), c.seek(fd, 1, 1), c.seek(fd, 1, 2), c.read(fd, 1), c.write(fd, b"x"));
        let at = (c.read_at(fd, 1, i64::MAX as u64), c.write_at(fd, b"x", i64::MAX as u64));
        let nothing = (c.write_at(fd, b"", 5000), c.read_at(fd, 0, 5000), c.fstat(fd));
        (beyond, hole, before, last, at, nothing)
    });
}

#[test]
fn sizes_grow_with_zeros_and_shrink() {
    same(|c| {
        let fd = c.open(b"file", READ | WRITE).unwrap();
        let grown = (c.set_size(fd, 10), c.read(fd, 100), c.fstat(fd));
        let shrunk = (c.set_size(fd, 1), c.read(fd, 100), c.seek(fd, 0, 1), c.write(fd, b"z"), c.read_at(fd, 100, 0));
        let same = (c.set_size(fd, 11), c.fstat(fd));
        let large = (c.set_size(fd, 1 << 40), c.fstat(fd), c.read_at(fd, 3, (1 << 40) - 2));
        let small = (c.set_size(fd, 0), c.read_at(fd, 10, 0), c.fstat(fd));
        let reserved = (c.allocate(fd, 100, 50), c.fstat(fd), c.allocate(fd, 0, 10), c.fstat(fd));
        let refused = (c.allocate(fd, 0, 0), c.set_size(fd, 1 << 63), c.set_size(fd, u64::MAX));
        (grown, shrunk, same, large, small, reserved, refused)
    });
}

#[test]
fn an_open_file_outlives_its_names() {
    same(|c| {
        let fd = c.open(b"file", READ | WRITE).unwrap();
        let links = (c.link(b"file", b"third"), c.fstat(fd), c.write(fd, b"new!"), c.stat(b"twin", true));
        let other = c.open(b"third", READ).unwrap();
        let shared = (c.read(other, 10), c.set_size(fd, 2), c.read_at(other, 10, 0));
        let gone = (c.unlink(b"file"), c.unlink(b"twin"), c.unlink(b"third"), c.fstat(fd), c.stat(b"file", true));
        let usable = (c.seek(fd, 0, 2), c.write(fd, b"still"), c.read_at(other, 100, 0), c.sync(fd));
        let again = (c.open(b"file", CREAT | EXCL | WRITE), c.stat(b"file", true), c.fstat(fd));
        let target = c.open(b"dir/inner", READ).unwrap();
        let replaced =
            (c.rename(b"file", b"dir/inner"), c.fstat(target), c.read(target, 10), c.stat(b"dir/inner", true));
        (links, shared, gone, usable, again, replaced)
    });
}

#[test]
fn renames_replace_what_they_may() {
    same(|c| {
        let names = [
            &b"file"[..],
            b"twin",
            b"dir",
            b"empty",
            b"to-dir",
            b"dangling",
            b"fifo",
            b"dir/sub",
            b"dir/inner",
            b"none",
        ];
        let mut answers = Vec::new();
        for old in names {
            for new in names {
                answers.push((c.rename(old, new), c.stat(old, false), c.stat(new, false)));
                // What was moved goes back, where nothing was lost.
                if c.stat(old, false).is_err() {
                    answers.push((c.rename(new, old), c.stat(old, false), c.stat(new, false)));
                }
            }
        }
        answers
    });
}

#[test]
fn times_are_set_kept_or_now_by_name_and_by_descriptor() {
    for access in [To::Mark, To::Now, To::Keep] {
        for modification in [To::Mark, To::Now, To::Keep] {
            same(|c| {
                let fd = c.open(b"file", READ | WRITE).unwrap();
                let dir = c.open(b"dir", DIRECTORY).unwrap();
                let to = [access, modification];
                let open = (c.fset_times(fd, to), c.fset_times(dir, to));
                let named = [&b"dir/inner"[..], b"to-empty", b"fifo"]
                    .map(|path| (c.set_times(path, false, to), c.set_times(path, true, to)));
                // Linux looks for no name when there is nothing to set.
                let is_nothing = matches!(to, [To::Keep, To::Keep]);
                let missing = [&b"dangling"[..], b"none", b"loop", b"file/x"]
                    .map(|path| (!is_nothing).then(|| (c.set_times(path, false, to), c.set_times(path, true, to))));
                (open, named, missing)
            });
        }
    }
}

#[test]
fn directories_list_what_is_there() {
    same(|c| {
        let dir = c.open(b".", DIRECTORY).unwrap();
        let before = c.list(dir);
        let bytes =
            (c.open(b"no\xff\xfename", CREAT | WRITE).map(drop), c.mkdir(&[b'n'; 255]), c.symlink(b"\xff", b"l\xff"));
        let after = (c.list(dir), c.readlink(b"l\xff"), c.stat(b"no\xff\xfename", true));
        let lost = c.open(b"empty", DIRECTORY).unwrap();
        let gone = (c.rmdir(b"empty"), c.list(lost), c.fstat(lost), c.sync(lost), c.sync(dir));
        (before, bytes, after, gone)
    });
}

/// Removing each entry as it is read, as `rm -r` does, misses none, however small the pieces.
#[test]
fn a_directory_can_be_emptied_while_it_is_read() {
    const COUNT: usize = 1500;
    for len in [100, 4096, 60_000] {
        let mut through = Through::new();
        for at in 0..COUNT {
            fs::write(through.root().join(format!("{at:0>60}")), "").unwrap();
        }
        let dir = through.open(b".", DIRECTORY).unwrap();
        let (buffer, mut cookie, mut removed) = (1 << 16, 0, 0);
        loop {
            let this = &mut through;
            call!(this, fd_readdir, dir, buffer, len, cookie, OUT).unwrap();
            let used = this.0.u32(OUT);
            let entries = this.0.bytes(buffer, used as usize).to_vec();
            let mut rest = &entries[..];
            while let Some((head, after)) = rest.split_at_checked(24) {
                let name_len = u32::from_le_bytes(head[16..20].try_into().unwrap()) as usize;
                let Some((name, after)) = after.split_at_checked(name_len) else { break };
                if name != b"." && name != b".." {
                    this.unlink(name).unwrap();
                    removed += 1;
                }
                cookie = u64::from_le_bytes(head[..8].try_into().unwrap());
                rest = after;
            }
            if used < len {
                break;
            }
        }
        assert_eq!((removed, fs::read_dir(through.root()).unwrap().count()), (COUNT, 0), "pieces of {len}");
    }
}

/// What differs on purpose, each with both answers. CAVEATS has the reasons.
#[test]
fn what_differs_is_known() {
    type Program = fn(&mut dyn Calls) -> String;
    let no = "Err(NOTCAPABLE)";
    let programs: [(&str, Program, &str, &str); 10] = [
        ("write through what was opened to read", |c| with(c, READ, |c, fd| said(c.write(fd, b"x"))), "Err(BADF)", no),
        ("read through what was opened to write", |c| with(c, WRITE, |c, fd| said(c.read(fd, 1))), "Err(BADF)", no),
        ("above the grant", |c| said(c.stat(b"../", true).map(|found| found.0)), "Ok(3)", no),
        ("above the grant by a link", |c| said(c.stat(b"dir/up/..", true).map(|found| found.0)), "Ok(3)", no),
        ("above the grant and back", |c| said(c.mkdir(b"dir/../../none/none")), "Err(NOENT)", no),
        ("an absolute path", |c| said(c.stat(b"/", true).map(|found| found.0)), "Ok(3)", no),
        ("an absolute link", |c| said(c.symlink(b"/", b"new")), "Ok(())", no),
        ("an empty FIFO without writer", |c| fifo(c), "Ok([])", "Err(AGAIN)"),
        ("no time of a missing name", |c| said(c.set_times(b"none", true, [To::Keep; 2])), "Ok(())", "Err(NOENT)"),
        ("the position of a directory", |c| directory(c, |c, fd| said(c.seek(fd, 0, 0))), "Ok(0)", no),
    ];
    for (what, program, by_linux, by_hostcalls) in programs {
        let (mut native, mut through) = (Native::new(), Through::new());
        plant(native.root());
        plant(through.root());
        assert_eq!(program(&mut native), by_linux, "{what}");
        assert_eq!(program(&mut through), by_hostcalls, "{what}");
    }
}

fn with(calls: &mut dyn Calls, how: u32, use_it: fn(&mut dyn Calls, u32) -> String) -> String {
    let fd = calls.open(b"file", how).unwrap();
    use_it(calls, fd)
}

fn directory(calls: &mut dyn Calls, use_it: fn(&mut dyn Calls, u32) -> String) -> String {
    let fd = calls.open(b"dir", DIRECTORY).unwrap();
    use_it(calls, fd)
}

fn fifo(calls: &mut dyn Calls) -> String {
    let fd = calls.open(b"fifo", READ).unwrap();
    said(calls.read(fd, 1))
}

/// The manual resolver finds what the kernel finds.
#[test]
fn the_manual_resolver_answers_alike() {
    guest::run_again_with_the_manual_resolver("the_manual_resolver_answers_alike");
}
