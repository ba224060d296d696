//! How long does a container take? `cargo bench --bench containers [-- ROW] [-- --rounds N]`.
//!
//! Start to exit of a program that prints a line: a module, cached, by `wave-oci`, and a native program without libraries by `runc`,
//! with the same configuration; then both by `podman run`, without a network. All run in turn; the minimum counts.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use support::{Args, Times, run};
use wave_test_support::containers::guests;
use wave_test_support::containers::podman::Podman;
use wave_test_support::containers::scene::Scene;

/// The longest, as a part of runc's time.
const BUDGETS: [(&str, f64); 2] = [("run", 0.25), ("podman run", 1.0)];

fn main() {
    let Some(args) = Args::read("containers") else { return };
    for program in ["runc", "cc"] {
        if Command::new(program).arg("--version").output().is_err() {
            println!("NOT RUN: install {program}");
            return;
        }
    }
    let Some(podman) = Podman::new() else {
        println!("NOT RUN: no podman that works");
        return;
    };
    println!("{} against {} on {}\n", support::version(&support::wave()), runc_version(), support::machine());
    println!("| what | wave-oci, ms | runc, ms | ratio | budget |\n|---|---|---|---|---|");
    let bundles = Bundles::new(&podman.scene);
    let directly = || [("wave-oci", "wave"), ("runc", "native")].map(|(runtime, name)| bundles.command(runtime, name));
    let native = native_image(&podman, &bundles);
    let by_podman = || {
        let of = |runtime: &str, image: &str, program: &str| {
            let flags = ["--runtime", runtime, "run", "--rm", "--network=none", "--cgroup-parent"];
            podman.command(&[&flags[..], &[&podman.scene.cgroup(), image, program]].concat())
        };
        [of("wave-oci", "guests", "/hello.wasm"), of("runc", &native, "/hello")]
    };
    let rows = [(directly(), args.rounds(40)), (by_podman(), args.rounds(15))];
    for ((what, budget), (mut pair, rounds)) in BUDGETS.into_iter().zip(rows) {
        if args.chosen(what) {
            measure(&podman.scene, what, budget, &mut pair, rounds);
        }
    }
    println!("\nMinimum of all rounds; in brackets how far the median lies above it.");
}

/// Runs both in turn. The first round fills the cache and is not counted.
fn measure(scene: &Scene, what: &str, budget: f64, pair: &mut [Command; 2], rounds: usize) {
    let mut times = [Times::default(), Times::default()];
    for round in 0..=rounds {
        for (command, times) in pair.iter_mut().zip(&mut times) {
            let time = timed(scene, command);
            if round > 0 {
                times.add(time);
            }
        }
    }
    let ratio = times[0].minimum() / times[1].minimum();
    let shown = times.map(|times| format!("{:.2} (+{:.0} %)", times.minimum(), times.spread())).join(" | ");
    let verdict = if ratio > budget { ", missed" } else { "" };
    println!("| {what} | {shown} | {ratio:.2} | {budget}{verdict} |");
}

/// Milliseconds from start to exit.
fn timed(scene: &Scene, command: &mut Command) -> f64 {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (time, output) = scene.inside(|| {
        let start = Instant::now();
        let output = command.output().expect("the program starts");
        (start.elapsed().as_secs_f64() * 1e3, output)
    });
    assert!(output.status.success() && output.stdout == b"hello\n", "{command:?}: {output:?}");
    time
}

/// A bundle for each runtime.
struct Bundles<'a> {
    scene: &'a Scene,
    native: PathBuf,
}

impl<'a> Bundles<'a> {
    fn new(scene: &'a Scene) -> Self {
        let source = scene.path("hello.c");
        let text = "#include <unistd.h>\nint main(void) { return write(1, \"hello\\n\", 6) != 6; }\n";
        fs::write(&source, text).expect("own directory");
        let native = scene.path("hello");
        run(Command::new("cc").args(["-static", "-O2", "-o"]).arg(&native).arg(&source));
        let bundles = Self { scene, native };
        bundles.make("wave", &guests::root().join("hello.wasm"));
        bundles.make("native", &bundles.native);
        bundles
    }

    fn make(&self, name: &str, program: &Path) {
        let bundle = self.scene.path(name);
        fs::create_dir_all(bundle.join("rootfs")).expect("own directory");
        fs::copy(program, bundle.join("rootfs/program")).expect("own directory");
        let namespaces = ["pid", "mount", "network", "ipc", "uts"].map(|kind| serde_json::json!({ "type": kind }));
        let config = serde_json::json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": 0, "gid": 0 }, "args": ["/program"], "env": [], "cwd": "/", "noNewPrivileges": true
            },
            "root": { "path": "rootfs" },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
            ],
            "linux": {
                "namespaces": namespaces,
                "cgroupsPath": format!("{}/{name}", self.scene.cgroup()),
                "resources": { "pids": { "limit": 100 }, "memory": { "limit": 1 << 30 } },
            },
        });
        fs::write(bundle.join("config.json"), config.to_string()).expect("own directory");
    }

    fn command(&self, runtime: &str, name: &str) -> Command {
        let program = if runtime == "wave-oci" { self.scene.runtime() } else { runtime.into() };
        let mut command = self.scene.command(program);
        command.args(["run", "--bundle"]).arg(self.scene.path(name)).arg(name);
        command
    }
}

/// Imports the native program as an image; returns its name.
fn native_image(podman: &Podman, bundles: &Bundles<'_>) -> String {
    let archive = podman.scene.path("native.tar");
    let dir = bundles.native.parent().expect("it is a file in a directory");
    run(Command::new("tar").args(["--owner=0", "--group=0", "-C"]).arg(dir).arg("-cf").arg(&archive).arg("hello"));
    podman.does(&["import", "-q", &archive.display().to_string(), "native"]);
    "native".to_owned()
}

fn runc_version() -> String {
    let output = Command::new("runc").arg("--version").output().expect("it was there");
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}
