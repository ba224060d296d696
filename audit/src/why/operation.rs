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
    /// Make a file, to write at its end.
    Create,
    /// Empty a file.
    Truncate,
    /// Remove a file or a link.
    Delete,
    /// List a directory.
    List,
    /// Ask for type, size and times.
    Stat,
    /// Set times.
    Times,
    /// Make a directory.
    Mkdir,
    /// Remove a directory.
    Rmdir,
    /// Rename within the directory.
    Rename,
    /// Give another name within the directory.
    Link,
    /// Make a symbolic link.
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
        (Self::Create, "create", "Make a file, to write at its end"),
        (Self::Truncate, "truncate", "Empty a file"),
        (Self::Delete, "delete", "Remove a file or a link"),
        (Self::List, "list", "List a directory"),
        (Self::Stat, "stat", "Ask for type, size and times"),
        (Self::Times, "times", "Set times"),
        (Self::Mkdir, "mkdir", "Make a directory"),
        (Self::Rmdir, "rmdir", "Remove a directory"),
        (Self::Rename, "rename", "Rename within the directory"),
        (Self::Link, "link", "Give another name within the directory"),
        (Self::Symlink, "symlink", "Make a symbolic link"),
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
