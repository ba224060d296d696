//! What does it cost that a program is a component? `cargo bench --bench components [-- ROW]`, or `-- --rounds N`.
//!
//! Start to exit, from the cache, of a component that prints a line, next to a core module that does. And functions of
//! wasi:filesystem, called by a component, next to those of preview 1, called by the C program of `hostcalls`. Wasmtime runs the same
//! components. All run in turn; the minimum of all rounds counts.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use support::contestants::Guest;
use support::{Args, Times, run};
use wave_test_support::components::component;

/// What is called, as `hostcalls` has it, and the number of the row in `guests/components/calls.wat`.
const CALLS: [(&str, &str, u8); 5] = [
    ("read 4 KiB", "pread4k", 1),
    ("write 4 KiB", "pwrite4k", 2),
    ("stat of an open file", "fstat", 3),
    ("open + close", "open1", 4),
    ("list 100 files", "readdir", 5),
];

/// How many times as long a component may take.
const START: f64 = 1.1;
const CALL: f64 = 1.3;

fn main() {
    let Some(args) = Args::read("components") else { return };
    let dir = support::directory("components");
    // Not in the target directory, which may be another user's.
    let cache = tempfile::tempdir().expect("a temporary directory");
    let (wave, wasmtime) = (support::wave(), support::wasmtime());
    println!("{} against {} on {}\n", support::version(&wave), support::version(&wasmtime), support::machine());
    println!("| what | module | component | ratio | budget | component on Wasmtime |\n|---|---|---|---|---|---|");
    let with_wave = |program: &Path, work: &Path| {
        let mut command = Command::new(&wave);
        command.args(["--sandbox", "strict", "run", "--dir", "."]).arg(program).current_dir(work);
        command.env("XDG_CACHE_HOME", cache.path().join("wave"));
        command
    };
    let with_wasmtime = |program: &Path, work: &Path| {
        let mut command = Command::new(&wasmtime);
        command.args(["run", "-C", "cache=y", "--dir", "."]).arg(program).current_dir(work);
        command.env("XDG_CACHE_HOME", cache.path().join("wasmtime"));
        command
    };

    let work = prepare(&dir);
    let start = "start to exit";
    if args.chosen(start) {
        let text = |name: &str| fs::read_to_string(example(name)).expect("examples are in the repository");
        let module = dir.join("hello.wasm");
        fs::write(&module, wat::parse_str(text("hello.wat")).expect("a module")).expect("the target directory is ours");
        let hello = dir.join("hello-component.wasm");
        fs::write(&hello, component(&text("components/hello.wat"))).expect("the target directory is ours");
        let commands = [with_wave(&module, &work), with_wave(&hello, &work), with_wasmtime(&hello, &work)]
            .map(|command| (command, timed as Measure));
        row(start, "ms", commands, args.rounds(40), START);
    }
    let chosen: Vec<_> = CALLS.iter().filter(|(what, ..)| args.chosen(what)).collect();
    if chosen.is_empty() {
        return;
    }
    let guest = Guest::build("hostcalls", &[], &["-Wall", "-Wextra", "-D_GNU_SOURCE"]);
    let frame = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/components/frame.wat");
    let text = |path: &Path| fs::read_to_string(path).expect("it is in the repository");
    let calls = dir.join("calls.wasm");
    let program = text(&frame).replace("    ;; PROGRAM\n", &text(&support::source("components/calls.wat")));
    fs::write(&calls, component(&program)).expect("the target directory is ours");
    for (what, name, number) in chosen {
        let number = number.to_string();
        let mut commands = [with_wave(&guest.module, &work), with_wave(&calls, &work), with_wasmtime(&calls, &work)]
            .map(|command| (command, printed as Measure));
        commands[0].0.arg(name);
        commands[1].0.arg(&number);
        commands[2].0.arg(&number);
        row(what, "ns", commands, args.rounds(5), CALL);
    }
    println!("\nMinimum of all rounds; in brackets how far the median lies above it.");
}

type Measure = fn(&mut Command) -> f64;

/// Runs all in turn. The first round fills the caches and is not counted.
fn row(what: &str, unit: &str, mut commands: [(Command, Measure); 3], rounds: usize, budget: f64) {
    let mut times: [Times; 3] = Default::default();
    for round in 0..=rounds {
        for ((command, measure), times) in commands.iter_mut().zip(&mut times) {
            let time = measure(command);
            if round > 0 {
                times.add(time);
            }
        }
    }
    let cells = times.each_ref().map(|times| format!("{:.2} {unit} (+{:.0} %)", times.minimum(), times.spread()));
    let ratio = times[1].minimum() / times[0].minimum();
    let mut verdict = String::new();
    if ratio > budget {
        verdict += ", missed";
    }
    if times[1].minimum() > times[2].minimum() {
        verdict += ", the peer is faster";
    }
    println!("| {what} | {} | {} | {ratio:.2} | {budget:.2}{verdict} | {} |", cells[0], cells[1], cells[2]);
}

/// Wall time of a process from start to exit, in milliseconds.
fn timed(command: &mut Command) -> f64 {
    let start = Instant::now();
    run(command);
    start.elapsed().as_secs_f64() * 1e3
}

/// The nanoseconds that a guest printed.
fn printed(command: &mut Command) -> f64 {
    run(command).trim().parse().expect("the program prints a number")
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Makes what the programs expect in their directory, for whatever user the sandbox turns them into.
fn prepare(dir: &Path) -> PathBuf {
    let work = dir.join("work");
    fs::create_dir_all(work.join("a/b/c/d")).expect("the target directory is ours");
    fs::create_dir_all(work.join("many")).expect("the target directory is ours");
    for file in ["file", "a/b/c/d/e"] {
        fs::write(work.join(file), vec![1; 1 << 20]).expect("the target directory is ours");
    }
    for entry in 0..100 {
        fs::write(work.join(format!("many/entry-{entry:02}")), "").expect("the target directory is ours");
    }
    for (path, mode) in [("", 0o777), ("file", 0o666)] {
        fs::set_permissions(work.join(path), Permissions::from_mode(mode)).expect("the target directory is ours");
    }
    work
}
