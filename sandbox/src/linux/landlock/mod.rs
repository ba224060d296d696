//! Landlock: the kernel allows what the grants allow and denies everything else.

mod check;
pub(crate) mod levels;
mod ports;
mod rights;
mod trial;

use std::os::fd::AsRawFd as _;

use ::landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use wave_policy::Level;

use self::check::Request;
use self::ports::Ports;
use self::trial::Trial;
use super::sys;
use crate::error::Cause;
use crate::plan::{Grant, SealPlan};

pub(crate) use levels::STRICT_ABI;

/// Restricts this thread to the grants.
///
/// The ruleset handles every right that the kernel and this build know. So the kernel denies each of them unless a rule grants it,
/// even if there is no rule (T92). No rule grants TCP to a guest's process: its sockets are opened before, or by a broker.
pub(crate) fn restrict(plan: &SealPlan<'_>, level: Level) -> Result<String, Cause> {
    let needed = if level == Level::Strict { STRICT_ABI } else { 1 };
    let found = sys::landlock_abi();
    if found < needed {
        return Err(Cause::LandlockTooOld { found, needed });
    }
    let abi = ABI::from(found);
    let ports = Ports::of(plan.policy);
    let handled = Handled { ports: ports.handled(abi), ..Handled::of(abi) };
    let (request, rules) = request(plan, &handled, &ports, abi)?;
    check::check(&request, plan, found)?;
    let mut ruleset = handled.create_ruleset()?;
    for (grant, rights) in rules {
        ruleset = ruleset.add_rule(PathBeneath::new(grant.fd, rights))?;
    }
    for (port, rights) in ports.rules(abi) {
        ruleset = ruleset.add_rule(NetPort::new(port, rights))?;
    }
    let trial = Trial::choose(plan.grants, abi);
    let status = ruleset.no_new_privs(false).restrict_self()?;
    if status.ruleset != RulesetStatus::FullyEnforced {
        return Err(Cause::SelfTest("a right that the kernel left out of the ruleset"));
    }
    if let Some(trial) = trial.filter(|trial| !trial.is_denied()) {
        return Err(Cause::SelfTest(trial.target()));
    }
    Ok(describe(found, abi, plan.grants.len(), &ports, trial))
}

impl From<RulesetError> for Cause {
    fn from(error: RulesetError) -> Self {
        Self::Ruleset(error.into())
    }
}

/// Confirms that the opened grants are those of the policy. Otherwise the report would be wrong.
pub(crate) fn check_grants(plan: &SealPlan<'_>) -> Result<(), Cause> {
    let described = plan.policy.grants.iter().map(|grant| grant.access);
    let opened = plan.grants.iter().map(|grant| grant.access);
    if described.eq(opened) { Ok(()) } else { Err(Cause::Grants) }
}

/// An empty ruleset that handles everything of this ABI. It fails if the kernel lacks a part of the ABI that it reports.
pub(crate) fn create_ruleset(abi: ABI) -> Result<RulesetCreated, Cause> {
    Handled::of(abi).create_ruleset()
}

/// What the kernel denies unless a rule grants it.
struct Handled {
    files: BitFlags<AccessFs>,
    ports: BitFlags<AccessNet>,
    scopes: BitFlags<Scope>,
}

impl Handled {
    fn of(abi: ABI) -> Self {
        Self { files: AccessFs::from_all(abi), ports: AccessNet::from_all(abi), scopes: Scope::from_all(abi) }
    }

    fn create_ruleset(&self) -> Result<RulesetCreated, Cause> {
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let mut ruleset = ruleset.handle_access(self.files)?;
        // An older ABI does not have them, and the empty set is an error.
        if !self.ports.is_empty() {
            ruleset = ruleset.handle_access(self.ports)?;
        }
        if !self.scopes.is_empty() {
            ruleset = ruleset.scope(self.scopes)?;
        }
        Ok(ruleset.create()?)
    }
}

/// The rules of the grants.
type GrantRules<'p> = Vec<(&'p Grant<'p>, BitFlags<AccessFs>)>;

/// What the kernel is to get, for the check, and the rules.
fn request<'p>(
    plan: &SealPlan<'p>,
    handled: &Handled,
    ports: &Ports,
    abi: ABI,
) -> Result<(Request, GrantRules<'p>), Cause> {
    let rules: Result<GrantRules<'_>, Cause> =
        plan.grants.iter().map(|grant| Ok((grant, rights::of_grant(grant, abi)?))).collect();
    let rules = rules?;
    let request = Request {
        files: handled.files.bits(),
        ports: handled.ports.bits(),
        scopes: handled.scopes.bits(),
        rules: rules.iter().map(|(grant, rights)| (grant.fd.as_raw_fd(), rights.bits())).collect(),
        port_rules: ports.rules(abi).map(|(port, rights)| (port, rights.bits())).collect(),
    };
    Ok((request, rules))
}

/// Whether this ABI restricts files but not truncation. False without Landlock: then nothing about files is restricted.
pub(crate) fn lacks_truncation(abi: i32) -> bool {
    (1..STRICT_ABI).contains(&abi)
}

fn describe(found: i32, abi: ABI, rules: usize, ports: &Ports, trial: Option<Trial>) -> String {
    let rights = AccessFs::from_all(abi).len();
    let moves = if abi >= ABI::V2 { "" } else { ", no moves between directories" };
    let truncation = if abi >= ABI::V3 { "" } else { ", not truncation" };
    let network = if abi >= ABI::V4 { format!(", TCP{ports}") } else { ", not TCP".to_owned() };
    let scopes = if abi >= ABI::V6 { ", signals, abstract sockets" } else { ", not signals, not abstract sockets" };
    let newer = if found > abi as i32 { " (newer than this build)" } else { "" };
    let test = match trial {
        Some(_) => "self-test refused",
        None => "no self-test: the grants allow all that this ABI can deny",
    };
    format!("ABI {found}{newer}: {rights} file rights{moves}{truncation}{network}{scopes}; {rules} grants; {test}")
}
