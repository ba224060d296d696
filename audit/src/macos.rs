//! What takes Linux, on macOS.

use crate::why::Operation;
use crate::why::object::HostObject;
use std::path::Path;
use wave_engine::Failure;
use wave_policy::Policy;

/// Refuses.
///
/// # Errors
/// 125, always.
pub fn listing(_: &Policy, _: bool) -> Result<String, Failure> {
    Err(Failure::refused("the filter of system calls is built on Linux alone")
        .at("--format seccomp-bpf")
        .fix("use --format oci-seccomp, which has the same rules"))
}

/// Leaves open what is there: macOS does not resolve a path beneath a directory, and without that the answer could be wrong.
pub fn find_object(_: &Path, _: &str, _: Operation) -> HostObject {
    HostObject::Unclear("links and devices on the way are not examined on macOS".to_owned())
}
