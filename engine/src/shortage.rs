//! Explains errors of the kernel that come from resource limits of this process.

use rustix::process::{Resource, getrlimit};
use std::error::Error;
use std::io;

/// The fix for an error that comes from a resource limit. `None` for any other error.
pub fn limit_fix(error: &io::Error) -> Option<String> {
    Some(match error.raw_os_error()? {
        libc::EMFILE => format!("raise the limit on open files: {}", limit("-n", Resource::Nofile, 0)?),
        libc::ENFILE => "close files: this machine has reached its limit on open files".to_owned(),
        libc::ENOMEM => memory(),
        libc::EFBIG => format!("raise the limit on the size of files: {}", limit("-f", Resource::Fsize, 10)?),
        // Returned by calls that never wait, such as `fork`.
        libc::EAGAIN => match limit("-u", Resource::Nproc, 0) {
            Some(limit) => format!("raise the limit on processes and threads: {limit}"),
            None => "raise the limit on processes of the control group or of the machine".to_owned(),
        },
        _ => return None,
    })
}

/// The fix for the first source of an error that comes from a resource limit.
pub fn limit_fix_of(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref().and_then(limit_fix) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The fix for a lack of memory.
pub fn memory() -> String {
    let limits = [("-v", Resource::As), ("-d", Resource::Data)];
    let found: Vec<_> = limits.into_iter().filter_map(|(flag, resource)| limit(flag, resource, 10)).collect();
    match found.as_slice() {
        [] => "give this machine, or the control group of this process, more memory".to_owned(),
        found => format!("raise the limit on memory: {}", found.join(" or ")),
    }
}

/// Whether a memory limit of this process is smaller than `bytes`.
pub fn has_less_memory(bytes: u64) -> bool {
    [Resource::As, Resource::Data]
        .into_iter()
        .any(|resource| getrlimit(resource).current.is_some_and(|own| own < bytes))
}

/// The limit on processor time, if there is one.
pub fn processor_time() -> Option<String> {
    limit("-t", Resource::Cpu, 0)
}

/// A limit in the words and the unit of the shell's `ulimit`. `None` if there is none.
fn limit(flag: &str, resource: Resource, shift: u32) -> Option<String> {
    Some(format!("ulimit {flag} is {}", getrlimit(resource).current? >> shift))
}
