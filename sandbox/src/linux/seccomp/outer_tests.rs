//! What the filters of containers' profiles answer.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::outer::{OuterFilter, TRAP};
use super::profile::*;
use crate::linux::bpf::{SystemCall, evaluate};
use crate::syscalls;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const LOG: u32 = libc::SECCOMP_RET_LOG;
const ERRNO: u32 = libc::SECCOMP_RET_ERRNO;
const EPERM: u32 = ERRNO | 1;
const KILL_THREAD: u32 = libc::SECCOMP_RET_KILL_THREAD;
const KILL_PROCESS: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// The profile for a container with its usual capabilities, as podman 4.3.1 with containers-common 0.50.1 wrote it to `config.json`.
const PODMAN: &str = include_str!("../../../tests/profiles/podman.json");

/// Likewise, of containerd 1.6.20.
const CONTAINERD: &str = include_str!("../../../tests/profiles/containerd.json");

fn compiled(profile: Value) -> OuterFilter {
    read(profile).compile().expect("the profile has a filter")
}

fn read(profile: Value) -> SeccompProfile {
    serde_json::from_value(profile).expect("a profile")
}

fn on(filter: &OuterFilter, call: &str, arguments: [u64; 6]) -> u32 {
    let number = u32::try_from(syscalls::number(call)).expect("a small number");
    evaluate(filter.program(), &SystemCall::new(number, arguments)).expect("a program the kernel takes")
}

/// The answer to `write` with this first argument, if it is allowed under a condition.
fn under(condition: &Value, argument: u64) -> bool {
    let rule = json!({"names": ["write"], "action": "SCMP_ACT_ALLOW", "args": [condition]});
    let filter = compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}));
    match on(&filter, "write", [argument, 0, 0, 0, 0, 0]) {
        ALLOW => true,
        EPERM => false,
        other => panic!("{other:#x}"),
    }
}

#[test]
fn each_operator_compares_all_bits() {
    type Holds = fn(u64, u64) -> bool;
    let operators: [(&str, Holds); 6] = [
        ("NE", |a, b| a != b),
        ("LT", |a, b| a < b),
        ("LE", |a, b| a <= b),
        ("EQ", |a, b| a == b),
        ("GE", |a, b| a >= b),
        ("GT", |a, b| a > b),
    ];
    let values =
        [0, 1, 7, 0xffff_ffff, 1 << 32, (1 << 32) + 7, (7 << 32) + 1, 0xffff_ffff << 32, u64::MAX - 1, u64::MAX];
    for (name, holds) in operators {
        for value in values {
            let condition = json!({"index": 0, "value": value, "op": format!("SCMP_CMP_{name}")});
            for argument in values {
                assert_eq!(under(&condition, argument), holds(argument, value), "{argument:#x} {name} {value:#x}");
            }
        }
    }
    for (mask, value) in [(0, 0), (0, 7), (0xff, 7), (0xff << 40, 7 << 40), (u64::MAX, 7), (1 | 1 << 63, 1 << 63)] {
        let condition = json!({"index": 0, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"});
        for argument in values.into_iter().chain([7 << 40, 0x107, 1 << 63, value]) {
            assert_eq!(under(&condition, argument), argument & mask == value & mask, "{argument:#x} & {mask:#x}");
        }
    }
}

#[test]
fn each_argument_is_that_of_its_index() {
    for index in 0..6 {
        let rule = json!({"names": ["write"], "action": "SCMP_ACT_TRAP", "args": [{"index": index, "value": 7, "op": "SCMP_CMP_EQ"}]});
        let filter = compiled(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}));
        for other in 0..6 {
            let mut arguments = [0; 6];
            arguments[other] = 7;
            assert_eq!(on(&filter, "write", arguments), if index == other { TRAP } else { ALLOW });
        }
    }
}

#[test]
fn each_action_has_its_answer_by_default_and_in_a_rule() {
    let actions = [
        ("ALLOW", ALLOW),
        ("LOG", LOG),
        ("ERRNO", EPERM),
        ("TRAP", TRAP),
        ("KILL", KILL_THREAD),
        ("KILL_THREAD", KILL_THREAD),
        ("KILL_PROCESS", KILL_PROCESS),
    ];
    for (name, answer) in actions {
        for (default, other) in actions {
            let (action, default) = (format!("SCMP_ACT_{name}"), format!("SCMP_ACT_{default}"));
            let rule = json!({"names": ["write", "no_such_call", "mseal"], "action": action});
            let filter = compiled(json!({"defaultAction": default, "syscalls": [rule]}));
            assert_eq!([on(&filter, "write", [0; 6]), on(&filter, "mseal", [9; 6])], [answer; 2], "{name}");
            for call in ["read", "open", "futex", "file_setattr"] {
                assert_eq!(on(&filter, call, [0; 6]), other, "{default} for {call}");
            }
            let unknown = evaluate(filter.program(), &SystemCall::new(5000, [0; 6]));
            assert_eq!(unknown, Some(other), "{default}");
        }
    }
    let rule = json!({"names": ["write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4095});
    let filter = compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [rule]}));
    assert_eq!([on(&filter, "write", [0; 6]), on(&filter, "read", [0; 6])], [ERRNO | 4095, ERRNO | 38]);
}

#[test]
fn calls_by_another_entry_end_the_process() {
    let filter =
        compiled(json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X86_64"]}));
    let call = SystemCall::new(1, [0; 6]);
    let answer = |call: &SystemCall| evaluate(filter.program(), call);
    assert_eq!(answer(&call), Some(ALLOW));
    for arch in [0x4000_0003, 0xc000_00b7, 0] {
        assert_eq!(answer(&SystemCall { arch, ..call }), Some(KILL_PROCESS));
    }
    for number in [0x4000_0000, 0x4000_0001, u32::MAX] {
        assert_eq!(answer(&SystemCall { number, ..call }), Some(KILL_PROCESS));
    }
    assert_eq!(answer(&SystemCall { number: 0x3fff_ffff, ..call }), Some(ALLOW));
}

#[test]
fn of_several_rules_one_decides() {
    let equal = |index: u32, value: u64| json!({"index": index, "value": value, "op": "SCMP_CMP_EQ"});
    let rule =
        |action: &str, args: Value| json!({"names": ["write"], "action": format!("SCMP_ACT_{action}"), "args": args});
    let answers = |default: &str, rules: Value| {
        let filter = compiled(json!({"defaultAction": format!("SCMP_ACT_{default}"), "syscalls": rules}));
        [[1, 2], [1, 0], [0, 2], [0, 0]].map(|[first, second]| on(&filter, "write", [first, second, 0, 0, 0, 0]))
    };
    let (first, second) = (rule("ALLOW", json!([equal(0, 1)])), rule("LOG", json!([equal(1, 2)])));
    // The strictest, in any order.
    assert_eq!(answers("ERRNO", json!([first, second])), [LOG, ALLOW, LOG, EPERM]);
    assert_eq!(answers("ERRNO", json!([second, first])), [LOG, ALLOW, LOG, EPERM]);
    // All conditions of a rule; one of them if two are about the same argument.
    assert_eq!(
        answers("ERRNO", json!([rule("ALLOW", json!([equal(0, 1), equal(1, 2)]))])),
        [ALLOW, EPERM, EPERM, EPERM]
    );
    let one_of = json!([equal(0, 1), equal(0, 7), equal(1, 2)]);
    assert_eq!(answers("ERRNO", json!([rule("ALLOW", one_of)])), [ALLOW, ALLOW, ALLOW, EPERM]);
    // The first without conditions.
    let (kill, log) = (rule("KILL", json!([])), rule("LOG", json!([])));
    assert_eq!(answers("ERRNO", json!([first, log, kill])), [LOG; 4]);
    assert_eq!(answers("ERRNO", json!([kill, first, log])), [KILL_THREAD; 4]);
    // One with the default action has no effect.
    assert_eq!(answers("ERRNO", json!([rule("ERRNO", json!([])), first])), [ALLOW, ALLOW, EPERM, EPERM]);
}

/// A handler that cannot return must not go on.
#[test]
fn rt_sigreturn_never_fails() {
    let answers = |default: &str, rules: Value| {
        let filter = compiled(json!({"defaultAction": format!("SCMP_ACT_{default}"), "syscalls": rules}));
        ["rt_sigprocmask", "rt_sigreturn", "ioctl"].map(|call| on(&filter, call, [0; 6]))
    };
    let rule = |action: &str| json!([{"names": ["rt_sigreturn"], "action": format!("SCMP_ACT_{action}")}]);
    let args = json!([{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]);
    assert_eq!(answers("ERRNO", json!([])), [EPERM, KILL_PROCESS, EPERM]);
    assert_eq!(
        answers("ERRNO", json!([{"names": ["rt_sigreturn"], "action": "SCMP_ACT_LOG", "args": args}])),
        [EPERM, KILL_PROCESS, EPERM]
    );
    assert_eq!(answers("ALLOW", rule("ERRNO")), [ALLOW, KILL_PROCESS, ALLOW]);
    assert_eq!(answers("ERRNO", rule("ALLOW")), [EPERM, ALLOW, EPERM]);
    assert_eq!(answers("ERRNO", rule("TRAP")), [EPERM, TRAP, EPERM]);
    assert_eq!(answers("KILL", json!([])), [KILL_THREAD; 3]);
}

#[test]
fn what_cannot_be_applied_is_refused_by_name() {
    let with = |name: &str, value: Value| {
        let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW"});
        profile[name] = value;
        profile
    };
    let rule = |rule: Value| with("syscalls", json!([{"names": ["read"], "action": "SCMP_ACT_LOG"}, rule]));
    let argument =
        json!([{"index": 5, "value": 0, "op": "SCMP_CMP_EQ"}, {"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]);
    let refused = [
        (with("defaultAction", json!("SCMP_ACT_NOTIFY")), "defaultAction", SeccompProblem::Listener),
        (with("defaultAction", json!("SCMP_ACT_TRACE")), "defaultAction", SeccompProblem::Listener),
        (with("defaultErrnoRet", json!(1)), "defaultErrnoRet", SeccompProblem::NoErrno),
        (with("listenerPath", json!("/run/agent")), "listenerPath", SeccompProblem::Listener),
        (with("listenerMetadata", json!("x")), "listenerMetadata", SeccompProblem::Listener),
        (
            with("architectures", json!(["SCMP_ARCH_X86", "SCMP_ARCH_X32"])),
            "architectures",
            SeccompProblem::Architecture,
        ),
        (
            with("flags", json!(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])),
            "flags[1]",
            SeccompProblem::Listener,
        ),
        (rule(json!({"names": ["a"], "action": "SCMP_ACT_NOTIFY"})), "syscalls[1].action", SeccompProblem::Listener),
        (rule(json!({"names": ["a"], "action": "SCMP_ACT_TRACE"})), "syscalls[1].action", SeccompProblem::Listener),
        (
            rule(json!({"names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0})),
            "syscalls[1].errnoRet",
            SeccompProblem::Errno(0),
        ),
        (
            rule(json!({"names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096})),
            "syscalls[1].errnoRet",
            SeccompProblem::Errno(4096),
        ),
        (
            rule(json!({"names": ["a"], "action": "SCMP_ACT_KILL", "errnoRet": 1})),
            "syscalls[1].errnoRet",
            SeccompProblem::NoErrno,
        ),
        (rule(json!({"names": [], "action": "SCMP_ACT_LOG"})), "syscalls[1].names", SeccompProblem::Names),
        (rule(json!({"names": ["a", ""], "action": "SCMP_ACT_LOG"})), "syscalls[1].names", SeccompProblem::Names),
        (
            rule(json!({"names": ["a"], "action": "SCMP_ACT_LOG", "args": argument})),
            "syscalls[1].args[1].index",
            SeccompProblem::Index(6),
        ),
    ];
    for (profile, property, problem) in refused {
        let property = format!("linux.seccomp.{property}");
        assert_eq!(read(profile).compile(), Err(SeccompProfileError { property, problem }));
    }
    let permitted = [
        with("listenerPath", json!("")),
        with(
            "flags",
            json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
        ),
        with("architectures", json!([])),
        rule(json!({"names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4095})),
    ];
    permitted.into_iter().for_each(|profile| drop(compiled(profile)));
    let unread = [
        with("defaultAction", json!("SCMP_ACT_MAYBE")),
        with("flags", json!(["SECCOMP_FILTER_FLAG_NEW_LISTENER"])),
        with("seccompFd", json!(3)),
        rule(json!({"names": ["a"], "action": "SCMP_ACT_LOG", "comment": ""})),
        rule(json!({"names": ["a"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "op": "SCMP_CMP_EQ"}]})),
        rule(json!({"action": "SCMP_ACT_LOG"})),
        json!({}),
    ];
    for profile in unread {
        assert!(serde_json::from_value::<SeccompProfile>(profile.clone()).is_err(), "{profile}");
    }
}

#[test]
fn long_profiles_have_a_filter_until_the_kernel_refuses() {
    let profile = |conditions: u64| {
        let args: Vec<_> =
            (0..conditions).map(|value| json!({"index": 0, "value": value << 33, "op": "SCMP_CMP_EQ"})).collect();
        let rule = json!({"names": ["write"], "action": "SCMP_ACT_ALLOW", "args": args});
        read(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}))
    };
    let filter = profile(500).compile().expect("it is short enough");
    for value in [0, 1, 499 << 33, 500 << 33] {
        let is_listed = value % (1 << 33) == 0 && value < 500 << 33;
        assert_eq!(on(&filter, "write", [value, 0, 0, 0, 0, 0]), if is_listed { ALLOW } else { EPERM });
    }
    assert_eq!(on(&filter, "open", [0; 6]), EPERM);
    let error = profile(600).compile().expect_err("it is too long");
    assert!(matches!(error.problem, SeccompProblem::TooLong(4200..4300)), "{error}");
}

/// The same answers as libseccomp's filters for these profiles: every number, and arguments around each value, were compared.
#[test]
fn the_profiles_of_podman_and_containerd_are_applied() {
    let [podman, containerd] = [PODMAN, CONTAINERD].map(|text| compiled(serde_json::from_str(text).expect("JSON")));
    for filter in [&podman, &containerd] {
        for call in ["read", "write", "brk", "mprotect", "openat2", "exit_group", "seccomp", "execve", "ptrace"] {
            assert_eq!(on(filter, call, [0; 6]), ALLOW, "{call}");
        }
        for (persona, answer) in
            [(0, true), (8, true), (0x20008, true), (0xffff_ffff, true), (1, false), (1 << 32, false)]
        {
            assert_eq!(on(filter, "personality", [persona, 0, 0, 0, 0, 0]) == ALLOW, answer, "{persona:#x}");
        }
        assert_ne!(on(filter, "kexec_load", [0; 6]), ALLOW);
    }
    const ENOSYS: u32 = ERRNO | 38;
    let socket = |family, protocol| on(&podman, "socket", [family, 0, protocol, 0, 0, 0]);
    assert_eq!([socket(16, 9), socket(16, 0), socket(2, 9)], [ERRNO | 22, ALLOW, ALLOW]);
    assert_eq!([on(&podman, "bpf", [0; 6]), on(&podman, "mseal", [0; 6])], [EPERM, ENOSYS]);
    // It is in a list of permitted calls and in one of denied calls.
    assert_eq!(on(&podman, "setns", [0; 6]), ALLOW);
    let clone = |flags| on(&containerd, "clone", [flags, 0, 0, 0, 0, 0]);
    assert_eq!([clone(0x11), clone(0x1000_0011), clone(0x7e02_0000)], [ALLOW, EPERM, EPERM]);
    assert_eq!([on(&containerd, "clone3", [0; 6]), on(&containerd, "bpf", [0; 6])], [ENOSYS, EPERM]);
}

fn action() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["ALLOW", "LOG", "ERRNO", "TRAP", "KILL", "KILL_PROCESS"])
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![prop::sample::select(vec![0, 1, 0xffff_ffff, 1 << 32, (1 << 32) + 1, u64::MAX]), any::<u64>()]
}

fn rule() -> impl Strategy<Value = Value> {
    let operator = prop::sample::select(vec!["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]);
    let condition = (0..6_u32, number(), number(), operator).prop_map(|(index, value, two, operator)| {
        json!({"index": index, "value": value, "valueTwo": two, "op": format!("SCMP_CMP_{operator}")})
    });
    let names = prop::sample::subsequence(vec!["read", "write", "close", "openat"], 1..4);
    (names, action(), prop::collection::vec(condition, 0..4))
        .prop_map(|(names, action, args)| json!({"names": names, "action": format!("SCMP_ACT_{action}"), "args": args}))
}

/// The answer as the documentation of [`SeccompProfile::compile`] has it.
fn expected(profile: &SeccompProfile, call: &str, arguments: [u64; 6]) -> u32 {
    let answer = |action| match action {
        SeccompAction::Allow => ALLOW,
        SeccompAction::Log => LOG,
        SeccompAction::Errno => EPERM,
        SeccompAction::Trap => TRAP,
        SeccompAction::KillThread => KILL_THREAD,
        SeccompAction::KillProcess => KILL_PROCESS,
        SeccompAction::Trace | SeccompAction::Notify => panic!("{action:?} is refused"),
    };
    let holds = |arg: &SeccompArgument| {
        let (argument, value) = (arguments[arg.index as usize], arg.value);
        match arg.op {
            SeccompOperator::Ne => argument != value,
            SeccompOperator::Lt => argument < value,
            SeccompOperator::Le => argument <= value,
            SeccompOperator::Eq => argument == value,
            SeccompOperator::Ge => argument >= value,
            SeccompOperator::Gt => argument > value,
            SeccompOperator::MaskedEq => argument & value == arg.value_two & value,
        }
    };
    let is_repeated = |args: &[SeccompArgument]| (0..6).any(|i| args.iter().filter(|arg| arg.index == i).count() > 1);
    let matches = |rule: &&SeccompRule| match &rule.args {
        args if is_repeated(args) => args.iter().any(holds),
        args => args.iter().all(holds),
    };
    let of_call =
        |rule: &&SeccompRule| rule.names.iter().any(|name| name == call) && rule.action != profile.default_action;
    let rules: Vec<_> = profile.syscalls.iter().filter(of_call).collect();
    let always = rules.iter().find(|rule| rule.args.is_empty()).map(|rule| answer(rule.action));
    // From the strictest to the weakest.
    let order = [KILL_PROCESS, KILL_THREAD, TRAP, EPERM, LOG, ALLOW];
    let place = |answer: &u32| order.iter().position(|other| other == answer);
    let matching = rules.iter().copied().filter(matches).map(|rule| answer(rule.action));
    always.or(matching.min_by_key(place)).unwrap_or(answer(profile.default_action))
}

proptest! {
    #[test]
    fn every_profile_answers_as_its_rules_say(
        default in action(),
        rules in prop::collection::vec(rule(), 0..8),
        arguments in prop::collection::vec(prop::array::uniform6(number()), 16),
    ) {
        let profile = read(json!({"defaultAction": format!("SCMP_ACT_{default}"), "syscalls": rules}));
        let filter = profile.compile().expect("the profile has a filter");
        for call in ["read", "write", "open", "close", "openat", "mseal"] {
            for arguments in &arguments {
                prop_assert_eq!(on(&filter, call, *arguments), expected(&profile, call, *arguments), "{} {:x?}", call, arguments);
            }
        }
    }
}
