//! What the kernel had too little of, and which limit of this process that is.

use rustix::process::{Resource, getrlimit};
use std::error::Error;
use std::io;

/// How to get by an error that comes from a limit. `None` for any other error.
pub fn way_out(error: &io::Error) -> Option<String> {
    Some(match error.raw_os_error()? {
        libc::EMFILE => format!("raise the limit on open files: {}", limit("-n", Resource::Nofile, 0)?),
        libc::ENFILE => "close files: this machine has as many open as it may have".to_owned(),
        libc::ENOMEM => memory(),
        libc::EFBIG => format!("raise the limit on the size of files: {}", limit("-f", Resource::Fsize, 10)?),
        // Of calls that wait for nothing, such as `fork`.
        libc::EAGAIN => match limit("-u", Resource::Nproc, 0) {
            Some(limit) => format!("raise the limit on processes and threads: {limit}"),
            None => "raise the limit on processes of the control group or of the machine".to_owned(),
        },
        _ => return None,
    })
}

/// The same for an error with sources.
pub fn way_out_of(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref().and_then(way_out) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// How to get more memory.
pub fn memory() -> String {
    let limits = [("-v", Resource::As), ("-d", Resource::Data)];
    let found: Vec<_> = limits.into_iter().filter_map(|(flag, resource)| limit(flag, resource, 10)).collect();
    match found.as_slice() {
        [] => "let this machine, or the control group of this process, have more memory".to_owned(),
        found => format!("raise the limit on memory: {}", found.join(" or ")),
    }
}

/// A limit that is smaller than this many bytes of memory, which a process was given as its own.
pub fn smaller_memory(bytes: u64) -> bool {
    [Resource::As, Resource::Data]
        .into_iter()
        .any(|resource| getrlimit(resource).current.is_some_and(|own| own < bytes))
}

/// Whether there is a limit on the time of the processor.
pub fn processor_time() -> Option<String> {
    limit("-t", Resource::Cpu, 0)
}

/// A limit as a shell calls it, with its value in the unit of the shell. `None` if there is none.
fn limit(flag: &str, resource: Resource, shift: u32) -> Option<String> {
    Some(format!("ulimit {flag} is {}", getrlimit(resource).current? >> shift))
}
