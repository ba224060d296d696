//! The system-call filter, compiled from the policy's rules.

pub(crate) mod outer;
#[cfg(test)]
mod outer_tests;
pub(crate) mod profile;
mod program;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use nix::errno::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};
use wave_policy::{Condition, Level, Operand, Role, SyscallRule, Test};

use super::bpf::Instruction;
use super::filter_check::{self, Checked, Difference};
use super::landlock::{self, STRICT_ABI};
use super::{narrower, sys};
use crate::error::Cause;
use crate::plan::{AddressRange, GrowableRange, SealPlan};
use crate::syscalls;
use outer::OuterFilter;

impl From<seccompiler::BackendError> for Cause {
    fn from(error: seccompiler::BackendError) -> Self {
        Self::Filter(error.into())
    }
}

/// Calls that a compiler's libc makes and that may fail. The flags of clone3 are in memory, where a filter cannot see them; if it
/// fails, libc makes clone. The file that says how to shrink a thread's heap may be missing.
const COMPILER_ANSWERS: &[(i64, i32)] = &[(libc::SYS_clone3, libc::ENOSYS), (libc::SYS_openat, libc::EACCES)];

/// Installs the filter on this thread and on any others. It cannot be removed.
pub(crate) fn install(plan: &SealPlan<'_>) -> Result<String, Cause> {
    let restricts_truncation = restricts_truncation(plan, sys::landlock_abi());
    let (program, calls) = compile(plan, restricts_truncation)?;
    let filter = check(program, plan, restricts_truncation)?;
    permit_filters()?;
    let outer = plan.outer_filter.map(OuterFilter::install_first).transpose()?.unwrap_or_default();
    load(filter.program(), 0).map_err(|errno| Cause::Install(errno.into()))?;
    // An emulated kernel may accept the filter and not enforce it.
    if sys::filtered_getppid() != Err(Errno::from_raw(SELF_TEST.1)) {
        return Err(Cause::FilterSelfTest);
    }
    let origin = if denied_origin(plan).is_some() { ", none from the guest's code" } else { "" };
    let truncation = if restricts_truncation { ", O_TRUNC needs write access" } else { "" };
    let instructions = filter.program().len();
    Ok(format!(
        "{outer}{calls} calls{origin}, {instructions} instructions{truncation}, any other call ends the process"
    ))
}

/// The filter that [`seal`](crate::seal()) installs for a plan, as the kernel gets it, where Landlock restricts truncation. The grants
/// of the plan need not be open.
///
/// # Errors
/// [`Cause::Filter`] if the plan has no filter, as with more growable memories than a jump can cross.
pub fn filter(plan: &SealPlan<'_>) -> Result<Vec<Instruction>, Cause> {
    filter_on(plan, STRICT_ABI)
}

/// As [`filter`], for a kernel with this Landlock ABI.
///
/// # Errors
/// As [`filter`].
pub fn filter_on(plan: &SealPlan<'_>, landlock_abi: i32) -> Result<Vec<Instruction>, Cause> {
    let restricts_truncation = restricts_truncation(plan, landlock_abi);
    let (program, _) = compile(plan, restricts_truncation)?;
    Ok(check(program, plan, restricts_truncation)?.into_program())
}

/// Confirms that a program answers every call as the filter of a plan has to, on a kernel with this Landlock ABI. Returns the number
/// of its paths. Nothing that builds filters takes part.
///
/// # Errors
/// [`Difference`], with a call that is answered differently.
pub fn check_filter(plan: &SealPlan<'_>, landlock_abi: i32, program: &[Instruction]) -> Result<usize, Difference> {
    filter_check::check_plan(program, plan, restricts_truncation(plan, landlock_abi))
}

/// Whether `openat` may truncate a file only if it also opens it for writing, since Landlock does not restrict truncation.
fn restricts_truncation(plan: &SealPlan<'_>, landlock_abi: i32) -> bool {
    landlock::lacks_truncation(landlock_abi) && !resolves_by_openat2(plan)
}

/// Confirms that the program is the filter of the plan, so that `seccompiler` and this file need not be trusted.
fn check(program: Vec<Instruction>, plan: &SealPlan<'_>, restricts_truncation: bool) -> Result<Checked, Cause> {
    Checked::new(program, plan, restricts_truncation).map_err(|difference| Cause::FilterDiffers(difference.into()))
}

/// Without it, which the seal has set unless that layer was left out, the kernel accepts no filter from an ordinary user.
fn permit_filters() -> Result<(), Cause> {
    nix::sys::prctl::set_no_new_privs().map_err(Cause::refused("prctl(PR_SET_NO_NEW_PRIVS)"))
}

/// Gives the kernel a filter: ours, which is [`Checked`], and before it that of a container. No other function makes this call.
fn load(program: &[Instruction], flags: libc::c_ulong) -> Result<(), Errno> {
    let instruction = |&Instruction { code, jt, jf, k }: &Instruction| libc::sock_filter { code, jt, jf, k };
    sys::install_filter(&program.iter().map(instruction).collect::<Vec<_>>(), flags)
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
fn compile(plan: &SealPlan<'_>, restricts_truncation: bool) -> Result<(Vec<Instruction>, usize), Cause> {
    let mut calls: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut with_any_arguments = Vec::new();
    for rule in permitted_rules(plan) {
        if rule.conditions.is_empty() {
            with_any_arguments.push((syscalls::number_of(rule), Vec::new()));
        }
        for permitted in instances(rule, plan.growable)? {
            calls.entry(syscalls::number_of(rule)).or_default().push(permitted);
        }
    }
    // For `seccompiler`, a call with an empty list is permitted with any arguments.
    calls.extend(with_any_arguments);
    if let Some(openat) = calls.get_mut(&libc::SYS_openat).filter(|_| restricts_truncation) {
        *openat = truncation_needs_write()?;
    }
    let programs: Vec<_> = calls.into_iter().map(compile_call).collect::<Result<_, _>>()?;
    let count = programs.len();
    let program = program::join(&programs, answers(plan), denied_origin(plan));
    let instruction =
        |filter: sock_filter| Instruction { code: filter.code, jt: filter.jt, jf: filter.jf, k: filter.k };
    Ok((program.into_iter().map(instruction).collect(), count))
}

/// A program that decides on the calls with one number.
fn compile_call((number, rules): (i64, Vec<SeccompRule>)) -> Result<(i64, BpfProgram), seccompiler::BackendError> {
    let calls = BTreeMap::from([(number, rules)]);
    let filter = SeccompFilter::new(calls, SeccompAction::Trap, SeccompAction::Allow, TargetArch::x86_64)?;
    Ok((number, filter.try_into()?))
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
