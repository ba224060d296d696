//! Landlock: what may be opened, and that nothing else may.

use ::landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags,
};
use nix::sys::stat::{FileStat, fstat};
use wave_policy::{Access, Level};

use self::rights::{rights, rights_of};
use self::trial::Trial;
use super::sys;
use crate::{Cause, Grant, SealPlan};

pub(crate) mod levels;
mod rights;
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
