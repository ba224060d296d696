//! The filter of a container's own profile, under which a sealed process is besides ours.
//!
//! The kernel asks both filters about every call and takes the stricter answer. So this one can only narrow what ours permits, and
//! nothing checks it: a fault here is no hole of the seal.

use std::collections::BTreeMap;

use super::profile::{SeccompArgument, SeccompOperator};
use super::program::X32_BIT;
use super::{SELF_TEST, load};
use crate::error::Cause;
use crate::linux::bpf::{Instruction, MAX_INSTRUCTIONS, X86_64};

/// A call that the profile traps. The handler of the signal gets the number in the lower half, which is 0 in our filter.
pub(crate) const TRAP: u32 = libc::SECCOMP_RET_TRAP | TRAP_DATA;

/// See [`TRAP`].
pub(crate) const TRAP_DATA: u32 = 1;

/// The filter of a [`SeccompProfile`](crate::SeccompProfile), for [`SealPlan::outer_filter`](crate::SealPlan::outer_filter).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OuterFilter {
    program: Vec<Instruction>,
    flags: libc::c_ulong,
}

/// An answer to calls with one number, if all conditions hold.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub answer: u32,
    pub conditions: Vec<SeccompArgument>,
}

impl OuterFilter {
    /// `None` if the program is too long.
    pub(super) fn new(program: Vec<Instruction>, flags: libc::c_ulong) -> Option<Self> {
        (program.len() + LEFT_TO_OURS.len() * 2 <= MAX_INSTRUCTIONS).then_some(Self { program, flags })
    }

    /// The program, as the profile describes it.
    #[must_use]
    pub fn program(&self) -> &[Instruction] {
        &self.program
    }

    /// Installs it as the only filter.
    pub(crate) fn install_alone(&self) -> Result<String, Cause> {
        super::permit_filters()?;
        load(&self.program, self.flags).map_err(|errno| Cause::OuterFilter(errno.into()))?;
        Ok(format!("the container's own filter alone, {} instructions", self.program.len()))
    }

    /// Installs it on a process that gets our filter next, and leaves it the calls that this takes.
    pub(super) fn install_first(&self) -> Result<String, Cause> {
        let mut program = self.program.clone();
        let left = LEFT_TO_OURS.iter().flat_map(|call| [jump(BPF_JEQ, *call, 0, 1), answer(libc::SECCOMP_RET_ALLOW)]);
        program.splice(PROLOGUE..PROLOGUE, left);
        load(&program, self.flags).map_err(|errno| Cause::OuterFilter(errno.into()))?;
        Ok(format!("the container's own filter, {} instructions, applied first; ", program.len()))
    }
}

/// Calls on which our filter alone decides: `seccomp`, which installs it, and the call of its self-test. Ours answers both, whatever
/// their arguments, and so that they have no effect. A profile that answered them could pretend that ours is there.
#[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "numbers of calls are small")]
const LEFT_TO_OURS: [u32; 2] = [libc::SYS_seccomp as u32, SELF_TEST.0 as u32];

// `linux/bpf_common.h`: BPF_LD | BPF_W | BPF_ABS, BPF_RET | BPF_K, BPF_ALU | BPF_AND | BPF_K, and BPF_JMP | … | BPF_K.
const BPF_LOAD: u16 = 0x20;
const BPF_RETURN: u16 = 0x06;
const BPF_AND: u16 = 0x54;
const BPF_JA: u16 = 0x05;
const BPF_JEQ: u16 = 0x15;
const BPF_JGT: u16 = 0x25;
const BPF_JGE: u16 = 0x35;

// Offsets in `struct seccomp_data`, little endian.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The length of what comes before the answers to numbers. The number is loaded by then.
const PROLOGUE: usize = 6;

/// The program with the rules of each number, and the answer to calls that no rule matches.
///
/// It is a sequence of parts, each for the numbers below a bound that the parts before are not for.
pub(super) fn program(calls: &BTreeMap<u32, Vec<Rule>>, default: u32) -> Vec<Instruction> {
    let kill = answer(libc::SECCOMP_RET_KILL_PROCESS);
    let mut program = vec![load_word(ARCHITECTURE), jump(BPF_JEQ, X86_64, 1, 0), kill];
    program.extend([load_word(NUMBER), jump(BPF_JGE, X32_BIT, 0, 1), kill]);
    debug_assert_eq!(program.len(), PROLOGUE);
    let mut parts: Vec<(u32, Vec<Instruction>)> = Vec::new();
    let last = calls.last_key_value().map_or(0, |(last, _)| *last).max(RT_SIGRETURN);
    for number in 0..=last {
        let mut code = of_number(calls.get(&number).map_or(&[], Vec::as_slice), default);
        if number == RT_SIGRETURN {
            code.iter_mut().for_each(end_instead_of_errno);
        }
        match parts.last_mut() {
            Some((bound, same)) if *same == code => *bound = number + 1,
            _ => parts.push((number + 1, code)),
        }
    }
    for (bound, code) in parts {
        // The jump to the next part can be longer than a conditional one.
        let len = u32::try_from(code.len()).unwrap_or(u32::MAX);
        program.extend([jump(BPF_JGE, bound, 0, 1), Instruction { code: BPF_JA, jt: 0, jf: 0, k: len }]);
        program.extend(code);
    }
    program.push(answer(default));
    program
}

/// A signal handler returns by this call. If it fails, the process runs what happens to lie behind it, with registers of the guest on
/// its stack. So the process ends instead.
#[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "numbers of calls are small")]
const RT_SIGRETURN: u32 = libc::SYS_rt_sigreturn as u32;

fn end_instead_of_errno(instruction: &mut Instruction) {
    let Instruction { code, k, .. } = instruction;
    if *code == BPF_RETURN && *k & libc::SECCOMP_RET_ACTION_FULL == libc::SECCOMP_RET_ERRNO {
        *k = libc::SECCOMP_RET_KILL_PROCESS;
    }
}

/// The answers to calls with one number: that of the first rule without conditions, else the strictest of the rules that match.
fn of_number(rules: &[Rule], default: u32) -> Vec<Instruction> {
    if let Some(rule) = rules.iter().find(|rule| rule.conditions.is_empty()) {
        return of_rule(rule);
    }
    let mut rules: Vec<&Rule> = rules.iter().collect();
    // The kernel compares actions as signed numbers; the strictest is the least. Source: `kernel/seccomp.c`, `ACTION_ONLY`.
    rules.sort_by_key(|rule| (rule.answer & libc::SECCOMP_RET_ACTION_FULL).cast_signed());
    rules.into_iter().flat_map(of_rule).chain([answer(default)]).collect()
}

/// Where a jump of a condition leads.
#[derive(Clone, Copy)]
enum To {
    /// To the next instruction.
    Next,
    /// Past the condition, which holds.
    Holds,
    /// Past the rule.
    Fails,
}

/// An instruction of a condition, and where it leads if it is a jump.
type Step = (u16, u32, To, To);

/// Goes past its end if a condition does not hold.
fn of_rule(rule: &Rule) -> Vec<Instruction> {
    let conditions: Vec<_> = rule.conditions.iter().map(condition).collect();
    let len = conditions.iter().map(Vec::len).sum::<usize>() + 1;
    let (mut code, mut end) = (Vec::with_capacity(len), 0);
    for steps in conditions {
        end += steps.len();
        for (operation, k, yes, no) in steps {
            let at = code.len() + 1;
            let skipped = |to| match to {
                To::Next => 0,
                To::Holds => end - at,
                To::Fails => len - at,
            };
            // At most 36: six conditions of six instructions.
            let [jt, jf] = [yes, no].map(|to| u8::try_from(skipped(to)).unwrap_or(u8::MAX));
            code.push(Instruction { code: operation, jt, jf, k });
        }
    }
    code.push(answer(rule.answer));
    code
}

/// Compares the halves of an argument, the upper one first.
fn condition(argument: &SeccompArgument) -> Vec<Step> {
    use To::{Fails, Holds, Next};
    let SeccompArgument { index, value, value_two, op } = *argument;
    let [high, low] = halves(value);
    let low_at = ARGUMENTS + 8 * index;
    let load = |offset| (BPF_LOAD, offset, Next, Next);
    let equal = |[mask_high, mask_low]: [u32; 2], [high, low]: [u32; 2]| {
        let upper = [load(low_at + 4), (BPF_AND, mask_high, Next, Next), (BPF_JEQ, high & mask_high, Next, Fails)];
        let lower = [load(low_at), (BPF_AND, mask_low, Next, Next), (BPF_JEQ, low & mask_low, Holds, Fails)];
        [upper, lower].concat()
    };
    // Which way each half decides: the upper one if it is above or below, else the lower one.
    let order = |last: u16, above: To, below: To| {
        let upper = [load(low_at + 4), (BPF_JGT, high, above, Next), (BPF_JEQ, high, Next, below)];
        [&upper[..], &[load(low_at), (last, low, above, below)]].concat()
    };
    match op {
        SeccompOperator::Eq => equal([u32::MAX; 2], [high, low]),
        SeccompOperator::MaskedEq => equal([high, low], halves(value_two)),
        SeccompOperator::Ne => {
            vec![load(low_at + 4), (BPF_JEQ, high, Next, Holds), load(low_at), (BPF_JEQ, low, Fails, Holds)]
        }
        SeccompOperator::Gt => order(BPF_JGT, Holds, Fails),
        SeccompOperator::Ge => order(BPF_JGE, Holds, Fails),
        SeccompOperator::Lt => order(BPF_JGE, Fails, Holds),
        SeccompOperator::Le => order(BPF_JGT, Fails, Holds),
    }
}

/// The upper and the lower half.
fn halves(value: u64) -> [u32; 2] {
    [value >> 32, value & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or(0))
}

const fn load_word(offset: u32) -> Instruction {
    Instruction { code: BPF_LOAD, jt: 0, jf: 0, k: offset }
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

const fn answer(verdict: u32) -> Instruction {
    Instruction { code: BPF_RETURN, jt: 0, jf: 0, k: verdict }
}
