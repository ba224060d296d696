//! wasi:io/streams and wasi:io/error.

use crate::machine::{self, HEAP, Machine, PAGES, Sink, Subscription, fdstat, taken};

/// Where results go, aligned to 8.
const OUT: u32 = 0x100;
const END: u64 = (PAGES as u64) << 16;

const CHECK: &str = "io/streams#[method]output-stream.check-write";
const WRITE: &str = "io/streams#[method]output-stream.write";
const ZEROES: &str = "io/streams#[method]output-stream.write-zeroes";
const PRINT: &str = "io/streams#[method]output-stream.blocking-write-and-flush";
const PRINT_ZEROES: &str = "io/streams#[method]output-stream.blocking-write-zeroes-and-flush";
const FLUSH: &str = "io/streams#[method]output-stream.flush";
const BLOCKING_FLUSH: &str = "io/streams#[method]output-stream.blocking-flush";
const SPLICE: &str = "io/streams#[method]output-stream.splice";
const BLOCKING_SPLICE: &str = "io/streams#[method]output-stream.blocking-splice";
const READ: &str = "io/streams#[method]input-stream.read";
const BLOCKING_READ: &str = "io/streams#[method]input-stream.blocking-read";
const SKIP: &str = "io/streams#[method]input-stream.skip";
const BLOCKING_SKIP: &str = "io/streams#[method]input-stream.blocking-skip";

/// What a result of an operation says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Ok,
    Count(u64),
    Bytes(Vec<u8>),
    Failed(String),
    Closed,
}

/// Calls an operation, whose result comes at OUT, and reads it.
fn operate(machine: &mut Machine, name: &str, arguments: &[u64]) -> Result<Said, String> {
    let mut arguments = arguments.to_vec();
    arguments.push(OUT.into());
    machine.set_guest(OUT, &[0xaa; 32]);
    machine.call(name, &arguments)?;
    let counts = [CHECK, SPLICE, BLOCKING_SPLICE, SKIP, BLOCKING_SKIP].contains(&name);
    let at = OUT + if counts { 8 } else { 4 };
    let said = match (machine.guest(OUT, 1)[0], machine.guest(at, 1)[0]) {
        (0, _) if counts => Said::Count(machine.long(at)),
        (0, _) if [READ, BLOCKING_READ].contains(&name) => Said::Bytes(machine.list(at)),
        (0, _) => Said::Ok,
        (1, 0) => {
            let error = machine.word(at + 4);
            machine.call("io/error#[method]error.to-debug-string", &[error.into(), 0x180])?;
            machine.call("io/error#[resource-drop]error", &[error.into()])?;
            Said::Failed(machine.text(0x180))
        }
        (1, 1) => Said::Closed,
        other => panic!("{name}: {other:?}"),
    };
    // Nothing beyond the result is written.
    assert_eq!(machine.guest(OUT + 16, 16), [0xaa; 16], "{name}");
    Ok(said)
}

/// A machine whose standard streams are of the type 0, a pipe, or 4, a regular file.
fn with(kind: u8) -> (Machine, Sink) {
    let mut machine = Machine::new();
    let sink = Sink::default();
    machine.on("fd_fdstat_get", fdstat(kind, 0));
    machine.on("fd_write", machine::write(u64::MAX, sink.clone()));
    machine.on("poll_oneoff", machine::poll(|_| true));
    (machine, sink)
}

fn stdout(machine: &mut Machine) -> u64 {
    let handle = machine.call("cli/stdout#get-stdout", &[]).expect("it opens");
    machine.calls();
    handle
}

fn stdin(machine: &mut Machine) -> u64 {
    let handle = machine.call("cli/stdin#get-stdin", &[]).expect("it opens");
    machine.calls();
    handle
}

#[test]
fn t117_a_write_within_the_permit_is_one_call_and_beyond_it_a_trap() {
    let (mut machine, sink) = with(0);
    let out = stdout(&mut machine);
    machine.set_guest(0x200, b"hello");

    // Without a permit, nothing but nothing.
    assert_eq!(operate(&mut machine, WRITE, &[out, 0x200, 0]), Ok(Said::Ok));
    assert_eq!(
        operate(&mut machine, WRITE, &[out, 0x200, 1]),
        Err("a write beyond the permit of check write".to_owned())
    );
    assert_eq!(machine.calls(), [""; 0]);

    assert_eq!(operate(&mut machine, CHECK, &[out]), Ok(Said::Count(4096)));
    assert_eq!(machine.calls(), ["poll_oneoff 0x200 0x260 0x2 0x2a0"]);
    assert_eq!(operate(&mut machine, WRITE, &[out, 0x200, 5]), Ok(Said::Ok));
    assert_eq!(machine.calls(), ["fd_write 0x1 0x100 0x1 0x108"]);
    assert_eq!(taken(&sink), b"hello");
    // The rest of the permit, and one byte more.
    assert_eq!(operate(&mut machine, WRITE, &[out, 0, 4091]), Ok(Said::Ok));
    assert_eq!(operate(&mut machine, WRITE, &[out, 0, 1]), Err("a write beyond the permit of check write".to_owned()));
    assert_eq!(taken(&sink).len(), 4091);
}

#[test]
fn t117_zeroes_need_a_permit_too() {
    let (mut machine, sink) = with(0);
    let out = stdout(&mut machine);
    assert_eq!(operate(&mut machine, CHECK, &[out]), Ok(Said::Count(4096)));
    assert_eq!(operate(&mut machine, ZEROES, &[out, 4096]), Ok(Said::Ok));
    assert_eq!(taken(&sink), [0; 4096]);
    assert_eq!(operate(&mut machine, CHECK, &[out]), Ok(Said::Count(4096)));
    assert_eq!(
        operate(&mut machine, ZEROES, &[out, 1 << 32]),
        Err("a write beyond the permit of check write".to_owned())
    );
}

#[test]
fn a_file_permits_64_kib_and_is_not_polled() {
    let (mut machine, sink) = with(4);
    let out = stdout(&mut machine);
    let text: Vec<u8> = (0..0x1_0000_u32).map(|index| u8::try_from(index % 251).unwrap_or(0)).collect();
    machine.set_guest(HEAP, &text);
    assert_eq!(operate(&mut machine, CHECK, &[out]), Ok(Said::Count(0x10000)));
    assert_eq!(operate(&mut machine, WRITE, &[out, HEAP.into(), 0x10000]), Ok(Said::Ok));
    assert_eq!(operate(&mut machine, BLOCKING_FLUSH, &[out]), Ok(Said::Ok));
    assert_eq!(machine.calls(), ["fd_write 0x1 0x100 0x1 0x108"]);
    assert_eq!(taken(&sink), text);
}

#[test]
fn a_stream_that_is_not_ready_permits_nothing_and_is_not_waited_for() {
    let (mut machine, _) = with(0);
    let out = stdout(&mut machine);
    machine.on(
        "poll_oneoff",
        machine::poll(|subscription| {
            assert!([Subscription::Fd(2, 1), Subscription::Clock(1, 0, 0)].contains(subscription), "{subscription:?}");
            matches!(subscription, Subscription::Clock(..))
        }),
    );
    assert_eq!(operate(&mut machine, CHECK, &[out]), Ok(Said::Count(0)));
    assert_eq!(operate(&mut machine, FLUSH, &[out]), Ok(Said::Ok));
    assert_eq!(machine.calls(), ["poll_oneoff 0x200 0x260 0x2 0x2a0"]);
}

#[test]
fn a_short_write_goes_on_and_nothing_written_is_waited_for() {
    let (mut machine, sink) = with(0);
    let out = stdout(&mut machine);
    machine.on("fd_write", machine::write(2, sink.clone()));
    machine.set_guest(0x200, b"hello");
    assert_eq!(operate(&mut machine, PRINT, &[out, 0x200, 5]), Ok(Said::Ok));
    assert_eq!(machine.calls(), ["fd_write 0x1 0x100 0x1 0x108"; 3]);
    assert_eq!(taken(&sink), b"hello");

    let mut full = true;
    let mut write = machine::write(u64::MAX, sink.clone());
    machine.on("fd_write", move |own, arguments| if std::mem::take(&mut full) { 6 } else { write(own, arguments) });
    assert_eq!(operate(&mut machine, PRINT, &[out, 0x200, 5]), Ok(Said::Ok));
    assert_eq!(
        machine.calls(),
        ["fd_write 0x1 0x100 0x1 0x108", "poll_oneoff 0x200 0x260 0x1 0x2a0", "fd_write 0x1 0x100 0x1 0x108"]
    );
    assert_eq!(taken(&sink), b"hello");
}

#[test]
fn printing_is_one_call_of_preview_1_and_4096_bytes_at_most() {
    for (name, refused) in [(PRINT, &[0x200, 4097][..]), (PRINT_ZEROES, &[4097])] {
        let (mut machine, sink) = with(0);
        let out = stdout(&mut machine);
        let most: Vec<u64> = [out]
            .into_iter()
            .chain(refused.iter().map(|number| if *number == 4097 { 4096 } else { *number }))
            .collect();
        assert_eq!(operate(&mut machine, name, &most), Ok(Said::Ok));
        assert_eq!(machine.calls(), ["fd_write 0x1 0x100 0x1 0x108"]);
        assert_eq!(taken(&sink), [0; 4096]);
        // The flush took whatever permit there was.
        assert_eq!(operate(&mut machine, CHECK, &[out]), Ok(Said::Count(4096)));
        assert_eq!(operate(&mut machine, name, &most), Ok(Said::Ok));
        assert_eq!(
            operate(&mut machine, WRITE, &[out, 0, 1]),
            Err("a write beyond the permit of check write".to_owned())
        );
        let more: Vec<u64> = [out].into_iter().chain(refused.iter().copied()).collect();
        assert_eq!(operate(&mut machine, name, &more), Err("a blocking write of more than 4096 bytes".to_owned()));
    }
}

#[test]
fn a_flush_ends_the_permit_and_a_blocking_one_waits_until_more_can_be_written() {
    let (mut machine, _) = with(0);
    let out = stdout(&mut machine);
    assert_eq!(operate(&mut machine, CHECK, &[out]), Ok(Said::Count(4096)));
    machine.calls();
    machine.on(
        "poll_oneoff",
        machine::poll(|subscription| {
            assert_eq!(*subscription, Subscription::Fd(2, 1));
            true
        }),
    );
    assert_eq!(operate(&mut machine, BLOCKING_FLUSH, &[out]), Ok(Said::Ok));
    assert_eq!(machine.calls(), ["poll_oneoff 0x200 0x260 0x1 0x2a0"]);
    assert_eq!(operate(&mut machine, WRITE, &[out, 0, 1]), Err("a write beyond the permit of check write".to_owned()));
}

#[test]
fn t111_an_error_is_said_once_and_then_the_stream_is_closed() {
    // What a function of preview 1 answers, and what the operation says.
    for (errno, said) in [
        (51, Said::Failed("errno nospc".to_owned())),
        (29, Said::Failed("errno io".to_owned())),
        (76, Said::Failed("errno notcapable".to_owned())),
        (56, Said::Failed("errno notrecoverable".to_owned())),
        // Nobody reads the pipe.
        (64, Said::Closed),
    ] {
        let (mut machine, _) = with(0);
        let out = stdout(&mut machine);
        machine.on("fd_write", move |_, _| errno);
        assert_eq!(operate(&mut machine, CHECK, &[out]), Ok(Said::Count(4096)));
        assert_eq!(operate(&mut machine, WRITE, &[out, 0, 1]), Ok(said.clone()), "{errno}");
        machine.calls();
        for (name, arguments) in [
            (CHECK, &[out][..]),
            (WRITE, &[out, 0, 100_000]),
            (ZEROES, &[out, 1 << 40]),
            (PRINT, &[out, 0, 1]),
            (PRINT_ZEROES, &[out, 1]),
            (FLUSH, &[out]),
            (BLOCKING_FLUSH, &[out]),
        ] {
            assert_eq!(operate(&mut machine, name, arguments), Ok(Said::Closed), "{name}");
        }
        let input = stdin(&mut machine);
        assert_eq!(operate(&mut machine, SPLICE, &[out, input, 1]), Ok(Said::Closed));
        assert_eq!(operate(&mut machine, BLOCKING_SPLICE, &[out, input, 1]), Ok(Said::Closed));
        assert_eq!(machine.calls(), [""; 0], "nothing is asked of preview 1");
        // The list must be in memory all the same.
        assert_eq!(
            operate(&mut machine, WRITE, &[out, END, 1]),
            Err("a list or string that is not in memory".to_owned())
        );
        // Another stream of the same descriptor is not concerned.
        let other = stdout(&mut machine);
        assert_eq!(operate(&mut machine, CHECK, &[other]), Ok(Said::Count(4096)));
    }
}

#[test]
fn t111_a_standard_stream_that_is_not_there_is_closed() {
    let (mut machine, _) = with(0);
    machine.on("fd_fdstat_get", |_, _| 8);
    let (input, out) = (stdin(&mut machine), stdout(&mut machine));
    assert_eq!(operate(&mut machine, BLOCKING_READ, &[input, 1]), Ok(Said::Closed));
    assert_eq!(operate(&mut machine, READ, &[input, 0]), Ok(Said::Closed));
    assert_eq!(operate(&mut machine, PRINT, &[out, 0, 1]), Ok(Said::Closed));
    assert_eq!(machine.calls(), [""; 0]);
}

#[test]
fn a_read_gives_what_there_is_and_ends_closed() {
    let (mut machine, _) = with(0);
    machine.on("fd_read", machine::read(&[b"hello", b"world"]));
    let input = stdin(&mut machine);
    assert_eq!(operate(&mut machine, READ, &[input, u64::MAX]), Ok(Said::Bytes(b"hello".to_vec())));
    assert_eq!(
        machine.calls(),
        ["poll_oneoff 0x200 0x260 0x2 0x2a0", "fd_read 0x0 0x100 0x1 0x108", "realloc 1 5"],
        "and 64 KiB are asked for"
    );
    assert_eq!(operate(&mut machine, BLOCKING_READ, &[input, 3]), Ok(Said::Bytes(b"wor".to_vec())));
    assert_eq!(machine.calls(), ["fd_read 0x0 0x100 0x1 0x108", "realloc 1 3"], "it is the read that waits");
    assert_eq!(operate(&mut machine, SKIP, &[input, 1]), Ok(Said::Count(1)));
    assert_eq!(operate(&mut machine, BLOCKING_SKIP, &[input, 10]), Ok(Said::Count(1)));
    assert_eq!(operate(&mut machine, READ, &[input, 0]), Ok(Said::Bytes(Vec::new())));
    assert_eq!(operate(&mut machine, READ, &[input, 1]), Ok(Said::Closed));
    machine.calls();
    for name in [READ, BLOCKING_READ, SKIP, BLOCKING_SKIP] {
        for len in [0, 1] {
            assert_eq!(operate(&mut machine, name, &[input, len]), Ok(Said::Closed), "{name} {len}");
        }
    }
    assert_eq!(machine.calls(), [""; 0]);
}

#[test]
fn no_read_has_more_than_64_kib() {
    for name in [READ, BLOCKING_READ] {
        let (mut machine, _) = with(4);
        machine.on("fd_read", machine::read(&[&[7; 0x20000]]));
        let input = stdin(&mut machine);
        assert_eq!(operate(&mut machine, name, &[input, 1 << 32]), Ok(Said::Bytes(vec![7; 0x10000])));
        assert_eq!(operate(&mut machine, SKIP, &[input, 0x10001]), Ok(Said::Count(0x10000)));
        assert_eq!(operate(&mut machine, name, &[input, 1 << 32]), Ok(Said::Closed));
    }
}

#[test]
fn a_read_does_not_wait_and_a_blocking_one_does() {
    let (mut machine, _) = with(0);
    let input = stdin(&mut machine);
    machine.on("fd_read", machine::read(&[b"x"]));
    machine.on("poll_oneoff", machine::poll(|subscription| matches!(subscription, Subscription::Clock(..))));
    assert_eq!(operate(&mut machine, READ, &[input, 1]), Ok(Said::Bytes(Vec::new())));
    assert_eq!(operate(&mut machine, SKIP, &[input, 1]), Ok(Said::Count(0)));
    assert_eq!(
        machine.calls(),
        ["poll_oneoff 0x200 0x260 0x2 0x2a0", "realloc 1 0", "poll_oneoff 0x200 0x260 0x2 0x2a0"]
    );
    // Somebody else was faster.
    machine.on("poll_oneoff", machine::poll(|_| true));
    let mut empty = 2;
    let mut read = machine::read(&[b"x"]);
    machine.on("fd_read", move |own, arguments| {
        if empty > 0 {
            empty -= 1;
            return 6;
        }
        read(own, arguments)
    });
    assert_eq!(operate(&mut machine, READ, &[input, 1]), Ok(Said::Bytes(Vec::new())));
    machine.calls();
    assert_eq!(operate(&mut machine, BLOCKING_READ, &[input, 1]), Ok(Said::Bytes(b"x".to_vec())));
    assert_eq!(
        machine.calls(),
        [
            "fd_read 0x0 0x100 0x1 0x108",
            "poll_oneoff 0x200 0x260 0x1 0x2a0",
            "fd_read 0x0 0x100 0x1 0x108",
            "realloc 1 1"
        ]
    );
    // A blocking read of nothing waits all the same, and reads nothing.
    assert_eq!(operate(&mut machine, BLOCKING_READ, &[input, 0]), Ok(Said::Bytes(Vec::new())));
    assert_eq!(machine.calls(), ["poll_oneoff 0x200 0x260 0x1 0x2a0", "realloc 1 0"]);
}

#[test]
fn an_error_of_a_read_is_said_once() {
    let (mut machine, _) = with(0);
    machine.on("fd_read", |_, _| 31);
    let input = stdin(&mut machine);
    assert_eq!(operate(&mut machine, BLOCKING_READ, &[input, 1]), Ok(Said::Failed("errno isdir".to_owned())));
    assert_eq!(operate(&mut machine, BLOCKING_READ, &[input, 1]), Ok(Said::Closed));
}

#[test]
fn a_splice_respects_both_ends() {
    let (mut machine, sink) = with(0);
    machine.on("fd_read", machine::read(&[&[1; 5000], &[2; 10]]));
    let (input, out) = (stdin(&mut machine), stdout(&mut machine));
    // What the output permits,
    assert_eq!(operate(&mut machine, SPLICE, &[out, input, u64::MAX]), Ok(Said::Count(4096)));
    assert_eq!(taken(&sink), [1; 4096]);
    assert_eq!(
        machine.calls(),
        [
            "poll_oneoff 0x200 0x260 0x2 0x2a0",
            "poll_oneoff 0x200 0x260 0x2 0x2a0",
            "fd_read 0x0 0x100 0x1 0x108",
            "fd_write 0x1 0x100 0x1 0x108"
        ]
    );
    assert_eq!(
        operate(&mut machine, WRITE, &[out, 0, 1]),
        Err("a write beyond the permit of check write".to_owned()),
        "and it took the permit"
    );
    // what is asked for, what there is,
    assert_eq!(operate(&mut machine, SPLICE, &[out, input, 100]), Ok(Said::Count(100)));
    assert_eq!(operate(&mut machine, BLOCKING_SPLICE, &[out, input, 1000]), Ok(Said::Count(804)));
    assert_eq!(operate(&mut machine, SPLICE, &[out, input, 0]), Ok(Said::Count(0)));
    assert_eq!(operate(&mut machine, SPLICE, &[out, input, 1000]), Ok(Said::Count(10)));
    // and the end.
    assert_eq!(taken(&sink).len(), 914);
    assert_eq!(operate(&mut machine, SPLICE, &[out, input, 1000]), Ok(Said::Closed));
    // The output is not.
    assert_eq!(operate(&mut machine, CHECK, &[out]), Ok(Said::Count(4096)));
}

#[test]
fn a_splice_into_what_is_not_ready_reads_nothing() {
    let (mut machine, _) = with(0);
    machine.on("fd_read", machine::read(&[b"x"]));
    let (input, out) = (stdin(&mut machine), stdout(&mut machine));
    machine.on("poll_oneoff", machine::poll(|subscription| *subscription != Subscription::Fd(2, 1)));
    assert_eq!(operate(&mut machine, SPLICE, &[out, input, 1]), Ok(Said::Count(0)));
    assert_eq!(machine.calls(), ["poll_oneoff 0x200 0x260 0x2 0x2a0"]);
    machine.on("poll_oneoff", machine::poll(|_| true));
    assert_eq!(operate(&mut machine, BLOCKING_SPLICE, &[out, input, 1]), Ok(Said::Count(1)));
    assert_eq!(machine.calls()[..2], ["poll_oneoff 0x200 0x260 0x1 0x2a0"; 2], "it waited for each end");
}

#[test]
fn t120_pointers_are_aligned_and_in_memory() {
    let last = u64::from(HEAP) * 8 - 16;
    // The operation, its arguments, and the alignment of its result.
    for (name, arguments, align) in [
        (CHECK, &[][..], 8),
        (WRITE, &[0, 0], 4),
        (ZEROES, &[0], 4),
        (PRINT, &[0, 1], 4),
        (PRINT_ZEROES, &[1], 4),
        (FLUSH, &[], 4),
        (BLOCKING_FLUSH, &[], 4),
    ] {
        let run = |out: u64| {
            let (mut machine, sink) = with(0);
            let handle = stdout(&mut machine);
            let arguments: Vec<_> = [handle].into_iter().chain(arguments.iter().copied()).chain([out]).collect();
            (machine.call(name, &arguments), taken(&sink))
        };
        assert_eq!(run(last).0, Ok(0), "{name}");
        let (trap, written) = run(last + align / 2);
        assert_eq!(trap, Err("a pointer that is not aligned".to_owned()), "{name}");
        assert!(written.is_empty(), "{name} has done something");
        assert_eq!(run(END).0, Err("out of bounds memory access".to_owned()), "{name}");
    }
    for (name, align) in [(READ, 4), (BLOCKING_READ, 4), (SKIP, 8), (BLOCKING_SKIP, 8)] {
        let run = |out| {
            let (mut machine, _) = with(0);
            machine.on("fd_read", machine::read(&[b"x"]));
            let handle = stdin(&mut machine);
            machine.call(name, &[handle, 1, out])
        };
        assert_eq!(run(last), Ok(0), "{name}");
        assert_eq!(run(last + align / 2), Err("a pointer that is not aligned".to_owned()), "{name}");
        assert_eq!(run(END), Err("out of bounds memory access".to_owned()), "{name}");
    }
}

#[test]
fn t120_a_list_ends_where_memory_does() {
    let (mut machine, sink) = with(0);
    let out = stdout(&mut machine);
    machine.set_guest(u32::try_from(END).unwrap_or(0) - 2, b"ab");
    assert_eq!(operate(&mut machine, CHECK, &[out]), Ok(Said::Count(4096)));
    assert_eq!(operate(&mut machine, WRITE, &[out, END - 2, 2]), Ok(Said::Ok));
    assert_eq!(operate(&mut machine, PRINT, &[out, END - 2, 2]), Ok(Said::Ok));
    assert_eq!(taken(&sink), b"abab");
    assert_eq!(operate(&mut machine, PRINT, &[out, END, 0]), Ok(Said::Ok));
    assert_eq!(operate(&mut machine, PRINT, &[out, END - 2, 3]), Err("out of bounds memory access".to_owned()));
    assert_eq!(operate(&mut machine, CHECK, &[out]), Ok(Said::Count(4096)));
    for (ptr, len) in [(END - 2, 3), (END + 1, 0), (0xffff_ffff, 4096)] {
        assert_eq!(
            operate(&mut machine, WRITE, &[out, ptr, len]),
            Err("a list or string that is not in memory".to_owned())
        );
    }
    assert!(taken(&sink).is_empty());
}

#[test]
fn t120_realloc_is_not_believed() {
    for (answer, trap) in [
        (HEAP, None),
        (u32::try_from(END).unwrap_or(0) - 1, None),
        (u32::try_from(END).unwrap_or(0), Some("a realloc that answers what is not aligned or not in memory")),
        (0xffff_ffff, Some("a realloc that answers what is not aligned or not in memory")),
    ] {
        let (mut machine, _) = with(0);
        machine.on("fd_read", machine::read(&[b"x"]));
        let input = stdin(&mut machine);
        machine.set_realloc(Some(answer));
        let expected = trap.map_or(Ok(Said::Bytes(b"x".to_vec())), |trap| Err(trap.to_owned()));
        assert_eq!(operate(&mut machine, READ, &[input, 1]), expected, "{answer:#x}");
    }
}

/// The name of each errno, as preview 1 has it, with its length.
#[test]
fn an_error_has_the_name_of_its_errno() {
    let names = "2big acces addrinuse addrnotavail afnosupport again already badf badmsg busy canceled child connaborted \
                 connrefused connreset deadlk destaddrreq dom dquot exist fault fbig hostunreach idrm ilseq inprogress intr \
                 inval io isconn isdir loop mfile mlink msgsize multihop nametoolong netdown netreset netunreach nfile \
                 nobufs nodev noent noexec nolck nolink nomem nomsg noprotoopt nospc nosys notconn notdir notempty \
                 notrecoverable notsock notsup notty nxio overflow ownerdead perm pipe proto protonosupport prototype range \
                 rofs spipe srch stale timedout txtbsy xdev notcapable";
    for (name, errno) in names.split_whitespace().zip(1..) {
        if ["again", "pipe"].contains(&name) {
            continue;
        }
        let (mut machine, _) = with(0);
        machine.on("fd_read", move |_, _| errno);
        let input = stdin(&mut machine);
        assert_eq!(
            operate(&mut machine, BLOCKING_READ, &[input, 1]),
            Ok(Said::Failed(format!("errno {name}"))),
            "{errno}"
        );
    }
}
