//! Names beneath a directory: what works, with which errno it does not, and that nothing leads out.

mod guest;

use guest::{CREAT, DIRECTORY, EXCL, FOLLOW, Guest, ROOT, TRUNC, processor_time};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::time::Duration;
use wave_monitor::Rights;
use wave_wasi::{Access, Errno, preview1};

const READ: Rights = Rights::FD_READ;

/// A tree with every kind of way out.
fn with_ways_out() -> Guest {
    let guest = Guest::new();
    fs::create_dir_all(guest.host("a/b")).unwrap();
    fs::write(guest.host("a/b/file"), "inside").unwrap();
    let links = [
        ("file-out", "../outside/secret"),
        ("dir-out", "../outside"),
        ("dangling-out", "../outside/new"),
        ("absolute-out", guest.tree.path().join("outside").to_str().unwrap()),
        ("a/up-out", "../../outside"),
        ("in", "a/b"),
        ("file-in", "a/b/file"),
        ("dangling-in", "a/new"),
        ("loop", "loop"),
    ]
    .map(|(name, target)| (name, target.to_owned()));
    for (name, target) in links {
        symlink(target, guest.host(name)).unwrap();
    }
    guest
}

#[test]
fn deep_and_dotted_paths_open() {
    let mut guest = with_ways_out();
    for path in ["a/b/file", "./a/b/file", "a//b/.//file", "a/b/../b/file", "in/file", "a/../a/b/file"] {
        let fd = guest.open(path, 0, READ).unwrap();
        assert_eq!(guest.read(fd, 10).unwrap(), b"inside", "{path}");
        guest.close(fd).unwrap();
    }
    for path in [".", "./", "a", "a/", "a/b/..", "a/..", "a/b/.", "a/b///"] {
        let fd = guest.open(path, DIRECTORY, Rights::NONE).unwrap();
        assert_eq!(guest.fdstat(fd).unwrap().0, 3, "{path}");
        guest.close(fd).unwrap();
    }
}

#[test]
fn t14_t29_climbs_and_absolute_paths_are_refused_everywhere() {
    let mut guest = with_ways_out();
    let before = guest.snapshot();
    let outside = guest.outside("secret");
    let absolute = outside.to_str().unwrap().to_owned();
    let no = Err(Errno::NOTCAPABLE);
    for path in [
        "../outside/secret",
        "../outside/missing",
        "..",
        "a/../../outside/secret",
        "a/b/../../../outside/secret",
        "./../outside/secret",
        "in/../../../outside/secret",
        absolute.as_str(),
        "/",
        "//etc/passwd",
    ] {
        for lookup in [0, FOLLOW] {
            assert_eq!(guest.open_with(ROOT, lookup, path, 0, READ, 0), no.map(|()| 0), "open {path}");
            assert_eq!(guest.open_with(ROOT, lookup, path, CREAT, Rights::ALL, 0), no.map(|()| 0), "create {path}");
            assert_eq!(guest.stat_at(ROOT, lookup, path), no.map(|()| Vec::new()), "stat {path}");
            assert_eq!(guest.set_times_at(ROOT, lookup, path, 1), no, "set times {path}");
        }
        // `..` as the last component has an errno of its own; none of them names what is outside.
        if !path.ends_with("..") && path != "/" {
            assert_eq!(guest.mkdir(ROOT, path), no, "mkdir {path}");
            assert_eq!(guest.rmdir(ROOT, path), no, "rmdir {path}");
            assert_eq!(guest.unlink(ROOT, path), no, "unlink {path}");
            assert_eq!(guest.readlink(ROOT, path, 64), no.map(|()| Vec::new()), "readlink {path}");
            assert_eq!(guest.symlink("x", ROOT, path), no, "symlink {path}");
            assert_eq!(guest.rename((ROOT, "a"), (ROOT, path)), no, "rename to {path}");
            assert_eq!(guest.rename((ROOT, path), (ROOT, "x")), no, "rename from {path}");
            assert_eq!(guest.link((ROOT, "a/b/file"), 0, (ROOT, path)), no, "link to {path}");
            assert_eq!(guest.link((ROOT, path), 0, (ROOT, "x")), no, "link from {path}");
        }
    }
    assert_eq!(before, guest.snapshot());
}

#[test]
fn t15_a_final_link_never_leads_out() {
    let mut guest = with_ways_out();
    let before = guest.snapshot();
    for path in ["file-out", "dir-out", "dangling-out", "absolute-out", "a/up-out"] {
        for oflags in [0, CREAT, TRUNC, CREAT | TRUNC, DIRECTORY] {
            let rights = if oflags & DIRECTORY == 0 { Rights::ALL } else { READ };
            let followed = guest.open_with(ROOT, FOLLOW, path, oflags, rights, 0);
            assert_eq!(followed, Err(Errno::NOTCAPABLE), "{path} {oflags}");
            let kept = guest.open_with(ROOT, 0, path, oflags, rights, 0).unwrap_err();
            assert!([Errno::LOOP, Errno::NOTDIR].contains(&kept), "{path} {oflags}: {kept:?}");
        }
        assert_eq!(guest.open_with(ROOT, FOLLOW, path, CREAT | EXCL, Rights::ALL, 0), Err(Errno::EXIST), "T27");
        assert_eq!(guest.stat_at(ROOT, FOLLOW, path), Err(Errno::NOTCAPABLE), "T18 {path}");
        assert_eq!(guest.set_times_at(ROOT, FOLLOW, path, 1), Err(Errno::NOTCAPABLE), "T18 {path}");
        assert_eq!(guest.stat_at(ROOT, 0, path).unwrap()[16], 7, "the link itself {path}");
    }
    assert_eq!(before, guest.snapshot());
    assert!(!guest.outside("new").exists());
}

#[test]
fn t16_an_intermediate_link_never_leads_out() {
    let mut guest = with_ways_out();
    let before = guest.snapshot();
    let no = Err(Errno::NOTCAPABLE);
    for dir in ["dir-out", "absolute-out", "a/up-out", "in/../up-out"] {
        let secret = format!("{dir}/secret");
        let new = format!("{dir}/new");
        assert_eq!(guest.open(&secret, 0, READ), no.map(|()| 0), "{dir}");
        assert_eq!(guest.create(&new), no.map(|()| 0), "{dir}");
        assert_eq!(guest.stat_at(ROOT, 0, &secret), no.map(|()| Vec::new()), "{dir}");
        assert_eq!(guest.mkdir(ROOT, &new), no, "{dir}");
        assert_eq!(guest.unlink(ROOT, &secret), no, "{dir}");
        assert_eq!(guest.rename((ROOT, &secret), (ROOT, "x")), no, "{dir}");
        assert_eq!(guest.rename((ROOT, "a"), (ROOT, &new)), no, "{dir}");
        assert_eq!(guest.link((ROOT, &secret), 0, (ROOT, "x")), no, "{dir}");
        assert_eq!(guest.symlink("x", ROOT, &new), no, "{dir}");
    }
    assert_eq!(before, guest.snapshot());
}

#[test]
fn t17_a_trailing_slash_follows_nothing() {
    let mut guest = with_ways_out();
    let before = guest.snapshot();
    for path in ["dir-out/", "absolute-out//", "dir-out/."] {
        assert!(guest.open(path, 0, READ).is_err(), "{path}");
        assert!(guest.open_with(ROOT, FOLLOW, path, 0, READ, 0).is_err(), "{path}");
        assert!(guest.stat_at(ROOT, 0, path).is_err(), "{path}");
        assert!(guest.unlink(ROOT, path).is_err(), "{path}");
        assert!(guest.rmdir(ROOT, path).is_err(), "{path}");
        assert!(guest.set_times_at(ROOT, 0, path, 1).is_err(), "{path}");
        assert!(guest.rename((ROOT, path), (ROOT, "x")).is_err(), "{path}");
        assert!(guest.readlink(ROOT, path, 64).is_err(), "{path}");
    }
    assert_eq!(before, guest.snapshot());
    assert!(!guest.outside("new").exists());
}

#[test]
fn t17_a_trailing_slash_asks_for_the_directory_a_link_inside_leads_to() {
    let mut guest = with_ways_out();
    symlink("../in", guest.host("a/again")).unwrap();
    symlink("b/../../in/", guest.host("a/slash")).unwrap();
    let before = guest.snapshot();
    let inode = fs::metadata(guest.host("a/b")).unwrap().ino();
    for path in ["in/", "in//", "./in/", "a/again/", "in/../again/", "a/slash/"] {
        for lookup in [0, FOLLOW] {
            let stat = guest.stat_at(ROOT, lookup, path).unwrap();
            assert_eq!((stat[16], u64::from_le_bytes(stat[8..16].try_into().unwrap())), (3, inode), "{path} {lookup}");
            let fd = guest.open_with(ROOT, lookup, path, 0, Rights::ALL.without(Rights::FD_WRITE), 0).unwrap();
            let file = guest.open_with(fd, 0, "file", 0, READ, 0).unwrap();
            assert_eq!(guest.read(file, 10).unwrap(), b"inside", "{path} {lookup}");
            let time = 7_000_000_000 + u64::from(lookup) * 1_000_000_000;
            guest.set_times_at(ROOT, lookup, path, time).unwrap();
            let found = fs::metadata(guest.host("a/b")).unwrap();
            assert_eq!(found.mtime().cast_unsigned() * 1_000_000_000, time, "{path} {lookup}");
            guest.close(file).unwrap();
            guest.close(fd).unwrap();
        }
        assert_eq!(guest.readlink(ROOT, path, 64), Err(Errno::INVAL), "{path}");
        assert_eq!(guest.link((ROOT, path), 0, (ROOT, "x")), Err(Errno::PERM), "{path}");
        // What makes, moves or removes a name takes the link for what it is.
        assert_eq!(guest.rmdir(ROOT, path), Err(Errno::NOTDIR), "{path}");
        assert_eq!(guest.unlink(ROOT, path), Err(Errno::NOTDIR), "{path}");
        assert_eq!(guest.rename((ROOT, path), (ROOT, "x")), Err(Errno::NOTDIR), "{path}");
        assert_eq!(guest.mkdir(ROOT, path), Err(Errno::EXIST), "{path}");
    }
    for (path, errno) in [("file-in/", Errno::NOTDIR), ("dangling-in/", Errno::NOENT), ("loop/", Errno::LOOP)] {
        assert_eq!(guest.stat_at(ROOT, 0, path), Err(errno), "{path}");
        assert_eq!(guest.open(path, 0, READ), Err(errno), "{path}");
        assert_eq!(guest.set_times_at(ROOT, 0, path, 1), Err(errno), "{path}");
        assert_eq!(guest.readlink(ROOT, path, 64), Err(errno), "{path}");
    }
    assert_eq!(before, guest.snapshot());
}

#[test]
fn t17_a_trailing_slash_follows_no_link_that_leads_out() {
    let mut guest = with_ways_out();
    symlink("../dir-out", guest.host("a/chain-out")).unwrap();
    symlink("../outside/", guest.host("slash-out")).unwrap();
    symlink("../../outside/missing", guest.host("a/missing-out")).unwrap();
    let before = guest.snapshot();
    let times = fs::metadata(guest.outside("")).unwrap();
    for path in [
        "dir-out/",
        "slash-out/",
        "absolute-out/",
        "a/up-out/",
        "a/chain-out/",
        "in/../up-out//",
        "file-out/",
        "dangling-out/",
        "a/missing-out/",
    ] {
        // The same for what is there as for what is not (T29).
        let refused = [(0, Errno::NOTDIR), (FOLLOW, Errno::NOTCAPABLE)];
        for (lookup, errno) in refused {
            assert_eq!(guest.stat_at(ROOT, lookup, path), Err(errno), "{path} {lookup}");
            assert_eq!(guest.open_with(ROOT, lookup, path, 0, READ, 0), Err(errno), "{path} {lookup}");
            assert_eq!(guest.open_with(ROOT, lookup, path, DIRECTORY, READ, 0), Err(errno), "{path} {lookup}");
            assert_eq!(guest.set_times_at(ROOT, lookup, path, 1), Err(errno), "{path} {lookup}");
        }
        assert_eq!(guest.readlink(ROOT, path, 64), Err(Errno::NOTDIR), "{path}");
        assert_eq!(guest.link((ROOT, path), 0, (ROOT, "x")), Err(Errno::NOTDIR), "{path}");
    }
    assert_eq!(before, guest.snapshot());
    let after = fs::metadata(guest.outside("")).unwrap();
    assert_eq!((times.mtime(), times.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
}

#[test]
fn links_inside_are_followed_when_asked() {
    let mut guest = with_ways_out();
    let fd = guest.open_with(ROOT, FOLLOW, "file-in", 0, READ, 0).unwrap();
    assert_eq!(guest.read(fd, 10).unwrap(), b"inside");
    assert_eq!(guest.open("file-in", 0, READ), Err(Errno::LOOP));
    assert_eq!(guest.stat_at(ROOT, FOLLOW, "file-in").unwrap()[16], 4);
    assert_eq!(guest.stat_at(ROOT, 0, "file-in").unwrap()[16], 7);
    guest.set_times_at(ROOT, FOLLOW, "file-in", 5_000_000_000).unwrap();
    assert_eq!(fs::metadata(guest.host("a/b/file")).unwrap().mtime(), 5);
    guest.set_times_at(ROOT, 0, "file-in", 6_000_000_000).unwrap();
    assert_eq!(fs::metadata(guest.host("a/b/file")).unwrap().mtime(), 5);
    assert_eq!(fs::symlink_metadata(guest.host("file-in")).unwrap().mtime(), 6);
    guest.open_with(ROOT, FOLLOW, "dangling-in", CREAT, Rights::ALL, 0).unwrap();
    assert!(guest.host("a/new").exists());
}

#[test]
fn t19_links_may_point_up_but_not_away() {
    let mut guest = Guest::new();
    assert_eq!(guest.symlink("/etc/passwd", ROOT, "abs"), Err(Errno::NOTCAPABLE));
    assert_eq!(guest.symlink("", ROOT, "empty"), Err(Errno::NOENT));
    guest.symlink("../outside/secret", ROOT, "up").unwrap();
    assert_eq!(guest.open_with(ROOT, FOLLOW, "up", 0, READ, 0), Err(Errno::NOTCAPABLE));
    guest.mkdir(ROOT, "d").unwrap();
    guest.symlink("../x", ROOT, "d/fine").unwrap();
    fs::write(guest.host("x"), "x").unwrap();
    guest.open_with(ROOT, FOLLOW, "d/fine", 0, READ, 0).unwrap();
}

#[test]
fn t8_readlink_writes_no_more_than_it_may() {
    let mut guest = Guest::new();
    guest.symlink("target", ROOT, "link").unwrap();
    for (len, text) in [(0, ""), (1, "t"), (5, "targe"), (6, "target"), (10, "target")] {
        assert_eq!(guest.readlink(ROOT, "link", len).unwrap(), text.as_bytes());
    }
    fs::write(guest.host("file"), "").unwrap();
    assert_eq!(guest.readlink(ROOT, "file", 10), Err(Errno::INVAL));
    assert_eq!(guest.readlink(ROOT, "none", 10), Err(Errno::NOENT));
    assert_eq!(guest.readlink(ROOT, "link/", 10), Err(Errno::NOENT), "what it leads to is not there");
}

#[test]
fn trailing_slashes_have_the_errors_of_posix() {
    let mut guest = Guest::new();
    fs::write(guest.host("file"), "").unwrap();
    guest.mkdir(ROOT, "dir/").unwrap();
    assert_eq!(guest.open("file/", 0, READ), Err(Errno::NOTDIR));
    assert_eq!(guest.open("new/", CREAT, READ), Err(Errno::ISDIR));
    assert_eq!(guest.unlink(ROOT, "file/"), Err(Errno::NOTDIR));
    assert_eq!(guest.unlink(ROOT, "dir/"), Err(Errno::ISDIR));
    assert_eq!(guest.unlink(ROOT, "dir"), Err(Errno::ISDIR));
    assert_eq!(guest.unlink(ROOT, "none/"), Err(Errno::NOENT));
    assert_eq!(guest.rmdir(ROOT, "file/"), Err(Errno::NOTDIR));
    assert_eq!(guest.symlink("x", ROOT, "new/"), Err(Errno::NOENT));
    assert_eq!(guest.symlink("x", ROOT, "dir/"), Err(Errno::EXIST));
    assert_eq!(guest.link((ROOT, "file"), 0, (ROOT, "new/")), Err(Errno::NOENT));
    assert_eq!(guest.link((ROOT, "dir"), 0, (ROOT, "new")), Err(Errno::PERM));
    assert_eq!(guest.link((ROOT, "file"), FOLLOW, (ROOT, "new")), Err(Errno::INVAL));
    assert_eq!(guest.rename((ROOT, "file/"), (ROOT, "new")), Err(Errno::NOTDIR));
    assert_eq!(guest.rename((ROOT, "file"), (ROOT, "new/")), Err(Errno::NOTDIR));
    guest.rename((ROOT, "dir/"), (ROOT, "dir2/")).unwrap();
    guest.rename((ROOT, "dir2"), (ROOT, "dir/")).unwrap();
    guest.rmdir(ROOT, "dir//").unwrap();
    assert!(!guest.host("dir").exists());
}

#[test]
fn renames_and_links_keep_their_rules() {
    let mut guest = Guest::new();
    for dir in ["empty", "full", "source"] {
        guest.mkdir(ROOT, dir).unwrap();
    }
    guest.create("full/file").unwrap();
    guest.create("file").unwrap();
    assert_eq!(guest.rename((ROOT, "source"), (ROOT, "full")), Err(Errno::NOTEMPTY));
    assert_eq!(guest.rename((ROOT, "file"), (ROOT, "empty")), Err(Errno::ISDIR));
    assert_eq!(guest.rename((ROOT, "source"), (ROOT, "source/x")), Err(Errno::INVAL));
    assert_eq!(guest.rmdir(ROOT, "full"), Err(Errno::NOTEMPTY));
    assert_eq!(guest.mkdir(ROOT, "full"), Err(Errno::EXIST));
    assert_eq!(guest.open("file", CREAT | EXCL, READ), Err(Errno::EXIST));
    assert_eq!(guest.link((ROOT, "file"), 0, (ROOT, "full/file")), Err(Errno::EXIST));
    guest.rename((ROOT, "source"), (ROOT, "empty")).unwrap();
    guest.rename((ROOT, "file"), (ROOT, "full/moved")).unwrap();
    guest.link((ROOT, "full/moved"), 0, (ROOT, "second")).unwrap();
    assert_eq!(fs::metadata(guest.host("second")).unwrap().nlink(), 2);
}

#[test]
fn t24_kernel_interfaces_cannot_be_opened_even_below_the_root() {
    let mut guest = Guest::new();
    let root = wave_wasi::Preopen {
        dir: guest::open_dir("/".as_ref()),
        host_path: "/".into(),
        guest_path: "/".into(),
        access: Access::ReadWrite,
        file: None,
    };
    let config = guest::config(vec![root]);
    guest.wasi = wave_wasi::Wasi::new(config).unwrap();
    guest.open("etc/passwd", 0, READ).expect("the positive control");
    let no = Err(Errno::NOTCAPABLE);
    for path in [
        "proc/self/mem",
        "proc/self/maps",
        "proc/self/environ",
        "proc/self/root/etc/passwd",
        "proc",
        "proc/self",
        "proc/1/mem",
        "sys/kernel/vmcoreinfo",
        "sys",
    ] {
        for lookup in [0, FOLLOW] {
            let opened = guest.open_with(ROOT, lookup, path, 0, READ, 0);
            let refused = opened == no || [Err(Errno::LOOP), Err(Errno::NOENT), Err(Errno::ACCES)].contains(&opened);
            assert!(refused, "{path}: {opened:?}");
        }
    }
    assert_eq!(guest.open("proc/self/maps", 0, READ), no);
    assert_eq!(guest.readlink(ROOT, "proc/self/exe", 200).err(), Some(Errno::NOTCAPABLE));
    assert_eq!(guest.open("dev/null", 0, READ), no, "T25");
    assert_eq!(guest.open("dev/zero", 0, Rights::ALL), no, "T25");
}

#[test]
fn t24_a_grant_of_procfs_is_refused() {
    let preopen = wave_wasi::Preopen {
        dir: guest::open_dir("/proc/self".as_ref()),
        host_path: "/proc/self".into(),
        guest_path: "/".into(),
        access: Access::ReadOnly,
        file: None,
    };
    let config = guest::config(vec![preopen]);
    let refused = wave_wasi::Wasi::new(config).err().map(|error| error.to_string());
    assert_eq!(refused.as_deref(), Some("preopen `/` is on a kernel interface such as procfs or sysfs"));
}

#[test]
fn t25_a_fifo_opens_at_once() {
    let mut guest = Guest::new();
    let path = guest.host("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
    let fd = guest.open("fifo", 0, READ.union(Rights::FD_FILESTAT_GET)).unwrap();
    assert_eq!(guest.open("fifo", 0, Rights::FD_WRITE).err(), None, "there is a reader now");
    assert_eq!(guest.fdstat(fd).unwrap().0, 0);
    assert_eq!(guest.seek(fd, 0, 0), Err(Errno::SPIPE));
}

#[test]
fn t26_t27_odd_paths_end_in_clean_errors() {
    let mut guest = with_ways_out();
    let long_name = "n".repeat(256);
    let long_path = "d/".repeat(50_000);
    for (path, expected) in [
        ("", Errno::NOENT),
        ("a\0b", Errno::INVAL),
        ("a/b/file\0", Errno::INVAL),
        (long_name.as_str(), Errno::NAMETOOLONG),
        (long_path.as_str(), Errno::NAMETOOLONG),
        ("loop/x", Errno::LOOP),
        ("a/b/file/x", Errno::NOTDIR),
        ("missing/x", Errno::NOENT),
    ] {
        let start = processor_time();
        assert_eq!(guest.open(path, 0, READ), Err(expected));
        assert_eq!(guest.stat_at(ROOT, FOLLOW, path), Err(expected));
        assert!(processor_time() - start < Duration::from_secs(1));
    }
    assert_eq!(guest.open_with(ROOT, FOLLOW, "loop", 0, READ, 0), Err(Errno::LOOP));
    assert_eq!(guest.open("a", CREAT, READ), Err(Errno::ISDIR));
    assert_eq!(guest.open("new", CREAT | DIRECTORY, READ), Err(Errno::INVAL));
    assert!(!guest.host("new").exists());
}

#[test]
fn t23_a_directory_moved_out_gives_no_way_above_it() {
    let mut guest = with_ways_out();
    let dir = guest.open("a", DIRECTORY, Rights::ALL.without(Rights::FD_WRITE)).unwrap();
    fs::rename(guest.host("a"), guest.outside("a")).unwrap();
    let no = Err(Errno::NOTCAPABLE);
    assert_eq!(guest.open_with(dir, 0, "../secret", 0, READ, 0), no);
    assert_eq!(guest.open_with(dir, 0, "b/../../secret", 0, READ, 0), no);
    guest.open_with(dir, 0, "b/file", 0, READ, 0).expect("what it held is still reached");
    assert_eq!(guest.open("a/b/file", 0, READ), Err(Errno::NOENT));
}

/// Runs `attempt` 100,000 times while `swap` changes the tree, and counts how each attempt ended.
fn race(
    mut attempt: impl FnMut() -> Result<(), Errno>,
    swap: impl Fn() + Sync,
) -> std::collections::BTreeMap<String, u32> {
    use std::sync::atomic::{AtomicBool, Ordering};
    let stop = AtomicBool::new(false);
    let mut ends = std::collections::BTreeMap::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                swap();
            }
        });
        for _ in 0..100_000 {
            *ends.entry(format!("{:?}", attempt())).or_default() += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    ends
}

#[test]
fn t23_swapping_a_directory_for_a_link_never_leads_out() {
    let mut guest = with_ways_out();
    let base = guest.host("");
    let swap = || {
        fs::rename(base.join("a"), base.join("hidden")).unwrap();
        symlink("../outside", base.join("a")).unwrap();
        fs::remove_file(base.join("a")).unwrap();
        fs::rename(base.join("hidden"), base.join("a")).unwrap();
    };
    let mut memory = vec![0; 4096];
    memory[..8].copy_from_slice(b"a/secret");
    let wasi = &mut guest.wasi;
    let attempt = || {
        let opened = preview1::path_open(wasi, &mut memory, ROOT, FOLLOW, 0, 8, 0, READ.bits(), 0, 0, 64);
        assert!(opened.is_err(), "the secret was opened");
        guest::errno(preview1::path_unlink_file(wasi, &mut memory, ROOT, 0, 8))
    };
    let ends = race(attempt, swap);
    assert!(!ends.contains_key("Ok(())"), "the secret was removed: {ends:?}");
    assert!(ends.contains_key("Err(NOENT)") && ends.contains_key("Err(NOTCAPABLE)"), "no race took place: {ends:?}");
    assert!(guest.outside("secret").exists());
}

#[test]
fn t15_swapping_a_file_for_a_link_never_leads_out() {
    let mut guest = Guest::new();
    let base = guest.host("");
    fs::write(base.join("real"), "mine").unwrap();
    symlink("../outside/secret", base.join("away")).unwrap();
    symlink("real", base.join("f")).unwrap();
    let swap = || {
        for target in ["away", "real"] {
            fs::hard_link(base.join(target), base.join("next")).unwrap();
            fs::rename(base.join("next"), base.join("f")).unwrap();
            // Renaming one link of a file over another does nothing, and leaves both.
            fs::remove_file(base.join("next")).ok();
        }
    };
    let mut memory = vec![0; 4096];
    memory[0] = b'f';
    memory[16..24].copy_from_slice(&[128, 0, 0, 0, 16, 0, 0, 0]);
    let wasi = &mut guest.wasi;
    let attempt = || {
        guest::errno(preview1::path_open(wasi, &mut memory, ROOT, FOLLOW, 0, 1, 0, READ.bits(), 0, 0, 64))?;
        guest::errno(preview1::fd_read(wasi, &mut memory, 4, 16, 1, 64))?;
        assert_eq!(&memory[128..132], b"mine");
        guest::errno(preview1::fd_close(wasi, &mut memory, 4))
    };
    let ends = race(attempt, swap);
    assert!(ends.contains_key("Ok(())") && ends.contains_key("Err(NOTCAPABLE)"), "no race took place: {ends:?}");
}

/// The manual resolver finds what the kernel finds (T17, T88, T125).
#[test]
fn the_manual_resolver_answers_alike() {
    guest::run_again_with_the_manual_resolver("the_manual_resolver_answers_alike");
}
