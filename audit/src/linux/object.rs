//! Finds what a path leads to on the host.

use crate::why::Operation;
use crate::why::files::functions;
use crate::why::object::HostObject;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno as HostErrno;
use std::path::Path;
use wave_monitor::Rule;

/// Resolves a path as a run would. Objects are only opened with `O_PATH`, so that no device is touched.
pub fn find_object(host: &Path, rest: &str, op: Operation) -> HostObject {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let unclear = |what: &str, error: HostErrno| HostObject::Unclear(format!("{what}: {error}"));
    let directory = match rustix::fs::open(host, flags | OFlags::DIRECTORY, Mode::empty()) {
        Ok(directory) => directory,
        Err(error) => return unclear("the directory cannot be opened", error),
    };
    let follow = match op {
        Operation::Read | Operation::Write | Operation::Append | Operation::Create => true,
        Operation::Truncate | Operation::List | Operation::Stat | Operation::Times => true,
        Operation::Delete | Operation::Mkdir | Operation::Rmdir | Operation::Rename => false,
        Operation::Link | Operation::Symlink | Operation::Readlink => false,
    };
    let last = if follow { flags } else { flags | OFlags::NOFOLLOW };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let leads_out = "no line of a policy lets a path lead out of its directory: grant the directory it leads to, in an [[fs]] \
                     of its own, and name it by that";
    let object = match rustix::fs::openat2(&directory, rest, last, Mode::empty(), resolve) {
        Ok(object) => object,
        Err(HostErrno::XDEV) => return HostObject::Refused(Rule::Beneath, leads_out),
        Err(HostErrno::NOENT) => {
            let makes = matches!(op, Operation::Create | Operation::Mkdir | Operation::Symlink);
            return match makes {
                true => HostObject::Found,
                false => HostObject::Unclear("it does not exist now".to_owned()),
            };
        }
        Err(error) => return unclear("it cannot be opened", error),
    };
    let kernels = rustix::fs::fstatfs(&object).ok().and_then(|found| u64::try_from(found.f_type).ok());
    if kernels.is_some_and(|magic| wave_monitor::admit_filesystem(magic).is_err()) {
        return HostObject::Refused(Rule::KernelInterface, "no line of a policy allows it");
    }
    let opens = functions(op).contains(&"path_open");
    let kind = rustix::fs::fstat(&object).map(|found| rustix::fs::FileType::from_raw_mode(found.st_mode));
    match kind {
        Ok(kind) if opens && (kind.is_char_device() || kind.is_block_device() || kind.is_socket()) => {
            HostObject::Refused(
                Rule::Device,
                "no line of a policy allows it; `--device` grants a character device to one run",
            )
        }
        Ok(_) => HostObject::Found,
        Err(error) => unclear("it cannot be opened", error),
    }
}
