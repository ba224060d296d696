//! Who calls the runtime is killed at any moment; then `delete --force` leaves nothing.
//!
//! `WAVE_KILLS` is the number of rounds, 60 without it, and `WAVE_SEED` gives the moments of an earlier run again. A moment is
//! chosen within the time that the command takes on this machine at that hour, so that a slow machine is no other test.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use wave_test_support::containers::guests;
use wave_test_support::containers::podman::Podman;
use wave_test_support::containers::scene::{Scene, until};

/// What is killed in a round.
const VICTIMS: [&str; 5] = ["create", "start", "kill", "delete", "run"];

#[test]
fn killed_commands_leave_nothing() {
    kill_commands("cgroupfs");
}

/// Then there is no control group whose processes `delete` could end.
#[test]
fn killed_commands_leave_nothing_without_a_control_group() {
    kill_commands("disabled");
}

fn kill_commands(manager: &'static str) {
    let Some(host) = Host::new(manager) else { return };
    let mut random = Random::new();
    // Each undisturbed, for the times; the first compiles the module.
    host.round("create", None);
    let times = VICTIMS.map(|victim| host.round(victim, None));
    for number in 0..rounds() {
        let victim = random.index(VICTIMS.len());
        let delay = random.duration(times[victim] * 3 / 2);
        host.round(VICTIMS[victim], Some(delay));
        let left = host.scene.left();
        assert!(left.is_empty(), "round {number}, {} killed after {delay:?}: {left:#?}", VICTIMS[victim]);
    }
}

/// One container, by the runtime's own commands.
struct Host {
    scene: Scene,
    bundle: PathBuf,
    /// Who manages control groups.
    manager: &'static str,
}

impl Host {
    fn new(manager: &'static str) -> Option<Self> {
        let scene = Scene::new(&[])?;
        let bundle = scene.path("bundle");
        fs::create_dir_all(bundle.join("rootfs")).expect("own directory");
        fs::copy(guests::root().join("wait.wasm"), bundle.join("rootfs/wait.wasm")).expect("own directory");
        let kinds = ["pid", "mount", "network", "ipc", "uts"];
        let namespaces: Vec<_> = kinds.iter().map(|kind| serde_json::json!({ "type": kind })).collect();
        let mut config = serde_json::json!({
            "ociVersion": "1.0.2",
            "process": { "user": { "uid": 0, "gid": 0 }, "args": ["/wait.wasm"], "env": [], "cwd": "/" },
            "root": { "path": "rootfs" },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
                { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"] },
            ],
            "linux": { "namespaces": namespaces },
        });
        if manager != "disabled" {
            config["linux"]["cgroupsPath"] = format!("{}/one", scene.cgroup()).into();
            config["linux"]["resources"] =
                serde_json::json!({ "pids": { "limit": 100 }, "memory": { "limit": 1 << 30 } });
        }
        fs::write(bundle.join("config.json"), config.to_string()).expect("own directory");
        Some(Self { scene, bundle, manager })
    }

    /// One of the runtime's commands for the container. Nobody reads what it prints: the container may have its streams.
    fn command(&self, name: &str) -> Command {
        let mut command = self.scene.command(self.scene.runtime());
        command.args(["--cgroup-manager", self.manager, name]);
        match name {
            "create" | "run" => command.arg("--bundle").arg(&self.bundle).arg("--pid-file").arg(self.scene.path("pid")),
            "delete" => command.arg("--force"),
            _ => &mut command,
        };
        command.arg("one").stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    #[track_caller]
    fn does(&self, name: &str) {
        // A file: the container has the stream longer than the command.
        let errors = self.scene.path("errors");
        let stream = fs::File::create(&errors).expect("own directory");
        let status = self.scene.spawn(self.command(name).stderr(stream)).wait().expect("own child");
        assert!(status.success(), "{name}: {status}: {}", fs::read_to_string(errors).expect("own file"));
    }

    /// Makes what a command is for, runs it, kills it after a while or waits for it, and deletes all. Returns how long it ran.
    fn round(&self, victim: &str, after: Option<Duration>) -> Duration {
        let before: &[&str] = match victim {
            "create" | "run" => &[],
            "start" => &["create"],
            _ => &["create", "start"],
        };
        before.iter().for_each(|name| self.does(name));
        let begin = Instant::now();
        let mut child = self.scene.spawn(&mut self.command(victim));
        match (after, victim) {
            (Some(delay), _) => {
                thread::sleep(delay);
                child.kill().expect("own child");
            }
            // It would run for an hour.
            (None, "run") => {
                until("its program", || fs::read_to_string(self.scene.path("pid")).ok().filter(|pid| !pid.is_empty()));
                child.kill().expect("own child");
            }
            (None, _) => {}
        }
        child.wait().expect("own child");
        let time = begin.elapsed();
        self.does("delete");
        fs::remove_file(self.scene.path("pid")).ok();
        time
    }
}

#[test]
fn killed_callers_leave_nothing() {
    let Some(podman) = Podman::new() else { return };
    let mut random = Random::new();
    let start = || podman.run_command(&["--detach", "--network=none"], &["/wait.wasm"]);
    let begin = Instant::now();
    let started = podman.scene.run(&mut start());
    assert!(started.status.success(), "{started:?}");
    let time = begin.elapsed();
    for number in 0..rounds().div_ceil(10) {
        let delay = random.duration(time * 3 / 2);
        let victim = ["podman", "conmon"][random.index(2)];
        let mut command = start();
        let mut child = podman.scene.spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
        thread::sleep(delay);
        match victim {
            "podman" => child.kill().expect("own child"),
            _ => podman.scene.named("conmon").into_iter().for_each(|process| {
                // It may have ended meanwhile.
                kill(Pid::from_raw(process.cast_signed()), Signal::SIGKILL).ok();
            }),
        }
        child.wait().expect("own child");
        // What podman has not noted it does not remove, whatever the runtime.
        podman.tries(&["rm", "--force", "--time", "0", "--all"]);
        let list = podman.scene.run(podman.scene.command(podman.scene.runtime()).args(["list", "--quiet"]));
        assert_eq!((list.status.code(), &*list.stderr), (Some(0), ""), "{list:?}");
        for id in list.stdout.lines() {
            let mut delete = podman.scene.command(podman.scene.runtime());
            podman.scene.run(delete.args(["delete", "--force", id])).is(0, "", "");
        }
        // podman's own mounts and files are its own affair.
        let is_ours = |line: &String| !line.starts_with("mount /dev/shm/store") && !line.contains("conmon");
        let left: Vec<_> = podman.scene.left_of(is_ours);
        assert!(left.is_empty(), "round {number}, {victim} killed after {delay:?}: {left:#?}");
    }
}

fn rounds() -> u64 {
    std::env::var("WAVE_KILLS").map_or(60, |count| count.parse().expect("WAVE_KILLS is a number"))
}

/// Numbers that can be had again.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = || u64::from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").subsec_nanos());
        let seed =
            std::env::var("WAVE_SEED").map_or_else(|_| now(), |seed| seed.parse().expect("WAVE_SEED is a number"));
        // Shown if the test fails.
        println!("WAVE_SEED={seed}");
        Self(seed | 1)
    }

    /// Source: Marsaglia, Xorshift RNGs (2003).
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.next()).expect("64 bits") % len
    }

    fn duration(&mut self, longest: Duration) -> Duration {
        let most = u64::try_from(longest.as_micros()).expect("it is short");
        Duration::from_micros(self.next() % (most + 1))
    }
}
