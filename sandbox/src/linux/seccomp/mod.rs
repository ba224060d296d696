//! The system-call filter, made from the policy's rules.

mod program;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};
use wave_policy::{Condition, Level, Operand, Role, Rule, Test, all_rules};

use self::program::with_prologue;
use super::bpf::Instruction;
use super::filter_check::{self, Expected, Permitted, Requirement};
use super::{landlock, sys, syscalls};
#[cfg(feature = "test-hooks")]
use crate::linux::hooks;
use crate::{AddressRange, Cause, GrowableRange, SealPlan};

/// Numbers from here on are calls of the x32 ABI, which shares the architecture's mark. Source: seccomp(2).
const X32_BIT: u32 = 0x4000_0000;

impl From<seccompiler::BackendError> for Cause {
    fn from(error: seccompiler::BackendError) -> Self {
        Self::Filter(error.into())
    }
}

/// Calls that a compiler's libc makes and can do without: clone3, whose flags a filter cannot see, leads to clone where the
/// kernel has none; the file that says how to shrink a thread's heap may be missing.
const ANSWERS_OF_A_COMPILER: &[(i64, i32)] = &[(libc::SYS_clone3, libc::ENOSYS), (libc::SYS_openat, libc::EACCES)];

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

/// Puts the filter in force on this thread and, were there any, on all others. It cannot be taken off.
pub(crate) fn install(plan: &SealPlan<'_>) -> Result<String, Cause> {
    let pinned = landlock::leaves_truncation(sys::landlock_abi()) && !resolves_by_openat2(plan);
    let (program, calls) = compile(plan, pinned)?;
    check(plan, pinned, &program)?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| Cause::Install(error.into()))?;
    // A kernel that says yes and does nothing, as an emulation may, is caught here.
    if !sys::is_answered(SELF_TEST) {
        return Err(Cause::FilterSelfTest);
    }
    let origin = if refused_code(plan).is_some() { ", none from the guest's code" } else { "" };
    let cuts = if pinned { ", O_TRUNC needs write access" } else { "" };
    Ok(format!("{calls} calls{origin}, {} instructions{cuts}, any other call ends the process", program.len()))
}

/// The filter that [`seal`](crate::seal) puts in force for a plan, as the kernel gets it. Its grants need not be open.
///
/// # Errors
/// [`Cause::Filter`] if no filter can be made of it, as for more growable memories than jumps can cross.
pub fn filter(plan: &SealPlan<'_>) -> Result<Vec<Instruction>, Cause> {
    let (program, _) = compile(plan, false)?;
    check(plan, false, &program)?;
    Ok(program.iter().map(Instruction::from).collect())
}

/// Whether the program is the filter of the rules. What built it, `seccompiler` and this file, need not be believed then.
fn check(plan: &SealPlan<'_>, pinned: bool, program: &[sock_filter]) -> Result<(), Cause> {
    let program: Vec<_> = program.iter().map(Instruction::from).collect();
    let checked = filter_check::check(&program, &expected(plan, pinned));
    checked.map(drop).map_err(|difference| Cause::FilterDiffers(difference.into()))
}

/// The rules of a plan, as the check reads them.
fn expected(plan: &SealPlan<'_>, pinned: bool) -> Expected {
    let number = |call: i64| u32::try_from(call).unwrap_or(u32::MAX);
    let mut calls: BTreeMap<u32, Vec<Vec<Requirement>>> = BTreeMap::new();
    for rule in permitted_rules(plan) {
        let alternatives = calls.entry(number(self::number(rule))).or_default();
        let ranges = if rule.speaks_of_growable() { plan.growable } else { &[GrowableRange { base: 0, len_bytes: 0 }] };
        for range in ranges {
            alternatives.push(rule.conditions.iter().map(|condition| requirement(condition, range)).collect());
        }
    }
    if pinned && let Some(openat) = calls.get_mut(&number(libc::SYS_openat)) {
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
        refused: refused_code(plan),
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

/// The rules that a plan permits.
fn permitted_rules(plan: &SealPlan<'_>) -> impl Iterator<Item = &'static Rule> {
    let rules = plan.policy.rules(!plan.growable.is_empty());
    #[cfg(feature = "test-hooks")]
    let rules = rules.filter(|rule| hooks::permits(plan.policy.role, rule));
    rules
}

/// Calls that are answered with an errno.
fn answers(plan: &SealPlan<'_>) -> impl Iterator<Item = (i64, i32)> {
    let of_role = if plan.policy.role == Role::Compiler { ANSWERS_OF_A_COMPILER } else { &[] };
    [(SELF_TEST.call, SELF_TEST.errno)].into_iter().chain(of_role.iter().copied())
}

/// What `strict` refuses every call from.
fn refused_code(plan: &SealPlan<'_>) -> Option<AddressRange> {
    plan.guest_code.filter(|_| plan.policy.level == Level::Strict)
}

/// A call that every filter answers with an errno in place of the kernel, to see that the filter is there. It has no effect
/// where it is not.
pub(crate) const SELF_TEST: SelfTest = SelfTest { call: libc::SYS_getppid, errno: libc::EKEYREJECTED };

/// A filter cannot see the flags of `openat2`, which stand in memory.
fn resolves_by_openat2(plan: &SealPlan<'_>) -> bool {
    plan.policy.rules(false).any(|rule| rule.call == "openat2")
}

/// The filter as a program for the kernel, and the number of system calls it permits. `pinned`: `openat` cuts a file only
/// where it also opens it for writing, which Landlock judges at every ABI.
fn compile(plan: &SealPlan<'_>, pinned: bool) -> Result<(BpfProgram, usize), Cause> {
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
    if let Some(openat) = calls.get_mut(&libc::SYS_openat).filter(|_| pinned) {
        *openat = cutting_needs_write()?;
    }
    let count = calls.len();
    let filter = SeccompFilter::new(calls, SeccompAction::Trap, SeccompAction::Allow, TargetArch::x86_64)?;
    Ok((with_prologue(filter.try_into()?, answers(plan), refused_code(plan)), count))
}

fn number(rule: &Rule) -> i64 {
    let position = all_rules().binary_search_by_key(&rule.id, |other| other.id);
    // The rule is one of the table's, so it is found; were it not, -1 is no call's number.
    position.map_or(-1, |index| NUMBERS[index])
}

/// No `O_TRUNC`, or one together with `O_WRONLY` or `O_RDWR`. The kernel cuts with every access mode, 3 included, which
/// asks for neither reading nor writing.
fn cutting_needs_write() -> Result<Vec<SeccompRule>, Cause> {
    const FLAGS: u8 = 2;
    let rule = |mask: i32, value: i32| {
        let (mask, value) = (u64::from(mask.cast_unsigned()), u64::from(value.cast_unsigned()));
        let test = SeccompCondition::new(FLAGS, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value)?;
        Ok(SeccompRule::new(vec![test])?)
    };
    let cutting = libc::O_TRUNC | libc::O_ACCMODE;
    vec![
        rule(libc::O_TRUNC, 0),
        rule(cutting, libc::O_TRUNC | libc::O_WRONLY),
        rule(cutting, libc::O_TRUNC | libc::O_RDWR),
    ]
    .into_iter()
    .collect()
}

/// A rule that speaks of growable memory stands once per range, any other with conditions once.
fn instances(rule: &Rule, growable: &[GrowableRange]) -> Result<Vec<SeccompRule>, Cause> {
    if rule.conditions.is_empty() {
        return Ok(Vec::new());
    }
    let none = [GrowableRange { base: 0, len_bytes: 0 }];
    let ranges = if rule.speaks_of_growable() { growable } else { &none };
    ranges.iter().map(|range| instance(rule, range)).collect()
}

fn instance(rule: &Rule, range: &GrowableRange) -> Result<SeccompRule, Cause> {
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

/// See [`SELF_TEST`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct SelfTest {
    /// The call.
    pub call: i64,
    /// What the filter answers.
    pub errno: i32,
}

#[cfg(test)]
mod tests;
