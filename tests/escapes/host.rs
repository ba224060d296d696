//! The host's side: a granted directory with a neighbor the guest must not reach, and what became of both.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use nix::sys::stat::{SFlag, makedev, mknod};
use tempfile::TempDir;

use wave_test_support::{
    Mode, Wave, as_root, cannot_run, give_to_guest, open_to_all, sees_other_processes, writable_dir,
};

/// A directory with `grant` and `outside` in it. The guest's user may do anything with all of it: only `wave` is in the way.
pub struct Host {
    dir: TempDir,
}

impl Host {
    /// In the grant are `file`, and `dir` with `file`; outside are `secret`, and `dir` with `secret`.
    pub fn new() -> Self {
        let host = Self { dir: writable_dir() };
        for dir in ["grant", "outside"] {
            host.make_dir(dir);
            host.make_dir(&format!("{dir}/dir"));
        }
        host.write("grant/file", "of the grant");
        host.write("grant/dir/file", "of its directory");
        host.write("outside/secret", "secret");
        host.write("outside/dir/secret", "secret too");
        host
    }

    /// [`Host::new`] with links out of the grant, of every kind.
    pub fn with_links() -> Self {
        let host = Self::new();
        let absolute = host.path("outside/secret");
        for (name, target) in [
            ("out_file", "../outside/secret"),
            ("out_absolute", absolute.to_str().expect("temporary directories have plain names")),
            ("out_dangling", "../outside/new"),
            ("out_dir", "../outside"),
            ("out_slash", "../outside/"),
            ("up", ".."),
            ("chain", "out_file"),
            ("chain_dir", "out_dir"),
            ("in_file", "dir/file"),
            ("in_dir", "dir"),
            ("in_dangling", "made"),
            ("dir/in_up", "../file"),
        ] {
            host.link(&format!("grant/{name}"), target);
        }
        host
    }

    /// A place beneath the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file that belongs to the guest's user, with times of long ago.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).expect("own directory can be written");
        give_to_guest(&path);
        let file = fs::File::options().write(true).open(&path).expect("own file can be opened");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        file.set_times(fs::FileTimes::new().set_accessed(long_ago).set_modified(long_ago)).expect("times can be set");
    }

    /// A directory that belongs to the guest's user.
    pub fn make_dir(&self, name: &str) {
        fs::create_dir(self.path(name)).expect("own directory can be written");
        give_to_guest(&self.path(name));
    }

    /// A symbolic link.
    pub fn link(&self, name: &str, target: &str) {
        symlink(target, self.path(name)).expect("own directory can be written");
        if as_root() {
            lchown(self.path(name), Some(1000), Some(1000)).expect("root can give links away");
        }
    }

    /// A run with `grant` as `/`.
    pub fn granted(&self, mode: Mode, access: &str) -> Wave {
        mode.strict().dir(&self.path("grant"), "/", access)
    }

    /// Everything in the grant.
    pub fn inside(&self) -> Vec<String> {
        state(&self.path("grant"))
    }

    /// Everything outside of the grant.
    pub fn outside(&self) -> Vec<String> {
        state(&self.path("outside"))
    }
}

/// Names, types, modes, owners, link counts, sizes, times and contents of everything beneath `root`, and of itself. Only
/// access times are left out: looking changes them.
pub fn state(root: &Path) -> Vec<String> {
    let found = fs::symlink_metadata(root).expect("own files can be looked at");
    let content = if found.is_dir() {
        String::new()
    } else if found.is_symlink() {
        format!("-> {}", fs::read_link(root).expect("it is a link").display())
    } else if found.is_file() {
        fs::read(root).expect("own file can be read").escape_ascii().to_string()
    } else {
        "special".to_owned()
    };
    let (mode, links) = (found.mode(), found.nlink());
    let (size, modified, changed) =
        (found.size(), (found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    let owner = (found.uid(), found.gid());
    let name = root.display();
    let mut lines =
        vec![format!("{name}: {mode:o} {owner:?} {links} links, {size} bytes, {modified:?} {changed:?} {content}")];
    if found.is_dir() {
        let entries = fs::read_dir(root).expect("own directory can be listed");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("a listing").path()).collect();
        names.sort();
        lines.extend(names.iter().flat_map(|path| state(path)));
    }
    lines
}

/// The host descriptors of a process, or `None` without the right to look: the process is not dumpable, so an ordinary user has none.
pub fn descriptors(pid: u32) -> Option<Vec<(u32, PathBuf)>> {
    if !sees_other_processes() {
        return None;
    }
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("it may look");
    let number = |path: &Path| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    let mut found: Vec<(u32, PathBuf)> = entries
        .map(|entry| entry.expect("a listing").path())
        .map(|path| (number(&path).expect("a number"), fs::read_link(&path).expect("a link")))
        .collect();
    found.sort();
    Some(found)
}

/// The most memory a process has had in use, in KiB.
pub fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a status can be read");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Whether this user makes device nodes that can be opened; if not, that is said. Nothing is left out in CI, which runs this as
/// root as well.
pub fn has_device_nodes() -> bool {
    let dir = writable_dir();
    let path = dir.path().join("zero");
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    let made = mknod(&path, SFlag::S_IFCHR, mode, makedev(1, 5)).map_err(std::io::Error::from);
    let opened = made.and_then(|()| fs::File::open(path));
    if let Err(error) = &opened {
        cannot_run(&format!("no device nodes can be made here: {error}"));
    }
    opened.is_ok()
}

/// A FIFO that everybody may use.
pub fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo(1) starts");
    assert!(made.success());
    open_to_all(path);
}
