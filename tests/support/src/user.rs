//! Users that run `wave`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::{as_root, cannot_run, has_program};

/// The id of an ordinary user that every system has.
pub const NOBODY: u32 = 65534;

/// Who runs `wave`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Root, who runs these tests.
    Root,
    /// An ordinary user, started by root.
    Nobody,
    /// The one who runs these tests, not root.
    Own,
}

impl User {
    /// Both as root, else the one there is.
    pub fn available() -> &'static [Self] {
        if as_root() { &[Self::Root, Self::Nobody] } else { &[Self::Own] }
    }

    /// Those of [`Self::available`] who have Python, for what runs around `wave` there.
    pub fn with_python() -> impl Iterator<Item = &'static Self> {
        Self::available().iter().filter(|user| user.has_program("python3", "python3"))
    }

    /// Whether a program is there for this user; if it is not, that is said.
    pub fn has_program(self, name: &str, package: &str) -> bool {
        has_program(&mut self.command(name), package)
    }

    /// Whether the kernel makes user namespaces for this user; if it does not, that is said.
    pub fn has_user_namespaces(self) -> bool {
        let mut command = self.command("unshare");
        let output = command.args(["--user", "--map-root-user", "true"]).output();
        let has = output.as_ref().is_ok_and(|output| output.status.success());
        if !has {
            cannot_run(&format!("{self:?} gets no user namespace: {output:?}"));
        }
        has
    }

    fn command(self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.runs(&mut command);
        command
    }

    /// Makes a command this user's.
    pub fn runs(self, command: &mut Command) {
        if self == Self::Nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
    }
}
