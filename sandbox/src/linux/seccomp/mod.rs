//! The system-call filter, compiled from the policy's rules.

mod program;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use nix::errno::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};
use wave_policy::{Condition, Level, Operand, Role, SyscallRule, Test, all_rules};

use super::bpf::Instruction;
use super::filter_check::{self, Expected, Permitted, Requirement};
use super::{landlock, narrower, sys, syscalls};
use crate::error::Cause;
use crate::plan::{AddressRange, GrowableRange, SealPlan};

impl From<seccompiler::BackendError> for Cause {
    fn from(error: seccompiler::BackendError) -> Self {
        Self::Filter(error.into())
    }
}

/// Calls that a compiler's libc makes and that may fail. The flags of clone3 are in memory, where a filter cannot see them; if it
/// fails, libc makes clone. The file that says how to shrink a thread's heap may be missing.
const COMPILER_ANSWERS: &[(i64, i32)] = &[(libc::SYS_clone3, libc::ENOSYS), (libc::SYS_openat, libc::EACCES)];

/// The numbers of the table's calls, in the order of its rules.
static NUMBERS: [i64; all_rules().len()] = {
    let mut numbers = [0; all_rules().len()];
    let mut i = 0;
    while i < numbers.len() {
        numbers[i] = syscalls::number(all_rules()[i].call);
        i += 1;
    }
    numbers
};

/// Installs the filter on this thread and on any others. It cannot be removed.
pub(crate) fn install(plan: &SealPlan<'_>) -> Result<String, Cause> {
    let restricts_truncation = landlock::lacks_truncation(sys::landlock_abi()) && !resolves_by_openat2(plan);
    let (program, calls) = compile(plan, restricts_truncation)?;
    check(plan, restricts_truncation, &program)?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| Cause::Install(error.into()))?;
    // An emulated kernel may accept the filter and not enforce it.
    if sys::filtered_getppid() != Err(Errno::from_raw(SELF_TEST.1)) {
        return Err(Cause::FilterSelfTest);
    }
    let origin = if denied_origin(plan).is_some() { ", none from the guest's code" } else { "" };
    let truncation = if restricts_truncation { ", O_TRUNC needs write access" } else { "" };
    Ok(format!("{calls} calls{origin}, {} instructions{truncation}, any other call ends the process", program.len()))
}

/// The filter that [`seal`](crate::seal()) installs for a plan, as the kernel gets it. The grants of the plan need not be open.
///
/// # Errors
/// [`Cause::Filter`] if the plan has no filter, as with more growable memories than a jump can cross.
pub fn filter(plan: &SealPlan<'_>) -> Result<Vec<Instruction>, Cause> {
    let (program, _) = compile(plan, false)?;
    check(plan, false, &program)?;
    Ok(program.iter().map(Instruction::from).collect())
}

/// Confirms that the program is the filter of the rules, so that `seccompiler` and this file need not be trusted.
fn check(plan: &SealPlan<'_>, restricts_truncation: bool, program: &[sock_filter]) -> Result<(), Cause> {
    let program: Vec<_> = program.iter().map(Instruction::from).collect();
    let checked = filter_check::check(&program, &expected(plan, restricts_truncation));
    checked.map(drop).map_err(|difference| Cause::FilterDiffers(difference.into()))
}

/// The rules of a plan, in the form of the check.
fn expected(plan: &SealPlan<'_>, restricts_truncation: bool) -> Expected {
    let number = |call: i64| u32::try_from(call).unwrap_or(u32::MAX);
    let mut calls: BTreeMap<u32, Vec<Vec<Requirement>>> = BTreeMap::new();
    for rule in permitted_rules(plan) {
        let alternatives = calls.entry(number(self::number(rule))).or_default();
        let ranges = if rule.speaks_of_growable() { plan.growable } else { &[GrowableRange { base: 0, len_bytes: 0 }] };
        for range in ranges {
            alternatives.push(rule.conditions.iter().map(|condition| requirement(condition, range)).collect());
        }
    }
    if restricts_truncation && let Some(openat) = calls.get_mut(&number(libc::SYS_openat)) {
        let flags = |mask: i32, value: i32| {
            let [mask, value] = [mask, value].map(|bits| u64::from(bits.cast_unsigned()));
            vec![Requirement::Equal { argument: 2, mask, value }]
        };
        let truncates = libc::O_TRUNC | libc::O_ACCMODE;
        let writes = [libc::O_WRONLY, libc::O_RDWR].map(|mode| flags(truncates, libc::O_TRUNC | mode));
        *openat = [flags(libc::O_TRUNC, 0)].into_iter().chain(writes).collect();
    }
    let answers = answers(plan).map(|(call, errno)| (number(call), libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()));
    Expected {
        denied_origin: denied_origin(plan),
        answers: answers.collect(),
        calls: calls.into_iter().map(|(number, alternatives)| Permitted { number, alternatives }).collect(),
    }
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

/// The rules that apply to a plan.
fn permitted_rules(plan: &SealPlan<'_>) -> impl Iterator<Item = &'static SyscallRule> {
    let rules = plan.policy.rules(!plan.growable.is_empty());
    rules.filter(|rule| narrower::permits(plan.policy.role, rule))
}

/// Calls that fail with an errno, whatever their arguments.
fn answers(plan: &SealPlan<'_>) -> impl Iterator<Item = (i64, i32)> {
    let of_role = if plan.policy.role == Role::Compiler { COMPILER_ANSWERS } else { &[] };
    [SELF_TEST].into_iter().chain(of_role.iter().copied())
}

/// The code from which `strict` denies every call.
fn denied_origin(plan: &SealPlan<'_>) -> Option<AddressRange> {
    plan.guest_code.filter(|_| plan.policy.level == Level::Strict)
}

/// A call, and the errno with which every filter fails it. This shows that the filter is installed; without a filter the call has
/// no effect.
const SELF_TEST: (i64, i32) = (libc::SYS_getppid, libc::EKEYREJECTED);

/// Whether the plan permits `openat2`. Its flags are in memory, where a filter cannot see them.
fn resolves_by_openat2(plan: &SealPlan<'_>) -> bool {
    plan.policy.rules(false).any(|rule| rule.call == "openat2")
}

/// The filter as a program for the kernel, and the number of system calls that it permits. `restricts_truncation`: `openat` may truncate
/// a file only if it also opens it for writing, which Landlock restricts at every ABI.
fn compile(plan: &SealPlan<'_>, restricts_truncation: bool) -> Result<(BpfProgram, usize), Cause> {
    let mut calls: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut with_any_arguments = Vec::new();
    for rule in permitted_rules(plan) {
        if rule.conditions.is_empty() {
            with_any_arguments.push((number(rule), Vec::new()));
        }
        for permitted in instances(rule, plan.growable)? {
            calls.entry(number(rule)).or_default().push(permitted);
        }
    }
    // For `seccompiler`, a call with an empty list is permitted with any arguments.
    calls.extend(with_any_arguments);
    if let Some(openat) = calls.get_mut(&libc::SYS_openat).filter(|_| restricts_truncation) {
        *openat = truncation_needs_write()?;
    }
    let count = calls.len();
    let filter = SeccompFilter::new(calls, SeccompAction::Trap, SeccompAction::Allow, TargetArch::x86_64)?;
    Ok((program::add_prologue(filter.try_into()?, answers(plan), denied_origin(plan)), count))
}

fn number(rule: &SyscallRule) -> i64 {
    let position = all_rules().binary_search_by_key(&rule.id, |other| other.id);
    // Every rule is in the table. -1 is the number of no call.
    position.map_or(-1, |index| NUMBERS[index])
}

/// Conditions on the flags: no `O_TRUNC`, or `O_TRUNC` with `O_WRONLY` or `O_RDWR`. The kernel truncates with every access mode, also
/// with 3, which opens for neither reading nor writing.
fn truncation_needs_write() -> Result<Vec<SeccompRule>, Cause> {
    const FLAGS: u8 = 2;
    let rule = |mask: i32, value: i32| {
        let (mask, value) = (u64::from(mask.cast_unsigned()), u64::from(value.cast_unsigned()));
        let test = SeccompCondition::new(FLAGS, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value)?;
        Ok(SeccompRule::new(vec![test])?)
    };
    let truncates = libc::O_TRUNC | libc::O_ACCMODE;
    vec![
        rule(libc::O_TRUNC, 0),
        rule(truncates, libc::O_TRUNC | libc::O_WRONLY),
        rule(truncates, libc::O_TRUNC | libc::O_RDWR),
    ]
    .into_iter()
    .collect()
}

/// A rule about growable memory as one rule of `seccompiler` for each range; any other rule with conditions as one.
fn instances(rule: &SyscallRule, growable: &[GrowableRange]) -> Result<Vec<SeccompRule>, Cause> {
    if rule.conditions.is_empty() {
        return Ok(Vec::new());
    }
    let none = [GrowableRange { base: 0, len_bytes: 0 }];
    let ranges = if rule.speaks_of_growable() { growable } else { &none };
    ranges.iter().map(|range| instance(rule, range)).collect()
}

fn instance(rule: &SyscallRule, range: &GrowableRange) -> Result<SeccompRule, Cause> {
    let conditions: Result<Vec<_>, _> = rule.conditions.iter().map(|condition| translate(condition, range)).collect();
    Ok(SeccompRule::new(conditions?)?)
}

fn translate(condition: &Condition, range: &GrowableRange) -> Result<SeccompCondition, seccompiler::BackendError> {
    let value = |operand| match operand {
        Operand::Value(value) => value,
        Operand::GrowableBase => range.base,
        Operand::GrowableLength => range.len_bytes,
    };
    let (operator, value) = match condition.test {
        Test::Equal(operand) => (SeccompCmpOp::Eq, value(operand)),
        Test::AtMost(operand) => (SeccompCmpOp::Le, value(operand)),
        Test::Masked { mask, value } => (SeccompCmpOp::MaskedEq(mask), value),
    };
    SeccompCondition::new(condition.arg, SeccompCmpArgLen::Qword, operator, value)
}
