//! The state directory of a container, and what it tells of the container's status.
//!
//! | file | what |
//! |---|---|
//! | `lock` | locked by the command that changes the container |
//! | `config.json` | the configuration that `create` has read; later changes of the bundle have no effect |
//! | `planned.json` | the state before anything is made |
//! | `made.json` | the state with the cgroup and the process, which loads the program |
//! | `state.json` | the state with the program loaded, if it waits for `start` |
//! | `waiting` | locked by the process of the container until it enters the program, so that the kernel keeps the status |
//! | `start` | a socket where that process waits for `start` |

use crate::failure::cannot_at;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use wave_cgroups::Cgroup;
use wave_engine::Failure;

/// Longer names are refused: they are file names.
const MAX_ID_BYTES: usize = 255;

/// A state is no larger.
const MAX_STATE_BYTES: u64 = 16 << 20;

/// How far `create` is. Each step has a file of its own, which is written once: a file system on a disk may wait for a file that takes
/// the place of another (ext4, `auto_da_alloc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is made.
    Planned,
    /// The cgroup is made, and the process is there.
    Made,
    /// Its program is loaded, and waits for `start`.
    Loaded,
}

impl Step {
    const LAST_FIRST: [Self; 3] = [Self::Loaded, Self::Made, Self::Planned];

    const fn file(self) -> &'static str {
        match self {
            Self::Planned => "planned.json",
            Self::Made => "made.json",
            Self::Loaded => "state.json",
        }
    }
}

/// The version of the specification that states follow.
pub const VERSION: &str = "1.2.0";

/// The directory with the state of all containers.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// The directory that was named, or the usual one: `/run/wave-oci`, for ordinary users in `XDG_RUNTIME_DIR`.
    ///
    /// # Errors
    /// 125 if an ordinary user has no such directory.
    pub fn new(named: Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(path) = named {
            return Ok(Self(path));
        }
        if nix::unistd::geteuid().is_root() && !in_user_namespace() {
            return Ok(Self("/run/wave-oci".into()));
        }
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let runtime = runtime.ok_or_else(|| {
            Failure::refused("there is no directory for the state of containers")
                .fix("name one by --root, or set XDG_RUNTIME_DIR")
        })?;
        Ok(Self(runtime.join("wave-oci")))
    }

    /// The names of all containers, sorted.
    ///
    /// # Errors
    /// 125 if the directory cannot be read.
    pub fn ids(&self) -> Result<Vec<String>, Failure> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(cannot_at("read", &self.0, &error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| check_id(name).is_ok()).collect();
        names.sort();
        Ok(names)
    }
}

/// Whether this process is in a user namespace that somebody made: it is root of that, at most.
pub fn in_user_namespace() -> bool {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let words: Vec<_> = map.split_ascii_whitespace().collect();
        words != ["0", "0", "4294967295"]
    });
    *FOUND
}

/// What a container does. Source: runtime.md, "State".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` has not ended.
    Creating,
    /// The process waits for `start`.
    Created,
    /// The program runs.
    Running,
    /// The program was frozen.
    Paused,
    /// The process has ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    /// The bundle, absolute.
    pub bundle: PathBuf,
    /// When `create` began, as RFC 3339.
    pub created: String,
    /// The annotations of the configuration.
    pub annotations: BTreeMap<String, String>,
    /// The cgroup, from before it is made.
    pub cgroup: Cgroup,
    /// Whether it was made. Before that, the processes in it are somebody else's.
    pub has_cgroup: bool,
    /// The most memory that the policy gives it.
    pub max_rss: Option<u64>,
    /// The process.
    pub process: Option<ProcessId>,
    /// Whether the process was still loading its program.
    #[serde(default)]
    pub is_loading: bool,
}

impl State {
    /// The state as JSON, as callers and hooks get it. Source: runtime.md, "State".
    pub fn describe(&self, id: &str, status: &str, pid: Option<i32>) -> String {
        let mut state = serde_json::json!({
            "ociVersion": VERSION,
            "id": id,
            "status": status,
            "bundle": self.bundle,
            "annotations": self.annotations,
        });
        if let (Some(pid), Some(object)) = (pid, state.as_object_mut()) {
            object.insert("pid".to_owned(), pid.into());
        }
        state.to_string()
    }
}

/// A process, told apart from later ones with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since the system did. Source: proc_pid_stat(5), field 22.
    pub started: u64,
}

impl ProcessId {
    /// The process with this number. `None` if it has ended.
    pub fn of(pid: i32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, which may have any character, ends at the last parenthesis.
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Self { pid, started })
    }

    /// Whether it has not ended.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// The state directory of one container.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The name of the container.
    pub id: String,
    path: PathBuf,
}

/// The right to change a container, until the last process closes it.
pub type Lock = OwnedFd;

impl Directory {
    /// The directory of a container, which may not exist.
    ///
    /// # Errors
    /// 2 for a name that is no file name.
    pub fn new(root: &Root, id: &str) -> Result<Self, Failure> {
        check_id(id)?;
        Ok(Self { id: id.to_owned(), path: root.0.join(id) })
    }

    /// Creates the directory and locks it.
    ///
    /// # Errors
    /// 125 if the container exists.
    pub fn create(&self) -> Result<Lock, Failure> {
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700);
        if let Some(root) = self.path.parent() {
            builder.recursive(true).create(root).map_err(|error| cannot_at("create", root, &error))?;
        }
        builder.recursive(false).create(&self.path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Failure::refused(format!("a container `{}` exists", self.id)).fix("choose another name, or delete it")
            }
            _ => cannot_at("create", &self.path, &error),
        })?;
        self.lock()
    }

    /// Waits for other commands that change the container.
    ///
    /// # Errors
    /// 125 if there is no such container.
    pub fn lock(&self) -> Result<Lock, Failure> {
        let path = self.path.join("lock");
        loop {
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
            let file = file.map_err(|error| self.missing(&error))?;
            rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
                .map_err(|errno| cannot_at("lock", &path, errno))?;
            // The command before may have deleted the container.
            if self.is_locked_by(file.as_fd()).map_err(|errno| self.missing(&errno.into()))? {
                return Ok(file.into());
            }
        }
    }

    /// Locks it again by the lock of [`create`](Self::create), and answers whether it is still the same container.
    ///
    /// # Errors
    /// 125 if the kernel refuses.
    pub fn lock_again(&self, lock: &Lock) -> Result<bool, Failure> {
        rustix::io::retry_on_intr(|| flock(lock, FlockOperation::LockExclusive))
            .map_err(|errno| cannot_at("lock", &self.path, errno))?;
        Ok(self.is_locked_by(lock.as_fd()).unwrap_or(false))
    }

    /// Whether the lock is that of the container that there is now.
    fn is_locked_by(&self, lock: BorrowedFd<'_>) -> Result<bool, Errno> {
        let (held, now) = (rustix::fs::fstat(lock)?, rustix::fs::stat(self.path.join("lock"))?);
        Ok((held.st_dev, held.st_ino) == (now.st_dev, now.st_ino))
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    fn missing(&self, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::NotFound => Failure::refused(format!("there is no container `{}`", self.id))
                .fix("list all by `wave oci list`, or name their directory by --root"),
            _ => cannot_at("use", &self.path, error),
        }
    }

    /// Writes a file of the directory at once.
    ///
    /// # Errors
    /// 125 if the file system refuses.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        write_at_once(&self.path.join(name), bytes).map_err(|error| cannot_at("write", &self.path.join(name), &error))
    }

    /// Writes the state.
    ///
    /// # Errors
    /// 125 if the file system refuses.
    pub fn save(&self, step: Step, state: &State) -> Result<(), Failure> {
        let text = serde_json::to_vec(state).map_err(|error| Failure::refused(error.to_string()))?;
        self.write(step.file(), &text)
    }

    /// Reads the state. `None` if `create` has not written it.
    ///
    /// # Errors
    /// 125 if there is no such container or its state is damaged.
    pub fn state(&self) -> Result<Option<State>, Failure> {
        for step in Step::LAST_FIRST {
            let path = self.path.join(step.file());
            let bytes = match read_bounded(&path, MAX_STATE_BYTES) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(self.missing(&error)),
            };
            return serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                Failure::refused(format!("damaged state: {error}"))
                    .at(path.display().to_string())
                    .fix("delete --force the container")
            });
        }
        if self.exists() { Ok(None) } else { Err(self.missing(&io::ErrorKind::NotFound.into())) }
    }

    /// The configuration that `create` has read.
    ///
    /// # Errors
    /// As [`Config::read`](crate::config::Config::read).
    pub fn config(&self) -> Result<crate::config::Config, Failure> {
        crate::config::Config::read(&self.path)
    }

    /// What the container does.
    pub fn status(&self, state: &State) -> Status {
        let Some(process) = state.process else { return Status::Creating };
        if !process.is_alive() {
            return Status::Stopped;
        }
        let waiting = File::open(self.path.join("waiting"));
        match waiting.map(|file| flock(&file, FlockOperation::NonBlockingLockShared)) {
            Ok(Err(_)) if state.is_loading => Status::Creating,
            Ok(Err(_)) => Status::Created,
            _ if state.cgroup.is_frozen().unwrap_or(false) => Status::Paused,
            _ => Status::Running,
        }
    }

    /// A file that is locked as long as a process has it.
    ///
    /// # Errors
    /// 125 if the file system refuses.
    pub fn waiting(&self) -> Result<OwnedFd, Failure> {
        let path = self.path.join("waiting");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| cannot_at("create", &path, &error))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| cannot_at("lock", &path, errno))?;
        Ok(OwnedFd::from(file))
    }

    /// The path of the socket where the process waits, short enough for any directory. It is valid as long as the descriptor.
    ///
    /// # Errors
    /// 125 if the directory cannot be opened.
    pub fn socket(&self) -> Result<(OwnedFd, PathBuf), Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, &self.path, flags, Mode::empty());
        let fd = fd.map_err(|errno| self.missing(&errno.into()))?;
        let path = format!("/proc/self/fd/{}/start", std::os::fd::AsRawFd::as_raw_fd(&fd));
        Ok((fd, path.into()))
    }

    /// Removes the directory.
    ///
    /// # Errors
    /// 125 if the file system refuses.
    pub fn remove(&self) -> Result<(), Failure> {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot_at("remove", &self.path, &error)),
            _ => Ok(()),
        }
    }
}

/// Names of containers are file names of a limited alphabet, as those of runc.
fn check_id(id: &str) -> Result<(), Failure> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    let valid = !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(allowed) && id != "." && id != "..";
    match valid {
        true => Ok(()),
        false => Err(Failure::usage(format!("{id:?} is no name for a container"))
            .fix("use letters, digits and `_ + - .`, at most 255 of them")),
    }
}

/// Writes a file that is whole or not there.
pub fn write_at_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let unfinished = path.with_file_name(name);
    std::fs::write(&unfinished, bytes)?;
    std::fs::rename(&unfinished, path)
}

/// Reads a file that is not too large.
pub fn read_bounded(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let len = file.metadata().map_or(0, |found| found.len().min(max_bytes));
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {max_bytes} bytes"))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_names() {
        for id in ["a", "A-b_c.d+1", "..a", &"x".repeat(255)] {
            assert!(check_id(id).is_ok(), "{id}");
        }
        for id in ["", ".", "..", "a/b", "a\0", "ä", "a b", &"x".repeat(256)] {
            assert_eq!(check_id(id).unwrap_err().code(), 2, "{id}");
        }
    }

    #[test]
    fn this_process_is_alive_and_another_of_its_number_is_not_it() {
        let this = ProcessId::of(std::process::id().cast_signed()).unwrap();
        assert!(this.is_alive());
        assert!(!ProcessId { started: this.started + 1, ..this }.is_alive());
    }

    fn state() -> State {
        State {
            bundle: "/b".into(),
            created: String::new(),
            annotations: BTreeMap::new(),
            cgroup: Cgroup::none(),
            has_cgroup: false,
            max_rss: None,
            process: None,
            is_loading: true,
        }
    }

    #[test]
    fn the_lock_of_the_process_and_what_was_saved_are_the_status() {
        let dir = tempfile::tempdir().unwrap();
        let container = Directory::new(&Root::new(Some(dir.path().to_owned())).unwrap(), "one").unwrap();
        drop(container.create().unwrap());
        let waiting = container.waiting().unwrap();
        let mut state = state();
        assert_eq!(container.status(&state), Status::Creating);
        state.process = ProcessId::of(std::process::id().cast_signed());
        assert_eq!(container.status(&state), Status::Creating);
        state.is_loading = false;
        assert_eq!(container.status(&state), Status::Created);
        drop(waiting);
        assert_eq!(container.status(&state), Status::Running);
        state.is_loading = true;
        assert_eq!(container.status(&state), Status::Running, "`run` saves it once");
        state.process = state.process.map(|process| ProcessId { started: process.started + 1, ..process });
        assert_eq!(container.status(&state), Status::Stopped);
    }

    #[test]
    fn a_lock_is_that_of_one_container() {
        let dir = tempfile::tempdir().unwrap();
        let container = Directory::new(&Root::new(Some(dir.path().to_owned())).unwrap(), "one").unwrap();
        let lock = container.create().unwrap();
        assert!(container.lock_again(&lock).unwrap());
        container.remove().unwrap();
        assert!(!container.lock_again(&lock).unwrap());
        let other = container.create().unwrap();
        assert!(!container.lock_again(&lock).unwrap());
        assert!(container.lock_again(&other).unwrap());
    }

    #[test]
    fn a_container_is_created_once_and_removed_as_often_as_asked() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(Some(dir.path().join("root"))).unwrap();
        let container = Directory::new(&root, "one").unwrap();
        assert_eq!(container.lock().unwrap_err().code(), 125);
        drop(container.create().unwrap());
        assert!(container.create().unwrap_err().to_string().contains("a container `one` exists"));
        assert_eq!(root.ids().unwrap(), ["one"]);
        assert!(container.state().unwrap().is_none());
        let mut state = state();
        for (step, pid) in [(Step::Planned, 1), (Step::Made, 2), (Step::Loaded, 3)] {
            state.process = Some(ProcessId { pid, started: 0 });
            container.save(step, &state).unwrap();
            assert_eq!(container.state().unwrap().unwrap().process, state.process, "the newest counts");
        }
        container.remove().unwrap();
        container.remove().unwrap();
        assert_eq!(root.ids().unwrap(), [""; 0]);
    }
}
