//! The compiled filter of each published shape, evaluated for every system call (T77, T84, T85). Nothing is sealed here; `seal/sweep.rs`
//! makes the same calls in sealed processes.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

#[path = "filter/every_call.rs"]
mod every_call;

use std::collections::{BTreeMap, BTreeSet};

use wave_policy::{Operand, Shape, SyscallRule, Test, all_rules, all_shapes};
use wave_sandbox::{AddressRange, GrowableRange, Instruction, SealPlan, SystemCall, evaluate, filter};

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const TRAP: u32 = libc::SECCOMP_RET_TRAP;

/// The call that every filter fails, to show that it is installed, and the answer.
const SELF_TEST: (u32, u32) = (110, libc::SECCOMP_RET_ERRNO | libc::EKEYREJECTED.cast_unsigned());

/// `AUDIT_ARCH_*` of the 64-bit entry, and of others: 32-bit, ARM 64, none, and the first without its 64-bit mark.
const X86_64: u32 = 0xc000_003e;
const OTHER_ARCHITECTURES: [u32; 5] = [0x4000_0003, 0xc000_00b7, 0, 0x4000_003e, u32::MAX];

/// Numbers with this bit are of the x32 ABI, or negative.
const X32_BIT: u32 = 0x4000_0000;

const RANGES: [GrowableRange; 2] = [
    GrowableRange { base: 0x4001_0000, len_bytes: 0x1_0000_0000 },
    GrowableRange { base: 0x7f00_1234_0000, len_bytes: 0x2_0000 },
];

/// Numbers by name, from libc, so that the crate's table is not checked against itself.
fn number(call: &str) -> u32 {
    macro_rules! numbers {
        ($($name:ident $number:ident),* $(,)?) => { [$((stringify!($name), libc::$number)),*] };
    }
    let known = numbers![
        read SYS_read, write SYS_write, close SYS_close, fstat SYS_fstat, lseek SYS_lseek, mmap SYS_mmap,
        mprotect SYS_mprotect, brk SYS_brk, rt_sigreturn SYS_rt_sigreturn, pread64 SYS_pread64, pwrite64 SYS_pwrite64,
        readv SYS_readv, writev SYS_writev, sched_yield SYS_sched_yield, sendto SYS_sendto, recvmsg SYS_recvmsg,
        shutdown SYS_shutdown, fcntl SYS_fcntl, fsync SYS_fsync, fdatasync SYS_fdatasync, ftruncate SYS_ftruncate,
        fstatfs SYS_fstatfs, getdents64 SYS_getdents64, fadvise64 SYS_fadvise64, clock_gettime SYS_clock_gettime,
        clock_getres SYS_clock_getres, exit_group SYS_exit_group, openat SYS_openat, mkdirat SYS_mkdirat,
        newfstatat SYS_newfstatat, unlinkat SYS_unlinkat, renameat SYS_renameat, linkat SYS_linkat,
        symlinkat SYS_symlinkat, readlinkat SYS_readlinkat, ppoll SYS_ppoll, utimensat SYS_utimensat,
        fallocate SYS_fallocate, accept4 SYS_accept4, preadv SYS_preadv, pwritev SYS_pwritev,
        getrandom SYS_getrandom, openat2 SYS_openat2,
    ];
    let found = known.into_iter().find(|(name, _)| *name == call);
    let (_, number) = found.unwrap_or_else(|| panic!("add {call} to the numbers known here"));
    u32::try_from(number).expect("a small number")
}

/// The rules that `shapes.toml` lists for a shape, by the number of their call.
fn published(shape: &Shape) -> BTreeMap<u32, Vec<&'static SyscallRule>> {
    let mut rules: BTreeMap<u32, Vec<&SyscallRule>> = BTreeMap::new();
    for id in shape.rules {
        let rule = all_rules().iter().find(|rule| rule.id == *id).unwrap_or_else(|| panic!("no rule {id}"));
        rules.entry(number(rule.call)).or_default().push(rule);
    }
    rules
}

fn program(shape: &Shape) -> Vec<Instruction> {
    let policy = shape.policy();
    let growable = if shape.growable { &RANGES[..] } else { &[] };
    filter(&SealPlan { growable, ..SealPlan::new(&policy) }).expect("the table compiles")
}

fn answer(program: &[Instruction], call: &SystemCall) -> u32 {
    evaluate(program, call).expect("a program the kernel takes")
}

/// Every number below 1024, and those beyond with a bit that another ABI, a sign or a carry would set.
fn numbers() -> BTreeSet<u32> {
    let small = 0..1024_u32;
    let marked = [X32_BIT, 1 << 31, X32_BIT | 1 << 31, 1 << 16, 1 << 29];
    let marked = marked.into_iter().flat_map(|mark| (0..1024).map(move |number| mark | number));
    let negative = (1..=1024_u32).map(u32::wrapping_neg);
    small
        .chain(marked)
        .chain(negative)
        .chain((10..32).map(|bit| 1 << bit))
        .chain([X32_BIT - 1, i32::MAX as u32])
        .collect()
}

/// Values at and around everything that some rule compares this argument with.
fn values(rules: &[&SyscallRule], argument: u8) -> Vec<u64> {
    let conditions = rules.iter().flat_map(|rule| rule.conditions).filter(|condition| condition.arg == argument);
    let compared = conditions.flat_map(|condition| match condition.test {
        Test::Equal(operand) | Test::AtMost(operand) => match operand {
            Operand::Value(value) => vec![value],
            Operand::GrowableBase => RANGES.iter().map(|range| range.base).collect(),
            Operand::GrowableLength => RANGES.iter().map(|range| range.len_bytes).collect(),
        },
        Test::Masked { mask, value } => {
            let bits = (0..64).map(|bit| 1 << bit).filter(|bit| mask & bit != 0);
            bits.chain([mask, !mask, value, value | !mask]).collect()
        }
    });
    let around = |value: u64| {
        let high = [32, 40, 63].map(|bit| value | 1 << bit);
        [value, value.wrapping_sub(1), value.wrapping_add(1), value << 32, !value].into_iter().chain(high)
    };
    let mut values: Vec<_> = compared.flat_map(around).chain([0, u64::MAX]).collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// Arguments for a call: the same value everywhere, and all combinations of what its rules compare.
fn tries(rules: &[&SyscallRule]) -> Vec<[u64; 6]> {
    let mut tries: Vec<[u64; 6]> = [0, 1, 2, 3, 0x22, 0x4000, u64::MAX].map(|value| [value; 6]).into();
    let compared: BTreeSet<u8> = rules.iter().flat_map(|rule| rule.conditions).map(|condition| condition.arg).collect();
    let mut combined = vec![[0; 6]];
    for argument in compared {
        let values = values(rules, argument);
        let with = |arguments: &[u64; 6], value: u64| {
            let mut arguments = *arguments;
            arguments[usize::from(argument)] = value;
            arguments
        };
        combined = combined.iter().flat_map(|tried| values.iter().map(move |value| with(tried, *value))).collect();
    }
    tries.extend(combined);
    tries
}

/// T84, T85: exactly what is published is permitted, for each number and for arguments on both sides of every condition.
#[test]
fn t84_every_number_equals_the_published_list() {
    for shape in all_shapes() {
        let (program, published) = (program(shape), published(shape));
        let growable: Vec<_> = RANGES.iter().map(|range| (range.base, range.len_bytes)).collect();
        let growable = if shape.growable { &growable[..] } else { &[] };
        let (mut permitted, mut refused) = (0, 0);
        for number in numbers() {
            let rules = published.get(&number).map_or(&[][..], |rules| rules);
            for arguments in tries(rules) {
                let listed = rules.iter().any(|rule| rule.permits(&arguments, growable));
                let refusal = if number == SELF_TEST.0 { SELF_TEST.1 } else { TRAP };
                let expected = if listed { ALLOW } else { refusal };
                let found = answer(&program, &SystemCall::new(number, arguments));
                assert_eq!(found, expected, "{}: {number} {arguments:#x?}", shape.name);
                *if listed { &mut permitted } else { &mut refused } += 1;
            }
            let any = tries(rules).iter().any(|arguments| rules.iter().any(|rule| rule.permits(arguments, growable)));
            assert_eq!(any, !rules.is_empty(), "{}: the tries for {number} say nothing", shape.name);
        }
        assert!(permitted > 0 && refused > numbers().len(), "{}", shape.name);
    }
}

/// Each rule permits something, including the rules that no run of the tests can use on this host.
#[test]
fn no_rule_contradicts_itself() {
    let growable = RANGES.map(|range| (range.base, range.len_bytes));
    for rule in all_rules() {
        assert!(tries(&[rule]).iter().any(|arguments| rule.permits(arguments, &growable)), "{}", rule.id);
    }
}

/// T77: whatever the number and the arguments, a call that came by another entry is refused.
#[test]
fn t77_other_architectures_and_x32_are_refused() {
    for shape in all_shapes() {
        let program = program(shape);
        for number in numbers() {
            for value in [0, 2, u64::MAX] {
                for arch in OTHER_ARCHITECTURES {
                    let call = SystemCall { arch, ..SystemCall::new(number, [value; 6]) };
                    assert_eq!(answer(&program, &call), TRAP, "{}: {arch:#x} {number}", shape.name);
                }
            }
        }
        let exit = SystemCall::new(number("exit_group"), [0; 6]);
        assert_eq!((exit.arch, answer(&program, &exit)), (X86_64, ALLOW), "the control");
    }
}

/// Under strict nothing is permitted from the pages of the guest's code, whatever is published; from elsewhere it is as before.
#[test]
fn from_the_code_of_the_guest_nothing_is_permitted() {
    let code = AddressRange { start: 0x7f00_ffff_0000, len_bytes: 0x2_0000 };
    for shape in all_shapes() {
        let policy = shape.policy();
        let plan = SealPlan { growable: &RANGES, guest_code: Some(code), ..SealPlan::new(&policy) };
        let program = filter(&plan).expect("the table compiles");
        for (number, rules) in published(shape) {
            let permitted: Vec<_> =
                tries(&rules).into_iter().filter(|tried| rules.iter().any(|rule| rule.permits(tried, &[]))).collect();
            for arguments in permitted {
                let from = |instruction_pointer| {
                    answer(&program, &SystemCall { instruction_pointer, ..SystemCall::new(number, arguments) })
                };
                let places = [code.start - 1, code.start, code.start + code.len_bytes, code.start + code.len_bytes + 1];
                assert_eq!(places.map(from), [ALLOW, TRAP, TRAP, ALLOW], "{}: {number} {arguments:#x?}", shape.name);
            }
        }
    }
}

/// A rule for growable memory says nothing where no memory can grow.
#[test]
fn without_growable_memory_no_rule_is_left_of_it() {
    let shape = &all_shapes()[1];
    let policy = shape.policy();
    let plan = SealPlan::new(&policy);
    let program = filter(&plan).expect("the table compiles");
    let mprotect = |[base, len]: [u64; 2]| SystemCall::new(number("mprotect"), [base, len, 3, 0, 0, 0]);
    for arguments in [[0, 0], [RANGES[0].base, 0x1_0000]] {
        assert_eq!(answer(&program, &mprotect(arguments)), TRAP);
        let grown = answer(&self::program(shape), &mprotect(arguments));
        assert_eq!(grown, if arguments[0] == 0 { TRAP } else { ALLOW });
    }
}
