//! Less than the policy allows: a filter without one of its rules, grants without one of their rights.
//!
//! For programs that find out what a rule or a right is good for. Nothing here allows more.

use std::sync::OnceLock;

use wave_policy::{Role, SyscallRule};

static WITHOUT_RULE: OnceLock<(Role, String)> = OnceLock::new();
static WITHOUT_RIGHT: OnceLock<String> = OnceLock::new();

/// From now on, filters of this role lack the rule with this id. Only the first call counts.
pub fn leave_out_rule(role: Role, id: &str) {
    WITHOUT_RULE.get_or_init(|| (role, id.to_owned()));
}

pub(crate) fn permits(role: Role, rule: &SyscallRule) -> bool {
    WITHOUT_RULE.get().is_none_or(|(left_out, id)| *left_out != role || id != rule.id)
}

/// From now on, Landlock's rules lack the right of this name. Only the first call counts.
pub fn leave_out_right(name: &str) {
    WITHOUT_RIGHT.get_or_init(|| name.to_owned());
}

pub(crate) fn gives(right: &str) -> bool {
    WITHOUT_RIGHT.get().is_none_or(|name| name != right)
}
