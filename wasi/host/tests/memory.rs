//! Ranges: every pointer of every hostcall is checked before anything happens.

mod guest;

use guest::{CREAT, Guest, ROOT, TRUNC, errno, processor_time};
use std::fs;
use std::time::Duration;
use wave_monitor::Rights;
use wave_wasi::{Errno, Failure, Wasi, preview1 as p};

const FAULT: Result<(), Errno> = Err(Errno::FAULT);

type Call = Box<dyn Fn(&mut Wasi, &mut [u8]) -> Result<(), Failure>>;

/// Every function with one pointer outside memory at a time.
fn calls_with(bad: u32, good: u32) -> Vec<(&'static str, Call)> {
    macro_rules! calls {
        ($($name:ident($($arg:expr),*);)*) => {
            vec![$((stringify!($name($($arg),*)), Box::new(move |w: &mut Wasi, m: &mut [u8]| p::$name(w, m $(, $arg)*)))),*]
        };
    }
    let all = u64::from(u32::MAX >> 4);
    calls! {
        args_get(bad, good);
        args_get(good, bad);
        args_sizes_get(bad, good);
        args_sizes_get(good, bad);
        environ_get(bad, good);
        environ_get(good, bad);
        environ_sizes_get(bad, good);
        environ_sizes_get(good, bad);
        clock_res_get(0, bad);
        clock_time_get(1, 0, bad);
        fd_fdstat_get(ROOT, bad);
        fd_filestat_get(ROOT, bad);
        fd_prestat_get(ROOT, bad);
        fd_prestat_dir_name(ROOT, bad, 1);
        fd_read(4, bad, 1, good);
        fd_read(4, good, 1, bad);
        fd_pread(4, bad, 1, 0, good);
        fd_pread(4, good, 1, 0, bad);
        fd_write(4, bad, 1, good);
        fd_write(4, good, 1, bad);
        fd_pwrite(4, bad, 1, 0, good);
        fd_pwrite(4, good, 1, 0, bad);
        fd_readdir(ROOT, bad, 8, 0, good);
        fd_readdir(ROOT, good, 8, 0, bad);
        fd_seek(4, 3, 0, bad);
        fd_tell(4, bad);
        path_create_directory(ROOT, bad, 1);
        path_filestat_get(ROOT, 0, bad, 1, good);
        path_filestat_get(ROOT, 0, good, 1, bad);
        path_filestat_set_times(ROOT, 0, bad, 1, 0, 0, 1);
        path_link(ROOT, 0, bad, 1, ROOT, good, 1);
        path_link(ROOT, 0, good, 1, ROOT, bad, 1);
        path_open(ROOT, 0, bad, 1, CREAT, all, all, 0, good);
        path_open(ROOT, 0, good, 1, CREAT | TRUNC, all, all, 0, bad);
        path_readlink(ROOT, bad, 1, good, 1, good);
        path_readlink(ROOT, good, 1, bad, 1, good);
        path_readlink(ROOT, good, 1, good, 1, bad);
        path_remove_directory(ROOT, bad, 1);
        path_rename(ROOT, bad, 1, ROOT, good, 1);
        path_rename(ROOT, good, 1, ROOT, bad, 1);
        path_symlink(bad, 1, ROOT, good, 1);
        path_symlink(good, 1, ROOT, bad, 1);
        path_unlink_file(ROOT, bad, 1);
        poll_oneoff(bad, good, 1, good);
        poll_oneoff(good, bad, 1, good);
        poll_oneoff(good, good, 1, bad);
        random_get(bad, 1);
        sock_accept(4, 0, bad);
        sock_recv(4, bad, 1, 0, good, good);
        sock_recv(4, good, 1, 0, bad, good);
        sock_recv(4, good, 1, 0, good, bad);
        sock_send(4, bad, 1, 0, good);
        sock_send(4, good, 1, 0, bad);
    }
}

#[test]
fn t1_t5_a_pointer_outside_memory_is_fault_and_nothing_happens() {
    let mut guest = Guest::new();
    let fd = guest.create("file").unwrap();
    guest.write(fd, b"content").unwrap();
    assert_eq!(fd, 4);
    // "x" at 0 would be created or truncated if anything were done before the checks.
    fs::write(guest.host("x"), "kept").unwrap();
    let before = guest.snapshot();
    let memory = vec![b'x'; 1024];
    let end = u32::try_from(memory.len()).unwrap();
    for bad in [end, end + 1, u32::MAX, u32::MAX - 3, 1 << 31] {
        for (name, call) in calls_with(bad, 0) {
            // An iovec list at 0 would be `xxxxxxxx`: a buffer outside memory too, but not for T1.
            let mut now = memory.clone();
            now[..8].fill(0);
            if name.starts_with("path") {
                now[0] = b'x';
            }
            let given = now.clone();
            assert_eq!(errno(call(&mut guest.wasi, &mut now)), FAULT, "{name} with {bad:#x}");
            assert_eq!(now, given, "{name} wrote to memory");
        }
    }
    assert_eq!(before, guest.snapshot());
    assert_eq!(guest.create("next").unwrap(), 5, "no descriptor was taken");
}

#[test]
fn t3_without_a_memory_nothing_is_reached() {
    let mut guest = Guest::new();
    for (name, call) in calls_with(0, 0) {
        let done = errno(call(&mut guest.wasi, &mut []));
        assert_eq!(done, FAULT, "{name}");
    }
}

#[test]
fn t1_a_buffer_outside_memory_moves_no_byte() {
    let mut guest = Guest::new();
    let fd = guest.create("file").unwrap();
    let end = u32::try_from(guest.memory.len()).unwrap();
    for bad in [(end, 1), (end - 4, 5), (u32::MAX, 1), (8, u32::MAX)] {
        let good = guest.put(b"good");
        let (iovs, count) = guest.iovs(&[good, bad]);
        let written = p::fd_write(&mut guest.wasi, &mut guest.memory, fd, iovs, count, 0);
        assert_eq!(errno(written), FAULT);
    }
    assert_eq!(fs::metadata(guest.host("file")).unwrap().len(), 0);
}

#[test]
fn t2_t109_huge_counts_return_at_once() {
    let mut guest = Guest::new();
    let fd = guest.create("file").unwrap();
    let start = processor_time();
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    for count in [0x2000_0001, 0x1000_0000, u32::MAX] {
        assert_eq!(errno(p::fd_write(wasi, memory, fd, 0, count, 0)), FAULT);
        assert_eq!(errno(p::poll_oneoff(wasi, memory, 0, 0, count, 0)), FAULT);
    }
    assert_eq!(errno(p::poll_oneoff(wasi, memory, 0, 0, 4097, 0)), Err(Errno::INVAL));
    assert_eq!(errno(p::poll_oneoff(wasi, memory, 0, 0, 0, 0)), Err(Errno::INVAL));
    assert!(processor_time() - start < Duration::from_secs(1));
}

#[test]
fn t6_more_buffers_than_iov_max_are_used_up_to_there() {
    let mut guest = Guest::new();
    let fd = guest.create("file").unwrap();
    let byte = guest.put(b"x");
    let (iovs, count) = guest.iovs(&vec![byte; 3000]);
    let out = guest.alloc(4);
    errno(p::fd_write(&mut guest.wasi, &mut guest.memory, fd, iovs, count, out)).unwrap();
    assert_eq!(guest.u32(out), 1024);
}

#[test]
fn t6_a_read_that_overwrites_its_list_goes_where_it_said() {
    let mut guest = Guest::new();
    fs::write(guest.host("file"), [0xff; 32]).unwrap();
    let fd = guest.read_only("file").unwrap();
    let target = guest.alloc(8);
    let list = guest.alloc(16);
    let entries = [list, 16, target, 8].map(u32::to_le_bytes).concat();
    guest.memory[list as usize..list as usize + 16].copy_from_slice(&entries);
    let out = guest.alloc(4);
    errno(p::fd_read(&mut guest.wasi, &mut guest.memory, fd, list, 2, out)).unwrap();
    assert_eq!(guest.u32(out), 24);
    assert_eq!(guest.bytes(target, 8), [0xff; 8]);
}

#[test]
fn t10_unknown_flags_change_nothing() {
    let mut guest = Guest::new();
    let before = guest.snapshot();
    for bit in 4..32 {
        assert_eq!(guest.open("new", 1 << bit, Rights::NONE), Err(Errno::INVAL));
    }
    for bit in 5..32 {
        let opened = guest.open_with(ROOT, 0, "new", CREAT, Rights::NONE, 1 << bit);
        assert_eq!(opened, Err(Errno::INVAL));
    }
    for bit in 1..32 {
        let opened = guest.open_with(ROOT, 1 << bit, "new", CREAT, Rights::NONE, 0);
        assert_eq!(opened, Err(Errno::INVAL));
    }
    assert_eq!(before, guest.snapshot());
}

#[test]
fn t116_random_bytes_differ_and_stay_in_their_place() {
    let mut guest = Guest::new();
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    errno(p::random_get(wasi, memory, 64, 100_000)).unwrap();
    assert_eq!(memory[..64], [0xaa; 64]);
    assert_eq!(memory[100_064..100_096], [0xaa; 32]);
    assert_ne!(memory[64..96], memory[96..128]);
    assert_ne!(memory[100_000..100_064], [0xaa; 64]);
    errno(p::random_get(wasi, memory, 0, 0)).unwrap();
}
