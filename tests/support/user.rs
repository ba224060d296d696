//! Users that run `wave`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::as_root;

pub const NOBODY: u32 = 65534;

/// Who runs `wave`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
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

    /// Makes a command this user's.
    pub fn runs(self, command: &mut Command) {
        if self == Self::Nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
    }
}
