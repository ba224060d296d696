//! wasi:io/poll and the pollables of streams and clocks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::machine::{self, HEAP, Machine, Subscription, fdstat};

const OUT: u64 = 0x100;
const LIST: u32 = 0x4000;
const POLL: &str = "io/poll#poll";
const READY: &str = "io/poll#[method]pollable.ready";
const BLOCK: &str = "io/poll#[method]pollable.block";

/// The time, which a test moves.
type Time = Arc<AtomicU64>;

/// What is polled, and what occurs.
type Seen = Arc<Mutex<Vec<Subscription>>>;

/// A pipe at each standard stream. `ready` says which of 0, 1 and 2 are ready; a clock is if its time has come, or if nothing else is:
/// then the time comes.
fn with(ready: &'static [u64]) -> (Machine, Time, Seen) {
    let mut machine = Machine::new();
    let (time, seen) = (Time::default(), Seen::default());
    time.store(1000, Ordering::Relaxed);
    machine.on("fd_fdstat_get", fdstat(0, 0));
    let now = time.clone();
    machine.on("clock_time_get", move |own, arguments| {
        assert_eq!(arguments[0], 1);
        machine::put(own, arguments[2], &now.load(Ordering::Relaxed).to_le_bytes());
        0
    });
    let (now, saw) = (time.clone(), seen.clone());
    machine.on("poll_oneoff", move |own, arguments| {
        let mut subscriptions = Vec::new();
        machine::poll(|subscription| {
            subscriptions.push(subscription.clone());
            false
        })(own, arguments);
        let occurred = |subscription: &Subscription| match subscription {
            Subscription::Fd(_, fd) => ready.contains(fd),
            Subscription::Clock(1, at, 1) => *at <= now.load(Ordering::Relaxed),
            Subscription::Clock(1, 0, 0) => true,
            other => panic!("{other:?}"),
        };
        if !subscriptions.iter().any(occurred) {
            let next = subscriptions.iter().filter_map(|subscription| match subscription {
                Subscription::Clock(_, at, _) => Some(*at),
                Subscription::Fd(..) => None,
            });
            now.store(next.min().expect("something occurs"), Ordering::Relaxed);
        }
        *saw.lock().expect("nobody panicked") = subscriptions;
        machine::poll(occurred)(own, arguments)
    });
    (machine, time, seen)
}

fn taken(seen: &Seen) -> Vec<Subscription> {
    std::mem::take(&mut *seen.lock().expect("nobody panicked"))
}

fn input(machine: &mut Machine) -> u64 {
    let stream = machine.call("cli/stdin#get-stdin", &[]).expect("it opens");
    machine.call("io/streams#[method]input-stream.subscribe", &[stream]).expect("it is subscribed to")
}

fn output(machine: &mut Machine) -> u64 {
    let stream = machine.call("cli/stdout#get-stdout", &[]).expect("it opens");
    machine.call("io/streams#[method]output-stream.subscribe", &[stream]).expect("it is subscribed to")
}

fn after(machine: &mut Machine, nanoseconds: u64) -> u64 {
    machine.call("clocks/monotonic-clock#subscribe-duration", &[nanoseconds]).expect("it is subscribed to")
}

fn at(machine: &mut Machine, instant: u64) -> u64 {
    machine.call("clocks/monotonic-clock#subscribe-instant", &[instant]).expect("it is subscribed to")
}

fn poll(machine: &mut Machine, handles: &[u64]) -> Result<Vec<u32>, String> {
    let bytes: Vec<u8> = handles.iter().flat_map(|handle| u32::try_from(*handle).unwrap_or(0).to_le_bytes()).collect();
    machine.set_guest(LIST, &bytes);
    machine.call(POLL, &[LIST.into(), u64::try_from(handles.len()).unwrap_or(0), OUT])?;
    let at = machine.word(0x100);
    assert_eq!(at % 4, 0);
    Ok((0..machine.word(0x104)).map(|index| machine.word(at + 4 * index)).collect())
}

#[test]
fn a_mix_waits_for_the_first() {
    let (mut machine, time, seen) = with(&[]);
    let (read, write) = (input(&mut machine), output(&mut machine));
    let (late, soon) = (after(&mut machine, 500), after(&mut machine, 200));
    let same = at(&mut machine, 1200);
    machine.calls();
    assert_eq!(poll(&mut machine, &[read, late, soon, write, same, soon]), Ok(vec![2, 4, 5]));
    assert_eq!(
        taken(&seen),
        [Subscription::Fd(1, 0), Subscription::Fd(2, 1), Subscription::Clock(1, 1200, 1)],
        "one clock, the first"
    );
    assert_eq!(machine.calls(), ["poll_oneoff 0x1000 0x11000 0x3 0x2a0", "realloc 4 12"]);
    assert_eq!(time.load(Ordering::Relaxed), 1200);

    // Now the second is ready, and what is ready is not waited for.
    assert_eq!(poll(&mut machine, &[late, read]), Ok(vec![0]));
    assert_eq!(time.load(Ordering::Relaxed), 1500);
}

#[test]
fn descriptors_that_are_ready_are_found_among_others() {
    let (mut machine, time, seen) = with(&[1]);
    let (read, write, clock) = (input(&mut machine), output(&mut machine), after(&mut machine, 1));
    machine.calls();
    assert_eq!(poll(&mut machine, &[read, clock, write]), Ok(vec![2]));
    assert_eq!(machine.calls(), ["poll_oneoff 0x1000 0x11000 0x3 0x2a0", "realloc 4 4"]);
    time.store(2000, Ordering::Relaxed);
    assert_eq!(poll(&mut machine, &[read, clock, write, write]), Ok(vec![1, 2, 3]));
    taken(&seen);
    // One by one.
    assert_eq!(machine.call(READY, &[write]), Ok(1));
    assert_eq!(taken(&seen), [Subscription::Fd(2, 1), Subscription::Clock(1, 0, 0)]);
    assert_eq!(machine.call(READY, &[read]), Ok(0));
    assert_eq!(taken(&seen), [Subscription::Fd(1, 0), Subscription::Clock(1, 0, 0)]);
    assert_eq!(machine.call(BLOCK, &[write]), Ok(0));
    assert_eq!(taken(&seen), [Subscription::Fd(2, 1)]);
}

#[test]
fn a_clock_is_ready_at_its_instant() {
    let (mut machine, time, seen) = with(&[]);
    let clock = at(&mut machine, 1001);
    assert_eq!(machine.call(READY, &[clock]), Ok(0));
    time.store(1001, Ordering::Relaxed);
    assert_eq!(machine.call(READY, &[clock]), Ok(1));
    let later = after(&mut machine, 9);
    assert_eq!(machine.call(BLOCK, &[later]), Ok(0));
    assert_eq!(taken(&seen), [Subscription::Clock(1, 1010, 1)]);
    assert_eq!(time.load(Ordering::Relaxed), 1010);
    // A duration without end has the last instant; the time is 1010, so these do not wrap around.
    for nanoseconds in [u64::MAX, u64::MAX - 1009] {
        let never = after(&mut machine, nanoseconds);
        assert_eq!(machine.call(READY, &[never]), Ok(0));
        assert_eq!(poll(&mut machine, &[never, clock]), Ok(vec![1]));
    }
    let last = at(&mut machine, u64::MAX);
    time.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(machine.call(READY, &[last]), Ok(1));
    assert_eq!(poll(&mut machine, &[last]), Ok(vec![0]));
}

/// What is always ready: files, and streams that are closed.
#[test]
fn files_and_closed_streams_are_ready_without_preview_1() {
    for (name, kind, errno) in [("file", 4, 0), ("closed", 0, 8)] {
        let (mut machine, _, seen) = with(&[1]);
        machine.on(
            "fd_fdstat_get",
            move |own, arguments| if errno == 0 { fdstat(kind, 0)(own, arguments) } else { errno },
        );
        let read = input(&mut machine);
        machine.on("fd_fdstat_get", fdstat(0, 0));
        let (write, clock) = (output(&mut machine), after(&mut machine, 500));
        machine.calls();
        assert_eq!(machine.call(READY, &[read]), Ok(1), "{name}");
        assert_eq!(machine.call(BLOCK, &[read]), Ok(0));
        assert_eq!(poll(&mut machine, &[read, read]), Ok(vec![0, 1]));
        assert_eq!(machine.calls(), ["realloc 4 8"]);
        assert!(taken(&seen).is_empty());
        // Others are looked at, without a wait.
        assert_eq!(poll(&mut machine, &[read, clock, write]), Ok(vec![0, 2]));
        assert_eq!(taken(&seen), [Subscription::Fd(2, 1), Subscription::Clock(1, 0, 1)]);
    }
}

#[test]
fn t117_a_list_has_1_to_1024_pollables() {
    let (mut machine, _, seen) = with(&[0]);
    let read = input(&mut machine);
    assert_eq!(poll(&mut machine, &[]), Err("a poll of nothing".to_owned()));
    assert_eq!(poll(&mut machine, &[read; 1025]), Err("a poll of more than 1024 pollables".to_owned()));
    assert_eq!(machine.call(POLL, &[0, 0xffff_ffff, OUT]), Err("a poll of more than 1024 pollables".to_owned()));
    assert!(taken(&seen).is_empty());
    let clock = after(&mut machine, 5);
    let list: Vec<_> = [clock].into_iter().chain([read; 1023]).collect();
    assert_eq!(poll(&mut machine, &list), Ok((1..1024).collect()));
    assert_eq!(taken(&seen).len(), 1024);
}

#[test]
fn t120_the_list_is_aligned_in_memory_and_of_pollables() {
    let (mut machine, _, _) = with(&[0]);
    let read = input(&mut machine);
    let end = HEAP * 8;
    machine.set_guest(end - 4, &u32::try_from(read).unwrap_or(0).to_le_bytes());
    assert_eq!(machine.call(POLL, &[u64::from(end) - 4, 1, OUT]), Ok(0));
    assert_eq!(machine.call(POLL, &[u64::from(end) - 4, 2, OUT]), Err("out of bounds memory access".to_owned()));
    for (ptr, out) in [(u64::from(end) - 6, OUT), (u64::from(end) - 4, OUT + 2)] {
        assert_eq!(machine.call(POLL, &[ptr, 1, out]), Err("a pointer that is not aligned".to_owned()));
    }
    machine.set_realloc(Some(HEAP + 2));
    assert_eq!(
        poll(&mut machine, &[read]),
        Err("a realloc that answers what is not aligned or not in memory".to_owned())
    );
    machine.set_realloc(None);
    let stream = machine.call("cli/stdin#get-stdin", &[]).expect("it opens");
    assert_eq!(poll(&mut machine, &[read, stream]), Err("a handle of another type".to_owned()));
    assert_eq!(poll(&mut machine, &[read, 0]), Err("a handle that is not open".to_owned()));
    assert_eq!(poll(&mut machine, &[read, 0xffff_ffff]), Err("a handle that is not open".to_owned()));
    assert_eq!(poll(&mut machine, &[read]), Ok(vec![0]));
}
