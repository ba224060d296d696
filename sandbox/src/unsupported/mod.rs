//! Platforms without a kernel layer: only `Level::Off` runs (T125). macOS uses parts of this folder for what it lacks, too.
#![cfg_attr(
    any(target_os = "macos", all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")),
    allow(dead_code, unused_imports, reason = "compiled everywhere, so that a change that breaks it is seen on Linux")
)]

mod broker;
mod seal;
mod worker;

pub use broker::{Broker, BrokerClient};
pub use seal::{OuterFilter, exit, leave_namespaces, prepare_allocator, seal};
pub use std::alloc::System as Allocator;
pub use worker::{Channel, Worker, end_with_parent, inherited_descriptor, report_failures, start, supervise, variable};

/// What this platform alone offers: nothing.
pub mod specific {}
