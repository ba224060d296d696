//! What a path leads to on the host.

use wave_monitor::Rule;

/// What a path leads to on the host.
#[cfg_attr(target_os = "macos", allow(dead_code, reason = "nothing is examined there"))]
pub enum HostObject {
    /// The monitor has nothing against it.
    Found,
    /// The monitor refuses the object. The text says what the operator can do.
    Refused(Rule, &'static str),
    /// It cannot be examined, or it does not exist. A run may find something else.
    Unclear(String),
}
