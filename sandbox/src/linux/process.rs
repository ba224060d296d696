//! Threads, allocator, descriptors, limits and namespaces of this process.

use std::fmt;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::stat;
use wave_policy::{Limits, Role};

use super::sys;
use crate::{AddressRange, Cause, SealPlan};

/// How long a thread that was joined may still show up: the kernel wakes the joiner just before the thread is gone.
const THREAD_GRACE: Duration = Duration::from_millis(50);

/// Proof that this process had one thread.
#[derive(Debug)]
pub(crate) struct Alone(());

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("1 thread")
    }
}

/// Confirms that this process has one thread.
pub(crate) fn assert_single_thread() -> Result<Alone, Cause> {
    let deadline = Instant::now() + THREAD_GRACE;
    loop {
        let threads = match count_threads()? {
            Some(threads) => threads,
            None if has_one_thread()? => 1,
            None => 2,
        };
        if threads == 1 {
            return Ok(Alone(()));
        }
        if Instant::now() > deadline {
            return Err(Cause::Threads(threads));
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// `None` without /proc. The directory has a link from each thread besides the usual two; a third of the time that listing it takes.
///
/// Source: `proc_task_getattr` in `fs/proc/base.c`.
fn count_threads() -> Result<Option<usize>, Cause> {
    match stat("/proc/self/task") {
        Ok(found) => Ok(Some(usize::try_from(found.st_nlink.saturating_sub(2)).unwrap_or(usize::MAX))),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(Cause::refused("stat(/proc/self/task)")(errno)),
    }
}

/// Whether there is one thread, by a call that changes nothing then and that no process with more is granted.
///
/// Source: unshare(2), `CLONE_THREAD`; `check_unshare_flags` in `kernel/fork.c`.
fn has_one_thread() -> Result<bool, Cause> {
    match unshare(CloneFlags::CLONE_THREAD) {
        Ok(()) => Ok(true),
        Err(Errno::EINVAL) => Ok(false),
        Err(errno) => Err(Cause::refused("unshare(CLONE_THREAD), and there is no /proc")(errno)),
    }
}

/// Makes the allocators use `brk` alone. That of a guest's process serves from memory of its own from now on; a compiler has
/// threads, each with memory of its own, and a filter that knows how those are given back.
pub(crate) fn settle_allocator(role: Role) -> Result<String, Cause> {
    if !sys::allocate_by_brk() {
        return Err(Cause::Allocator);
    }
    if role != Role::Compiler && !sys::allocate_from_arena() {
        return Err(Cause::refused("brk")(Errno::ENOMEM));
    }
    Ok("brk only, memory is kept".to_owned())
}

/// Closes every descriptor but the standard streams, the grants and those to keep.
pub(crate) fn close_other_descriptors(plan: &SealPlan<'_>) -> Result<String, Cause> {
    let grants = plan.grants.iter().map(|grant| grant.fd.as_raw_fd());
    let kept = plan.keep_fds.iter().copied().chain(grants).filter_map(|fd| u32::try_from(fd).ok());
    let mut kept: Vec<u32> = kept.chain([0, 1, 2]).collect();
    kept.sort_unstable();
    kept.dedup();
    // Open on purpose, above all that stays: where an outer filter answers in the kernel's place, it is still there afterwards.
    let above = kept.last().map_or(3, |fd| fd + 1);
    let sample = match sys::duplicate_above(above) {
        Ok(sample) => Some(sample),
        // There is no number left.
        Err(Errno::EMFILE | Errno::EINVAL) => None,
        Err(errno) => return Err(Cause::refused("fcntl(F_DUPFD)")(errno)),
    };
    for (first, last) in gaps(&kept) {
        sys::close_range(first, last).map_err(Cause::refused("close_range"))?;
    }
    let between = (0..above).filter(|fd| kept.binary_search(fd).is_err());
    if between.chain(sample).any(sys::is_open) {
        return Err(Cause::StillThere("an inherited descriptor"));
    }
    let seen = if sample.is_some() { "" } else { "; not tried on one of its own for want of a number" };
    Ok(format!("{} kept: 0, 1, 2, {} grants, {} others{seen}", kept.len(), plan.grants.len(), plan.keep_fds.len()))
}

/// The ranges between and after sorted numbers.
fn gaps(kept: &[u32]) -> Vec<(u32, u32)> {
    let mut gaps = Vec::new();
    let mut next = 0;
    for &fd in kept {
        if fd > next {
            gaps.push((next, fd - 1));
        }
        next = fd + 1;
    }
    gaps.push((next, u32::MAX));
    gaps
}

/// Lowers resource limits, soft and hard. There is none on address space: reservations of 8 GiB are the rule.
pub(crate) fn lower_limits(limits: &Limits) -> Result<String, Cause> {
    for (resource, limit) in lowered(limits) {
        limit.map_or(Ok(()), |limit| lower(resource, limit))?;
    }
    limit_file_size(limits)?;
    let children = if limits.threads == 0 { "no children" } else { "threads" };
    let part = |limit: Option<u64>, text: &str| limit.map(|n| format!(", {n} {text}")).unwrap_or_default();
    let more = [
        part(limits.file_size_bytes, "bytes in a file"),
        part(limits.data_bytes, "bytes of memory"),
        part(limits.processor_seconds, "seconds of processor time"),
    ];
    Ok(format!("no core, {children}, no locked memory, {} descriptors{}", limits.open_files, more.concat()))
}

/// The kernel counts every process of a user, so a limit above none means something only for a user without others: the
/// one that root becomes.
fn processes(limits: &Limits) -> Option<u64> {
    match limits.threads {
        0 => Some(0),
        threads => nix::unistd::geteuid().is_root().then_some(threads.saturating_add(1)),
    }
}

fn lowered(limits: &Limits) -> [(Resource, Option<u64>); 7] {
    [
        (Resource::RLIMIT_CORE, Some(0)),
        (Resource::RLIMIT_NPROC, processes(limits)),
        (Resource::RLIMIT_MEMLOCK, Some(0)),
        (Resource::RLIMIT_MSGQUEUE, Some(0)),
        (Resource::RLIMIT_NOFILE, Some(limits.open_files)),
        (Resource::RLIMIT_DATA, limits.data_bytes),
        (Resource::RLIMIT_CPU, limits.processor_seconds),
    ]
}

/// Lowers the limit on the size of files, standard output among them if it is one.
pub(crate) fn limit_file_size(limits: &Limits) -> Result<(), Cause> {
    // A write past the limit is the guest's error, not the end of the process (T110).
    sys::ignore(Signal::SIGXFSZ).map_err(Cause::refused("signal(SIGXFSZ)"))?;
    limits.file_size_bytes.map_or(Ok(()), |bytes| lower(Resource::RLIMIT_FSIZE, bytes))
}

fn lower(resource: Resource, limit: u64) -> Result<(), Cause> {
    let (_, hard) = getrlimit(resource).map_err(Cause::refused("getrlimit"))?;
    let limit = limit.min(hard);
    setrlimit(resource, limit, limit).map_err(Cause::refused("setrlimit"))
}

/// Reads the limits back.
pub(crate) fn confirm_limits(limits: &Limits) -> Result<(), Cause> {
    let file_size = (Resource::RLIMIT_FSIZE, limits.file_size_bytes);
    let wanted = lowered(limits).into_iter().chain([file_size]);
    for (resource, most) in wanted.filter_map(|(resource, most)| Some((resource, most?))) {
        let (soft, hard) = getrlimit(resource).map_err(Cause::refused("getrlimit"))?;
        if soft > most || hard > most {
            return Err(Cause::StillThere("a higher resource limit"));
        }
    }
    Ok(())
}

/// Moves the process into namespaces of its own, with a network that has nothing but an interface that is down.
pub(crate) fn leave_namespaces() -> Left {
    let all = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    let before = namespaces();
    match (unshare(all), before, namespaces()) {
        (Err(errno), ..) => Left::Refused(errno as i32),
        (Ok(()), Some(before), Some(after)) if before.iter().zip(&after).all(|(old, new)| old != new) => Left::Behind,
        (Ok(()), Some(_), Some(_)) => Left::Same,
        (Ok(()), ..) => Left::Unseen,
    }
}

/// The namespaces that are left, by their numbers. Source: namespaces(7).
fn namespaces() -> Option<[(u64, u64); 3]> {
    let number = |path| stat(path).ok().map(|found| (found.st_dev, found.st_ino));
    Some([number("/proc/self/ns/net")?, number("/proc/self/ns/ipc")?, number("/proc/self/ns/uts")?])
}

/// What came of [`leave_namespaces`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Left {
    /// Each is another one.
    Behind,
    /// The kernel refused with this error number.
    Refused(i32),
    /// It agreed, and one is the same.
    Same,
    /// It agreed, and there is no /proc to see it in.
    Unseen,
}

impl Left {
    /// What it means for the report.
    pub(crate) fn confirmed(self) -> Result<String, Cause> {
        match self {
            Self::Behind => Ok("network, ipc, uts".to_owned()),
            Self::Refused(errno) => Err(Cause::refused("unshare")(Errno::from_raw(errno))),
            Self::Same => Err(Cause::StillThere("a namespace of the host")),
            Self::Unseen => Err(Cause::Unseen("the namespaces", "no /proc")),
        }
    }
}

/// Overwrites the environment and the arguments the process was started with; other processes see the title in their place.
pub(crate) fn wipe_arguments(title: &str) -> Result<String, Cause> {
    match sys::wipe_arguments(title) {
        Some(bytes) => Ok(format!("{bytes} bytes of environment and arguments")),
        None => Err(Cause::Arguments),
    }
}

/// From now on, these pages cannot be changed, moved, replaced or unmapped.
pub(crate) fn finish_pages(pages: &[AddressRange]) -> Result<String, Cause> {
    for range in pages {
        // The same call before and after: an outer filter may refuse it, or answer `mseal` in the kernel's place.
        sys::remap_in_place(*range).map_err(Cause::refused("mremap"))?;
        sys::mseal(*range).map_err(Cause::refused("mseal"))?;
        if sys::remap_in_place(*range) != Err(Errno::EPERM) {
            return Err(Cause::StillThere("the way to other pages"));
        }
    }
    let bytes: u64 = pages.iter().map(|range| range.len_bytes).sum();
    Ok(format!("{} ranges, {} KiB", pages.len(), bytes >> 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_leave_out_exactly_what_is_kept() {
        assert_eq!(gaps(&[0, 1, 2]), [(3, u32::MAX)]);
        assert_eq!(gaps(&[0, 1, 2, 5, 6, 9]), [(3, 4), (7, 8), (10, u32::MAX)]);
    }
}
