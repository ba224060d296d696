//! Starts a child and collects what came of it.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

/// Who starts the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Root,
    Nobody,
    Own,
}

pub const NOBODY: u32 = 65534;

impl User {
    pub fn available() -> &'static [Self] {
        if nix::unistd::geteuid().is_root() { &[Self::Root, Self::Nobody] } else { &[Self::Own] }
    }
}

/// A copy of this binary where every user may run it.
static BINARY: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = open_to_all();
    let copy = dir.path().join("seal-test");
    std::fs::copy(std::env::current_exe().expect("own path"), &copy).expect("copy of the test binary");
    (dir, copy)
});

/// A directory in which everyone may do everything.
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
    if user == User::Nobody {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

pub fn start(user: User, args: &[&str]) -> Child {
    command(user, args).spawn().expect("a child")
}

/// What came of a child.
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
