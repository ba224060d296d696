//! Why a cgroup could not be created or controlled.

use std::io;
use std::path::{Path, PathBuf};

/// Why a cgroup could not be created or controlled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `cgroupsPath` cannot be used.
    #[error("cannot use the cgroups path `{path}`: {why}")]
    Path {
        /// As it was given.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The cgroup would have to be a unit of the systemd that runs here.
    #[error("cannot create `{0}`: systemd runs here and would have to create it, which wave does not ask for")]
    Systemd(String),
    /// There is no cgroup file system.
    #[error("no cgroup file system is mounted")]
    NotMounted,
    /// A relative path begins at the caller's own cgroup, which cannot be seen.
    #[error("the cgroup of this process is not under `{0}`")]
    OwnUnseen(PathBuf),
    /// A property needs a controller that is absent.
    #[error("cannot apply `{property}`: the cgroup controller `{controller}` is not available")]
    Controller {
        /// As in `memory.limit`.
        property: String,
        /// As in `memory`.
        controller: String,
    },
    /// A property needs a file that the kernel does not have.
    #[error("cannot apply `{property}`: the kernel has no `{file}`")]
    NoFile {
        /// As in `memory.limit`.
        property: String,
        /// The file of the cgroup.
        file: String,
    },
    /// A property that this kind of cgroup does not have.
    #[error("cannot apply `{property}`: {why}")]
    Unsupported {
        /// As in `memory.limit`.
        property: String,
        /// What it lacks.
        why: &'static str,
    },
    /// The value of a property is wrong.
    #[error("cannot apply `{property}` = `{value}`: {why}")]
    Invalid {
        /// As in `memory.limit`.
        property: String,
        /// As it was given.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The kernel refused the value of a property.
    #[error("cannot apply `{property}`: the kernel refused `{value}` in {}", file.display())]
    Refused {
        /// As in `memory.limit`.
        property: String,
        /// What was written.
        value: String,
        /// The file of the cgroup.
        file: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// A memory limit is below what is in use.
    #[error("cannot apply `memory.limit` = {limit_bytes}: {usage_bytes} bytes are in use")]
    BelowUsage {
        /// The new limit.
        limit_bytes: u64,
        /// What is in use.
        usage_bytes: u64,
    },
    /// A file or directory of the cgroup file system could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// As in `create`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The cgroup exists and has processes.
    #[error("the cgroup {} exists and has {processes} processes", path.display())]
    Occupied {
        /// Its directory.
        path: PathBuf,
        /// How many.
        processes: usize,
    },
    /// The cgroup exists and is frozen.
    #[error("the cgroup {} exists and is frozen", .0.display())]
    Frozen(PathBuf),
    /// Some process did not stop, or did not end, in time.
    #[error("the processes of the cgroup {} did not {what} in time", path.display())]
    Late {
        /// Its directory.
        path: PathBuf,
        /// As in `freeze`.
        what: &'static str,
    },
    /// The container has no cgroup that could do this.
    #[error("cannot {0}: the container has no cgroup for it")]
    None(&'static str),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// The error number of the kernel.
    pub(crate) fn errno(&self) -> Option<rustix::io::Errno> {
        match self {
            Self::Io { source, .. } | Self::Refused { source, .. } => rustix::io::Errno::from_io_error(source),
            _ => None,
        }
    }

    /// Whether the caller's rights are why: an ordinary user may run a container without a cgroup instead, if nothing is limited.
    pub fn is_permission(&self) -> bool {
        use rustix::io::Errno;
        matches!(self.errno(), Some(Errno::ACCESS | Errno::PERM | Errno::ROFS))
    }

    /// What the user can do.
    pub fn fix(&self) -> &'static str {
        match self {
            _ if self.is_permission() => "let that directory belong to this user (delegate it), or run without limits",
            Self::Path { .. } => "write /DIR/NAME, DIR/NAME, or with --systemd-cgroup SLICE:PREFIX:NAME",
            Self::Systemd(_) => "let the caller use --cgroup-manager cgroupfs",
            Self::NotMounted | Self::OwnUnseen(_) => "mount the cgroup file system at /sys/fs/cgroup",
            Self::Controller { .. } | Self::NoFile { .. } => {
                "enable it in the kernel and in the parent cgroup, or drop the limit"
            }
            Self::Unsupported { .. } | Self::Invalid { .. } | Self::Refused { .. } => {
                "change that property, or drop it"
            }
            Self::BelowUsage { .. } => "choose a higher limit, or stop what uses the memory",
            Self::Io { .. } => "look at that directory and at what the kernel says",
            Self::Occupied { .. } | Self::Frozen(_) => "delete that cgroup, or name another one",
            Self::Late { .. } => "try again; a process may be waiting for a device",
            Self::None(_) => "give the container a cgroup: a `linux.cgroupsPath` that can be created",
        }
    }
}
