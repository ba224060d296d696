//! What a cgroup uses and has used.

use std::path::Path;

use serde::Serialize;

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::files;
use crate::layout::Version;

/// What a cgroup uses and has used. `None` where the kernel does not count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Memory in use.
    pub memory_bytes: Option<u64>,
    /// The most memory that was in use at once. cgroup v2 tells it since Linux 5.19.
    pub memory_peak_bytes: Option<u64>,
    /// CPU time of all processes, in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// Tasks: processes and their threads.
    pub tasks: Option<u64>,
    /// Processes that the kernel killed because memory met its limit.
    pub oom_kills: Option<u64>,
}

impl Cgroup {
    /// What the cgroup uses and has used. Read it before [`Self::delete`].
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read. A cgroup that is gone has used nothing.
    pub fn stats(&self) -> Result<Stats, Error> {
        let one = |controller, v1: &dyn Fn(&Path) -> Number, v2: &dyn Fn(&Path) -> Number| match self
            .controlled(controller)?
        {
            Some((path, Version::V1)) => v1(path),
            Some((path, Version::V2)) => v2(path),
            None => Ok(None),
        };
        Ok(Stats {
            memory_bytes: one("memory", &|at| number(at, "memory.usage_in_bytes"), &|at| number(at, "memory.current"))?,
            memory_peak_bytes: one("memory", &|at| number(at, "memory.max_usage_in_bytes"), &|at| {
                number(at, "memory.peak")
            })?,
            cpu_ns: self.cpu_time()?,
            tasks: one("pids", &|at| number(at, "pids.current"), &|at| number(at, "pids.current"))?,
            oom_kills: one("memory", &|at| files::number_of(&at.join("memory.oom_control"), "oom_kill"), &|at| {
                files::number_of(&at.join("memory.events"), "oom_kill")
            })?,
        })
    }

    /// Processes of the cgroup that the kernel killed because memory met its limit.
    ///
    /// # Errors
    /// As [`Self::stats`].
    pub fn oom_kills(&self) -> Result<u64, Error> {
        Ok(self.stats()?.oom_kills.unwrap_or(0))
    }

    /// cgroup v2 counts CPU time in every cgroup.
    fn cpu_time(&self) -> Number {
        if let Some(directory) = self.directory("cpuacct", Some(Version::V1))? {
            return number(&directory.path, "cpuacct.usage");
        }
        match self.unified() {
            Some(directory) => {
                let microseconds = files::number_of(&directory.path.join("cpu.stat"), "usage_usec")?;
                Ok(microseconds.and_then(|time| time.checked_mul(1000)))
            }
            None => Ok(None),
        }
    }

    fn controlled(&self, controller: &str) -> Result<Option<(&Path, Version)>, Error> {
        Ok(self.directory(controller, None)?.map(|directory| (directory.path.as_path(), directory.version)))
    }
}

/// A number, if the kernel has it.
type Number = Result<Option<u64>, Error>;

fn number(directory: &Path, file: &str) -> Number {
    Ok(files::read_if_present(&directory.join(file))?.and_then(|text| text.parse().ok()))
}
