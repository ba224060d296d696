//! `--max-rss`: a bound on the memory of the whole process, and of the one that compiles.
//!
//! A control group of the run counts it. The process of the run creates and joins it before it reads anything, and cannot leave it once
//! it is sealed. The process that waits has chosen its name, and removes it: signals that ask for an end do not end that one. Without a
//! control group, RLIMIT_DATA is the nearest thing: RLIMIT_AS would count the 8 GiB that each linear memory reserves, and RLIMIT_RSS has
//! no effect (getrlimit(2)).

use crate::args::Run;
use crate::text::{chain, clean, note};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::{self, DirEntry};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wave_cgroups::{Cgroup, CgroupPath, Error, Layout, Memory, Resources};
use wave_engine::policy::PolicyDocument;
use wave_engine::{Engine, Failure, Limits};
use wave_policy::limits::Kind;
use wave_sandbox::{Ended, OUT_OF_MEMORY};

/// Where Linux has control groups.
const MOUNT: &str = "/sys/fs/cgroup";

/// How the names of the groups of runs begin. The number of the process that waits follows.
const PREFIX: &str = "wave-run-";

/// A group without processes that is older than this is not about to be joined.
const JOINED_WITHIN: Duration = Duration::from_secs(60);

/// A bound on memory.
pub struct MemoryBound {
    limit_bytes: u64,
    /// What sets it: the flag, or a line of the policy.
    place: String,
    /// `--cgroup`.
    parent: Option<String>,
    /// Where its control group will be, or why nowhere.
    group: Result<Place, Error>,
}

/// Where a control group will be.
struct Place {
    layout: Layout,
    path: CgroupPath,
    group: Cgroup,
}

impl MemoryBound {
    /// The bound that flags and policy ask for, before anything of the program is read.
    ///
    /// # Errors
    /// 2 for `--cgroup` without a limit, 125 for a control group that cannot be.
    pub fn of(run: &Run, policy: Option<&PolicyDocument>) -> Result<Option<Self>, Failure> {
        let limits = policy.map_or_else(Limits::default, |policy| policy.values.limits.clone());
        let of_policy = policy.filter(|_| run.limits.0.max_rss.is_none());
        let place = of_policy.and_then(|policy| policy.origin("limits.max-rss"));
        let place = place.unwrap_or_else(|| "--max-rss".to_owned());
        Self::new(run.limits.0.over(&limits).max_rss, place, run.cgroup.as_deref())
    }

    /// The bound that `place` sets. `parent` is the control group under which its own will be.
    fn new(limit: Option<u64>, place: String, parent: Option<&str>) -> Result<Option<Self>, Failure> {
        let at = || format!("--cgroup {}", clean(parent.unwrap_or_default()));
        let Some(limit_bytes) = limit else {
            let unused = || Failure::usage("a control group without a limit").at(at()).fix("add --max-rss, or drop it");
            return parent.map_or(Ok(None), |_| Err(unused()));
        };
        if parent.is_some_and(|path| path.starts_with(MOUNT)) {
            let what = format!("a control group is named from the root of its hierarchy, without {MOUNT}");
            return Err(Failure::usage(what).at(at()).fix("write, for example, --cgroup /ci/jobs"));
        }
        match Place::find(parent) {
            Err(error) if parent.is_some() => Err(Failure::refused(chain(&error)).at(at()).fix(error.fix())),
            group => Ok(Some(Self { limit_bytes, place, parent: parent.map(str::to_owned), group })),
        }
    }

    /// Applies the bound to this process and its children.
    ///
    /// # Errors
    /// 125 if the kernel refuses.
    pub fn enter(&self) -> Result<Engine, Failure> {
        let joined = self.group.as_ref().map(|place| place.join(self.limit_bytes));
        match (joined, &self.parent) {
            (Ok(Ok(())), _) => {}
            (Ok(Err(error)), Some(parent)) => {
                let place = format!("--cgroup {}", clean(parent));
                return Err(Failure::refused(chain(&error)).at(place).fix(error.fix()));
            }
            (Ok(Err(error)), None) => self.limit_data(&error)?,
            (Err(error), _) => self.limit_data(error)?,
        }
        Ok(Engine::default().bounded_to(Some(self.limit_bytes)))
    }

    fn limit_data(&self, why: &Error) -> Result<(), Failure> {
        note(&format!(
            "wave: note: no control group can be created for --max-rss: {}\n  so:    RLIMIT_DATA bounds each process of the run to {}: \
             private memory that can be written, used or not, some 80M at the start; code and files do not count\n",
            clean(&chain(why)),
            self.text(),
        ));
        let hard = getrlimit(Resource::Data).maximum.map_or(self.limit_bytes, |hard| hard.min(self.limit_bytes));
        setrlimit(Resource::Data, Rlimit { current: Some(hard), maximum: Some(hard) })
            .map_err(|errno| Failure::refused(format!("the kernel refused RLIMIT_DATA: {errno}")).at(&*self.place))
    }

    /// Does the work of a run in a process of its own. Returns its exit code.
    ///
    /// # Errors
    /// If there can be no such process.
    pub fn supervise(&self, work: impl FnOnce(Engine) -> Result<u8, Failure>) -> Result<u8, Failure> {
        wave_sandbox::prepare_allocator();
        let supervised = wave_sandbox::supervise(NonZeroUsize::MIN, |_| {
            let outcome = self.enter().and_then(work);
            i32::from(outcome.unwrap_or_else(|failure| {
                note(&failure.to_string());
                failure.code()
            }))
        });
        let exceeded = self.finish(supervised.as_ref().ok().map(|supervised| supervised.ended));
        let supervised = supervised
            .map_err(|error| Failure::refused(format!("cannot start a process for the run: {}", chain(&error))))?;
        Ok(exit_code(supervised.ended, exceeded))
    }

    /// Removes the control group. Says so and returns the limit if it is what ended the process of the run.
    pub fn finish(&self, ended: Option<Ended>) -> Option<u64> {
        let Ok(Place { group, .. }) = &self.group else { return None };
        let kills = group.oom_kills();
        // Whoever compiles can be the one that is killed; the run is refused then.
        let is_cut_short = matches!(ended, Some(Ended::Signal(9) | Ended::Status(125)));
        let exceeded = is_cut_short && kills.as_ref().is_ok_and(|kills| *kills > 0);
        if exceeded {
            note(&format!("wave: memory limit of {} reached\n  where: {}\n", self.text(), clean(&self.place)));
        }
        for error in [kills.err(), group.kill_all().and_then(|()| group.delete()).err()].into_iter().flatten() {
            note(&format!("wave: note: the control group of the run is left: {}\n", clean(&chain(&error))));
        }
        group.paths().filter_map(Path::parent).for_each(remove_left);
        exceeded.then_some(self.limit_bytes)
    }

    fn text(&self) -> String {
        Kind::Size.text(self.limit_bytes.into())
    }
}

/// The exit code of a run that was waited for. `exceeded` is the limit that [`MemoryBound::finish`] returned.
pub fn exit_code(ended: Ended, exceeded: Option<u64>) -> u8 {
    exceeded.and_then(|_| u8::try_from(OUT_OF_MEMORY).ok()).unwrap_or_else(|| ended.exit_code())
}

impl Place {
    /// A place with a name that no other run has: what others left there would count as ours.
    fn find(parent: Option<&str>) -> Result<Self, Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let name = format!("{PREFIX}{}-{now:x}", process::id());
        let path = parent.map_or_else(|| name.clone(), |parent| format!("{parent}/{name}"));
        let (layout, path) = (Layout::detect()?.only("memory"), CgroupPath::parse(Some(&path), &name, false)?);
        let group = Cgroup::planned(&layout, &path)?;
        Ok(Self { layout, path, group })
    }

    fn join(&self, limit_bytes: u64) -> Result<(), Error> {
        let create = |with_swap| Cgroup::create(&self.layout, &self.path, &resources(limit_bytes, with_swap));
        let group = match create(true) {
            // Without accounting of swap, what is swapped is not bounded. It is not in memory either.
            Err(Error::NoFile { .. }) => create(false),
            created => created,
        };
        group?.join(process::id())
    }
}

/// Removes the groups of runs whose waiting process was killed. The kernel removes no group that has processes.
fn remove_left(parent: &Path) {
    let is_left = |entry: &DirEntry| {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        let created = entry.metadata().and_then(|data| data.modified()).ok();
        let is_old = created.and_then(|time| time.elapsed().ok()).is_some_and(|age| age > JOINED_WITHIN);
        is_old && number.is_some_and(|number| !Path::new("/proc").join(number.to_string()).exists())
    };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten().filter(is_left) {
        // The next run tries again.
        let _kept = fs::remove_dir(entry.path());
    }
}

fn resources(limit_bytes: u64, with_swap: bool) -> Resources {
    let limit = i64::try_from(limit_bytes).ok();
    let memory = Memory { limit, swap: limit.filter(|_| with_swap), ..Memory::default() };
    Resources { memory: Some(memory), ..Resources::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn what_is_left_is_old_empty_and_of_nobody() {
        let parent = tempfile::tempdir().unwrap();
        let nobody = u32::MAX;
        let names = [
            format!("{PREFIX}{nobody}-old"),
            format!("{PREFIX}{nobody}-new"),
            format!("{PREFIX}{nobody}-full"),
            format!("{PREFIX}{}-alive", process::id()),
            format!("{PREFIX}x-other"),
            "other".to_owned(),
        ];
        let at = |name: &String| parent.path().join(name);
        names.iter().for_each(|name| fs::create_dir(at(name)).unwrap());
        fs::create_dir(at(&names[2]).join("inner")).unwrap();
        for name in names.iter().filter(|name| !name.ends_with("new")) {
            File::open(at(name)).unwrap().set_modified(SystemTime::now() - 2 * JOINED_WITHIN).unwrap();
        }
        remove_left(parent.path());
        let left: Vec<_> = names.iter().filter(|name| at(name).exists()).collect();
        assert_eq!(left, names[1..].iter().collect::<Vec<_>>());
    }
}
