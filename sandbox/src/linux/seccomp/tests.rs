//! What compiled filters answer.

use super::program::X32_BIT;
use super::*;
use crate::linux::bpf::{SystemCall, evaluate};
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
    for (start, len_bytes) in [(0x1000_0000, 0x1000), (0x7f12_ffff_f000, 0x2000), (0x7f12_8000_0000, 0x1_8000_0000)] {
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
fn numbers_are_found_among_any_number_of_calls() {
    for count in [0, 1, 3, 4, 7, 100, 400_i64] {
        // With a gap before each number.
        let calls: Vec<_> =
            (0..count).map(|at| compile_call((2 * at + 1, Vec::new())).expect("a number compiles")).collect();
        let program: Vec<_> = program::join(&calls, [(1000, 5)].into_iter(), None)
            .into_iter()
            .map(|filter| Instruction { code: filter.code, jt: filter.jt, jf: filter.jf, k: filter.k })
            .collect();
        for number in 0..1000 {
            let expected = if number % 2 == 1 && i64::from(number) < 2 * count { ALLOW } else { TRAP };
            assert_eq!(verdict(&program, X86_64, number, [0; 6]), expected, "{number} of {count}");
        }
        assert_eq!(verdict(&program, X86_64, 1000, [0; 6]), libc::SECCOMP_RET_ERRNO | 5);
    }
}

/// Only a checked filter is given to the kernel, so a wrong one ends the seal of every process, as any failure of this layer does.
#[test]
fn a_filter_that_differs_from_the_policy_is_refused() {
    let guest = Policy::default();
    let policies = [
        guest.clone(),
        Policy { level: Level::Standard, ..guest.clone() },
        Policy { role: Role::Compiler, ..guest.clone() },
        Policy { role: Role::Broker, ..guest.clone() },
    ];
    for policy in &policies {
        let plan = SealPlan { growable: &[RANGE], ..SealPlan::new(policy) };
        let (right, _) = compile(&plan, false).expect("the table compiles");
        assert!(check(right.clone(), &plan, false).is_ok());
        let permits = right.iter().position(|instruction| instruction.k == ALLOW).expect("it permits something");
        let mut wrong = right;
        wrong[permits].k = libc::SECCOMP_RET_LOG;
        let Err(Cause::FilterDiffers(difference)) = check(wrong, &plan, false) else { panic!("{policy:?}") };
        let text = difference.to_string();
        assert!(text.contains(" is answered by 0x7ffc0000, the rules say 0x7fff0000"), "{text}");
    }
}

#[test]
fn every_filter_answers_the_self_test() {
    let answered = libc::SECCOMP_RET_ERRNO | SELF_TEST.1.cast_unsigned();
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
fn t91_truncation_can_be_made_to_need_write_access() {
    let surface = Surface::from_imports([("wasi_snapshot_preview1", "path_open")]);
    let grants = vec![wave_policy::FilesystemGrant { host: "/srv".into(), access: wave_policy::Access::ReadWrite }];
    let resolver = wave_policy::Resolver::Manual;
    let policy = Policy { surface, grants, resolver, ..Policy::default() };
    let compiled = |policy: &Policy, restricts_truncation| -> Vec<Instruction> {
        let plan = SealPlan::new(policy);
        let (program, _) = compile(&plan, restricts_truncation).expect("the table compiles");
        check(program, &plan, restricts_truncation).expect("the filter of the plan").into_program()
    };
    let [free, restricted] = [false, true].map(|restricts| compiled(&policy, restricts));
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
            assert_eq!(on(&restricted, "openat", args), verdict, "{:#o}", flags | other);
            assert_eq!(on(&free, "openat", args), ALLOW);
        }
    }
    assert_eq!(on(&restricted, "openat2", [0; 6]), TRAP);
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
