//! Freezing and ending all processes of a cgroup.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::files;
use crate::layout::Version;

/// How often a state is looked at again, and how long between: about four seconds.
const ATTEMPTS: u32 = 2000;
const PAUSE: Duration = Duration::from_millis(2);

/// What can freeze a cgroup.
enum Freezer<'a> {
    V1(&'a Path),
    V2(&'a Path),
}

impl Cgroup {
    /// Stops all processes, until [`Self::thaw`].
    ///
    /// # Errors
    /// [`Error::Late`] if one does not stop: then all run again. [`Error::None`] without a cgroup that can freeze.
    pub fn freeze(&self) -> Result<(), Error> {
        let freezer = freezer(self)?.ok_or(Error::None("freeze its processes"))?;
        let frozen = match freezer {
            Freezer::V1(path) => freeze_v1(path),
            Freezer::V2(path) => freeze_v2(path),
        };
        frozen.inspect_err(|_| drop(self.thaw()))
    }

    /// Lets the processes run again.
    ///
    /// # Errors
    /// [`Error::Io`] if the kernel refuses, [`Error::None`] without a cgroup that can freeze.
    pub fn thaw(&self) -> Result<(), Error> {
        match freezer(self)?.ok_or(Error::None("thaw its processes"))? {
            Freezer::V1(path) => files::write(&path.join("freezer.state"), "THAWED"),
            Freezer::V2(path) => files::write(&path.join("cgroup.freeze"), "0"),
        }
    }

    /// Whether the cgroup itself was frozen.
    ///
    /// # Errors
    /// [`Error::Io`] if its state cannot be read. A cgroup that is gone is not frozen.
    pub fn is_frozen(&self) -> Result<bool, Error> {
        is_frozen(self)
    }

    /// Kills every process of the cgroup and its children, frozen ones too, and waits until they have left.
    ///
    /// # Errors
    /// [`Error::Late`] if some are there for seconds more, [`Error::None`] without a cgroup.
    pub fn kill_all(&self) -> Result<(), Error> {
        let first = self.directories.first().ok_or(Error::None("find its processes"))?;
        for attempt in 0..ATTEMPTS {
            if self.pids()?.is_empty() {
                return Ok(());
            }
            // Those that fork meanwhile are met in the next round.
            if attempt % 16 == 0 {
                self.kill_once()?;
            }
            sleep(PAUSE);
        }
        Err(Error::Late { path: first.path.clone(), what: "end" })
    }

    fn kill_once(&self) -> Result<(), Error> {
        if let Some(directory) = self.unified() {
            // Kernels since 5.14 kill all at once, so that none escapes by forking.
            match files::write(&directory.path.join("cgroup.kill"), "1") {
                Err(error) if !files::is_absent(&error) => return Err(error),
                _ => {}
            }
        }
        self.signal_all(Signal::KILL)?;
        // A process that cgroup v1 has frozen does not even die.
        match freezer(self)? {
            Some(Freezer::V1(path)) if is_frozen(self)? => files::write(&path.join("freezer.state"), "THAWED"),
            _ => Ok(()),
        }
    }

    /// Sends a signal to every process that is in the cgroup and its children now.
    fn signal_all(&self, signal: Signal) -> Result<(), Error> {
        let opened: Vec<(u32, OwnedFd)> = self.pids()?.into_iter().filter_map(open).collect();
        // A number that was free for another process between the list and the opening is not in the second list.
        let still = self.pids()?;
        for (pid, process) in opened.iter().filter(|(pid, _)| still.contains(pid)) {
            match pidfd_send_signal(process, signal) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => {
                    let path = Path::new("/proc").join(pid.to_string());
                    return Err(Error::io("kill", &path)(errno.into()));
                }
            }
        }
        Ok(())
    }
}

/// Nothing if the process is gone, or is in a pid namespace that is not seen from here (0).
fn open(pid: u32) -> Option<(u32, OwnedFd)> {
    let number = Pid::from_raw(pid.cast_signed())?;
    pidfd_open(number, PidfdFlags::empty()).ok().map(|process| (pid, process))
}

fn freezer(cgroup: &Cgroup) -> Result<Option<Freezer<'_>>, Error> {
    match cgroup.directory("freezer", Some(Version::V1))? {
        Some(directory) => Ok(Some(Freezer::V1(&directory.path))),
        None => Ok(cgroup.unified().map(|directory| Freezer::V2(&directory.path))),
    }
}

pub(crate) fn is_frozen(cgroup: &Cgroup) -> Result<bool, Error> {
    let state = match freezer(cgroup)? {
        None => None,
        // `freezer.state` tells of parents too.
        Some(Freezer::V1(path)) => files::read_if_present(&path.join("freezer.self_freezing"))?,
        Some(Freezer::V2(path)) => files::read_if_present(&path.join("cgroup.freeze"))?,
    };
    Ok(state.as_deref() == Some("1"))
}

/// A process that is being created while others freeze can leave cgroup v1 in the state FREEZING until the state is written again.
///
/// Source: kernel documentation, `cgroup-v1/freezer-subsystem.rst`; runc does the same.
fn freeze_v1(path: &Path) -> Result<(), Error> {
    let state = path.join("freezer.state");
    for attempt in 0..ATTEMPTS {
        if attempt % 50 == 49 {
            files::write(&state, "THAWED")?;
            sleep(PAUSE);
        }
        files::write(&state, "FROZEN")?;
        if files::read(&state)? == "FROZEN" {
            return Ok(());
        }
        sleep(PAUSE);
    }
    Err(Error::Late { path: path.to_owned(), what: "freeze" })
}

fn freeze_v2(path: &Path) -> Result<(), Error> {
    files::write(&path.join("cgroup.freeze"), "1")?;
    for _ in 0..ATTEMPTS {
        if files::number_of(&path.join("cgroup.events"), "frozen")? == Some(1) {
            return Ok(());
        }
        sleep(PAUSE);
    }
    Err(Error::Late { path: path.to_owned(), what: "freeze" })
}
