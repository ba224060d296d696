//! Open files: reading, writing, positions, sizes, times, flags, rights.

mod guest;

use guest::{APPEND, CREAT, DIRECTORY, Guest, NONBLOCK, ROOT, TRUNC, errno};
use std::fs;
use std::os::unix::fs::MetadataExt;
use wave_monitor::Rights;
use wave_wasi::{Access, Errno, preview1};

#[test]
fn what_is_written_is_read_back() {
    let mut guest = Guest::new();
    let fd = guest.create("file").unwrap();
    assert_eq!(fd, 4);
    assert_eq!(guest.write(fd, b"hello, world"), Ok(12));
    assert_eq!(guest.seek(fd, 7, 0), Ok(7));
    assert_eq!(guest.read(fd, 100).unwrap(), b"world");
    assert_eq!(guest.seek(fd, -5, 1), Ok(7));
    assert_eq!(guest.seek(fd, -1, 2), Ok(11));
    assert_eq!(guest.read(fd, 100).unwrap(), b"d");
    assert_eq!(guest.read(fd, 100).unwrap(), b"");
    assert_eq!(guest.seek(fd, -1, 0), Err(Errno::INVAL));
    assert_eq!(guest.seek(fd, 0, 3), Err(Errno::INVAL));
    guest.close(fd).unwrap();
    assert_eq!(guest.close(fd), Err(Errno::BADF));
    assert_eq!(fs::read_to_string(guest.host("file")).unwrap(), "hello, world");
}

/// The kernel's position of the one open file of this process with that name.
fn position_in_the_kernel(path: &std::path::Path) -> u64 {
    let mut open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let number = entry.unwrap().file_name().into_string().unwrap();
        let leads_there = fs::read_link(format!("/proc/self/fd/{number}")).is_ok_and(|target| target == path);
        leads_there.then(|| fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap())
    });
    let text = open.next().expect("it is open");
    text.lines().find_map(|line| line.strip_prefix("pos:")).unwrap().trim().parse().unwrap()
}

#[test]
fn the_position_of_an_opened_file_is_no_matter_of_the_kernel() {
    let mut guest = Guest::new();
    let fd = guest.create("file").unwrap();
    let path = fs::canonicalize(guest.host("file")).unwrap();
    assert_eq!((guest.write(fd, b"0123456789"), guest.seek(fd, -4, 1)), (Ok(10), Ok(6)));
    assert_eq!(guest.read(fd, 2).unwrap(), b"67");
    assert_eq!((guest.seek(fd, 0, 1), position_in_the_kernel(&path)), (Ok(8), 0));
    // Append mode gives it to the kernel.
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    errno(preview1::fd_fdstat_set_flags(wasi, memory, fd, APPEND)).unwrap();
    assert_eq!((guest.seek(fd, 0, 1), position_in_the_kernel(&path)), (Ok(8), 8));
    assert_eq!((guest.write(fd, b"ab"), guest.seek(fd, 0, 1)), (Ok(2), Ok(12)));
    assert_eq!(position_in_the_kernel(&path), 12);
    assert_eq!(fs::read(&path).unwrap(), b"0123456789ab");
}

#[test]
fn scattered_and_positioned_calls_agree() {
    let mut guest = Guest::new();
    let fd = guest.create("file").unwrap();
    let parts: Vec<_> = (0..40u8).map(|byte| guest.put(&[byte, byte])).collect();
    let (iovs, count) = guest.iovs(&parts);
    let out = guest.alloc(4);
    errno(preview1::fd_pwrite(&mut guest.wasi, &mut guest.memory, fd, iovs, count, 10, out)).unwrap();
    assert_eq!(guest.u32(out), 80);
    assert_eq!(guest.seek(fd, 0, 1), Ok(0));

    let (a, b) = (guest.alloc(3), guest.alloc(3));
    let (iovs, count) = guest.iovs(&[(a, 3), (b, 3)]);
    errno(preview1::fd_pread(&mut guest.wasi, &mut guest.memory, fd, iovs, count, 10, out)).unwrap();
    assert_eq!((guest.u32(out), guest.bytes(a, 3), guest.bytes(b, 3)), (6, &[0, 0, 1][..], &[1, 2, 2][..]));
    let beyond = preview1::fd_pread(&mut guest.wasi, &mut guest.memory, fd, iovs, count, 1 << 63, out);
    assert_eq!(errno(beyond), Err(Errno::INVAL));
    assert_eq!(fs::metadata(guest.host("file")).unwrap().len(), 90);
}

#[test]
fn size_space_advice_and_sync() {
    let mut guest = Guest::new();
    let fd = guest.create("file").unwrap();
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    errno(preview1::fd_filestat_set_size(wasi, memory, fd, 100)).unwrap();
    errno(preview1::fd_allocate(wasi, memory, fd, 10, 10)).unwrap();
    errno(preview1::fd_allocate(wasi, memory, fd, 90, 20)).unwrap();
    for advice in 0..6 {
        errno(preview1::fd_advise(wasi, memory, fd, 0, 0, advice)).unwrap();
    }
    assert_eq!(errno(preview1::fd_advise(wasi, memory, fd, 0, 0, 6)), Err(Errno::INVAL));
    errno(preview1::fd_sync(wasi, memory, fd)).unwrap();
    errno(preview1::fd_datasync(wasi, memory, fd)).unwrap();
    assert_eq!(errno(preview1::fd_filestat_set_size(wasi, memory, fd, 1 << 63)), Err(Errno::INVAL));
    assert_eq!(fs::metadata(guest.host("file")).unwrap().len(), 110);
}

#[test]
fn times_are_set_kept_or_now() {
    let mut guest = Guest::new();
    let fd = guest.create("file").unwrap();
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    errno(preview1::fd_filestat_set_times(wasi, memory, fd, 1_500_000_001, 2_000_000_000, 0b0101)).unwrap();
    errno(preview1::fd_filestat_set_times(wasi, memory, fd, 7, 7, 0)).unwrap();
    let both = preview1::fd_filestat_set_times(wasi, memory, fd, 7, 7, 0b1100);
    assert_eq!(errno(both), Err(Errno::INVAL));
    let found = fs::metadata(guest.host("file")).unwrap();
    assert_eq!((found.atime(), found.atime_nsec(), found.mtime()), (1, 500_000_001, 2));
    errno(preview1::fd_filestat_set_times(&mut guest.wasi, &mut guest.memory, fd, 0, 0, 0b1000)).unwrap();
    assert!(fs::metadata(guest.host("file")).unwrap().mtime() > 1_000_000_000);
}

#[test]
fn t11_attributes_are_whole_and_true() {
    let mut guest = Guest::new();
    fs::write(guest.host("file"), "12345").unwrap();
    let found = fs::metadata(guest.host("file")).unwrap();
    let stat = guest.stat_at(ROOT, 0, "file").unwrap();
    let words: Vec<_> = stat.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    let modified = found.mtime() * 1_000_000_000 + found.mtime_nsec();
    assert_eq!(words[..5], [found.dev(), found.ino(), 4, 1, 5]);
    assert_eq!(words[6], modified.cast_unsigned());

    let fd = guest.read_only("file").unwrap();
    let out = guest.alloc(64);
    errno(preview1::fd_filestat_get(&mut guest.wasi, &mut guest.memory, fd, out)).unwrap();
    assert_eq!(guest.bytes(out, 64), stat);
}

#[test]
fn append_mode_can_be_turned_off_and_on() {
    let mut guest = Guest::new();
    let fd = guest.open_with(ROOT, 0, "log", CREAT, Rights::ALL, APPEND).unwrap();
    guest.write(fd, b"one").unwrap();
    guest.seek(fd, 0, 0).unwrap();
    guest.write(fd, b"two").unwrap();
    errno(preview1::fd_fdstat_set_flags(&mut guest.wasi, &mut guest.memory, fd, 0)).unwrap();
    guest.seek(fd, 0, 0).unwrap();
    guest.write(fd, b"ONE").unwrap();
    errno(preview1::fd_fdstat_set_flags(&mut guest.wasi, &mut guest.memory, fd, APPEND | NONBLOCK)).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().1, 5);
    guest.seek(fd, 0, 0).unwrap();
    guest.write(fd, b"three").unwrap();
    assert_eq!(fs::read_to_string(guest.host("log")).unwrap(), "ONEtwothree");
    for unknown in [32, 1 << 16] {
        let refused = preview1::fd_fdstat_set_flags(&mut guest.wasi, &mut guest.memory, fd, unknown);
        assert_eq!(errno(refused), Err(Errno::INVAL), "T10");
    }
}

#[test]
fn t22_rights_are_what_was_asked_for_and_dropped_rights_stay_dropped() {
    let mut guest = Guest::new();
    fs::write(guest.host("file"), "text").unwrap();
    let fd = guest.open("file", 0, Rights::FD_READ).unwrap();
    let (kind, _, base, inheriting) = guest.fdstat(fd).unwrap();
    assert_eq!((kind, base, inheriting), (4, Rights::FD_READ, Rights::NONE));
    assert_eq!(guest.seek(fd, 0, 0), Err(Errno::NOTCAPABLE));
    assert_eq!(guest.write(fd, b"x"), Err(Errno::NOTCAPABLE));
    guest.read(fd, 1).unwrap();

    let set = |guest: &mut Guest, base: u64| {
        errno(preview1::fd_fdstat_set_rights(&mut guest.wasi, &mut guest.memory, fd, base, 0))
    };
    assert_eq!(set(&mut guest, Rights::ALL.bits()), Err(Errno::NOTCAPABLE));
    assert_eq!(set(&mut guest, 1 << 40), Err(Errno::INVAL));
    set(&mut guest, 0).unwrap();
    assert_eq!(guest.read(fd, 1), Err(Errno::NOTCAPABLE));
    assert_eq!(set(&mut guest, Rights::FD_READ.bits()), Err(Errno::NOTCAPABLE));
}

#[test]
fn t22_a_narrowed_directory_hands_on_no_more() {
    let mut guest = Guest::new();
    fs::write(guest.host("file"), "text").unwrap();
    let (_, _, base, inheriting) = guest.fdstat(ROOT).unwrap();
    let narrow = inheriting.without(Rights::FD_WRITE).bits();
    let done = preview1::fd_fdstat_set_rights(&mut guest.wasi, &mut guest.memory, ROOT, base.bits(), narrow);
    errno(done).unwrap();
    assert_eq!(guest.open("file", 0, Rights::FD_WRITE), Err(Errno::NOTCAPABLE));
    let dir = guest.open(".", DIRECTORY, Rights::ALL.without(Rights::FD_WRITE)).unwrap();
    assert_eq!(guest.open_with(dir, 0, "file", 0, Rights::FD_WRITE, 0), Err(Errno::NOTCAPABLE));
    guest.open_with(dir, 0, "file", 0, Rights::FD_READ, 0).unwrap();
}

#[test]
fn t21_a_read_only_grant_stays_as_it_is() {
    let mut guest = Guest::with(&[("/", Access::ReadOnly)]);
    fs::write(guest.host("file"), "text").unwrap();
    fs::create_dir(guest.host("dir")).unwrap();
    let (before, times) = (guest.snapshot(), fs::metadata(guest.host("file")).unwrap());
    let no = Err(Errno::NOTCAPABLE);

    let fd = guest.read_only("file").unwrap();
    assert_eq!(guest.read(fd, 10).unwrap(), b"text");
    assert_eq!(guest.write(fd, b"x"), no.map(|()| 0));
    assert_eq!(guest.open("file", TRUNC, Rights::FD_READ), Err(Errno::NOTCAPABLE));
    assert_eq!(guest.open("file", 0, Rights::FD_WRITE), Err(Errno::NOTCAPABLE));
    assert_eq!(guest.open_with(ROOT, 0, "file", 0, Rights::FD_WRITE, APPEND), Err(Errno::NOTCAPABLE));
    assert_eq!(guest.open("new", CREAT, Rights::FD_READ), Err(Errno::NOTCAPABLE));
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    assert_eq!(errno(preview1::fd_filestat_set_size(wasi, memory, fd, 0)), no);
    assert_eq!(errno(preview1::fd_allocate(wasi, memory, fd, 0, 100)), no);
    assert_eq!(errno(preview1::fd_filestat_set_times(wasi, memory, fd, 0, 0, 0b101)), no);
    assert_eq!(guest.set_times_at(ROOT, 0, "file", 0), no);
    assert_eq!(guest.mkdir(ROOT, "new"), no);
    assert_eq!(guest.rmdir(ROOT, "dir"), no);
    assert_eq!(guest.unlink(ROOT, "file"), no);
    assert_eq!(guest.symlink("file", ROOT, "new"), no);
    assert_eq!(guest.rename((ROOT, "file"), (ROOT, "new")), no);
    assert_eq!(guest.link((ROOT, "file"), 0, (ROOT, "new")), no);

    let after = fs::metadata(guest.host("file")).unwrap();
    assert_eq!(before, guest.snapshot());
    assert_eq!((times.mtime(), times.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
}

#[test]
fn t20_nothing_of_a_read_only_grant_gets_a_name_in_a_writable_one() {
    let mut guest = Guest::with(&[("/ro", Access::ReadOnly), ("/rw", Access::ReadWrite)]);
    fs::write(guest.host("file"), "text").unwrap();
    fs::create_dir(guest.host("dir")).unwrap();
    let before = guest.snapshot();
    let no = Err(Errno::NOTCAPABLE);
    for name in ["file", "dir"] {
        assert_eq!(guest.link((3, name), 0, (4, "x")), no);
        assert_eq!(guest.rename((3, name), (4, "x")), no);
    }
    assert_eq!(before, guest.snapshot());
    let fd = guest.open_with(4, 0, "own", CREAT, Rights::ALL, 0).unwrap();
    guest.write(fd, b"fine").unwrap();
    guest.link((4, "own"), 0, (4, "second")).unwrap();
}

#[test]
fn an_append_grant_only_grows() {
    let mut guest = Guest::with(&[("/", Access::Append)]);
    fs::write(guest.host("log"), "old\n").unwrap();
    assert_eq!(guest.open("log", 0, Rights::FD_WRITE), Err(Errno::NOTCAPABLE));
    assert_eq!(guest.open_with(ROOT, 0, "log", TRUNC, Rights::FD_WRITE, APPEND), Err(Errno::NOTCAPABLE));
    let fd = guest.open_with(ROOT, 0, "log", CREAT, Rights::ALL, APPEND).unwrap();
    guest.seek(fd, 0, 0).unwrap();
    guest.write(fd, b"new\n").unwrap();
    let (iovs, count) = guest.iovs(&[(1024, 1)]);
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    let positioned = preview1::fd_pwrite(wasi, memory, fd, iovs, count, 0, 0);
    assert_eq!(errno(positioned), Err(Errno::NOTCAPABLE));
    assert_eq!(errno(preview1::fd_fdstat_set_flags(wasi, memory, fd, 0)), Err(Errno::NOTCAPABLE));
    assert_eq!(errno(preview1::fd_filestat_set_size(wasi, memory, fd, 0)), Err(Errno::NOTCAPABLE));
    assert_eq!(guest.unlink(ROOT, "log"), Err(Errno::NOTCAPABLE));
    assert_eq!(guest.rename((ROOT, "log"), (ROOT, "x")), Err(Errno::NOTCAPABLE));
    guest.mkdir(ROOT, "dir").unwrap();
    assert_eq!(fs::read_to_string(guest.host("log")).unwrap(), "old\nnew\n");
}

#[test]
fn a_directory_is_not_a_file() {
    let mut guest = Guest::new();
    assert_eq!(guest.read(ROOT, 10), Err(Errno::NOTCAPABLE));
    assert_eq!(guest.write(ROOT, b"x"), Err(Errno::NOTCAPABLE));
    assert_eq!(guest.seek(ROOT, 0, 0), Err(Errno::NOTCAPABLE));
    assert_eq!(guest.open(".", DIRECTORY, Rights::FD_READ.union(Rights::FD_WRITE)), Err(Errno::ISDIR));
    let file = guest.create("file").unwrap();
    assert_eq!(guest.open_with(file, 0, "x", 0, Rights::NONE, 0), Err(Errno::NOTDIR));
    assert_eq!(guest.mkdir(file, "x"), Err(Errno::NOTDIR));
}

#[test]
fn t32_t34_the_limit_and_renumbering_leak_nothing() {
    let mut guest = Guest::configured(&[("/", Access::ReadWrite)], 8, guest::never);
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let mut fds: Vec<_> = (0..4).map(|at| guest.create(&format!("f{at}")).unwrap()).collect();
    // Other tests of this process open files too, so compare links of our own tree.
    assert_eq!(guest.create("one-too-many"), Err(Errno::MFILE));
    assert!(!guest.host("one-too-many").exists(), "T5: nothing is created");
    for _ in 0..500 {
        let (from, to) = (fds[0], fds[1]);
        errno(preview1::fd_renumber(&mut guest.wasi, &mut guest.memory, from, to)).unwrap();
        assert_eq!(guest.close(from), Err(Errno::BADF));
        fds[0] = guest.create("again").unwrap();
        assert_eq!(fds[0], from);
        let closed = preview1::fd_renumber(&mut guest.wasi, &mut guest.memory, 99, to);
        assert_eq!(errno(closed), Err(Errno::BADF));
    }
    assert!(open() < 100);
}

#[test]
fn t33_only_numbers_of_the_table_work() {
    let mut guest = Guest::new();
    let extremes = [u32::MAX, 1 << 31, i32::MAX.cast_unsigned()];
    let open = (0..65_536).chain(extremes).filter(|fd| guest_has(&mut guest, *fd)).count();
    assert!(open <= 4, "the streams and one grant, but {open}");
}

fn guest_has(guest: &mut Guest, fd: u32) -> bool {
    preview1::fd_fdstat_get(&mut guest.wasi, &mut guest.memory, fd, 0).is_ok()
}

#[test]
fn preopens_are_found_by_name() {
    let mut guest = Guest::with(&[("/first", Access::ReadOnly), (".", Access::ReadWrite)]);
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    errno(preview1::fd_prestat_get(wasi, memory, 3, 0)).unwrap();
    assert_eq!(memory[..9], [0, 0, 0, 0, 6, 0, 0, 0, 0xaa], "T11");
    for (len, result) in [(0, Err(Errno::NAMETOOLONG)), (5, Err(Errno::NAMETOOLONG)), (6, Ok(())), (7, Ok(()))] {
        memory[..16].fill(0xaa);
        assert_eq!(errno(preview1::fd_prestat_dir_name(wasi, memory, 3, 0, len)), result, "T8");
        let expected: &[u8] = if result.is_ok() { b"/first\xaa" } else { &[0xaa; 7] };
        assert_eq!(&memory[..7], expected);
    }
    for fd in [0, 1, 2, 5, 99] {
        assert_eq!(errno(preview1::fd_prestat_get(wasi, memory, fd, 0)), Err(Errno::BADF));
    }
}
