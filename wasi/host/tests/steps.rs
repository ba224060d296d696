//! Bulk transfers in steps: the same bytes as by one call, and an end at the deadline.
#![allow(clippy::cast_possible_truncation, reason = "all lengths are small")]

mod guest;

use guest::{APPEND, Guest, ROOT, errno};
use std::cell::Cell;
use std::fs;
use wave_monitor::Rights;
use wave_wasi::{Access, Failure, Stop, preview1};

const STEP: usize = 1000;

thread_local! {
    /// How often the deadline may still be looked at before it has passed.
    static LOOKS: Cell<u32> = const { Cell::new(u32::MAX) };
}

fn passed() -> bool {
    LOOKS.set(LOOKS.get().saturating_sub(1));
    LOOKS.get() == 0
}

fn guest(step_bytes: usize) -> Guest {
    LOOKS.set(u32::MAX);
    Guest::changed(&[("/", Access::ReadWrite)], |config| {
        config.interrupted = passed;
        config.step_bytes = step_bytes;
    })
}

/// Bytes that show where they were.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// Buffers over the pattern, of which some are empty, one is longer than a step and two overlap.
fn buffers(guest: &mut Guest) -> (u32, u32, Vec<u8>) {
    let bytes = pattern(6000);
    let (at, _) = guest.put(&bytes);
    let parts = [(0, 7), (7, 0), (100, 2500), (50, 100), (3000, 999), (3999, 2001), (0, 0)];
    let list: Vec<_> = parts.iter().map(|(start, len)| (at + start, *len)).collect();
    let expected = parts.iter().flat_map(|(start, len)| bytes[*start as usize..(*start + *len) as usize].to_vec());
    let expected = expected.collect();
    let (iovs, count) = guest.iovs(&list);
    (iovs, count, expected)
}

/// Many small buffers and few large ones, from one step to all at once.
#[test]
fn t108_steps_move_the_bytes_that_one_call_moves() {
    for step in [1, 7, STEP, 5999, 6000, usize::MAX] {
        let mut guest = guest(step);
        let (iovs, count, expected) = buffers(&mut guest);
        let out = guest.alloc(4);
        let total = expected.len() as u32;
        let file = guest.create("file").unwrap();
        errno(preview1::fd_write(&mut guest.wasi, &mut guest.memory, file, iovs, count, out)).unwrap();
        assert_eq!((guest.u32(out), guest.seek(file, 0, 1)), (total, Ok(total.into())), "{step}");
        errno(preview1::fd_pwrite(&mut guest.wasi, &mut guest.memory, file, iovs, count, 10_000, out)).unwrap();
        assert_eq!((guest.u32(out), guest.seek(file, 0, 1)), (total, Ok(total.into())), "{step}");
        let mut whole = expected.clone();
        whole.resize(10_000, 0);
        whole.extend(&expected);
        assert_eq!(fs::read(guest.host("file")).unwrap(), whole, "{step}");

        // In append mode at the end, wherever the position is.
        let rights = Rights::FD_WRITE.union(Rights::FD_SEEK);
        let end = guest.open_with(ROOT, 0, "file", 0, rights, APPEND).unwrap();
        errno(preview1::fd_write(&mut guest.wasi, &mut guest.memory, end, iovs, count, out)).unwrap();
        whole.extend(&expected);
        assert_eq!((guest.u32(out), fs::read(guest.host("file")).unwrap() == whole), (total, true), "{step}");

        // Read back into buffers of other lengths, more than there is.
        let at = guest.alloc(20_000);
        let (iovs, count) = guest.iovs(&[(at, 1), (at + 1, 2999), (at + 3000, 17_000)]);
        errno(preview1::fd_pread(&mut guest.wasi, &mut guest.memory, file, iovs, count, 10_000, out)).unwrap();
        assert_eq!(guest.u32(out), total * 2, "{step}");
        assert_eq!(guest.bytes(at, expected.len() * 2), &whole[10_000..], "{step}");
        guest.seek(file, 10_000, 0).unwrap();
        guest.memory[at as usize..at as usize + 20_000].fill(0);
        errno(preview1::fd_read(&mut guest.wasi, &mut guest.memory, file, iovs, count, out)).unwrap();
        assert_eq!((guest.u32(out), guest.seek(file, 0, 1)), (total * 2, Ok(whole.len() as u64)), "{step}");
        assert_eq!(guest.bytes(at, expected.len() * 2), &whole[10_000..], "{step}");
        assert_eq!(guest.read(file, 10), Ok(Vec::new()), "{step}");
    }
}

#[test]
fn t108_the_deadline_ends_a_transfer_between_two_steps() {
    type Call = fn(&mut Guest, u32, u32, u32, u32) -> Result<(), Failure>;
    let write: Call =
        |guest, fd, iovs, count, out| preview1::fd_write(&mut guest.wasi, &mut guest.memory, fd, iovs, count, out);
    let pwrite: Call =
        |guest, fd, iovs, count, out| preview1::fd_pwrite(&mut guest.wasi, &mut guest.memory, fd, iovs, count, 0, out);
    for (name, call) in [("fd_write", write), ("fd_pwrite", pwrite)] {
        let mut guest = guest(STEP);
        let bytes = guest.put(&pattern(10 * STEP));
        let (iovs, count) = guest.iovs(&[bytes]);
        let out = guest.alloc(4);
        let fd = guest.create("file").unwrap();
        LOOKS.set(3);
        assert_eq!(call(&mut guest, fd, iovs, count, out), Err(Stop::Deadline.into()), "{name}");
        assert_eq!(fs::read(guest.host("file")).unwrap(), pattern(3 * STEP), "{name}");
        // The neighbor: what fits a step is written whole, although the deadline has passed.
        let (iovs, count) = guest.iovs(&[(bytes.0, STEP as u32)]);
        LOOKS.set(u32::MAX);
        let other = guest.create("other").unwrap();
        LOOKS.set(0);
        assert_eq!(call(&mut guest, other, iovs, count, out), Ok(()), "{name}");
        assert_eq!(fs::read(guest.host("other")).unwrap(), pattern(STEP), "{name}");
    }
    let read: Call =
        |guest, fd, iovs, count, out| preview1::fd_read(&mut guest.wasi, &mut guest.memory, fd, iovs, count, out);
    let pread: Call =
        |guest, fd, iovs, count, out| preview1::fd_pread(&mut guest.wasi, &mut guest.memory, fd, iovs, count, 0, out);
    for (name, call) in [("fd_read", read), ("fd_pread", pread)] {
        let mut guest = guest(STEP);
        fs::write(guest.host("file"), pattern(10 * STEP)).unwrap();
        let at = guest.alloc(10 * STEP);
        let (iovs, count) = guest.iovs(&[(at, 10 * STEP as u32)]);
        let out = guest.alloc(4);
        let fd = guest.read_only("file").unwrap();
        LOOKS.set(3);
        assert_eq!(call(&mut guest, fd, iovs, count, out), Err(Stop::Deadline.into()), "{name}");
        assert_eq!(guest.bytes(at, 3 * STEP), pattern(3 * STEP), "{name}");
        assert!(guest.bytes(at + 3 * STEP as u32, 7 * STEP).iter().all(|byte| *byte == 0xaa), "{name}");
    }
}

#[test]
fn t108_the_deadline_ends_an_allocation_a_truncation_and_a_poll() {
    let mut guest = guest(STEP);
    let fd = guest.create("file").unwrap();
    LOOKS.set(3);
    let allocated = preview1::fd_allocate(&mut guest.wasi, &mut guest.memory, fd, 0, 1_000_000);
    assert_eq!(allocated, Err(Stop::Deadline.into()));
    assert_eq!(fs::metadata(guest.host("file")).unwrap().len(), 3 * 8 * STEP as u64);
    LOOKS.set(u32::MAX);
    errno(preview1::fd_allocate(&mut guest.wasi, &mut guest.memory, fd, 0, 1_000_000)).unwrap();
    assert_eq!(fs::metadata(guest.host("file")).unwrap().len(), 1_000_000);

    LOOKS.set(3);
    let truncated = preview1::fd_filestat_set_size(&mut guest.wasi, &mut guest.memory, fd, 10);
    assert_eq!(truncated, Err(Stop::Deadline.into()));
    assert_eq!(fs::metadata(guest.host("file")).unwrap().len(), 1_000_000 - 3 * 32 * STEP as u64);
    LOOKS.set(u32::MAX);
    // A file with holes may be of any length, and is truncated all the same.
    for size in [10, 1 << 40, 1 << 39, 33_000, 0] {
        errno(preview1::fd_filestat_set_size(&mut guest.wasi, &mut guest.memory, fd, size)).unwrap();
        assert_eq!(fs::metadata(guest.host("file")).unwrap().len(), size);
    }

    let subscriptions = guest.alloc(1000 * 48);
    let events = guest.alloc(1000 * 32);
    let out = guest.alloc(4);
    guest.memory[subscriptions as usize..subscriptions as usize + 48_000].fill(0);
    LOOKS.set(500);
    let polled = preview1::poll_oneoff(&mut guest.wasi, &mut guest.memory, subscriptions, events, 1000, out);
    assert_eq!(polled, Err(Stop::Deadline.into()));
}
