//! Hot hostcalls allocate nothing: after the first call of its kind, a thousand more leave the allocator alone.
#![allow(unsafe_code, reason = "an allocator that counts has to be an allocator")]

mod guest;

use guest::{CREAT, DIRECTORY, Guest, ROOT};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use wave_monitor::Rights;
use wave_wasi::{Failure, preview1 as p};

struct Counting;

thread_local! {
    // Per thread: the test harness allocates in others.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every method hands its arguments on to the system's allocator, whose contract is the same; counting touches only a
// thread-local number that needs neither allocation nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise about `layout` is the one `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this layout, because `alloc` above is the only source.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Asserts that `call` allocates nothing once it was made before.
#[track_caller]
fn allocates_nothing(what: &str, guest: &mut Guest, call: impl Fn(&mut Guest) -> Result<(), Failure>) {
    call(guest).unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
    let before = ALLOCATIONS.get();
    for _ in 0..1000 {
        call(guest).unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
    }
    assert_eq!(ALLOCATIONS.get() - before, 0, "{what}");
}

/// Where the guest keeps things: a list of 16 buffers of 4 bytes, a path of one and one of five components, results.
const LIST: u32 = 1024;
const SHORT: u32 = 2048;
const DEEP: u32 = 2112;
const OUT: u32 = 4096;

#[test]
fn hot_hostcalls_allocate_nothing() {
    let mut guest = Guest::new();
    fs::create_dir_all(guest.host("a/b/c/d")).unwrap();
    fs::write(guest.host("a/b/c/d/e"), "deep").unwrap();
    fs::write(guest.host("file"), [7; 4096]).unwrap();
    let fd = guest.open("file", CREAT, Rights::ALL).unwrap();
    let dir = guest.open("a", DIRECTORY, Rights::FD_READDIR).unwrap();
    for buffer in 0..16 {
        let at = (LIST + buffer * 8) as usize;
        guest.memory[at..at + 4].copy_from_slice(&(OUT + 1024 + buffer * 4).to_le_bytes());
        guest.memory[at + 4..at + 8].copy_from_slice(&4_u32.to_le_bytes());
    }
    guest.memory[SHORT as usize..][..4].copy_from_slice(b"file");
    guest.memory[DEEP as usize..][..9].copy_from_slice(b"a/b/c/d/e");

    macro_rules! hot {
        ($($name:ident($($arg:expr),*);)*) => {$(
            allocates_nothing(stringify!($name), &mut guest, |guest| {
                p::$name(&mut guest.wasi, &mut guest.memory, $($arg),*)
            });
        )*};
    }
    hot! {
        clock_time_get(0, 1, OUT);
        random_get(OUT, 64);
        fd_seek(fd, 0, 0, OUT);
        fd_tell(fd, OUT);
        fd_pread(fd, LIST, 1, 0, OUT);
        fd_pread(fd, LIST, 16, 0, OUT);
        fd_pwrite(fd, LIST, 1, 0, OUT);
        fd_pwrite(fd, LIST, 16, 0, OUT);
        fd_write(fd, LIST, 1, OUT);
        fd_write(fd, LIST, 16, OUT);
        fd_read(fd, LIST, 1, OUT);
        fd_read(fd, LIST, 16, OUT);
        fd_fdstat_get(fd, OUT);
        fd_filestat_get(fd, OUT);
        fd_readdir(dir, OUT, 1024, 0, OUT + 2048);
        path_filestat_get(ROOT, 0, SHORT, 4, OUT);
        path_filestat_get(ROOT, 1, DEEP, 9, OUT);
    }
    allocates_nothing("open and close", &mut guest, |guest| {
        for (path, len) in [(SHORT, 4), (DEEP, 9)] {
            let read = Rights::FD_READ.bits();
            p::path_open(&mut guest.wasi, &mut guest.memory, ROOT, 0, path, len, 0, read, 0, 0, OUT)?;
            let opened = u32::from_le_bytes(*guest.memory[OUT as usize..].first_chunk().expect("four bytes"));
            p::fd_close(&mut guest.wasi, &mut guest.memory, opened)?;
        }
        Ok(())
    });
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    std::hint::black_box(Box::new(1));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}
