//! A sealed process under the seccomp profile of a container.

use std::fs;
use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};
use wave_sandbox::SeccompProfile;

use crate::Case;
use crate::child::REFUSED;
use crate::run::{User, expect, start};

pub const CASES: &[Case] = &[
    ("profiles::a_profile_denies_more", denies_more),
    ("profiles::a_profile_permits_no_more", permits_no_more),
    ("profiles::a_profile_cannot_deny_the_seal", cannot_deny_the_seal),
    ("profiles::usual_profiles_are_applied_and_reported", usual_profiles),
    ("profiles::a_profile_applies_at_every_level", applies_at_every_level),
    ("profiles::a_profile_that_cannot_be_applied_ends_the_seal", cannot_be_applied),
];

const PODMAN: &str = include_str!("../profiles/podman.json");
const CONTAINERD: &str = include_str!("../profiles/containerd.json");

const FUNCTIONS: &str = "functions=fd_write";
const TO_STDOUT: &str = "call=1,1,s:x,1";
const TO_STDERR: &str = "call=1,2,s:x,1";
const SOCKET: &str = "call=41,2,1,0";
const EACCES: i32 = 13;
/// As a shell has SIGSYS.
const KILLED: i32 = 128 + 31;

/// Allows everything but what the rules say.
fn allowing(rules: &Value) -> String {
    format!("profile={}", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))
}

/// A profile with this action for `write` to standard output.
fn with(action: &str, errno: Option<i32>) -> String {
    let mut rule = json!({"names": ["write"], "action": format!("SCMP_ACT_{action}"),
        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]});
    if let Some(errno) = errno {
        rule["errnoRet"] = errno.into();
    }
    allowing(&json!([rule]))
}

fn denies_more(user: User) {
    let fails = with("ERRNO", Some(EACCES));
    assert_eq!(expect(user, &[FUNCTIONS, TO_STDOUT], 0).stdout, "x");
    assert_eq!(expect(user, &[FUNCTIONS, TO_STDOUT, &fails], EACCES).stdout, "");
    assert_eq!(expect(user, &[FUNCTIONS, TO_STDERR, &fails], 0).stderr, "x", "the neighbour");
    assert_eq!(expect(user, &[FUNCTIONS, TO_STDOUT, &with("LOG", None)], 0).stdout, "x");
    for action in ["KILL", "KILL_THREAD", "KILL_PROCESS"] {
        let profile = with(action, None);
        let killed = expect(user, &[FUNCTIONS, TO_STDOUT, &profile], KILLED);
        assert_eq!((&*killed.stdout, &*killed.stderr), ("", ""), "{action}");
        expect(user, &[FUNCTIONS, TO_STDERR, &profile], 0);
    }
    let trapped = expect(user, &[FUNCTIONS, TO_STDOUT, &with("TRAP", None)], wave_sandbox::DENIED);
    assert!(trapped.stderr.starts_with("wave: denied system call write (1)\n"), "{trapped:?}");
    assert!(trapped.stderr.contains("  cause: the seccomp profile of the container denies it\n"), "{trapped:?}");
    assert_eq!(trapped.stdout, "");
    // Without the call by which a process ends, it still ends: libc tries `exit`, which the seal denies.
    let endless = allowing(&json!([{"names": ["exit_group"], "action": "SCMP_ACT_ERRNO"}]));
    expect(user, &[FUNCTIONS, TO_STDOUT, &endless], KILLED);
}

fn permits_no_more(user: User) {
    let errno = allowing(&json!([{"names": ["socket"], "action": "SCMP_ACT_ERRNO"}]));
    for profile in [allowing(&json!([])), errno] {
        expect(user, &[FUNCTIONS, TO_STDOUT, &profile], 0);
        let denied = expect(user, &[FUNCTIONS, SOCKET, &profile], wave_sandbox::DENIED);
        assert!(denied.stderr.starts_with("wave: denied system call socket (41)\n"), "{denied:?}");
        assert!(denied.stderr.contains("cause: no hostcall"), "{denied:?}");
    }
    expect(user, &["level=off", SOCKET, &allowing(&json!([]))], 0);
}

/// A profile that knows the answer of the self-test, and one that has the calls of the guest alone: both are in place, and so is ours.
fn cannot_deny_the_seal(user: User) {
    const EKEYREJECTED: i32 = 129;
    let pretends =
        allowing(&json!([{"names": ["getppid", "seccomp"], "action": "SCMP_ACT_ERRNO", "errnoRet": EKEYREJECTED}]));
    let rules = json!([{"names": ["write", "brk", "exit_group"], "action": "SCMP_ACT_ALLOW"}]);
    let narrow = format!("profile={}", json!({"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": rules}));
    for profile in [&pretends, &narrow] {
        assert_eq!(expect(user, &[FUNCTIONS, TO_STDOUT, profile], 0).stdout, "x");
        expect(user, &[FUNCTIONS, "call=317,1,0,0", profile], wave_sandbox::DENIED);
    }
    let denied = expect(user, &[FUNCTIONS, SOCKET, &pretends], wave_sandbox::DENIED);
    assert!(denied.stderr.starts_with("wave: denied system call socket (41)\n"), "{denied:?}");
    assert_eq!(expect(user, &[FUNCTIONS, SOCKET, &narrow], KILLED).stderr, "");
    // Where ours is not, the profile alone answers.
    expect(user, &["level=off", "call=110", &pretends], EKEYREJECTED);
}

/// What a sealed process reports: the state of each layer, and the text about filters. Then, how many filters the kernel says it has.
fn layers(user: User, args: &[&str]) -> (Vec<(String, String)>, String, u64) {
    let mut child = start(user, &[&["hold=1"], args].concat());
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().expect("it is piped")).read_line(&mut line).expect("a report");
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it waits");
    let filters = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")).expect("Linux 5.9");
    let filters = filters.trim().parse().expect("a number");
    drop(child.stdin.take());
    assert!(child.wait().expect("own child").success());
    let report: Value = serde_json::from_str(&line).expect("a report is JSON");
    let layers = report["layers"].as_array().expect("layers");
    let text = |layer: &Value, key: &str| layer[key].as_str().unwrap_or_default().to_owned();
    let states = layers.iter().map(|layer| (text(layer, "name"), text(layer, "state"))).collect();
    let seccomp = layers.iter().find(|layer| layer["name"] == "seccomp").expect("it is a layer");
    (states, text(seccomp, "detail"), filters)
}

fn usual_profiles(user: User) {
    let (states, own, filters) = layers(user, &["functions=fd_read"]);
    for profile in [PODMAN, CONTAINERD] {
        let compiled = serde_json::from_str::<SeccompProfile>(profile).expect("a profile").compile().expect("a filter");
        // Two for each call that is left to our filter.
        let count = compiled.program().len() + 4;
        let profile = format!("profile={profile}");
        let found = layers(user, &["functions=fd_read", &profile]);
        let detail = format!("the container's own filter, {count} instructions, applied first; {own}");
        assert_eq!(found, (states.clone(), detail, filters + 1));
        assert_eq!(expect(user, &[FUNCTIONS, TO_STDOUT, &profile], 0).stdout, "x");
        expect(user, &[FUNCTIONS, SOCKET, &profile], wave_sandbox::DENIED);
    }
    let flags = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags":
        ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]});
    let found = layers(user, &["functions=fd_read", &format!("profile={flags}")]);
    assert_eq!(found.2, filters + 1);
}

fn applies_at_every_level(user: User) {
    let fails = with("ERRNO", Some(EACCES));
    for level in ["level=off", "level=standard", "level=strict"] {
        expect(user, &[level, FUNCTIONS, TO_STDOUT], 0);
        expect(user, &[level, FUNCTIONS, TO_STDOUT, &fails], EACCES);
    }
    let report = expect(user, &["level=off", "print=1", &fails], 0).stderr;
    assert!(report.contains("the container's own filter alone, "), "{report}");
    assert!(!expect(user, &["level=off", "print=1"], 0).stderr.contains("own filter"));
}

fn cannot_be_applied(user: User) {
    let (profile, refuses) = (allowing(&json!([])), "break=317");
    for level in ["level=strict", "level=standard", "level=off"] {
        expect(user, &[level, TO_STDOUT, FUNCTIONS, &profile], 0);
        let refused = expect(user, &[level, TO_STDOUT, FUNCTIONS, &profile, refuses], REFUSED);
        assert!(refused.stderr.starts_with("seccomp | cannot apply the layer `seccomp` | OuterFilter("), "{refused:?}");
        assert_eq!(refused.stdout, "");
    }
    // A level without a filter of ours needs the call for the profile alone.
    expect(user, &["level=off", TO_STDOUT, FUNCTIONS, refuses], 0);
}
