//! Threads, allocator, descriptors, limits, arguments and final pages of this process.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use wave_policy::{ProcessLimits, Role};

use super::sys::{self, ThreadError};
use crate::error::Cause;
use crate::plan::{AddressRange, SealPlan};
use crate::status::OUT_OF_MEMORY;

impl From<ThreadError> for Cause {
    fn from(error: ThreadError) -> Self {
        match error {
            ThreadError::Threads(threads) => Self::Threads(threads),
            ThreadError::Refused(call, errno) => Self::refused(call)(errno),
        }
    }
}

/// Confirms that this process has one thread.
pub(crate) fn confirm_single_thread() -> Result<&'static str, Cause> {
    sys::confirm_single_thread()?;
    Ok("1 thread")
}

/// Makes the allocator use only system calls that the filter permits. In a guest's process it uses an arena from now on. A
/// compiler has threads, each with an arena of glibc, and its filter permits the calls that give those back.
pub(crate) fn restrict_allocator(role: Role) -> Result<String, Cause> {
    if !sys::allocate_by_brk_only() {
        return Err(Cause::Allocator);
    }
    if role != Role::Compiler && !sys::allocate_from_arena(OUT_OF_MEMORY) {
        return Err(Cause::refused("brk")(Errno::ENOMEM));
    }
    Ok("brk only, memory is not given back".to_owned())
}

/// Closes every descriptor but the standard streams, the grants and those to keep.
#[allow(unsafe_code, reason = "the plan says which descriptors still have owners")]
pub(crate) fn close_other_descriptors(plan: &SealPlan<'_>) -> Result<String, Cause> {
    let grants = plan.grants.iter().map(|grant| grant.fd.as_raw_fd());
    let kept = plan.keep_fds.iter().copied().chain(grants).filter_map(|fd| u32::try_from(fd).ok());
    let mut kept: Vec<u32> = kept.chain([0, 1, 2]).collect();
    kept.sort_unstable();
    kept.dedup();
    // A descriptor opened on purpose, above all that are kept: if an outer filter answers `close_range` in the kernel's place, the
    // descriptor is still open afterwards.
    let above = kept.last().map_or(3, |fd| fd + 1);
    let sample = match sys::duplicate_above(above) {
        Ok(sample) => Some(sample),
        // No number is left.
        Err(Errno::EMFILE | Errno::EINVAL) => None,
        Err(errno) => return Err(Cause::refused("fcntl(F_DUPFD)")(errno)),
    };
    for (first, last) in gaps(&kept) {
        // SAFETY: `SealPlan::keep_fds` obliges the caller of `seal`: every descriptor that is used later is in the plan, and the
        // owners of the others were dropped or forgotten. The standard streams of std, 0 to 2, are always kept.
        let closed = unsafe { sys::close_range(first, last) };
        closed.map_err(Cause::refused("close_range"))?;
    }
    let between = (0..above).filter(|fd| kept.binary_search(fd).is_err());
    if between.chain(sample).any(sys::is_open) {
        return Err(Cause::StillThere("an inherited descriptor"));
    }
    let seen = if sample.is_some() { "" } else { "; not tried on one of its own, as no number is free" };
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

/// Lowers resource limits, soft and hard. Address space has none: a run reserves 8 GiB for each linear memory.
pub(crate) fn lower_limits(limits: &ProcessLimits) -> Result<String, Cause> {
    for (resource, limit) in wanted(limits) {
        limit.map_or(Ok(()), |limit| lower_limit(resource, limit))?;
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

/// The limit on processes, which include threads. The kernel counts all processes of a user, so a limit other than 0 is useful
/// only for a user who has no others: the one that root becomes.
fn max_processes(limits: &ProcessLimits) -> Option<u64> {
    match limits.threads {
        0 => Some(0),
        threads => nix::unistd::geteuid().is_root().then_some(threads.saturating_add(1)),
    }
}

/// The limits that a run gets; `None` for those that stay as they are.
fn wanted(limits: &ProcessLimits) -> [(Resource, Option<u64>); 7] {
    [
        (Resource::RLIMIT_CORE, Some(0)),
        (Resource::RLIMIT_NPROC, max_processes(limits)),
        (Resource::RLIMIT_MEMLOCK, Some(0)),
        (Resource::RLIMIT_MSGQUEUE, Some(0)),
        (Resource::RLIMIT_NOFILE, Some(limits.open_files)),
        (Resource::RLIMIT_DATA, limits.data_bytes),
        (Resource::RLIMIT_CPU, limits.processor_seconds),
    ]
}

/// Lowers the limit on the size of files. It covers standard output if that is a file.
pub(crate) fn limit_file_size(limits: &ProcessLimits) -> Result<(), Cause> {
    // A write past the limit is an error for the guest; it does not end the process (T110).
    sys::ignore(Signal::SIGXFSZ).map_err(Cause::refused("signal(SIGXFSZ)"))?;
    limits.file_size_bytes.map_or(Ok(()), |bytes| lower_limit(Resource::RLIMIT_FSIZE, bytes))
}

fn lower_limit(resource: Resource, limit: u64) -> Result<(), Cause> {
    let (_, hard) = getrlimit(resource).map_err(Cause::refused("getrlimit"))?;
    let limit = limit.min(hard);
    setrlimit(resource, limit, limit).map_err(Cause::refused("setrlimit"))
}

/// Reads the limits back.
pub(crate) fn confirm_limits(limits: &ProcessLimits) -> Result<(), Cause> {
    let file_size = (Resource::RLIMIT_FSIZE, limits.file_size_bytes);
    let wanted = wanted(limits).into_iter().chain([file_size]);
    for (resource, limit) in wanted.filter_map(|(resource, limit)| Some((resource, limit?))) {
        let (soft, hard) = getrlimit(resource).map_err(Cause::refused("getrlimit"))?;
        if soft > limit || hard > limit {
            return Err(Cause::StillThere("a higher resource limit"));
        }
    }
    Ok(())
}

/// Overwrites the environment and the arguments that the process was started with. Other processes see the title instead.
#[allow(unsafe_code, reason = "the seal has checked the threads")]
pub(crate) fn wipe_arguments(title: &str) -> Result<String, Cause> {
    sys::confirm_single_thread()?;
    // SAFETY: the process has one thread, by the line above. std copies arguments and variables when it returns them, and
    // `title` is a parameter of the plan, which the program wrote itself; nothing else in this crate refers to them.
    match unsafe { sys::wipe_arguments(title) } {
        Some(bytes) => Ok(format!("{bytes} bytes of environment and arguments")),
        None => Err(Cause::Arguments),
    }
}

/// From now on, these pages cannot be changed, moved, replaced or unmapped.
#[allow(unsafe_code, reason = "the plan says which pages are final")]
pub(crate) fn seal_pages(pages: &[AddressRange]) -> Result<String, Cause> {
    for &AddressRange { start, len_bytes } in pages {
        // The same call before and after: an outer filter may refuse it, or answer `mseal` in the kernel's place.
        sys::remap_in_place(start).map_err(Cause::refused("mremap"))?;
        // SAFETY: `SealPlan::final_pages` obliges the caller of `seal`: the ranges are pages that nothing changes any more. Their owner
        // never unmaps them, since a sealed process has no `munmap`.
        unsafe { sys::mseal(start, len_bytes) }.map_err(Cause::refused("mseal"))?;
        if sys::remap_in_place(start) != Err(Errno::EPERM) {
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
