//! containerd with directories of its own, driven by `ctr`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use wave_test_support::containers::podman::Podman;
use wave_test_support::containers::scene::{Scene, until};
use wave_test_support::{Outcome, assert_tree, c_example, fill, has_program, open_to_all};

const ADDRESS: &str = "/dev/shm/containerd/socket";
const IMAGE: &str = "localhost/guests:latest";

/// A daemon beside a podman, which makes the image of all guests.
struct Containerd {
    podman: Podman,
    daemon: Child,
}

impl Containerd {
    fn new() -> Option<Self> {
        let has = |name| has_program(&mut Command::new(name), "containerd");
        if !has("containerd") || !has("ctr") {
            return None;
        }
        let podman = Podman::new()?;
        let (configuration, archive) = (podman.scene.path("config.toml"), podman.scene.path("guests.oci.tar"));
        let text = format!(
            "version = 2\nroot = \"/dev/shm/containerd/root\"\nstate = \"/dev/shm/containerd/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{ADDRESS}\"\n"
        );
        fs::write(&configuration, text).expect("own directory");
        let mut daemon = podman.scene.command("containerd");
        daemon
            .args(["--log-level", "error", "--config"])
            .arg(configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let daemon = podman.scene.spawn(&mut daemon);
        let containerd = Self { podman, daemon };
        until("the daemon", || containerd.ctr(&["version"]).status.success().then_some(()));
        let archive = archive.display().to_string();
        containerd.podman.does(&["save", "--quiet", "--format", "oci-archive", "--output", &archive, "guests"]);
        let imported = containerd.ctr(&["images", "import", &archive]);
        assert!(imported.status.success(), "{imported:?}");
        Some(containerd)
    }

    fn scene(&self) -> &Scene {
        &self.podman.scene
    }

    fn ctr_command(&self, args: &[&str]) -> Command {
        let mut command = self.scene().command("ctr");
        command.args(["--address", ADDRESS]).args(args);
        command
    }

    fn ctr(&self, args: &[&str]) -> Outcome {
        self.scene().run(&mut self.ctr_command(args))
    }

    /// A command that runs a container with a name.
    fn run_command(&self, name: &str, flags: &[&str], guest: &[&str]) -> Command {
        let runtime = self.scene().runtime().display().to_string();
        let usual = ["run", "--runc-binary", &runtime, "--cgroup", &format!("{}/{name}", self.scene().cgroup())];
        self.ctr_command(&[&usual, flags, &[IMAGE, name], guest].concat())
    }

    /// Runs a container to its end and removes it.
    fn run(&self, name: &str, flags: &[&str], guest: &[&str]) -> Outcome {
        self.scene().run(&mut self.run_command(name, &[&["--rm"], flags].concat(), guest))
    }

    /// Ends the daemon; then nothing may be left.
    #[track_caller]
    fn ends(mut self) {
        self.ctr(&["containers", "list", "--quiet"]).is(0, "", "");
        kill(Pid::from_raw(self.daemon.id().cast_signed()), Signal::SIGTERM).expect("own child");
        assert!(self.daemon.wait().expect("own child").success());
        self.podman.ends();
    }
}

#[test]
fn hello_and_exit_codes() {
    let Some(containerd) = Containerd::new() else { return };
    containerd.run("hello", &[], &["/hello.wasm"]).is(0, "hello\n", "");
    containerd.run("fails", &[], &["/exit.wasm", "42"]).is(42, "", "");
    containerd.run("traps", &[], &["/trap.wasm"]).is_trap("unreachable", &["parse_line", "load_config", "_start"]);
    containerd.ends();
}

#[test]
fn errors_are_printed() {
    let Some(containerd) = Containerd::new() else { return };
    let run = containerd.run("broken", &[], &["/broken.wasm"]);
    assert!(!run.status.success() && run.stderr.contains("broken.wasm"), "{run:?}");
    containerd.ends();
}

#[test]
fn mounts_are_read_only_or_not() {
    let Some(containerd) = Containerd::new() else { return };
    if c_example("cp").is_none() {
        return;
    }
    let (data, out) = (containerd.scene().path("data"), containerd.scene().path("out"));
    for dir in [&data, &out] {
        fs::create_dir(dir).expect("own directory");
        open_to_all(dir);
    }
    fill(&data, &[("in", "of the host\n")]);
    let flag = |from: &Path, to: &str, access: &str| {
        format!("--mount=type=bind,src={},dst={to},options=rbind:{access}", from.display())
    };
    let (data_flag, out_flag) = (flag(&data, "/data", "ro"), flag(&out, "/out", "rw"));
    let flags = [&*data_flag, &out_flag];
    containerd.run("copies", &flags, &["/cp.wasm", "/data/in", "/out/copy"]).is(0, "", "");
    let refused = containerd.run("refused", &flags, &["/cp.wasm", "/data/in", "/data/copy"]);
    assert_eq!((refused.status.code(), &*refused.stdout), (Some(1), ""), "{refused:?}");
    assert_tree(&data, &["in: of the host\\n"]);
    assert_tree(&out, &["copy: of the host\\n"]);
    containerd.ends();
}

#[test]
fn kill_then_delete() {
    let Some(containerd) = Containerd::new() else { return };
    for (signal, code) in [("SIGKILL", 137), ("SIGTERM", 143)] {
        let started = containerd.scene().run(&mut containerd.run_command("one", &["--detach"], &["/wait.wasm"]));
        assert_eq!(started.status.code(), Some(0), "{started:?}");
        assert!(listed(&containerd).contains("RUNNING"), "{}", listed(&containerd));
        let refused = containerd.ctr(&["tasks", "delete", "one"]);
        assert!(!refused.status.success(), "{refused:?}");
        containerd.ctr(&["tasks", "kill", "--signal", signal, "one"]).is(0, "", "");
        until("the end", || listed(&containerd).contains("STOPPED").then_some(()));
        let deleted = containerd.ctr(&["tasks", "delete", "one"]);
        assert!(deleted.stderr.contains(&format!("exit code {code}")), "{deleted:?}");
        containerd.ctr(&["containers", "delete", "one"]).is(0, "", "");
    }
    containerd.ends();
}

fn listed(containerd: &Containerd) -> String {
    containerd.ctr(&["tasks", "list"]).stdout
}
