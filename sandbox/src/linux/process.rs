//! Threads, allocator, descriptors, limits and namespaces of this process.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use wave_policy::Limits;

use super::sys;
use crate::{AddressRange, Cause, SealPlan};

/// How long a thread that was joined may still show up: the kernel wakes the joiner just before the thread is gone.
const THREAD_GRACE: Duration = Duration::from_millis(50);

/// Confirms that this process has one thread.
pub(crate) fn assert_single_thread() -> Result<String, Cause> {
    let deadline = Instant::now() + THREAD_GRACE;
    loop {
        let threads = count_threads()?;
        if threads == 1 {
            return Ok("1 thread".to_owned());
        }
        if Instant::now() > deadline {
            return Err(Cause::Threads(threads));
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn count_threads() -> Result<usize, Cause> {
    let entries = || std::fs::read_dir("/proc/self/task")?.try_fold(0, |count, entry| entry.map(|_| count + 1));
    entries().map_err(|source| Cause::Refused { call: "readdir(/proc/self/task)", source })
}

/// Makes the allocator use `brk` alone.
pub(crate) fn settle_allocator() -> Result<String, Cause> {
    if sys::allocate_by_brk() { Ok("brk only, memory is kept".to_owned()) } else { Err(Cause::Allocator) }
}

/// Closes every descriptor but the standard streams, the grants and those to keep.
pub(crate) fn close_other_descriptors(plan: &SealPlan<'_>) -> Result<String, Cause> {
    let grants = plan.grants.iter().map(|grant| grant.fd.as_raw_fd());
    let kept = plan.keep_fds.iter().copied().chain(grants).filter_map(|fd| u32::try_from(fd).ok());
    let mut kept: Vec<u32> = kept.chain([0, 1, 2]).collect();
    kept.sort_unstable();
    kept.dedup();
    for (first, last) in gaps(&kept) {
        sys::close_range(first, last).map_err(Cause::refused("close_range"))?;
    }
    Ok(format!("{} kept: 0, 1, 2, {} grants, {} others", kept.len(), plan.grants.len(), plan.keep_fds.len()))
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
        lower(resource, limit)?;
    }
    limit_file_size(limits)?;
    let file_size = limits.file_size_bytes.map(|bytes| format!(", files of {bytes} bytes")).unwrap_or_default();
    Ok(format!("no core, no children, no locked memory, {} descriptors{file_size}", limits.open_files))
}

fn lowered(limits: &Limits) -> [(Resource, u64); 5] {
    [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
        (Resource::RLIMIT_MSGQUEUE, 0),
        (Resource::RLIMIT_NOFILE, limits.open_files),
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
    let file_size = limits.file_size_bytes.map(|bytes| (Resource::RLIMIT_FSIZE, bytes));
    for (resource, most) in lowered(limits).into_iter().chain(file_size) {
        let (soft, hard) = getrlimit(resource).map_err(Cause::refused("getrlimit"))?;
        if soft > most || hard > most {
            return Err(Cause::StillThere("a higher resource limit"));
        }
    }
    Ok(())
}

/// Moves the process into namespaces of its own, with a network that has nothing but an interface that is down.
pub(crate) fn leave_namespaces() -> Result<(), i32> {
    let all = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    unshare(all).map_err(|errno| errno as i32)
}

/// What [`leave_namespaces`] means for the report.
pub(crate) fn namespaces_left(outcome: Result<(), i32>) -> Result<String, Cause> {
    outcome.map_err(|errno| Cause::refused("unshare")(Errno::from_raw(errno)))?;
    Ok("network, ipc, uts".to_owned())
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
        sys::mseal(*range).map_err(Cause::refused("mseal"))?;
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
