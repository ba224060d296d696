//! What the filter of a plan has to answer, read from the policy's rules for the check alone.
//!
//! Nothing of `seccomp`, which builds the filter, is used here: what both need is written twice, and a difference is seen by the check.

use std::collections::BTreeMap;

use wave_policy::{Condition, Level, Operand, Role, Test};

use super::{Requirement, Rule, Rules};
use crate::linux::narrower;
use crate::plan::{GrowableRange, SealPlan};
use crate::syscalls;

/// Calls that fail with an errno in every filter: the self-test of the seal.
const OF_EVERY_FILTER: [(i64, i32); 1] = [(libc::SYS_getppid, libc::EKEYREJECTED)];

/// Calls that fail with an errno in a compiler's filter, so that its libc goes another way.
const OF_A_COMPILER: [(i64, i32); 2] = [(libc::SYS_clone3, libc::ENOSYS), (libc::SYS_openat, libc::EACCES)];

/// Reads the rules of a plan. `restricts_truncation`: `openat` with `O_TRUNC` needs write access.
pub(super) fn of_plan(plan: &SealPlan<'_>, restricts_truncation: bool) -> Rules {
    let policy = plan.policy;
    let mut by_number: BTreeMap<u32, Rule> = BTreeMap::new();
    let rules = policy.rules(!plan.growable.is_empty()).filter(|rule| narrower::permits(policy.role, rule));
    for rule in rules {
        let ranges = if rule.speaks_of_growable() { plan.growable } else { &[GrowableRange { base: 0, len_bytes: 0 }] };
        let number = number(syscalls::number_of(rule));
        let Rule::Permit(alternatives) = by_number.entry(number).or_insert(Rule::Permit(Vec::new())) else { continue };
        for range in ranges {
            alternatives.push(rule.conditions.iter().map(|condition| requirement(condition, range)).collect());
        }
    }
    if restricts_truncation && let Some(openat) = by_number.get_mut(&number(libc::SYS_openat)) {
        *openat = Rule::Permit(truncation_with_write_access());
    }
    let of_role: &[_] = if policy.role == Role::Compiler { &OF_A_COMPILER } else { &[] };
    for (call, errno) in OF_EVERY_FILTER.iter().chain(of_role) {
        by_number.insert(number(*call), Rule::Answer(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()));
    }
    Rules { denied_origin: plan.guest_code.filter(|_| policy.level == Level::Strict), by_number }
}

fn number(call: i64) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn requirement(condition: &Condition, range: &GrowableRange) -> Requirement {
    let argument = condition.arg;
    let value = |operand| match operand {
        Operand::Value(value) => value,
        Operand::GrowableBase => range.base,
        Operand::GrowableLength => range.len_bytes,
    };
    match condition.test {
        Test::Equal(operand) => Requirement::Equal { argument, mask: u64::MAX, value: value(operand) },
        Test::AtMost(operand) => Requirement::AtMost { argument, value: value(operand) },
        Test::Masked { mask, value } => Requirement::Equal { argument, mask, value },
    }
}

/// The flags of an `openat` that truncates nothing, or truncates what it opens for writing.
fn truncation_with_write_access() -> Vec<Vec<Requirement>> {
    let flags = |mask: i32, value: i32| {
        let [mask, value] = [mask, value].map(|bits| u64::from(bits.cast_unsigned()));
        vec![Requirement::Equal { argument: 2, mask, value }]
    };
    let truncates = libc::O_TRUNC | libc::O_ACCMODE;
    let writes = [libc::O_WRONLY, libc::O_RDWR].map(|mode| flags(truncates, libc::O_TRUNC | mode));
    [flags(libc::O_TRUNC, 0)].into_iter().chain(writes).collect()
}
