//! Capabilities, securebits, `no_new_privs`, and the flags that keep other processes out of this one.

use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::sys::prctl;

use super::sys;
use crate::error::Cause;
use crate::plan::FileCapability;

/// Root has no special rights, a change of ids keeps no capability, and none becomes ambient. The locks make this final.
const SECUREBITS: i32 = libc::SECBIT_NOROOT
    | libc::SECBIT_NOROOT_LOCKED
    | libc::SECBIT_NO_SETUID_FIXUP_LOCKED
    | libc::SECBIT_KEEP_CAPS_LOCKED
    | libc::SECBIT_NO_CAP_AMBIENT_RAISE
    | libc::SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

/// The sets that decide what a process may do now and what it may pass on.
const SETS: [CapSet; 4] = [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted];

/// Whether this process may empty its bounding set.
pub(crate) fn may_clear_bounding_set() -> bool {
    // If the set cannot be read, the step itself fails and says why.
    caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).unwrap_or(true)
}

/// Empties the bounding set, including capabilities that this build has no name for, and locks the securebits.
pub(crate) fn clear_bounding_set() -> Result<String, Cause> {
    for capability in 0..CAPABILITIES_MAX {
        match sys::drop_from_bounding_set(capability) {
            Ok(()) => {}
            // Past the last capability that the kernel knows.
            Err(Errno::EINVAL) if capability > 0 => break,
            Err(errno) => return Err(Cause::refused("prctl(PR_CAPBSET_DROP)")(errno)),
        }
    }
    sys::set_securebits(SECUREBITS).map_err(Cause::refused("prctl(PR_SET_SECUREBITS)"))?;
    Ok("bounding set empty, securebits locked".to_owned())
}

/// The sets are 64 bits wide.
const CAPABILITIES_MAX: u64 = 64;

/// Every capability that the kernel knows, and whether the bounding set has it.
fn bounding_set() -> impl Iterator<Item = (u64, bool)> {
    (0..CAPABILITIES_MAX).map_while(|capability| Some((capability, sys::in_bounding_set(capability)?)))
}

pub(crate) fn confirm_bounding_set() -> Result<(), Cause> {
    if bounding_set().any(|(_, held)| held) {
        return Err(Cause::StillThere("a capability of the bounding set"));
    }
    match sys::securebits() {
        Ok(SECUREBITS) => Ok(()),
        _ => Err(Cause::StillThere("an unlocked securebit")),
    }
}

/// Empties the ambient and inheritable set, and leaves `kept` in the effective and permitted set.
pub(crate) fn drop_capabilities(kept: &[FileCapability]) -> Result<String, Cause> {
    let kept = held(kept)?;
    for set in SETS {
        let left = if matches!(set, CapSet::Effective | CapSet::Permitted) { kept.clone() } else { CapsHashSet::new() };
        match left.is_empty() {
            true => caps::clear(None, set).map_err(|_| refused_capset())?,
            false => caps::set(None, set, &left).map_err(|_| refused_capset())?,
        }
    }
    if kept.is_empty() {
        return Ok("effective, permitted, inheritable and ambient set empty".to_owned());
    }
    let mut names: Vec<_> = kept.iter().map(ToString::to_string).collect();
    names.sort();
    Ok(format!("effective and permitted set {}, inheritable and ambient set empty", names.join(" ")))
}

pub(crate) fn confirm_capabilities(kept: &[FileCapability]) -> Result<(), Cause> {
    let kept: CapsHashSet = kept.iter().copied().map(capability).collect();
    let none = CapsHashSet::new();
    // The ambient set is a subset of two of these (capabilities(7)); reading it takes a call for each capability.
    for (set, allowed) in [(CapSet::Effective, &kept), (CapSet::Permitted, &kept), (CapSet::Inheritable, &none)] {
        if !caps::read(None, set).map_err(|_| refused_capset())?.is_subset(allowed) {
            return Err(Cause::StillThere("a capability"));
        }
    }
    Ok(())
}

/// Those that the process has. Another user than root has lost all.
fn held(wanted: &[FileCapability]) -> Result<CapsHashSet, Cause> {
    if wanted.is_empty() {
        return Ok(CapsHashSet::new());
    }
    let permitted = caps::read(None, CapSet::Permitted).map_err(|_| refused_capset())?;
    Ok(wanted.iter().copied().map(capability).filter(|capability| permitted.contains(capability)).collect())
}

const fn capability(wanted: FileCapability) -> Capability {
    match wanted {
        FileCapability::DacOverride => Capability::CAP_DAC_OVERRIDE,
        FileCapability::DacReadSearch => Capability::CAP_DAC_READ_SEARCH,
        FileCapability::Fowner => Capability::CAP_FOWNER,
    }
}

/// The error of `caps` has only a text, so this is the last error of the kernel.
fn refused_capset() -> Cause {
    Cause::Refused { call: "capset", source: std::io::Error::last_os_error() }
}

/// From now on, executing a program grants no privileges. The flag cannot be unset.
pub(crate) fn set_no_new_privs() -> Result<String, Cause> {
    prctl::set_no_new_privs().map_err(Cause::refused("prctl(PR_SET_NO_NEW_PRIVS)"))?;
    Ok("set".to_owned())
}

pub(crate) fn confirm_no_new_privs() -> Result<(), Cause> {
    match prctl::get_no_new_privs() {
        Ok(true) => Ok(()),
        _ => Err(Cause::StillThere("the way to new privileges")),
    }
}

/// No core dump, and no process of the same user may trace this one or read its memory.
pub(crate) fn set_not_dumpable() -> Result<String, Cause> {
    prctl::set_dumpable(false).map_err(Cause::refused("prctl(PR_SET_DUMPABLE)"))?;
    Ok("no core dump, no tracer of the same user".to_owned())
}

pub(crate) fn confirm_not_dumpable() -> Result<(), Cause> {
    match prctl::get_dumpable() {
        Ok(false) => Ok(()),
        _ => Err(Cause::StillThere("the dumpable flag")),
    }
}

/// From now on, the kernel refuses to make memory executable.
pub(crate) fn refuse_new_code() -> Result<String, Cause> {
    sys::refuse_exec_gain().map_err(Cause::refused("prctl(PR_SET_MDWE)"))?;
    Ok("no mapping becomes executable".to_owned())
}

pub(crate) fn confirm_no_new_code() -> Result<(), Cause> {
    if sys::refuses_exec_gain() { Ok(()) } else { Err(Cause::StillThere("the way to executable memory")) }
}
