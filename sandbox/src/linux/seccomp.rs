//! The system-call filter, made from the policy's rules.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};
use wave_policy::{Condition, Level, Operand, Role, Rule, Test, all_rules};

use super::bpf::Instruction;
use super::filter_check::{self, Expected, Permitted, Requirement};
use super::{landlock, sys, syscalls};
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
    rules.filter(|rule| crate::narrower::permits(plan.policy.role, rule))
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

/// Adds what `seccompiler` has no rule for, around its check of the architecture: calls by their origin, x32, calls that fail
/// with an errno. A call of another architecture is refused like any other, with a message.
fn with_prologue(
    mut program: BpfProgram,
    answers: impl Iterator<Item = (i64, i32)>,
    refused_code: Option<AddressRange>,
) -> BpfProgram {
    // load arch, compare, kill, load number: jumps are relative and none crosses the place after these.
    const KILL: usize = 2;
    const LOAD_NUMBER: usize = 3;
    program[KILL] = answer(libc::SECCOMP_RET_TRAP);
    // A number of the x32 ABI equals none in the filter anyway; this way it is plain to see.
    let mut number = vec![jump(BPF_JGE, X32_BIT, 0, 1), answer(libc::SECCOMP_RET_TRAP)];
    for (call, errno) in answers {
        // No call has a number that large; were one given, the comparison would hold for none.
        number.push(jump(BPF_JEQ, u32::try_from(call).unwrap_or(u32::MAX), 0, 1));
        number.push(answer(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()));
    }
    program.splice(LOAD_NUMBER + 1..LOAD_NUMBER + 1, number);
    let origin = refused_code.map(refuse_origin).unwrap_or_default();
    program.splice(LOAD_NUMBER..LOAD_NUMBER, origin);
    program
}

// `linux/bpf_common.h`: BPF_LD | BPF_W | BPF_ABS, BPF_RET | BPF_K, and BPF_JMP | … | BPF_K.
const BPF_LOAD: u16 = 0x20;
const BPF_RETURN: u16 = 0x06;
const BPF_JEQ: u16 = 0x15;
const BPF_JGE: u16 = 0x35;

const fn answer(verdict: u32) -> sock_filter {
    sock_filter { code: BPF_RETURN, jt: 0, jf: 0, k: verdict }
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Refuses a call whose instruction pointer lies in the range. The halves of an address are compared one after the other, so
/// there is a test for each stretch with one upper half.
fn refuse_origin(range: AddressRange) -> Vec<sock_filter> {
    // Offsets in `struct seccomp_data`, little endian.
    const POINTER_LOW: u32 = 8;
    const POINTER_HIGH: u32 = 12;
    let load = |k| sock_filter { code: BPF_LOAD, jt: 0, jf: 0, k };
    // The pointer is behind the call, so the address behind the range belongs to it.
    let last = range.start.saturating_add(range.len_bytes);
    let (first, last) = (Halves::of(range.start), Halves::of(last));
    let mut program = Vec::new();
    for high in first.high..=last.high {
        let low = if high == first.high { first.low } else { 0 };
        let past = last.low.checked_add(1).filter(|_| high == last.high);
        program.extend([load(POINTER_HIGH), jump(BPF_JEQ, high, 0, 4), load(POINTER_LOW)]);
        program.push(jump(BPF_JGE, low, 0, 2));
        program.push(past.map_or(jump(BPF_JGE, 0, 0, 0), |past| jump(BPF_JGE, past, 1, 0)));
        program.push(answer(libc::SECCOMP_RET_TRAP));
    }
    program
}

/// An address as a filter can load it.
#[derive(Clone, Copy)]
struct Halves {
    high: u32,
    low: u32,
}

impl Halves {
    fn of(address: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = address.to_be_bytes();
        Self { high: u32::from_be_bytes([a, b, c, d]), low: u32::from_be_bytes([e, f, g, h]) }
    }
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
mod tests {
    use super::super::bpf::{SystemCall, evaluate};
    use super::*;
    use wave_policy::{Policy, Surface};

    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const TRAP: u32 = libc::SECCOMP_RET_TRAP;
    const RANGE: GrowableRange = GrowableRange { base: 0x1234_0000_0000, len_bytes: 0x2_0000_0000 };

    fn verdict(program: &[Instruction], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let call = SystemCall { arch, ..SystemCall::new(number, arguments) };
        evaluate(program, &call).expect("a program the kernel takes")
    }

    fn filter(functions: &[&str], growable: &[GrowableRange]) -> Vec<Instruction> {
        let surface = Surface::from_imports(functions.iter().map(|name| ("wasi_snapshot_preview1", *name)));
        let grant = wave_policy::FilesystemGrant { host: "/srv".into(), access: wave_policy::Access::ReadWrite };
        let policy = Policy { surface, grants: vec![grant], ..Policy::default() };
        super::filter(&SealPlan { growable, ..SealPlan::new(&policy) }).expect("the table compiles")
    }

    fn on(program: &[Instruction], call: &str, args: [u64; 6]) -> u32 {
        let number = u32::try_from(syscalls::number(call)).expect("a small number");
        verdict(program, X86_64, number, args)
    }

    #[test]
    fn other_architectures_and_x32_are_refused() {
        let program = filter(&["fd_write"], &[]);
        assert_eq!(verdict(&program, X86_64, 1, [2; 6]), ALLOW);
        assert_eq!(verdict(&program, I386, 1, [2; 6]), TRAP);
        assert_eq!(verdict(&program, I386, 4, [2; 6]), TRAP);
        assert_eq!(verdict(&program, X86_64, X32_BIT | 1, [2; 6]), TRAP);
        assert_eq!(verdict(&program, X86_64, u32::MAX, [2; 6]), TRAP);
        assert_eq!(verdict(&program, X86_64, X32_BIT - 1, [2; 6]), TRAP);
    }

    #[test]
    fn calls_from_the_code_of_the_guest_are_refused_in_strict() {
        for (start, len_bytes) in [(0x1000_0000, 0x1000), (0x7f12_ffff_f000, 0x2000), (0x7f12_8000_0000, 0x1_8000_0000)]
        {
            let range = AddressRange { start, len_bytes };
            for level in [Level::Strict, Level::Standard] {
                let policy = Policy { level, ..Policy::default() };
                let plan = SealPlan { guest_code: Some(range), ..SealPlan::new(&policy) };
                let program = super::filter(&plan).expect("the table compiles");
                let exit = SystemCall::new(231, [0; 6]);
                let from = |instruction_pointer| {
                    evaluate(&program, &SystemCall { instruction_pointer, ..exit }).expect("a program the kernel takes")
                };
                let inside = if level == Level::Strict { TRAP } else { ALLOW };
                let end = start + len_bytes;
                for pointer in [start, start + 1, start + len_bytes / 2, end - 1, end] {
                    let expected = if (start..=end).contains(&pointer) { inside } else { ALLOW };
                    assert_eq!(from(pointer), expected, "{level} {pointer:#x} of {range:x?}");
                }
                for pointer in [0_u64, start - 1, end + 1, start + (1 << 40), end ^ 1 << 46, u64::MAX] {
                    assert_eq!(from(pointer), ALLOW, "{level} {pointer:#x} of {range:x?}");
                }
            }
        }
    }

    #[test]
    fn every_filter_answers_the_self_test() {
        let answered = libc::SECCOMP_RET_ERRNO | SELF_TEST.errno.cast_unsigned();
        assert_eq!(on(&filter(&[], &[]), "getppid", [7; 6]), answered);
    }

    #[test]
    fn mprotect_stays_in_its_ranges_and_never_executes() {
        let other = GrowableRange { base: 0x7000_0000, len_bytes: 0x1_0000 };
        let program = filter(&[], &[RANGE, other]);
        let mprotect = |base, len, prot| on(&program, "mprotect", [base, len, prot, 0, 0, 0]);
        assert_eq!(mprotect(RANGE.base, RANGE.len_bytes, 3), ALLOW);
        assert_eq!(mprotect(RANGE.base, 0x1_0000, 3), ALLOW);
        assert_eq!(mprotect(other.base, other.len_bytes, 3), ALLOW);
        assert_eq!(mprotect(other.base, other.len_bytes + 1, 3), TRAP);
        assert_eq!(mprotect(RANGE.base, RANGE.len_bytes + 1, 3), TRAP);
        assert_eq!(mprotect(RANGE.base + 0x1000, 0x1000, 3), TRAP);
        for prot in [0, 1, 2, 4, 5, 7, 3 | 1 << 32, 3 | 0x0100_0000] {
            assert_eq!(mprotect(RANGE.base, 0x1_0000, prot), TRAP, "{prot:#x}");
        }
        assert_eq!(on(&filter(&[], &[]), "mprotect", [0; 6]), TRAP);
    }

    #[test]
    fn mmap_gives_private_memory_only() {
        let program = filter(&[], &[]);
        let mmap = |prot, flags| on(&program, "mmap", [0, 4096, prot, flags, u64::MAX, 0]);
        assert_eq!(mmap(3, 0x22), ALLOW);
        assert_eq!(mmap(7, 0x22), TRAP);
        assert_eq!(mmap(5, 0x22), TRAP);
        assert_eq!(mmap(3, 0x21), TRAP, "shared");
        assert_eq!(mmap(3, 0x32), TRAP, "fixed");
        assert_eq!(mmap(3, 0x02), TRAP, "file");
    }

    fn compiler() -> Vec<Instruction> {
        let policy = Policy { role: Role::Compiler, ..Policy::default() };
        super::filter(&SealPlan { growable: &[RANGE], ..SealPlan::new(&policy) }).expect("the table compiles")
    }

    #[test]
    fn a_compiler_makes_threads_and_no_processes() {
        let program = compiler();
        let clone = |flags| on(&program, "clone", [flags, 0, 0, 0, 0, 0]);
        assert_eq!(clone(0x3d_0f00), ALLOW);
        for flags in [0, 17, 0x3d_0f00 | 17, 0x3d_0f00 & !0x1_0000, 0x3d_0f00 | 0x1000_0000, 0x3d_0f00 | 1 << 32] {
            assert_eq!(clone(flags), TRAP, "{flags:#x}");
        }
        let errno = |errno: i32| libc::SECCOMP_RET_ERRNO | errno.cast_unsigned();
        assert_eq!(on(&program, "clone3", [0; 6]), errno(libc::ENOSYS));
        assert_eq!(on(&program, "openat", [0; 6]), errno(libc::EACCES));
        assert_eq!(on(&filter(&[], &[]), "clone3", [0; 6]), TRAP, "a guest's process has no such answer");
        assert_eq!(verdict(&program, X86_64, X32_BIT | 435, [0; 6]), TRAP);
        for call in ["fork", "vfork", "execve", "open", "openat2", "socket", "connect", "kill", "tgkill", "ptrace"] {
            assert_eq!(on(&program, call, [0; 6]), TRAP, "{call}");
        }
    }

    #[test]
    fn a_compiler_talks_to_its_channel_and_the_operator() {
        let program = compiler();
        for fd in 0..5 {
            let verdict = |yes| if yes { ALLOW } else { TRAP };
            assert_eq!(on(&program, "read", [fd, 0, 0, 0, 0, 0]), verdict(fd == 0), "{fd}");
            assert_eq!(on(&program, "write", [fd, 0, 0, 0, 0, 0]), verdict(fd == 1 || fd == 2), "{fd}");
        }
    }

    #[test]
    fn memory_of_a_compiler_never_executes() {
        let program = compiler();
        let mmap = |prot, flags| on(&program, "mmap", [0, 4096, prot, flags, u64::MAX, 0]);
        let mprotect = |prot| on(&program, "mprotect", [4096, 4096, prot, 0, 0, 0]);
        for prot in 0..16 {
            let expected = if prot <= 3 { ALLOW } else { TRAP };
            assert_eq!((mmap(prot, 0x22), mprotect(prot)), (expected, expected), "{prot}");
        }
        assert_eq!((mmap(3, 0x4022), mmap(3, 0x2_0022)), (ALLOW, ALLOW), "MAP_NORESERVE, MAP_STACK");
        for flags in [0x02, 0x12, 0x21, 0x23, 0x32, 0x10_0022, 0x4_0022] {
            assert_eq!(mmap(3, flags), TRAP, "{flags:#x}");
        }
        for (advice, expected) in [(4, ALLOW), (102, ALLOW), (0, TRAP), (12, TRAP), (100, TRAP), (21, TRAP)] {
            assert_eq!(on(&program, "madvise", [0, 0, advice, 0, 0, 0]), expected, "{advice}");
        }
    }

    #[test]
    fn futexes_of_a_compiler_wait_and_wake() {
        let program = compiler();
        for operation in 0..14_u64 {
            let expected = if [0, 1, 9].contains(&operation) { ALLOW } else { TRAP };
            for flags in [0, 128, 256, 384] {
                let verdict = on(&program, "futex", [0, operation | flags, 0, 0, 0, 0]);
                assert_eq!(verdict, expected, "{operation} | {flags}");
            }
        }
    }

    #[test]
    fn t91_cutting_a_file_can_be_made_to_need_write_access() {
        let surface = Surface::from_imports([("wasi_snapshot_preview1", "path_open")]);
        let grants = vec![wave_policy::FilesystemGrant { host: "/srv".into(), access: wave_policy::Access::ReadWrite }];
        let resolver = wave_policy::Resolver::Manual;
        let policy = Policy { surface, grants, resolver, ..Policy::default() };
        let compiled = |policy: &Policy, pinned| -> Vec<Instruction> {
            let (program, _) = compile(&SealPlan::new(policy), pinned).expect("the table compiles");
            program.iter().map(Instruction::from).collect()
        };
        let [free, pinned] = [false, true].map(|pinned| compiled(&policy, pinned));
        for other in [0, libc::O_CREAT | libc::O_EXCL, libc::O_PATH | libc::O_NOFOLLOW, libc::O_APPEND] {
            for (flags, verdict) in [
                (libc::O_RDONLY, ALLOW),
                (libc::O_WRONLY, ALLOW),
                (libc::O_RDWR, ALLOW),
                (3, ALLOW),
                (libc::O_TRUNC | libc::O_WRONLY, ALLOW),
                (libc::O_TRUNC | libc::O_RDWR, ALLOW),
                (libc::O_TRUNC | libc::O_RDONLY, TRAP),
                (libc::O_TRUNC | 3, TRAP),
            ] {
                let args = [0, 0, u64::from((flags | other).cast_unsigned()), 0, 0, 0];
                assert_eq!(on(&pinned, "openat", args), verdict, "{:#o}", flags | other);
                assert_eq!(on(&free, "openat", args), ALLOW);
            }
        }
        assert_eq!(on(&pinned, "openat2", [0; 6]), TRAP);
        assert_eq!(on(&compiled(&Policy::default(), true), "openat", [0; 6]), TRAP);
    }

    #[test]
    fn messages_go_to_standard_error_alone() {
        let program = filter(&[], &[]);
        assert_eq!(on(&program, "write", [2, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(on(&program, "write", [1, 0, 0, 0, 0, 0]), TRAP);
        assert_eq!(on(&filter(&["fd_write"], &[]), "write", [1, 0, 0, 0, 0, 0]), ALLOW);
    }

    #[test]
    fn fcntl_sets_harmless_flags() {
        let program = filter(&["fd_fdstat_set_flags"], &[]);
        let fcntl = |command, value| on(&program, "fcntl", [0, command, value, 0, 0, 0]);
        assert_eq!(fcntl(4, 0x0002_8c02), ALLOW);
        assert_eq!(fcntl(4, 0x2000), TRAP, "O_ASYNC");
        for command in [0, 1, 2, 3, 5, 6, 7, 8, 10, 15, 1024, 1026, 1030, 1033] {
            assert_eq!(fcntl(command, 0), TRAP, "{command}");
        }
    }
}
