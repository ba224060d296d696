//! macOS: the program runs again under `sandbox-exec`, with the policy as a Seatbelt profile.
#![cfg_attr(
    not(target_os = "macos"),
    allow(dead_code, unused_imports, reason = "compiled everywhere, so that a change that breaks it is seen on Linux")
)]

mod launch;
mod seal;

pub use crate::unsupported::{
    Allocator, Channel, Worker, end_with_parent, report_failures, start, supervise, variable,
};
pub use seal::{Namespaces, exit, leave_namespaces, prepare_allocator, seal};

/// What this platform alone offers.
pub mod specific {
    pub use super::launch::{enter, is_inside};
}
