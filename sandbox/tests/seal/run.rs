//! Starts a child and collects its status and output.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use caps::{CapSet, Capability};
use wave_sandbox::{LayerProbe, Presence};

/// Who starts the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Root,
    Nobody,
    Own,
}

pub const NOBODY: u32 = 65534;

/// Whether this kernel has a facility, by the name of its probe.
pub fn kernel_has(name: &str) -> bool {
    static FOUND: LazyLock<Vec<LayerProbe>> = LazyLock::new(wave_sandbox::probe);
    FOUND.iter().any(|entry| entry.name == name && matches!(entry.presence, Presence::Present(_)))
}

/// Whether this process has a capability, which root in a container may lack.
pub fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).expect("own capabilities")
}

impl User {
    pub fn available() -> &'static [Self] {
        if nix::unistd::geteuid().is_root() { &[Self::Root, Self::Nobody] } else { &[Self::Own] }
    }

    fn runs(self, command: &mut Command) {
        if self == Self::Nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
    }
}

/// A copy of this binary where every user may run it.
static BINARY: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let places = [std::env::temp_dir(), "/var/tmp".into(), env!("CARGO_TARGET_TMPDIR").into()];
    // Temporary files may be on a file system that does not execute programs.
    let place = places.iter().find_map(|place| {
        let dir = tempfile::tempdir_in(place).ok()?;
        set_mode(dir.path(), 0o755);
        let copy = dir.path().join("seal-test");
        std::fs::copy(std::env::current_exe().expect("own path"), &copy).expect("copy of the test binary");
        set_mode(&copy, 0o755);
        let runs = |user: &User| {
            let mut command = Command::new(&copy);
            user.runs(&mut command);
            command.arg("none of the cases").current_dir("/").output().is_ok_and(|output| output.status.success())
        };
        User::available().iter().all(runs).then_some((dir, copy))
    });
    place.unwrap_or_else(|| panic!("in none of {places:?} every user may run programs"))
});

/// A directory that everyone may change.
pub fn open_to_all() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    set_mode(dir.path(), 0o777);
    dir
}

pub fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("own file");
}

pub fn command(user: User, args: &[&str]) -> Command {
    let mut command = Command::new(&BINARY.1);
    command.arg("--child").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    user.runs(&mut command);
    command
}

pub fn start(user: User, args: &[&str]) -> Child {
    command(user, args).spawn().expect("a child")
}

/// Status and output of a child.
#[derive(Debug)]
pub struct Outcome {
    /// Exit status, or 128 + signal as a shell has it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn run(user: User, args: &[&str]) -> Outcome {
    outcome(&start(user, args).wait_with_output().expect("output of the child"))
}

pub fn outcome(output: &Output) -> Outcome {
    let status = output.status;
    Outcome {
        status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Asserts the status of a child, and shows all of it when it is another.
#[track_caller]
pub fn expect(user: User, args: &[&str], status: i32) -> Outcome {
    let outcome = run(user, args);
    assert_eq!(outcome.status, status, "{args:?}: {outcome:#?}");
    outcome
}
