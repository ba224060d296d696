//! macOS: the program runs again under `sandbox-exec`, with the policy as a Seatbelt profile.
//!
//! ```text
//! main ─► is_inside(args)? ─no─► plan ─► enter(policy, …)   replaces the process
//!                        └─yes─► plan ─► load ─► compile ─► seal   tries what no profile allows, and reports
//! ```
//!
//! The profile itself is plain text and lies in `crate::seatbelt`.
#![cfg_attr(
    not(target_os = "macos"),
    allow(dead_code, unused_imports, reason = "compiled everywhere, so that a change that breaks it is seen on Linux")
)]

mod launch;
mod probe;
mod seal;
pub mod specific;

pub use crate::unsupported::{
    Allocator, Broker, BrokerClient, Channel, OuterFilter, Worker, end_with_parent, exit, inherited_descriptor,
    leave_namespaces, prepare_allocator, report_failures, start, supervise, variable,
};
pub use seal::seal;
