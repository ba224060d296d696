//! `--max-rss`: a bound on the memory of the whole process, and of the one that compiles.
//!
//! A control group of the run counts it. The waiting process creates it and removes it again; the process of the run joins it before
//! it reads anything, and cannot leave it once it is sealed. Without a control group, RLIMIT_DATA is the nearest thing: RLIMIT_AS would
//! count the 8 GiB that each linear memory reserves, and RLIMIT_RSS has no effect (getrlimit(2)).

use crate::text::{chain, clean, note};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::num::NonZeroUsize;
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};
use wave_cgroups::{Cgroup, CgroupPath, Error, Layout, Memory, Resources};
use wave_engine::{Engine, Failure};
use wave_policy::limits::Kind;
use wave_sandbox::{Ended, OUT_OF_MEMORY};

/// Where Linux has control groups.
const MOUNT: &str = "/sys/fs/cgroup";

/// A bound on memory.
pub struct MemoryBound {
    limit_bytes: u64,
    /// The line of the policy that sets it.
    line: Option<String>,
    by: By,
}

/// What bounds the memory.
enum By {
    /// A control group.
    Group(Cgroup),
    /// RLIMIT_DATA, because there is no control group.
    Data(Error),
}

impl MemoryBound {
    /// Creates the control group of a run: under `parent`, or that of this process. `line` is the line of the policy with the limit.
    ///
    /// # Errors
    /// 2 for a parent without a limit, 125 for a parent under which none can be created.
    pub fn new(limit: Option<u64>, line: Option<String>, parent: Option<&str>) -> Result<Option<Self>, Failure> {
        let place = || parent.map(|path| format!("--cgroup {}", clean(path))).unwrap_or_default();
        let Some(limit_bytes) = limit else {
            let unused =
                || Failure::usage("a control group without a limit").at(place()).fix("add --max-rss, or drop it");
            return parent.map_or(Ok(None), |_| Err(unused()));
        };
        if parent.is_some_and(|path| path.starts_with(MOUNT)) {
            let what = format!("a control group is named from the root of its hierarchy, without {MOUNT}");
            return Err(Failure::usage(what).at(place()).fix("write, for example, --cgroup /ci/jobs"));
        }
        let by = match create(parent, limit_bytes) {
            Ok(cgroup) => By::Group(cgroup),
            Err(error) if parent.is_none() => By::Data(error),
            Err(error) => return Err(Failure::refused(chain(&error)).at(place()).fix(error.fix())),
        };
        Ok(Some(Self { limit_bytes, line, by }))
    }

    /// Applies the bound to this process and its children.
    ///
    /// # Errors
    /// 125 if the kernel refuses.
    pub fn enter(&self) -> Result<Engine, Failure> {
        match &self.by {
            By::Group(cgroup) => {
                let joined = cgroup.join(process::id());
                joined.map_err(|error| Failure::refused(chain(&error)).at(self.place()).fix(error.fix()))?;
            }
            By::Data(why) => self.limit_data(why)?,
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
            .map_err(|errno| Failure::refused(format!("the kernel refused RLIMIT_DATA: {errno}")).at(self.place()))
    }

    /// Does the work of a run, in a process of its own if somebody has to remove the control group. Returns its exit code.
    ///
    /// # Errors
    /// If the run could not begin.
    pub fn supervise(&self, work: impl FnOnce(Engine) -> Result<u8, Failure>) -> Result<u8, Failure> {
        if matches!(self.by, By::Data(_)) {
            return work(self.enter()?);
        }
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
        let By::Group(cgroup) = &self.by else { return None };
        let kills = cgroup.oom_kills();
        // Whoever compiles can be the one that is killed; the run is refused then.
        let is_cut_short = matches!(ended, Some(Ended::Signal(9) | Ended::Status(125)));
        let exceeded = is_cut_short && kills.as_ref().is_ok_and(|kills| *kills > 0);
        if exceeded {
            note(&format!("wave: memory limit of {} reached\n  where: {}\n", self.text(), clean(&self.place())));
        }
        for error in [kills.err(), cgroup.kill_all().and_then(|()| cgroup.delete()).err()].into_iter().flatten() {
            note(&format!("wave: note: the control group of the run is left: {}\n", clean(&chain(&error))));
        }
        exceeded.then_some(self.limit_bytes)
    }

    fn place(&self) -> String {
        self.line.as_ref().map_or_else(|| "--max-rss".to_owned(), |line| format!("limits.max-rss ({line})"))
    }

    fn text(&self) -> String {
        Kind::Size.text(self.limit_bytes.into())
    }
}

/// The exit code of a run that was waited for. `exceeded` is the limit that [`MemoryBound::finish`] returned.
pub fn exit_code(ended: Ended, exceeded: Option<u64>) -> u8 {
    exceeded.and_then(|_| u8::try_from(OUT_OF_MEMORY).ok()).unwrap_or_else(|| ended.exit_code())
}

/// Creates a control group with a name that no other run has: what others left there would count as ours.
fn create(parent: Option<&str>, limit_bytes: u64) -> Result<Cgroup, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let name = format!("wave-run-{}-{now:x}", process::id());
    let path = parent.map_or_else(|| name.clone(), |parent| format!("{parent}/{name}"));
    let (layout, path) = (Layout::detect()?.only("memory"), CgroupPath::parse(Some(&path), &name, false)?);
    match Cgroup::create(&layout, &path, &resources(limit_bytes, true)) {
        // Without accounting of swap, what is swapped is not bounded. It is not in memory either.
        Err(Error::NoFile { .. }) => Cgroup::create(&layout, &path, &resources(limit_bytes, false)),
        created => created,
    }
}

fn resources(limit_bytes: u64, with_swap: bool) -> Resources {
    let limit = i64::try_from(limit_bytes).ok();
    let memory = Memory { limit, swap: limit.filter(|_| with_swap), ..Memory::default() };
    Resources { memory: Some(memory), ..Resources::default() }
}
