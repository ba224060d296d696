//! Landlock: what may be opened, and that nothing else may.

use ::landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags,
};
use nix::sys::stat::{FileStat, fstat};
use wave_policy::{Access, Level};

use self::trial::Trial;
use super::sys;
use crate::{Cause, Grant, SealPlan};

pub(crate) mod levels;
mod trial;

pub(crate) use levels::STRICT_ABI;

/// Restricts this thread to the grants.
///
/// Every right the kernel and this build know is handled, that is, denied where no rule grants it, even when there
/// is no rule at all (T92). There is no rule for TCP: sockets are opened before.
pub(crate) fn restrict(plan: &SealPlan<'_>, level: Level) -> Result<String, Cause> {
    let needed = if level == Level::Strict { STRICT_ABI } else { 1 };
    let found = sys::landlock_abi();
    if found < needed {
        return Err(Cause::LandlockTooOld { found, needed });
    }
    let abi = ABI::from(found);
    let mut ruleset = create(abi)?;
    for grant in plan.grants {
        ruleset = ruleset.add_rule(PathBeneath::new(grant.fd, rights(grant, abi)?))?;
    }
    let trial = Trial::choose(plan.grants, abi);
    let status = ruleset.no_new_privs(false).restrict_self()?;
    if status.ruleset != RulesetStatus::FullyEnforced {
        return Err(Cause::SelfTest("a right that the kernel left out of the ruleset"));
    }
    if let Some(trial) = trial.filter(|trial| !trial.is_refused()) {
        return Err(Cause::SelfTest(trial.what()));
    }
    Ok(describe(found, abi, plan.grants.len(), trial))
}

impl From<RulesetError> for Cause {
    fn from(error: RulesetError) -> Self {
        Self::Ruleset(error.into())
    }
}

/// A grant that was opened and the one the policy describes must be the same, or the report would be wrong.
pub(crate) fn check_grants(plan: &SealPlan<'_>) -> Result<(), Cause> {
    let described = plan.policy.grants.iter().map(|grant| grant.access);
    let opened = plan.grants.iter().map(|grant| grant.access);
    if described.eq(opened) { Ok(()) } else { Err(Cause::Grants) }
}

/// An empty ruleset that handles everything of this ABI. Hard requirement: what the kernel reports, it must do.
pub(crate) fn create(abi: ABI) -> Result<RulesetCreated, Cause> {
    let mut ruleset =
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(abi))?;
    if abi >= ABI::V4 {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
    }
    if abi >= ABI::V6 {
        ruleset = ruleset.scope(Scope::from_all(abi))?;
    }
    Ok(ruleset.create()?)
}

/// Whether a ruleset of this ABI holds files but not their length. Without any Landlock there is nothing to complete.
pub(crate) fn leaves_truncation(abi: i32) -> bool {
    (1..STRICT_ABI).contains(&abi)
}

fn rights(grant: &Grant<'_>, abi: ABI) -> Result<BitFlags<AccessFs>, Cause> {
    let metadata = fstat(grant.fd).map_err(Cause::refused("fstat(grant)"))?;
    let known = if is_directory(&metadata) { AccessFs::from_all(abi) } else { AccessFs::from_file(abi) };
    let given = rights_of(grant.access) & known;
    let given = given.iter().filter(|right| crate::narrower::gives(&name_of(*right))).collect();
    Ok(given)
}

/// The name of a right in landlock(7).
fn name_of(right: AccessFs) -> String {
    let name = format!("{right:?}");
    let snake = |(at, c): (usize, char)| match c.is_uppercase() && at > 0 {
        true => format!("_{}", c.to_ascii_lowercase()),
        false => c.to_ascii_lowercase().to_string(),
    };
    name.chars().enumerate().map(snake).collect()
}

/// Never among them: running programs, device controls, and making devices, sockets and pipes.
fn rights_of(access: Access) -> BitFlags<AccessFs> {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let add = make_bitflags!(AccessFs::{WriteFile | MakeReg | MakeDir});
    let change = make_bitflags!(AccessFs::{Truncate | RemoveFile | RemoveDir | MakeSym | Refer});
    match access {
        Access::ReadOnly => read,
        Access::Append => read | add,
        Access::ReadWrite => read | add | change,
    }
}

fn is_directory(metadata: &FileStat) -> bool {
    metadata.st_mode & libc::S_IFMT == libc::S_IFDIR
}

fn describe(found: i32, abi: ABI, rules: usize, trial: Option<Trial>) -> String {
    let rights = AccessFs::from_all(abi).len();
    let moves = if abi >= ABI::V2 { "" } else { ", no moves between directories" };
    let truncation = if abi >= ABI::V3 { "" } else { ", not truncation" };
    let network = if abi >= ABI::V4 { ", TCP" } else { ", not TCP" };
    let scopes = if abi >= ABI::V6 { ", signals, abstract sockets" } else { ", not signals, not abstract sockets" };
    let newer = if found > abi as i32 { " (newer than this build)" } else { "" };
    let test = match trial {
        Some(_) => "self-test refused",
        None => "no self-test: this level can refuse nothing that the grants leave",
    };
    format!("ABI {found}{newer}: {rights} file rights{moves}{truncation}{network}{scopes}; {rules} grants; {test}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_access_runs_programs_or_controls_devices() {
        let never = make_bitflags!(AccessFs::{
            Execute | IoctlDev | MakeChar | MakeBlock | MakeSock | MakeFifo | ResolveUnix
        });
        for access in [Access::ReadOnly, Access::Append, Access::ReadWrite] {
            assert!((rights_of(access) & never).is_empty(), "{access}");
        }
    }

    #[test]
    fn policy_files_name_the_rights_that_are_given() {
        for access in [Access::ReadOnly, Access::Append, Access::ReadWrite] {
            let mut given: Vec<_> = rights_of(access).iter().map(name_of).collect();
            let mut named = access.landlock_rights().to_vec();
            given.sort_unstable();
            named.sort_unstable();
            assert_eq!(given, named, "{access}");
        }
    }

    #[test]
    fn read_only_has_no_right_to_write() {
        assert!((rights_of(Access::ReadOnly) & AccessFs::from_write(ABI::V9)).is_empty());
    }

    #[test]
    fn append_cannot_remove_or_cut() {
        let removing = make_bitflags!(AccessFs::{RemoveFile | RemoveDir | Truncate | Refer});
        assert!((rights_of(Access::Append) & removing).is_empty());
    }
}
