//! Handles, clocks, exit, terminals.

use crate::machine::{HEAP, Machine, Sink, clock, fdstat, taken, write};

const DROP_POLLABLE: &str = "io/poll#[resource-drop]pollable";
const DROP_INPUT: &str = "io/streams#[resource-drop]input-stream";
const DROP_OUTPUT: &str = "io/streams#[resource-drop]output-stream";
const SUBSCRIBE: &str = "clocks/monotonic-clock#subscribe-instant";

fn with_pipes() -> Machine {
    let mut machine = Machine::new();
    machine.on("fd_fdstat_get", fdstat(0, 0));
    machine
}

#[test]
fn t120_a_handle_is_of_one_type_and_open() {
    let mut machine = with_pipes();
    let input = machine.call("cli/stdin#get-stdin", &[]).expect("it opens");
    let output = machine.call("cli/stdout#get-stdout", &[]).expect("it opens");
    let pollable = machine.call(SUBSCRIBE, &[0]).expect("it is subscribed to");
    let other = Err("a handle of another type".to_owned());
    let closed = Err("a handle that is not open".to_owned());
    for (name, handle) in [(DROP_INPUT, output), (DROP_INPUT, pollable), (DROP_OUTPUT, input), (DROP_POLLABLE, input)] {
        assert_eq!(machine.call(name, &[handle]), other, "{name}");
    }
    for name in [
        DROP_INPUT,
        DROP_OUTPUT,
        DROP_POLLABLE,
        "io/error#[resource-drop]error",
        "cli/terminal-input#[resource-drop]terminal-input",
        "cli/terminal-output#[resource-drop]terminal-output",
        "io/poll#[method]pollable.ready",
        "io/poll#[method]pollable.block",
        "io/streams#[method]input-stream.subscribe",
        "io/streams#[method]output-stream.subscribe",
    ] {
        // The entries of open files are no handles, and lie between these.
        let opened = [input, output, pollable];
        for handle in
            (0..20).filter(|handle| !opened.contains(handle)).chain([8191, 8192, 0x7fff_ffff, 0x8000_0001, 0xffff_ffff])
        {
            assert_eq!(machine.call(name, &[handle]), closed, "{name} {handle}");
        }
    }
    for (name, handle) in [(DROP_INPUT, input), (DROP_OUTPUT, output), (DROP_POLLABLE, pollable)] {
        assert_eq!(machine.call(name, &[handle]), Ok(0), "{name}");
        assert_eq!(machine.call(name, &[handle]), closed, "{name}");
    }
}

#[test]
fn t120_nothing_is_dropped_before_its_children() {
    let mut machine = with_pipes();
    let input = machine.call("cli/stdin#get-stdin", &[]).expect("it opens");
    let first = machine.call("io/streams#[method]input-stream.subscribe", &[input]).expect("it is subscribed to");
    let second = machine.call("io/streams#[method]input-stream.subscribe", &[input]).expect("it is subscribed to");
    for pollable in [first, second] {
        assert_eq!(machine.call(DROP_INPUT, &[input]), Err("a handle that is dropped before its children".to_owned()));
        assert_eq!(machine.call(DROP_POLLABLE, &[pollable]), Ok(0));
    }
    assert_eq!(machine.call(DROP_INPUT, &[input]), Ok(0));
    assert!(!machine.calls().iter().any(|call| call.contains("fd_close")), "a standard stream stays");
    let again = machine.call("cli/stdin#get-stdin", &[]).expect("it opens again");
    assert_eq!(machine.call(DROP_INPUT, &[again]), Ok(0));
}

#[test]
fn t120_t107_there_are_8191_handles_and_dropped_ones_come_again() {
    let mut machine = with_pipes();
    for number in 1..=8191 {
        assert_eq!(machine.call(SUBSCRIBE, &[0]), Ok(number));
    }
    let none = Err("more than 8191 handles".to_owned());
    assert_eq!(machine.call(SUBSCRIBE, &[0]), none);
    assert_eq!(machine.call("cli/stdin#get-stdin", &[]), none);
    for number in [7, 8191, 1] {
        assert_eq!(machine.call(DROP_POLLABLE, &[number]), Ok(0));
    }
    for number in [1, 8191, 7] {
        assert_eq!(machine.call(SUBSCRIBE, &[u64::MAX]), Ok(number));
    }
    assert_eq!(machine.call(SUBSCRIBE, &[0]), none);
    // Nothing of what was there before is left: a handle that is a stream now has no parent and no permit.
    machine.call(DROP_POLLABLE, &[5]).expect("it is open");
    machine.call(DROP_POLLABLE, &[6]).expect("it is open");
    assert_eq!(machine.call("cli/stdout#get-stdout", &[]), Ok(5));
    assert_eq!(
        machine.call("io/streams#[method]output-stream.write", &[5, 0, 1, 0x100]),
        Err("a write beyond the permit of check write".to_owned())
    );
    assert_eq!(machine.call(DROP_OUTPUT, &[5]), Ok(0));
}

#[test]
fn each_standard_stream_has_its_descriptor() {
    let mut machine = with_pipes();
    let sink = Sink::default();
    machine.on("fd_write", write(u64::MAX, sink.clone()));
    for (name, fd) in [("cli/stdout#get-stdout", 1), ("cli/stderr#get-stderr", 2)] {
        let stream = machine.call(name, &[]).expect("it opens");
        let second = machine.call(name, &[]).expect("it opens twice");
        assert_ne!(stream, second);
        assert_eq!(machine.calls(), [format!("fd_fdstat_get {fd:#x} 0x100")]);
        machine
            .call("io/streams#[method]output-stream.blocking-write-and-flush", &[second, 0, 1, 0x100])
            .expect("it writes");
        assert_eq!(machine.calls(), [format!("fd_write {fd:#x} 0x100 0x1 0x108")]);
        assert_eq!(taken(&sink), [0]);
    }
}

#[test]
fn t114_clocks_are_those_of_preview_1() {
    let mut machine = Machine::new();
    machine.on("clock_time_get", clock(12_345_678_901));
    machine.on("clock_res_get", clock(1_000_000_001));
    assert_eq!(machine.call("clocks/monotonic-clock#now", &[]), Ok(12_345_678_901));
    assert_eq!(machine.call("clocks/monotonic-clock#resolution", &[]), Ok(1_000_000_001));
    assert_eq!(machine.calls(), ["clock_time_get 0x1 0x1 0x100", "clock_res_get 0x1 0x100"]);
    machine.set_guest(0x200, &[0xaa; 16]);
    assert_eq!(machine.call("clocks/wall-clock#now", &[0x200]), Ok(0));
    assert_eq!((machine.long(0x200), machine.word(0x208), machine.word(0x20c)), (12, 345_678_901, 0xaaaa_aaaa));
    assert_eq!(machine.call("clocks/wall-clock#resolution", &[0x200]), Ok(0));
    assert_eq!((machine.long(0x200), machine.word(0x208)), (1, 1));
    assert_eq!(machine.calls(), ["clock_time_get 0x0 0x1 0x100", "clock_res_get 0x0 0x100"]);
    // The sign of 64 bits means nothing.
    machine.on("clock_time_get", clock(u64::MAX));
    assert_eq!(machine.call("clocks/wall-clock#now", &[0x200]), Ok(0));
    assert_eq!((machine.long(0x200), machine.word(0x208)), (18_446_744_073, 709_551_615));

    for name in ["clocks/wall-clock#now", "clocks/wall-clock#resolution"] {
        assert_eq!(machine.call(name, &[0x204]), Err("a pointer that is not aligned".to_owned()));
        assert_eq!(machine.call(name, &[u64::from(HEAP) * 8]), Err("out of bounds memory access".to_owned()));
        assert_eq!(machine.call(name, &[u64::from(HEAP) * 8 - 16]), Ok(0));
    }
    machine.on("clock_time_get", |_, _| 28);
    machine.on("clock_res_get", |_, _| 28);
    for name in ["clocks/monotonic-clock#now", "clocks/monotonic-clock#resolution"] {
        assert_eq!(machine.call(name, &[]), Err("the host failed".to_owned()));
    }
}

#[test]
fn t112_exit_is_proc_exit() {
    for (name, argument, expected) in [
        ("cli/exit#exit", 0, Ok(0)),
        ("cli/exit#exit", 1, Ok(1)),
        ("cli/exit#exit", 2, Err("an enum or variant without such a case")),
        ("cli/exit#exit", 0xffff_ffff, Err("an enum or variant without such a case")),
        ("cli/exit#exit-with-code", 0, Ok(0)),
        ("cli/exit#exit-with-code", 255, Ok(255)),
        // A u8 has the lower 8 bits of its flat value.
        ("cli/exit#exit-with-code", 0x101, Ok(1)),
    ] {
        let mut machine = Machine::new();
        let ended = machine.call(name, &[argument]);
        match expected {
            Ok(code) => {
                assert_eq!(ended, Err("proc_exit ended the program".to_owned()));
                assert_eq!(machine.calls(), [format!("proc_exit {code:#x}")]);
            }
            Err(trap) => {
                assert_eq!(ended, Err(trap.to_owned()));
                assert_eq!(machine.calls(), [""; 0]);
            }
        }
    }
}

#[test]
fn a_terminal_is_a_character_device_without_a_position() {
    for (name, fd, drop) in [
        ("cli/terminal-stdin#get-terminal-stdin", 0, "cli/terminal-input#[resource-drop]terminal-input"),
        ("cli/terminal-stdout#get-terminal-stdout", 1, "cli/terminal-output#[resource-drop]terminal-output"),
        ("cli/terminal-stderr#get-terminal-stderr", 2, "cli/terminal-output#[resource-drop]terminal-output"),
    ] {
        let mut machine = Machine::new();
        // Type, rights: fd_read and fd_write are 2 and 64, fd_seek 4, fd_tell 32.
        for (kind, rights, is) in [(2, 0x42, 1), (2, 0x46, 0), (2, 0x62, 0), (0, 0x42, 0), (4, 0x42, 0), (6, 0x42, 0)] {
            machine.on("fd_fdstat_get", fdstat(kind, rights));
            machine.set_guest(0x100, &[0xaa; 8]);
            assert_eq!(machine.call(name, &[0x100]), Ok(0));
            assert_eq!(machine.guest(0x100, 1), [is], "{name} {kind} {rights:#x}");
            if is == 1 {
                let handle = machine.word(0x104).into();
                assert_eq!(machine.call(drop, &[handle]), Ok(0));
                assert_eq!(machine.call(drop, &[handle]), Err("a handle that is not open".to_owned()));
            }
        }
        machine.on("fd_fdstat_get", |_, _| 8);
        machine.calls();
        assert_eq!(machine.call(name, &[0x100]), Ok(0));
        assert_eq!(machine.guest(0x100, 1), [0]);
        assert_eq!(machine.calls(), [format!("fd_fdstat_get {fd:#x} 0x100")]);
        assert_eq!(machine.call(name, &[0x102]), Err("a pointer that is not aligned".to_owned()));
    }
}
