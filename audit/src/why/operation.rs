//! Operations on paths.

/// Operations on paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read a file.
    Read,
    /// Write anywhere in a file.
    Write,
    /// Write at the end of a file.
    Append,
    /// Create a file and append to it.
    Create,
    /// Truncate a file.
    Truncate,
    /// Remove a file or a link.
    Delete,
    /// List a directory.
    List,
    /// Read type, size and times.
    Stat,
    /// Set times.
    Times,
    /// Create a directory.
    Mkdir,
    /// Remove a directory.
    Rmdir,
    /// Rename within the directory.
    Rename,
    /// Create a hard link within the directory.
    Link,
    /// Create a symbolic link.
    Symlink,
    /// Read a symbolic link.
    Readlink,
}

impl Operation {
    /// Every operation, with its name and what it does.
    pub const ALL: [(Self, &'static str, &'static str); 15] = [
        (Self::Read, "read", "Read a file"),
        (Self::Write, "write", "Write anywhere in a file"),
        (Self::Append, "append", "Write at the end of a file"),
        (Self::Create, "create", "Create a file and append to it"),
        (Self::Truncate, "truncate", "Truncate a file"),
        (Self::Delete, "delete", "Remove a file or a link"),
        (Self::List, "list", "List a directory"),
        (Self::Stat, "stat", "Read type, size and times"),
        (Self::Times, "times", "Set times"),
        (Self::Mkdir, "mkdir", "Create a directory"),
        (Self::Rmdir, "rmdir", "Remove a directory"),
        (Self::Rename, "rename", "Rename within the directory"),
        (Self::Link, "link", "Create a hard link within the directory"),
        (Self::Symlink, "symlink", "Create a symbolic link"),
        (Self::Readlink, "readlink", "Read a symbolic link"),
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(operation, ..)| *operation == self).map_or("", |(_, name, _)| name)
    }

    /// The operation of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, other, _)| *other == name).map(|(operation, ..)| *operation)
    }
}
