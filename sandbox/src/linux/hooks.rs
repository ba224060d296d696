//! Hooks for tests: they leave a layer out or make it fail, and leave a rule out of the filter or a right out of the grants. Only
//! the feature `test-hooks` compiles them, and only development dependencies enable it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use wave_policy::{Role, Rule};

use crate::error::Cause;
use crate::report::LayerName;

static LEFT_OUT: AtomicU32 = AtomicU32::new(0);
static FAILING: AtomicU32 = AtomicU32::new(0);
static WITHOUT_RULE: OnceLock<(Role, String)> = OnceLock::new();
static WITHOUT_RIGHT: OnceLock<String> = OnceLock::new();

/// From now on, [`seal`](crate::seal) skips this layer and reports it as not requested.
pub fn leave_out(layer: LayerName) {
    LEFT_OUT.fetch_or(bit(layer), Ordering::Relaxed);
}

/// From now on, the step of this layer fails in [`seal`](crate::seal).
pub fn fail(layer: LayerName) {
    FAILING.fetch_or(bit(layer), Ordering::Relaxed);
}

/// From now on, the filter of this role lacks the rule of this id, so it permits less than the policy says. Only the first call
/// counts.
pub fn leave_out_rule(role: Role, id: &str) {
    WITHOUT_RULE.get_or_init(|| (role, id.to_owned()));
}

pub(crate) fn keeps_rule(role: Role, rule: &Rule) -> bool {
    WITHOUT_RULE.get().is_none_or(|(left_out, id)| *left_out != role || id != rule.id)
}

/// From now on, Landlock's rules lack the right of this name. Only the first call counts.
pub fn leave_out_right(name: &str) {
    WITHOUT_RIGHT.get_or_init(|| name.to_owned());
}

pub(crate) fn keeps_right(right: &str) -> bool {
    WITHOUT_RIGHT.get().is_none_or(|name| name != right)
}

pub(crate) fn is_left_out(layer: LayerName) -> bool {
    LEFT_OUT.load(Ordering::Relaxed) & bit(layer) != 0
}

pub(crate) fn injected_failure(layer: LayerName) -> Result<(), Cause> {
    if FAILING.load(Ordering::Relaxed) & bit(layer) == 0 { Ok(()) } else { Err(Cause::Injected) }
}

fn bit(layer: LayerName) -> u32 {
    1 << layer as u32
}
