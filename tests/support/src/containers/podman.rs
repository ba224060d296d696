//! podman with a store, a configuration and a runtime of its own.

use std::path::Path;
use std::process::Command;

use super::guests;
use super::scene::{Scene, until};
use crate::Outcome;

/// A `containers.conf` with this runtime, and with more lines about the engine.
pub fn configuration(runtime: &Path, engine: &str) -> String {
    // Without CAP_SYS_RESOURCE nobody gets podman's usual limits.
    format!(
        r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "wave-oci"
runtime_supports_json = ["wave-oci"]
runtime_supports_nocgroup = ["wave-oci"]
{engine}
[engine.runtimes]
wave-oci = ["{}"]
"#,
        runtime.display()
    )
}

/// podman in a scene, with one image of all guests.
pub struct Podman {
    /// Its host.
    pub scene: Scene,
}

impl Podman {
    /// `None`, said on stderr, where it cannot work.
    pub fn new() -> Option<Self> {
        let scene = Scene::new(&[("podman", "podman"), ("conmon", "conmon"), ("iptables", "iptables")])?;
        let configuration = configuration(&scene.runtime(), "tmp_dir = \"/dev/shm/podman\"");
        std::fs::write(scene.path("containers.conf"), configuration).expect("own directory");
        let podman = Self { scene };
        podman.does(&["import", "-q", &guests::archive().display().to_string(), "guests"]);
        Some(podman)
    }

    /// Any command.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.scene.command("podman");
        command.args(["--root", "/dev/shm/store", "--runroot", "/dev/shm/store.run"]).args(args);
        command
    }

    /// What a command prints and how it ends.
    pub fn tries(&self, args: &[&str]) -> Outcome {
        self.scene.run(&mut self.command(args))
    }

    /// What a command that has to work prints.
    #[track_caller]
    pub fn does(&self, args: &[&str]) -> String {
        let run = self.tries(args);
        assert_eq!(run.status.code(), Some(0), "podman {args:?}: {run:?}");
        run.stdout
    }

    /// A command that runs a container: `flags`, then a guest with its arguments.
    pub fn run_command(&self, flags: &[&str], guest: &[&str]) -> Command {
        let cgroup = self.scene.cgroup();
        let usual = ["run", "--cgroup-parent", &cgroup];
        self.command(&[&usual, flags, &["guests"], guest].concat())
    }

    /// Runs a container to its end and removes it.
    pub fn run(&self, flags: &[&str], guest: &[&str]) -> Outcome {
        self.scene.run(&mut self.run_command(&[&["--rm"], flags].concat(), guest))
    }

    /// Starts a container in the background, which others call by its name.
    #[track_caller]
    pub fn start(&self, name: &str, flags: &[&str], guest: &[&str]) {
        let started = self.scene.run(&mut self.run_command(&[&["-d", "--name", name], flags].concat(), guest));
        assert_eq!(started.status.code(), Some(0), "{flags:?} {guest:?}: {started:?}");
    }

    /// One thing that podman knows of a container.
    #[track_caller]
    pub fn inspect(&self, name: &str, what: &str) -> String {
        self.does(&["inspect", "--format", &format!("{{{{.{what}}}}}"), name]).trim().to_owned()
    }

    /// The process of a running container, by its id outside.
    #[track_caller]
    pub fn process(&self, name: &str) -> u32 {
        let within: u32 = self.inspect(name, "State.Pid").parse().expect("a number");
        assert_ne!(within, 0, "{name} does not run");
        until("the process", || self.scene.outside(within))
    }

    /// Waits until a container has printed a line.
    #[track_caller]
    pub fn has_printed(&self, name: &str, line: &str) {
        until(line, || self.does(&["logs", name]).lines().any(|seen| seen == line).then_some(()));
    }

    /// How a container has ended, once it has.
    #[track_caller]
    pub fn exit_code(&self, name: &str) -> i32 {
        until("the end", || (self.inspect(name, "State.Status") == "exited").then_some(()));
        self.inspect(name, "State.ExitCode").parse().expect("a number")
    }

    /// Removes all containers; then nothing may be left.
    #[track_caller]
    pub fn ends(self) {
        self.does(&["rm", "--force", "--time", "0", "--all"]);
        assert_eq!(self.does(&["ps", "--all", "--quiet"]), "");
        self.scene.is_clean();
    }
}

/// A volume's flag: from where, to where, and how.
pub fn volume(from: &Path, to: &str, access: &str) -> String {
    format!("--volume={}:{to}:{access}", from.display())
}
