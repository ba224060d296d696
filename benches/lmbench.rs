//! What do the things cost that LMbench measures? `cargo bench --bench lmbench [-- ROW]`, or `-- --rounds N`.
//!
//! Its rows about system calls, files, pipes and memory, as far as `hostcalls` does not have them (`benches/README.md` has the whole
//! list). One C program (`guests/lmbench.c`), built natively and for WASI with the same compiler at -O2. All contestants run in turn,
//! round by round; the minimum of each counts.

mod support;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::fs::{self, Permissions};
use std::io::{Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use support::contestants::{Guest, contestants, print_absent, print_who};
use support::{Args, Times};

/// What the standard streams of the program are.
#[derive(Clone, Copy, PartialEq)]
enum Streams {
    Null,
    /// A pipe that somebody reads until its end.
    Drained,
    /// Two pipes: each byte comes back.
    EchoedPipe,
    /// A connected socket: each byte comes back.
    EchoedSocket,
}

/// LMbench's name, what is done, the row as the program calls it, and what its streams are.
const ROWS: [(&str, &str, &str, Streams); 13] = [
    ("lat_syscall write", "write 1 byte to /dev/null", "write1", Streams::Null),
    ("lat_select -n 10", "select on 10 files", "select10", Streams::Null),
    ("lat_select -n 100", "select on 100 files", "select100", Streams::Null),
    ("lat_pipe", "1 byte through a pipe and back", "pipe", Streams::EchoedPipe),
    ("lat_unix", "1 byte through an AF_UNIX socket and back", "unix", Streams::EchoedSocket),
    ("bw_pipe", "64 KiB through a pipe", "pipe64k", Streams::Drained),
    ("lat_fs 0k", "create and delete a file, empty", "create0k", Streams::Null),
    ("lat_fs 1k", "the same with 1 KiB", "create1k", Streams::Null),
    ("lat_fs 4k", "the same with 4 KiB", "create4k", Streams::Null),
    ("lat_fs 10k", "the same with 10 KiB", "create10k", Streams::Null),
    ("bw_file_rd", "read 8 MiB of a file again", "reread", Streams::Null),
    ("bw_mem bcopy", "copy 8 MiB of memory", "copy", Streams::Null),
    ("bw_mem rd", "read 8 MiB of memory, word by word", "sum", Streams::Null),
];

fn main() {
    let Some(args) = Args::read("lmbench") else { return };
    print_absent();
    stay_on_one_processor();
    let guest = Guest::build("lmbench", &[], &["-Wall", "-Wextra", "-D_GNU_SOURCE"]);
    let contestants = contestants(&guest);
    let work = prepare(&support::directory("lmbench"));
    let rows: Vec<_> = ROWS.iter().filter(|(name, what, ..)| args.chosen(name) || args.chosen(what)).collect();
    let rounds = args.rounds(5);

    let mut times: Vec<Vec<Times>> = Vec::new();
    times.resize_with(rows.len(), || contestants.iter().map(|_| Times::default()).collect());
    for _ in 0..rounds {
        for ((.., row, streams), times) in rows.iter().zip(&mut times) {
            for (contestant, times) in contestants.iter().zip(times) {
                times.add(nanoseconds(contestant.command(&work).arg(row), *streams));
            }
        }
    }

    print_who(&contestants, rounds);
    let names: Vec<_> = contestants[1..].iter().map(|one| one.name).collect();
    println!("| LMbench | what | native | {} |\n|---|---|---|{}", names.join(" | "), "---|".repeat(names.len()));
    for ((name, what, ..), times) in rows.iter().zip(&times) {
        let native = &times[0];
        let mut line = format!("| {name} | {what} | {} (+{:.0} %) |", time(native.minimum()), native.spread());
        for one in &times[1..] {
            line += &format!(" {:.2} (+{:.0} %) |", one.minimum() / native.minimum(), one.spread());
        }
        println!("{line}");
    }
    println!("\nMultiples of native; in brackets how far the median of the rounds lies above their minimum.");
}

/// So that it is no matter of luck whether the two ends of a pipe share a processor. What is started inherits it.
fn stay_on_one_processor() {
    let permitted = sched_getaffinity(Pid::from_raw(0)).expect("a process may ask");
    let first = (0..CpuSet::count()).find(|processor| permitted.is_set(*processor) == Ok(true));
    let mut one = CpuSet::new();
    one.set(first.expect("this runs on one")).expect("it is one of the set");
    sched_setaffinity(Pid::from_raw(0), &one).expect("a process may stay where it may be");
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        short if short < 1e4 => format!("{short:.0} ns"),
        long => format!("{:.1} µs", long / 1e3),
    }
}

/// Makes what the program expects in its directory, for whatever user the sandbox turns it into.
fn prepare(dir: &Path) -> PathBuf {
    let work = dir.join("work");
    fs::create_dir_all(&work).expect("the target directory is ours");
    fs::write(work.join("file"), vec![0; 8 << 20]).expect("the target directory is ours");
    // Of a run that was interrupted.
    if work.join("new").exists() {
        fs::remove_file(work.join("new")).expect("the target directory is ours");
    }
    fs::set_permissions(&work, Permissions::from_mode(0o777)).expect("the target directory is ours");
    work
}

/// What the program prints to its standard error, with these streams at its other end.
fn nanoseconds(command: &mut Command, streams: Streams) -> f64 {
    let echo = match streams {
        Streams::Null => {
            command.stdin(Stdio::null()).stdout(Stdio::null());
            None
        }
        Streams::Drained => {
            let (mut reader, writer) = pipe().expect("descriptors are left");
            command.stdin(Stdio::null()).stdout(writer);
            Some(thread::spawn(move || drain(&mut reader)))
        }
        Streams::EchoedPipe => {
            let (reader, stdout) = pipe().expect("descriptors are left");
            let (stdin, writer) = pipe().expect("descriptors are left");
            command.stdin(stdin).stdout(stdout);
            Some(thread::spawn(move || echo(reader, writer)))
        }
        Streams::EchoedSocket => {
            let (ours, theirs) = UnixStream::pair().expect("descriptors are left");
            let again = |stream: &UnixStream| stream.try_clone().expect("descriptors are left");
            command.stdin(OwnedFd::from(again(&theirs))).stdout(OwnedFd::from(theirs));
            Some(thread::spawn(move || echo(again(&ours), ours)))
        }
    };
    let child = command.stderr(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // The other ends are the child's alone now, so that its end is theirs.
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let output = child.wait_with_output().expect("it can be waited for");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    if let Some(echo) = echo {
        echo.join().expect("the other end does not fail");
    }
    // wave says before it what `off` leaves out.
    let number = said.lines().last().and_then(|line| line.parse().ok());
    number.unwrap_or_else(|| panic!("{command:?}: no number: {said}"))
}

fn drain(reader: &mut impl Read) {
    let mut buffer = vec![0; 64 << 10];
    while reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
}

fn echo(mut reader: impl Read, mut writer: impl Write) {
    let mut byte = [0];
    while reader.read(&mut byte).is_ok_and(|read| read > 0) && writer.write_all(&byte).is_ok() {}
}
