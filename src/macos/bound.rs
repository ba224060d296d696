//! `--max-rss` on macOS: refused, because nothing bounds the memory of a process there.

use crate::args::Run;
use crate::text::clean;
use wave_engine::policy::PolicyDocument;
use wave_engine::{Engine, Failure, Limits};
use wave_sandbox::Ended;

/// A bound on memory, which there is none of.
pub enum MemoryBound {}

impl MemoryBound {
    /// Refuses a bound that flags or policy ask for.
    ///
    /// # Errors
    /// 125 if they do.
    pub fn of(run: &Run, policy: Option<&PolicyDocument>) -> Result<Option<Self>, Failure> {
        let limits = policy.map_or_else(Limits::default, |policy| policy.values.limits.clone());
        let of_policy = policy.filter(|_| run.limits.0.max_rss.is_none() && run.cgroup.is_none());
        let place = of_policy.and_then(|policy| policy.origin("limits.max-rss"));
        let flag =
            run.cgroup.as_ref().map_or_else(|| "--max-rss".to_owned(), |path| format!("--cgroup {}", clean(path)));
        match run.limits.0.over(&limits).max_rss {
            None if run.cgroup.is_none() => Ok(None),
            _ => Err(Failure::refused("macOS has no control groups, and enforces no limit on the memory of a process")
                .at(place.unwrap_or(flag))
                .fix("leave it out: --max-memory bounds the memory of the program")),
        }
    }

    /// There is no bound.
    ///
    /// # Errors
    /// None.
    pub const fn enter(&self) -> Result<Engine, Failure> {
        match *self {}
    }

    /// There is no bound.
    ///
    /// # Errors
    /// None.
    pub fn supervise(&self, _: impl FnOnce(Engine) -> Result<u8, Failure>) -> Result<u8, Failure> {
        match *self {}
    }

    /// There is no bound.
    pub const fn finish(&self, _: Option<Ended>) -> Option<u64> {
        match *self {}
    }
}

/// The exit code of a run that was waited for.
pub fn exit_code(ended: Ended, _: Option<u64>) -> u8 {
    ended.exit_code()
}
