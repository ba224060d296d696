//! Clocks, polling, sockets, signals and deadlines.

mod guest;

use guest::{Guest, NONBLOCK, ROOT, errno};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use wave_monitor::Rights;
use wave_wasi::{Access, Errno, Failure, Stop, preview1, unstable};

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const READABLE: u8 = 1;
const WRITABLE: u8 = 2;

struct Event {
    userdata: u64,
    error: u16,
    kind: u8,
    bytes: u64,
    flags: u16,
}

fn clock(userdata: u64, id: u32, timeout: u64, flags: u16) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    bytes[..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[16..20].copy_from_slice(&id.to_le_bytes());
    bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
    bytes[40..42].copy_from_slice(&flags.to_le_bytes());
    bytes
}

fn descriptor(userdata: u64, kind: u8, fd: u32) -> Vec<u8> {
    let mut bytes = vec![0xaa; 48];
    bytes[..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[8] = kind;
    bytes[16..20].copy_from_slice(&fd.to_le_bytes());
    bytes
}

fn poll(guest: &mut Guest, subscriptions: &[Vec<u8>]) -> Result<Vec<Event>, Failure> {
    let (input, _) = guest.put(&subscriptions.concat());
    let output = guest.alloc(32 * subscriptions.len());
    let out = guest.alloc(4);
    let count = u32::try_from(subscriptions.len()).unwrap();
    preview1::poll_oneoff(&mut guest.wasi, &mut guest.memory, input, output, count, out)?;
    let events = guest.bytes(output, 32 * guest.u32(out) as usize).chunks(32);
    Ok(events
        .map(|event| {
            assert_eq!((event[11..16].as_ref(), event[26..32].as_ref()), ([0; 5].as_ref(), [0; 6].as_ref()), "T11");
            Event {
                userdata: u64::from_le_bytes(event[..8].try_into().unwrap()),
                error: u16::from_le_bytes(event[8..10].try_into().unwrap()),
                kind: event[10],
                bytes: u64::from_le_bytes(event[16..24].try_into().unwrap()),
                flags: u16::from_le_bytes(event[24..26].try_into().unwrap()),
            }
        })
        .collect())
}

fn time(guest: &mut Guest, id: u32) -> Result<u64, Errno> {
    errno(preview1::clock_time_get(&mut guest.wasi, &mut guest.memory, id, 0, 0)).map(|()| guest.u64(0))
}

#[test]
fn t114_clocks() {
    let start = Instant::now();
    let mut guest = Guest::new();
    let first = time(&mut guest, MONOTONIC).unwrap();
    assert!(u128::from(first) <= start.elapsed().as_nanos(), "counts from the start of the guest: {first}");
    assert!(time(&mut guest, MONOTONIC).unwrap() > first);
    assert!(time(&mut guest, REALTIME).unwrap() > 1_600_000_000_000_000_000);
    for id in [2, 3] {
        assert_eq!(time(&mut guest, id), Err(Errno::NOTSUP));
        assert_eq!(errno(preview1::clock_res_get(&mut guest.wasi, &mut guest.memory, id, 0)), Err(Errno::NOTSUP));
    }
    assert_eq!(time(&mut guest, 4), Err(Errno::INVAL));
    errno(preview1::clock_res_get(&mut guest.wasi, &mut guest.memory, MONOTONIC, 0)).unwrap();
    assert!(guest.u64(0) > 0);
}

#[test]
fn sleeping_takes_as_long_as_asked() {
    let mut guest = Guest::new();
    let start = Instant::now();
    let events =
        poll(&mut guest, &[clock(7, MONOTONIC, 20_000_000, 0), clock(8, REALTIME, 60_000_000_000, 0)]).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!((events.len(), events[0].userdata, events[0].error, events[0].kind), (1, 7, 0, 0));

    for id in [MONOTONIC, REALTIME] {
        let start = Instant::now();
        let until = time(&mut guest, id).unwrap() + 10_000_000;
        poll(&mut guest, &[clock(1, id, until, 1)]).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(9), "absolute");
        poll(&mut guest, &[clock(1, id, 0, 1)]).unwrap();
    }
}

#[test]
fn files_are_always_ready_and_errors_are_events() {
    let mut guest = Guest::new();
    fs::write(guest.host("file"), "12345").unwrap();
    let fd = guest.open("file", 0, Rights::ALL).unwrap();
    guest.read(fd, 2).unwrap();
    let events = poll(
        &mut guest,
        &[
            clock(1, MONOTONIC, 60_000_000_000, 0),
            descriptor(2, READABLE, fd),
            descriptor(3, WRITABLE, fd),
            descriptor(4, READABLE, 99),
            descriptor(5, READABLE, ROOT),
            clock(6, 2, 0, 0),
        ],
    )
    .unwrap();
    // Not 1: nothing waited for the clock.
    let found: Vec<_> = events.iter().map(|event| (event.userdata, event.error, event.kind)).collect();
    assert_eq!(found, [(2, 0, 1), (3, 0, 2), (4, 8, 1), (5, 76, 1), (6, 58, 0)]);
    assert_eq!(events[0].bytes, 3);
}

#[test]
fn t10_a_malformed_subscription_refuses_the_call() {
    let mut guest = Guest::new();
    for bad in [descriptor(1, 3, 0), clock(1, 4, 0, 0), clock(1, 1, 0, 2)] {
        let refused = poll(&mut guest, &[clock(1, MONOTONIC, 0, 0), bad]).err();
        assert_eq!(refused, Some(Errno::INVAL.into()));
    }
}

#[test]
fn unstable_subscriptions_and_seeks_have_their_own_layout() {
    let mut guest = Guest::new();
    let mut subscription = clock(7, 0xdead_beef, 0, 0);
    subscription.splice(16..24, 99u64.to_le_bytes());
    subscription.truncate(24);
    subscription.extend(&clock(0, MONOTONIC, 1_000_000, 0)[16..]);
    assert_eq!(subscription.len(), 56);
    let (input, _) = guest.put(&subscription);
    let (output, out) = (guest.alloc(32), guest.alloc(8));
    errno(unstable::poll_oneoff(&mut guest.wasi, &mut guest.memory, input, output, 1, out)).unwrap();
    assert_eq!((guest.u32(out), guest.u64(output)), (1, 7));

    fs::write(guest.host("file"), "12345").unwrap();
    let fd = guest.read_only("file").unwrap();
    for (whence, offset, expected) in [(2, 3, 3), (0, 1, 4), (1, 0, 5)] {
        errno(unstable::fd_seek(&mut guest.wasi, &mut guest.memory, fd, offset, whence, out)).unwrap();
        assert_eq!(guest.u64(out), expected);
    }
    let stat = guest.alloc(64);
    guest.memory[stat as usize..stat as usize + 64].fill(0xaa);
    errno(unstable::fd_filestat_get(&mut guest.wasi, &mut guest.memory, fd, stat)).unwrap();
    assert_eq!(guest.u64(stat + 16), 4 | 1 << 32);
    assert_eq!((guest.u64(stat + 24), guest.u64(stat + 56)), (5, 0xaaaa_aaaa_aaaa_aaaa));
}

#[test]
fn a_listener_accepts_receives_sends_and_shuts_down() {
    let mut guest = Guest::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let fd = guest.wasi.add_listener(listener.into()).unwrap();
    assert_eq!(fd, 4);
    let out = guest.alloc(8);
    errno(preview1::fd_fdstat_set_flags(&mut guest.wasi, &mut guest.memory, fd, NONBLOCK)).unwrap();
    let none = preview1::sock_accept(&mut guest.wasi, &mut guest.memory, fd, 0, out);
    assert_eq!(errno(none), Err(Errno::AGAIN));

    let mut peer = TcpStream::connect(address).unwrap();
    errno(preview1::fd_fdstat_set_flags(&mut guest.wasi, &mut guest.memory, fd, 0)).unwrap();
    assert_eq!(poll(&mut guest, &[descriptor(1, READABLE, fd)]).unwrap()[0].error, 0);
    errno(preview1::sock_accept(&mut guest.wasi, &mut guest.memory, fd, NONBLOCK, out)).unwrap();
    let stream = guest.u32(out);
    assert_eq!(guest.fdstat(stream).unwrap().0, 6);
    assert_eq!(guest.read(stream, 10), Err(Errno::AGAIN));
    errno(preview1::fd_fdstat_set_flags(&mut guest.wasi, &mut guest.memory, stream, 0)).unwrap();

    peer.write_all(b"ping").unwrap();
    let at = guest.alloc(8);
    let (iovs, count) = guest.iovs(&[(at, 2), (at + 4, 4)]);
    let flags = guest.alloc(2);
    let peek = preview1::sock_recv(&mut guest.wasi, &mut guest.memory, stream, iovs, count, 1, out, flags);
    errno(peek).unwrap();
    errno(preview1::sock_recv(&mut guest.wasi, &mut guest.memory, stream, iovs, count, 0, out, flags)).unwrap();
    assert_eq!((guest.u32(out), guest.bytes(at, 2), guest.bytes(at + 4, 2)), (4, &b"pi"[..], &b"ng"[..]));
    assert_eq!(guest.bytes(flags, 2), [0, 0]);

    let pong = guest.put(b"pong");
    let (iovs, count) = guest.iovs(&[pong]);
    errno(preview1::sock_send(&mut guest.wasi, &mut guest.memory, stream, iovs, count, 0, out)).unwrap();
    errno(preview1::sock_shutdown(&mut guest.wasi, &mut guest.memory, stream, 2)).unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "pong");
    drop(peer);
    let events = poll(&mut guest, &[descriptor(1, READABLE, stream)]).unwrap();
    assert_eq!((events[0].error, events[0].flags), (0, 1), "hang-up");
}

#[test]
fn what_is_no_socket_is_notsock() {
    let mut guest = Guest::new();
    let file = guest.create("file").unwrap();
    for fd in [ROOT, file] {
        let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
        memory[..8].fill(0);
        assert_eq!(errno(preview1::sock_accept(wasi, memory, fd, 0, 16)), Err(Errno::NOTSOCK));
        assert_eq!(errno(preview1::sock_recv(wasi, memory, fd, 0, 1, 0, 16, 20)), Err(Errno::NOTSOCK));
        assert_eq!(errno(preview1::sock_send(wasi, memory, fd, 0, 1, 0, 16)), Err(Errno::NOTSOCK));
        assert_eq!(errno(preview1::sock_shutdown(wasi, memory, fd, 1)), Err(Errno::NOTSOCK));
    }
    let badf = preview1::sock_shutdown(&mut guest.wasi, &mut guest.memory, 99, 1);
    assert_eq!(errno(badf), Err(Errno::BADF));
}

#[test]
fn ending_and_raising() {
    let mut guest = Guest::new();
    let (wasi, memory) = (&mut guest.wasi, &mut guest.memory);
    assert_eq!(preview1::proc_exit(wasi, memory, 42), Err(Stop::Exit(42).into()));
    assert_eq!(preview1::proc_raise(wasi, memory, 6), Err(Stop::Signal(6).into()));
    assert_eq!(preview1::proc_raise(wasi, memory, 30), Err(Stop::Signal(31).into()));
    assert_eq!(preview1::proc_raise(wasi, memory, 0), Ok(()));
    assert_eq!(preview1::proc_raise(wasi, memory, 19), Err(Errno::NOTSUP.into()));
    assert_eq!(preview1::proc_raise(wasi, memory, 99), Err(Errno::INVAL.into()));
    assert_eq!(preview1::sched_yield(wasi, memory), Ok(()));
}

#[test]
fn t31_t35_standard_streams_stay_open_and_unchanged() {
    use rustix::fs::fcntl_getfl;
    let mut guest = Guest::new();
    let before = fcntl_getfl(rustix::stdio::stdout()).unwrap();
    errno(preview1::fd_fdstat_set_flags(&mut guest.wasi, &mut guest.memory, 1, NONBLOCK)).unwrap();
    assert_eq!(fcntl_getfl(rustix::stdio::stdout()).unwrap(), before);
    let file = guest.create("file").unwrap();
    errno(preview1::fd_renumber(&mut guest.wasi, &mut guest.memory, file, 1)).unwrap();
    guest.write(1, b"to the file").unwrap();
    assert_eq!(fs::read_to_string(guest.host("file")).unwrap(), "to the file");
    for fd in 0..3 {
        guest.close(fd).unwrap();
        assert_eq!(guest.close(fd), Err(Errno::BADF));
    }
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        rustix::fs::fstat(stream).expect("still open");
    }
    assert_eq!(guest.create("other").unwrap(), 4, "0 to 2 are not given out again");
}

/// A FIFO in the grant; its host path.
fn with_fifo() -> (Guest, std::path::PathBuf) {
    let guest = Guest::new();
    let path = guest.host("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    (guest, path)
}

fn set_nonblock(guest: &mut Guest, fd: u32, on: bool) {
    let flags = if on { NONBLOCK } else { 0 };
    errno(preview1::fd_fdstat_set_flags(&mut guest.wasi, &mut guest.memory, fd, flags)).unwrap();
}

#[test]
fn a_fifo_opened_before_its_writer_waits_for_it() {
    let (mut guest, path) = with_fifo();
    let fd = guest.open("fifo", 0, Rights::ALL.without(Rights::FD_WRITE)).unwrap();
    assert_eq!(guest.read(fd, 0).unwrap(), b"", "nothing is asked for");
    let writer = std::thread::spawn(move || {
        // The reader is there, so this opens at once. Long enough for a read that does not wait to have ended.
        std::thread::sleep(Duration::from_millis(100));
        fs::write(path, "late").unwrap();
    });
    assert_eq!(guest.read(fd, 10).unwrap(), b"late");
    assert_eq!(guest.read(fd, 10).unwrap(), b"", "the writer has gone");
    assert_eq!(guest.read(fd, 10).unwrap(), b"", "and stays gone");
    writer.join().unwrap();
}

#[test]
fn a_fifo_whose_writer_left_without_a_word_has_ended() {
    let (mut guest, path) = with_fifo();
    let writer = fs::File::options().read(true).write(true).open(&path).unwrap();
    let fd = guest.open("fifo", 0, Rights::ALL.without(Rights::FD_WRITE)).unwrap();
    drop(writer);
    assert_eq!(guest.read(fd, 10).unwrap(), b"");
    // Whoever opens it now waits for the next one, and a writer that only opens is one.
    let other = guest.open("fifo", 0, Rights::ALL.without(Rights::FD_WRITE)).unwrap();
    set_nonblock(&mut guest, other, true);
    assert_eq!(guest.read(other, 10), Err(Errno::AGAIN));
    set_nonblock(&mut guest, other, false);
    drop(fs::File::options().write(true).open(&path).unwrap());
    assert_eq!(guest.read(other, 10).unwrap(), b"");
}

#[test]
fn a_fifo_that_is_not_to_wait_says_so_until_a_writer_came() {
    let (mut guest, path) = with_fifo();
    let fd = guest.open_with(ROOT, 0, "fifo", 0, Rights::ALL.without(Rights::FD_WRITE), NONBLOCK).unwrap();
    assert_eq!(guest.read(fd, 10), Err(Errno::AGAIN), "no writer yet");
    let mut writer = fs::File::options().write(true).open(&path).unwrap();
    assert_eq!(guest.read(fd, 10), Err(Errno::AGAIN), "nothing to read");
    writer.write_all(b"text").unwrap();
    assert_eq!(guest.read(fd, 3).unwrap(), b"tex");
    drop(writer);
    assert_eq!(guest.read(fd, 3).unwrap(), b"t");
    assert_eq!(guest.read(fd, 3).unwrap(), b"");
}

#[test]
fn polling_a_fifo_sees_data_and_the_last_writer_leaving() {
    let (mut guest, path) = with_fifo();
    let fd = guest.open("fifo", 0, Rights::ALL.without(Rights::FD_WRITE)).unwrap();
    let wait = |guest: &mut Guest, timeout| {
        poll(guest, &[descriptor(1, READABLE, fd), clock(2, MONOTONIC, timeout, 0)]).unwrap()
    };
    let minute = 60_000_000_000;
    let events = wait(&mut guest, 1_000_000);
    assert_eq!((events.len(), events[0].userdata), (1, 2), "no writer is no end");
    let mut writer = fs::File::options().write(true).open(&path).unwrap();
    writer.write_all(b"x").unwrap();
    let events = wait(&mut guest, minute);
    assert_eq!((events.len(), events[0].userdata, events[0].bytes, events[0].flags), (1, 1, 1, 0));
    drop(writer);
    assert_eq!(guest.read(fd, 10).unwrap(), b"x");
    let events = wait(&mut guest, minute);
    assert_eq!((events.len(), events[0].userdata, events[0].flags), (1, 1, 1), "hung up");
}

#[test]
fn a_fifo_is_written_only_while_somebody_reads() {
    let (mut guest, _) = with_fifo();
    let write = Rights::FD_WRITE;
    assert_eq!(guest.open("fifo", 0, write), Err(Errno::NXIO), "T25: it does not wait for a reader");
    let both = guest.open("fifo", 0, write.union(Rights::FD_READ)).unwrap();
    let writer = guest.open("fifo", 0, write).unwrap();
    guest.write(writer, b"one").unwrap();
    guest.write(both, b"two").unwrap();
    assert_eq!(guest.read(both, 10).unwrap(), b"onetwo");
    guest.close(both).unwrap();
    assert_eq!(guest.write(writer, b"x"), Err(Errno::PIPE));
}

/// The deadline of `t108`: signals arrive until the run stops.
mod deadline {
    use std::sync::atomic::{AtomicBool, Ordering};

    pub static PASSED: AtomicBool = AtomicBool::new(false);

    pub fn passed() -> bool {
        PASSED.load(Ordering::Relaxed)
    }

    extern "C" fn nothing(_: libc::c_int) {}

    /// Runs `blocked` on a thread of its own and interrupts it until it is done.
    #[expect(unsafe_code, reason = "a test of interruption needs signals")]
    pub fn interrupting<T: Send>(blocked: impl FnOnce() -> T + Send) -> T {
        // SAFETY: the handler does nothing; no SA_RESTART, so calls return EINTR.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as *const () as usize;
            libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut());
        }
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel();
            let done = &done;
            let worker = scope.spawn(move || {
                // SAFETY: no arguments, cannot fail.
                sender.send(unsafe { libc::pthread_self() }).unwrap();
                let result = blocked();
                done.store(true, Ordering::Release);
                result
            });
            let thread = receiver.recv().unwrap();
            for round in 0.. {
                std::thread::sleep(std::time::Duration::from_millis(5));
                if done.load(Ordering::Acquire) {
                    break;
                }
                assert!(round < 2000, "the hostcall never stopped");
                // The first signals come before the deadline: the call has to go on.
                PASSED.store(round > 4, Ordering::Relaxed);
                // SAFETY: the thread is joined at the end of the scope, so the handle is valid.
                unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
            }
            worker.join().unwrap()
        })
    }
}

#[test]
fn t108_every_blocking_call_stops_at_the_deadline() {
    let grants = [("/", Access::ReadWrite)];
    let mut guest = Guest::configured(&grants, 64, deadline::passed);
    let fifo = guest.host("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let fifo = guest.open("fifo", 0, Rights::FD_READ).unwrap();
    let (ours, _peer) = UnixStream::pair().unwrap();
    let stream = guest.wasi.add_stream_socket(ours.into()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = guest.wasi.add_listener(listener.into()).unwrap();
    let buffer = guest.alloc(65_536);
    let (iovs, count) = guest.iovs(&[(buffer, 65_536)]);
    let (sub, _) = guest.put(&clock(1, MONOTONIC, u64::MAX, 0));
    let (ready, _) = guest.put(&descriptor(1, READABLE, stream));
    let out = guest.alloc(64);
    type Call<'a> = &'a (dyn Fn(&mut Guest) -> Result<(), Failure> + Sync);
    let calls: [(&str, Call<'_>); 7] = [
        ("fd_read of a FIFO without writer", &|g| {
            preview1::fd_read(&mut g.wasi, &mut g.memory, fifo, iovs, count, out)
        }),
        ("fd_read", &|g| preview1::fd_read(&mut g.wasi, &mut g.memory, stream, iovs, count, out)),
        ("sock_recv", &|g| preview1::sock_recv(&mut g.wasi, &mut g.memory, stream, iovs, count, 0, out, out)),
        ("sock_accept", &|g| preview1::sock_accept(&mut g.wasi, &mut g.memory, listener, 0, out)),
        ("poll clock", &|g| preview1::poll_oneoff(&mut g.wasi, &mut g.memory, sub, out, 1, out)),
        ("poll fd", &|g| preview1::poll_oneoff(&mut g.wasi, &mut g.memory, ready, out, 1, out)),
        ("fd_write", &|g| loop {
            preview1::fd_write(&mut g.wasi, &mut g.memory, stream, iovs, count, out)?;
        }),
    ];
    for (name, call) in calls {
        deadline::PASSED.store(false, std::sync::atomic::Ordering::Relaxed);
        let stopped = deadline::interrupting(|| call(&mut guest));
        assert_eq!(stopped, Err(Stop::Deadline.into()), "{name}");
    }
}
