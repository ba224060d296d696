//! Streams of files: at a position, and at the end.

use crate::machine::{self, Machine, Sink, put, taken};

const OUT: u64 = 0x100;
const FILE: &str = "filesystem/types#[method]descriptor";
const INPUT: &str = "io/streams#[method]input-stream";
const OUTPUT: &str = "io/streams#[method]output-stream";

/// A directory with a file, which is descriptor 7. Returns the handle of the file, opened to read and write.
fn with_file() -> (Machine, u64) {
    let mut machine = Machine::new();
    machine.on("fd_prestat_get", |own, arguments| {
        put(own, arguments[1], &[0, 0, 0, 0, 1, 0, 0, 0]);
        if arguments[0] == 3 { 0 } else { 8 }
    });
    machine.on("fd_prestat_dir_name", |own, arguments| {
        put(own, arguments[1], b"/");
        0
    });
    machine.on("fd_fdstat_get", |own, arguments| {
        let kind = if arguments[0] == 3 { 3 } else { 4 };
        put(own, arguments[1], &[[kind, 0, 0, 0, 0, 0, 0, 0], [0xff; 8], [0xff; 8]].concat());
        0
    });
    machine.on("path_open", |own, arguments| {
        put(own, arguments[8], &7_u32.to_le_bytes());
        0
    });
    machine.on("fd_fdstat_set_flags", |_, _| 0);
    machine.on("fd_close", |_, _| 0);
    machine.call("filesystem/preopens#get-directories", &[OUT]).expect("there is a directory");
    let dir = machine.word(machine.word(0x100));
    machine.set_guest(0x200, b"file");
    machine
        .call("filesystem/types#[method]descriptor.open-at", &[dir.into(), 1, 0x200, 4, 0, 3, OUT])
        .expect("it opens");
    let file = handle(&mut machine);
    machine.calls();
    (machine, file)
}

/// The handle in the result at OUT.
fn handle(machine: &mut Machine) -> u64 {
    assert_eq!(machine.guest(0x100, 1), [0]);
    machine.word(0x104).into()
}

fn stream(machine: &mut Machine, file: u64, name: &str, offset: &[u64]) -> u64 {
    let arguments: Vec<_> = [file].into_iter().chain(offset.iter().copied()).chain([OUT]).collect();
    machine.call(&format!("{FILE}.{name}"), &arguments).expect("there is a stream");
    handle(machine)
}

/// Prints, and says what was called.
fn print(machine: &mut Machine, stream: u64, len: u64) -> Vec<String> {
    machine.call(&format!("{OUTPUT}.blocking-write-and-flush"), &[stream, 0, len, OUT]).expect("it does not trap");
    assert_eq!(machine.guest(0x100, 1), [0]);
    machine.calls()
}

#[test]
fn a_stream_at_a_position_goes_on_from_there() {
    let (mut machine, file) = with_file();
    let sink = Sink::default();
    machine.on("fd_pwrite", machine::write(3000, sink.clone()));
    machine.on("fd_pread", machine::read(&[b"hello", b"you"]));
    let output = stream(&mut machine, file, "write-via-stream", &[10]);
    let input = stream(&mut machine, file, "read-via-stream", &[1 << 40]);

    machine.call(&format!("{OUTPUT}.check-write"), &[output, OUT]).expect("it does not trap");
    assert_eq!(machine.long(0x108), 0x10000);
    assert_eq!(machine.calls(), [""; 0], "a file is ready");
    assert_eq!(
        print(&mut machine, output, 4096),
        ["fd_pwrite 0x7 0x100 0x1 0xa 0x108", "fd_pwrite 0x7 0x100 0x1 0xbc2 0x108"]
    );
    assert_eq!(print(&mut machine, output, 1), ["fd_pwrite 0x7 0x100 0x1 0x100a 0x108"]);
    assert_eq!(taken(&sink).len(), 4097);

    for (len, said) in [(3, 3), (100, 2), (100, 3)] {
        machine.call(&format!("{INPUT}.read"), &[input, len, OUT]).expect("it does not trap");
        assert_eq!((machine.guest(0x100, 1), machine.word(0x108)), (vec![0], said));
    }
    let calls = machine.calls();
    assert_eq!(
        calls.iter().filter(|call| !call.starts_with("realloc")).collect::<Vec<_>>(),
        [
            "fd_pread 0x7 0x100 0x1 0x10000000000 0x108",
            "fd_pread 0x7 0x100 0x1 0x10000000003 0x108",
            "fd_pread 0x7 0x100 0x1 0x10000000005 0x108"
        ]
    );
    // The end closes the stream, and another one begins where it is told.
    machine.call(&format!("{INPUT}.blocking-read"), &[input, 1, OUT]).expect("it does not trap");
    assert_eq!((machine.guest(0x100, 1), machine.guest(0x104, 1)), (vec![1], vec![1]));
    machine.on("fd_pread", machine::read(&[b"x"]));
    let input = stream(&mut machine, file, "read-via-stream", &[0]);
    machine.call(&format!("{INPUT}.skip"), &[input, 9, OUT]).expect("it does not trap");
    assert_eq!((machine.guest(0x100, 1), machine.long(0x108)), (vec![0], 1));
}

#[test]
fn append_mode_is_on_for_streams_at_the_end_and_off_for_others() {
    let (mut machine, file) = with_file();
    let sink = Sink::default();
    machine.on("fd_pwrite", machine::write(u64::MAX, sink.clone()));
    machine.on("fd_write", machine::write(u64::MAX, sink.clone()));
    let end = stream(&mut machine, file, "append-via-stream", &[]);
    let start = stream(&mut machine, file, "write-via-stream", &[0]);
    let (append, write) = ("fd_write 0x7 0x100 0x1 0x108", "fd_pwrite 0x7 0x100 0x1");
    assert_eq!(print(&mut machine, end, 1), ["fd_fdstat_set_flags 0x7 0x1", append]);
    assert_eq!(print(&mut machine, end, 1), [append]);
    assert_eq!(print(&mut machine, start, 1), ["fd_fdstat_set_flags 0x7 0x0".to_owned(), format!("{write} 0x0 0x108")]);
    assert_eq!(print(&mut machine, start, 1), [format!("{write} 0x1 0x108")]);
    assert_eq!(print(&mut machine, end, 1), ["fd_fdstat_set_flags 0x7 0x1", append]);
    assert_eq!(taken(&sink).len(), 5);

    // If the mode cannot be set, nothing is written.
    machine.on("fd_fdstat_set_flags", |_, _| 76);
    machine.call(&format!("{OUTPUT}.blocking-write-and-flush"), &[start, 0, 1, OUT]).expect("it does not trap");
    assert_eq!((machine.guest(0x100, 1), machine.guest(0x104, 1)), (vec![1], vec![0]));
    assert_eq!(machine.calls(), ["fd_fdstat_set_flags 0x7 0x0"]);
    machine.call("filesystem/types#filesystem-error-code", &[machine.word(0x108).into(), OUT]).expect("it is an error");
    // not-permitted
    assert_eq!(machine.guest(0x100, 2), [1, 31]);
    assert!(taken(&sink).is_empty());
}

#[test]
fn a_file_is_closed_with_its_last_handle() {
    let (mut machine, file) = with_file();
    let output = stream(&mut machine, file, "write-via-stream", &[0]);
    let input = stream(&mut machine, file, "read-via-stream", &[0]);
    let pollable = machine.call(&format!("{OUTPUT}.subscribe"), &[output]).expect("it is subscribed to");
    assert_eq!(machine.call("io/poll#[method]pollable.ready", &[pollable]), Ok(1));
    for (name, handle, calls) in [
        ("filesystem/types#[resource-drop]descriptor", file, &[][..]),
        ("io/poll#[resource-drop]pollable", pollable, &[]),
        ("io/streams#[resource-drop]output-stream", output, &[]),
        ("io/streams#[resource-drop]input-stream", input, &["fd_close 0x7"]),
    ] {
        assert_eq!(machine.call(name, &[handle]), Ok(0), "{name}");
        assert_eq!(machine.calls(), calls, "{name}");
    }
}

/// Bytes of one file that come to another, without the guest's memory.
#[test]
fn a_splice_of_files_reads_and_writes_once() {
    let (mut machine, file) = with_file();
    let sink = Sink::default();
    machine.on("fd_pwrite", machine::write(u64::MAX, sink.clone()));
    machine.on("fd_pread", machine::read(&[&[5; 0x1_8000]]));
    let output = stream(&mut machine, file, "write-via-stream", &[0x100_0000]);
    let input = stream(&mut machine, file, "read-via-stream", &[0]);
    for count in [0x10000, 0x8000] {
        machine.call(&format!("{OUTPUT}.splice"), &[output, input, u64::MAX, OUT]).expect("it does not trap");
        assert_eq!((machine.guest(0x100, 1), machine.long(0x108)), (vec![0], count));
    }
    assert_eq!(
        machine.calls(),
        [
            "fd_pread 0x7 0x100 0x1 0x0 0x108",
            "fd_pwrite 0x7 0x100 0x1 0x1000000 0x108",
            "fd_pread 0x7 0x100 0x1 0x10000 0x108",
            "fd_pwrite 0x7 0x100 0x1 0x1010000 0x108"
        ]
    );
    assert_eq!(taken(&sink), vec![5; 0x1_8000]);
}
