//! What macOS shares with POSIX, compared on Linux with what Linux does.

use super::errno::{TABLE, of_number};
use super::listing::Listing;
use super::resolve::{find, unlink};
use crate::resolve::{Resolver, escape};
use crate::{Config, Failure, Preopen, Wasi, platform};
use rustix::fs::{FileType as HostType, Mode, Timespec, Timestamps, fstat};
use rustix::io::Errno as Host;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use wave_monitor::{Access, Errno, FileType, Rule};

/// Directories, files, a FIFO, and links to all of them: good, dangling, circular and leading out.
fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("grant/a/b")).unwrap();
    fs::write(at("secret"), "").unwrap();
    fs::write(at("grant/file"), "").unwrap();
    fs::write(at("grant/a/b/deep"), "").unwrap();
    let grant = File::open(at("grant")).unwrap();
    rustix::fs::mknodat(&grant, "fifo", HostType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for (target, name) in [
        ("a", "to_dir"),
        ("a/", "to_dir_slash"),
        ("file", "to_file"),
        ("file/", "to_file_slash"),
        ("missing", "dangling"),
        ("loop", "loop"),
        ("to_dir", "twice"),
        ("..", "up"),
        ("../secret", "out"),
        ("/etc", "absolute"),
        ("a/b/../..", "around"),
        ("fifo", "to_fifo"),
    ] {
        symlink(target, at("grant").join(name)).unwrap();
    }
    symlink("../file", at("grant/a/back")).unwrap();
    symlink("../../secret", at("grant/a/out")).unwrap();
    dir
}

fn guest(dir: &Path) -> Wasi {
    let preopen = Preopen {
        dir: File::open(dir).unwrap().into(),
        host_path: dir.to_owned(),
        guest_path: "/".to_owned(),
        access: Access::ReadWrite,
        file: None,
    };
    Wasi::new(Config { preopens: vec![preopen], resolver: Resolver::Kernel, ..Config::default() }).unwrap()
}

/// The errno of a failure, and whether it is because the path leads out: comparison ignores that.
fn shown<T>(found: Result<T, Failure>) -> Result<T, String> {
    found.map_err(|failure| match failure {
        Failure::Errno(errno) => format!("{errno:?} {}", errno.rule() == Rule::Beneath),
        Failure::Stop(stop) => format!("{stop:?}"),
    })
}

/// Every path of up to three of these names leads to the same object as by `openat2`, or fails in the same way.
#[test]
fn t17_objects_without_handles_are_those_of_openat2() {
    let tree = tree();
    let grant = tree.path().join("grant");
    let wasi = guest(&grant);
    let top = File::open(&grant).unwrap();
    let names = [
        "a",
        "b",
        "file",
        "fifo",
        "missing",
        ".",
        "..",
        "to_dir",
        "to_dir_slash",
        "to_file",
        "to_file_slash",
        "dangling",
        "loop",
        "twice",
        "up",
        "out",
        "absolute",
        "around",
        "to_fifo",
        "back",
        "deep",
    ];
    let one = names.map(str::to_owned);
    let two = one.iter().flat_map(|first| names.map(|second| format!("{first}/{second}")));
    let all: Vec<String> = one.iter().cloned().chain(two).collect();
    let three = all.iter().flat_map(|first| names.map(|last| format!("{first}/{last}")));
    let paths: Vec<String> = all.iter().cloned().chain(three).collect();
    let (mut found, mut failed) = (0, 0);
    for path in &paths {
        for (follow, slash) in [(false, false), (false, true), (true, false), (true, true)] {
            let given = if slash { format!("{path}/") } else { path.clone() };
            let Ok(stat) = wasi.monitor.admit_stat_at(3, u32::from(follow), given.as_bytes()) else { continue };
            let linux = platform::handle(&wasi, &stat.place, follow).map(|(_, stat)| (stat.st_dev, stat.st_ino));
            let (whole, slash) = (stat.place.path.whole(), stat.place.path.demands_directory());
            let macos = find(top.as_fd(), whole, follow, slash, || false).map(|(_, stat)| (stat.st_dev, stat.st_ino));
            if linux.is_ok() {
                found += 1
            } else {
                failed += 1
            }
            assert_eq!(shown(macos), shown(linux), "{given} follow: {follow}");
        }
    }
    assert!(found > 500 && failed > 500, "{found} {failed}");
}

/// Times change on the object that was found, and on nothing else.
#[test]
fn times_of_an_object_without_a_handle() {
    let tree = tree();
    let grant = tree.path().join("grant");
    let top = File::open(&grant).unwrap();
    let second = |second| Timespec { tv_sec: second, tv_nsec: 0 };
    let times = |at| Timestamps { last_access: second(at), last_modification: second(at) };
    let set = |path: &str, follow, at| {
        let (handle, _) = find(top.as_fd(), path.as_bytes(), follow, false, || false).unwrap();
        handle.set_times(&times(at)).unwrap();
    };
    let of = |name: &str| fs::symlink_metadata(grant.join(name)).unwrap().mtime();
    set("to_file", true, 100);
    set("to_file", false, 200);
    // Elsewhere in the tree, directories are handles here, and Linux sets no time of these.
    set(".", false, 300);
    set("fifo", false, 400);
    assert_eq!((of("file"), of("to_file"), of("."), of("fifo")), (100, 200, 300, 400));
    assert!(of("a") > 1_000_000);
    assert_eq!(find(top.as_fd(), b"out", true, false, || false).map(drop), Err(escape()));
}

/// A directory of another object gives its own file system, any other object that of the directory it is in.
#[test]
fn the_directory_of_an_object() {
    let tree = tree();
    let grant = tree.path().join("grant");
    let top = File::open(&grant).unwrap();
    let inode = |path: &str| {
        let (handle, found) = find(top.as_fd(), path.as_bytes(), true, false, || false).unwrap();
        fstat(handle.directory(&found, || false).unwrap()).unwrap().st_ino
    };
    let of = |name: &str| fs::metadata(grant.join(name)).unwrap().ino();
    assert_eq!(
        (inode("a/b"), inode("a/b/deep"), inode("to_fifo"), inode("a/..")),
        (of("a/b"), of("a/b"), of("."), of("."))
    );
}

/// Linux itself says `EISDIR`, so this cannot tell who translated. A file is removed, and a missing one is missing.
#[test]
fn a_directory_is_not_unlinked() {
    let tree = tree();
    let top = File::open(tree.path().join("grant")).unwrap();
    assert_eq!(unlink(top.as_fd(), b"a"), Err(Host::ISDIR));
    assert_eq!(unlink(top.as_fd(), b"file"), Ok(()));
    assert_eq!(unlink(top.as_fd(), b"file"), Err(Host::NOENT));
    assert_eq!(unlink(top.as_fd(), b"to_dir"), Ok(()), "the link, not the directory");
    assert!(tree.path().join("grant/a/b/deep").exists());
}

type Entry = (Vec<u8>, u64, FileType);

/// All entries from a cookie on: names, inodes and types, with the cookies of the entries after them.
fn list(listing: &mut Listing, dir: &File, cookie: u64) -> Result<Vec<(Entry, u64)>, Failure> {
    listing.seek(dir.as_fd(), || false, cookie)?;
    let mut all = Vec::new();
    loop {
        let after = listing.cookie_after();
        let Some(entry) = listing.peek(dir.as_fd(), || false)? else { return Ok(all) };
        all.push(((entry.name.to_vec(), entry.inode, entry.file_type), after));
        let end = entry.end;
        listing.skip(end);
    }
}

#[test]
fn t09_listings_by_readdir_have_the_same_cookies_from_any_place() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..500 {
        fs::write(dir.path().join(format!("file{number}")), "").unwrap();
    }
    let open = File::open(dir.path()).unwrap();
    let mut listing = Listing::new();
    let all = list(&mut listing, &open, 0).unwrap();
    assert_eq!(all.len(), 502);
    assert!(all.iter().zip(1..).all(|((_, cookie), ordinal)| *cookie == ordinal));
    for ((name, inode, kind), _) in &all {
        let found = fs::symlink_metadata(dir.path().join(OsStr::from_bytes(name))).unwrap();
        let is_dir = found.is_dir();
        assert_eq!(
            (*inode, *kind == FileType::Directory, *kind == FileType::RegularFile),
            (found.ino(), is_dir, !is_dir)
        );
    }
    for cookie in [0, 1, 250, 501, 502, 3, 503, 10_000] {
        let rest = all.get(usize::try_from(cookie).unwrap()..).unwrap_or_default();
        assert_eq!(list(&mut listing, &open, cookie).unwrap(), rest, "{cookie}");
    }
    fs::write(dir.path().join("new"), "").unwrap();
    assert_eq!(list(&mut listing, &open, 0).unwrap().len(), 503, "rewinding shows the current directory");
    fs::remove_dir_all(dir.path()).unwrap();
    assert_eq!(list(&mut Listing::new(), &open, 0).unwrap(), [], "removed while it is open");
}

/// The same name leads to the same WASI number on both systems.
#[test]
fn the_table_of_errors_is_that_of_linux_by_name() {
    for row in TABLE {
        assert_eq!(platform::errno(Host::from_raw_os_error(row.here)), row.errno);
    }
    let mapped = |errno: fn(i32) -> Errno| {
        let mut all: Vec<u16> = (1..200).map(|number| errno(number).raw()).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    assert_eq!(mapped(of_number), mapped(|number| platform::errno(Host::from_raw_os_error(number))));
    assert_eq!(
        [35, 11, 45, 102, 0, -1, 93].map(of_number).map(Errno::name),
        ["AGAIN", "DEADLK", "NOTSUP", "NOTSUP", "IO", "IO", "IO"]
    );
}
