//! A host that answers nonsense: the guest traps or gets an error, and nothing runs for ever.

use crate::machine::{self, Machine, fdstat, put};

const PRINT: &str = "io/streams#[method]output-stream.blocking-write-and-flush";
const READ: &str = "io/streams#[method]input-stream.blocking-read";
const CANNOT: &str = "the host answered what it cannot";

fn with_pipes() -> (Machine, u64, u64) {
    let mut machine = Machine::new();
    machine.on("fd_fdstat_get", fdstat(0, 0));
    machine.on("poll_oneoff", machine::poll(|_| true));
    let input = machine.call("cli/stdin#get-stdin", &[]).expect("it opens");
    let output = machine.call("cli/stdout#get-stdout", &[]).expect("it opens");
    machine.calls();
    (machine, input, output)
}

/// Says `count` bytes, whatever was asked for.
fn counts(count: u32) -> impl FnMut(&mut [u8], &[u64]) -> u32 {
    move |own, arguments| {
        put(own, arguments[arguments.len() - 1], &count.to_le_bytes());
        0
    }
}

#[test]
fn t134_more_bytes_than_were_asked_for() {
    for (count, expected) in [(4, Ok(0)), (5, Err(CANNOT.to_owned())), (u32::MAX, Err(CANNOT.to_owned()))] {
        let (mut machine, input, output) = with_pipes();
        machine.on("fd_read", counts(count));
        machine.on("fd_write", counts(count));
        assert_eq!(machine.call(READ, &[input, 4, 0x100]), expected, "{count}");
        assert_eq!(machine.call(PRINT, &[output, 0, 4, 0x100]), expected, "{count}");
    }
}

#[test]
fn t134_no_progress_is_an_error_in_the_end() {
    // Always `again`, and always nothing.
    for errno in [6, 0] {
        let (mut machine, input, output) = with_pipes();
        machine.on("fd_write", move |own, arguments| {
            counts(0)(own, arguments);
            errno
        });
        assert_eq!(machine.call(PRINT, &[output, 0, 4, 0x100]), Ok(0));
        assert_eq!((machine.guest(0x100, 1), machine.guest(0x104, 1)), (vec![1], vec![0]));
        assert_eq!(machine.calls().len(), 101 + 100);
        machine.on("fd_read", move |_, _| 6);
        assert_eq!(machine.call(READ, &[input, 4, 0x100]), Ok(0));
        assert_eq!((machine.guest(0x100, 1), machine.guest(0x104, 1)), (vec![1], vec![0]));
        assert_eq!(machine.calls().len(), 101 + 100);
    }
}

#[test]
fn t134_errors_that_do_not_exist() {
    for (errno, expected) in [(76, Ok(0)), (77, Err(CANNOT.to_owned())), (u32::MAX, Err(CANNOT.to_owned()))] {
        let (mut machine, input, output) = with_pipes();
        machine.on("fd_read", move |_, _| errno);
        machine.on("fd_write", move |_, _| errno);
        assert_eq!(machine.call(READ, &[input, 4, 0x100]), expected);
        assert_eq!(machine.call(PRINT, &[output, 0, 4, 0x100]), expected);
    }
}

/// How many events there are, and what their userdata is.
#[test]
fn t134_events_of_nothing() {
    let answers = |count: u32, userdata: u64| {
        move |own: &mut [u8], arguments: &[u64]| {
            for event in 0..4 {
                put(own, arguments[1] + 32 * event, &userdata.to_le_bytes());
            }
            put(own, arguments[3], &count.to_le_bytes());
            0
        }
    };
    for (count, userdata, expected) in [
        (1, 0, Ok(0)),
        (0, 0, Err(CANNOT.to_owned())),
        (2, 0, Err(CANNOT.to_owned())),
        (u32::MAX, 0, Err(CANNOT.to_owned())),
        (1, 1, Err(CANNOT.to_owned())),
        (1, u64::MAX, Err(CANNOT.to_owned())),
    ] {
        let (mut machine, input, _) = with_pipes();
        let pollable =
            machine.call("io/streams#[method]input-stream.subscribe", &[input]).expect("it is subscribed to");
        machine.set_guest(0x200, &u32::try_from(pollable).unwrap_or(0).to_le_bytes());
        machine.on("poll_oneoff", answers(count, userdata));
        assert_eq!(machine.call("io/poll#poll", &[0x200, 1, 0x100]), expected, "{count} {userdata:#x}");
    }
    for (count, expected) in [(1, Ok(0)), (0, Err(CANNOT.to_owned())), (2, Err(CANNOT.to_owned()))] {
        let (mut machine, input, _) = with_pipes();
        let pollable =
            machine.call("io/streams#[method]input-stream.subscribe", &[input]).expect("it is subscribed to");
        machine.on("poll_oneoff", answers(count, 7));
        assert_eq!(machine.call("io/poll#[method]pollable.block", &[pollable]), expected);
        let ready = machine.call("io/poll#[method]pollable.ready", &[pollable]);
        assert_eq!(ready, Ok(0), "nothing of what was asked for occurred");
        machine.on("poll_oneoff", answers(3, 7));
        assert_eq!(machine.call("io/poll#[method]pollable.ready", &[pollable]), Err(CANNOT.to_owned()));
        machine.on("poll_oneoff", |_, _| 28);
        assert_eq!(machine.call("io/poll#[method]pollable.ready", &[pollable]), Err("the host failed".to_owned()));
    }
}

/// The numbers of arguments and of their bytes, and what `args_get` writes.
#[test]
fn t134_sizes_that_are_not_true() {
    let trap = |count: u32, len: u32, text: &'static [u8]| {
        let mut machine = Machine::new();
        machine.on("args_sizes_get", move |own, arguments| {
            put(own, arguments[0], &count.to_le_bytes());
            put(own, arguments[1], &len.to_le_bytes());
            0
        });
        machine.on("args_get", move |own, arguments| {
            put(own, arguments[1], text);
            0
        });
        machine.call("cli/environment#get-arguments", &[0x100])
    };
    assert_eq!(trap(1, 2, b"a\0"), Ok(0));
    assert_eq!(trap(0, 2, b"a\0"), Ok(0));
    for (count, len) in [(1, 1), (2, 2), (1, 0), (10_000, 2)] {
        assert_eq!(trap(count, len, b"a\0"), Err(CANNOT.to_owned()), "{count} {len}");
    }
    let none = Err("no memory for what the host has".to_owned());
    for (count, len) in [(u32::MAX, 0), (0, u32::MAX), (u32::MAX, u32::MAX), (0x4000_0000, 1), (1, 0xff9_f001)] {
        assert_eq!(trap(count, len, b""), none, "{count:#x} {len:#x}");
    }
}

/// Every function with every errno: it ends, as a trap or not, and handles are as they were.
#[test]
fn t134_errnos_everywhere() {
    for errno in (0..80).chain([0x8000_0000, u32::MAX]) {
        let mut machine = Machine::new();
        for name in [
            "args_get",
            "args_sizes_get",
            "environ_get",
            "environ_sizes_get",
            "clock_res_get",
            "clock_time_get",
            "fd_close",
            "fd_fdstat_get",
            "fd_read",
            "fd_write",
            "poll_oneoff",
            "random_get",
        ] {
            machine.on(name, move |_, _| errno);
        }
        let input = machine.call("cli/stdin#get-stdin", &[]).expect("it opens");
        let output = machine.call("cli/stdout#get-stdout", &[]).expect("it opens");
        for (name, arguments) in [
            ("cli/environment#get-arguments", &[0x100][..]),
            ("cli/environment#get-environment", &[0x100]),
            ("clocks/monotonic-clock#now", &[]),
            ("clocks/monotonic-clock#subscribe-duration", &[1]),
            ("clocks/wall-clock#resolution", &[0x100]),
            ("random/random#get-random-bytes", &[9, 0x100]),
            ("random/insecure-seed#insecure-seed", &[0x100]),
            ("cli/terminal-stdin#get-terminal-stdin", &[0x100]),
            ("io/streams#[method]input-stream.read", &[input, 9, 0x100]),
            (READ, &[input, 9, 0x100]),
            ("io/streams#[method]output-stream.check-write", &[output, 0x100]),
            (PRINT, &[output, 0, 9, 0x100]),
            ("io/streams#[method]output-stream.blocking-splice", &[output, input, 9, 0x100]),
        ] {
            if let Err(trap) = machine.call(name, arguments) {
                assert!(["the host failed", CANNOT].contains(&trap.as_str()), "{name} {errno}: {trap}");
            }
        }
        assert_eq!(machine.call("io/streams#[resource-drop]input-stream", &[input]), Ok(0));
        assert_eq!(machine.call("io/streams#[resource-drop]output-stream", &[output]), Ok(0));
    }
}
