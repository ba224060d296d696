//! `linux.seccomp` of the OCI runtime specification.

use super::self_test::SELF_TEST;
use serde_json::{Value, json};
use wave_engine::Failure;
use wave_engine::json::json_of;
use wave_policy::{Condition, Operand, Policy, SyscallRule, Test};

pub(super) const NOTE: &str = "\
wave: note: this is the filter after the seal: what the program can do, not what starting `wave` or a container takes (a runtime \
loads it before execve, which it refuses)\n  \
left out: where a call comes from; the address and length of memory that grows, so mprotect is limited to PROT_READ|PROT_WRITE only\n";

/// The seccomp profile, for version 1.0.2 of the specification.
pub(super) fn profile(policy: &Policy, growable: bool) -> Result<String, Failure> {
    let rules: Vec<&SyscallRule> = policy.rules(growable).collect();
    let is_free = |call: &str| rules.iter().any(|rule| rule.call == call && rule.conditions.is_empty());
    let mut calls: Vec<Value> = rules
        .iter()
        // If a call has a rule without conditions, its other rules have no effect.
        .filter(|rule| rule.conditions.is_empty() || !is_free(rule.call))
        .map(|rule| {
            let args: Vec<_> = rule.conditions.iter().filter_map(condition).collect();
            json!({ "names": [rule.call], "action": "SCMP_ACT_ALLOW", "args": args })
        })
        .collect();
    let (call, errno) = SELF_TEST;
    calls.push(json!({ "names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": [] }));
    let profile = json!({
        "defaultAction": "SCMP_ACT_KILL_PROCESS",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": calls,
    });
    json_of(&profile)
}

/// Converts a condition. `None` for an address, which differs in each run.
fn condition(condition: &Condition) -> Option<Value> {
    let (op, value, second) = match condition.test {
        Test::Equal(Operand::Value(value)) => ("SCMP_CMP_EQ", value, 0),
        Test::AtMost(Operand::Value(value)) => ("SCMP_CMP_LE", value, 0),
        Test::Masked { mask, value } => ("SCMP_CMP_MASKED_EQ", mask, value),
        Test::Equal(_) | Test::AtMost(_) => return None,
    };
    Some(json!({ "index": condition.arg, "value": value, "valueTwo": second, "op": op }))
}
