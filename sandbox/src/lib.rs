//! Puts a policy in force, so that the kernel holds what the monitor decided even when everything above it is
//! broken. Knows no WebAssembly.
//!
//! One call, [`seal`], does it all; [`Sealed`] is the proof that it was made. Nothing can be undone: no function
//! here loosens what is in force, and the filter refuses the system calls that could.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod error;
mod plan;
mod report;
mod sealed;
pub mod seatbelt;

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod linux;
mod macos;
mod unsupported;

// The platform is chosen here and nowhere below: each of the three folders offers these names.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;
#[cfg(not(any(target_os = "macos", all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))))]
use unsupported as platform;

pub use platform::specific::*;
pub use platform::{
    Allocator, Channel, Namespaces, Worker, end_with_parent, exit, leave_namespaces, prepare_allocator,
    report_failures, seal, start, supervise, variable,
};

pub use error::{Cause, Ended, SealError, StartError, Supervised, WorkerError};
pub use plan::{AddressRange, Grant, GrowableRange, SealPlan};
pub use report::{Demand, Layer, LayerName, Report, State};
pub use sealed::Sealed;
pub use wave_policy::Identity;

/// Exit status of a run that made a system call the filter refuses: 128 + `SIGSYS`, as a shell would show it.
pub const DENIED: i32 = 159;

/// Exit status of a sealed run for which the host has no memory left, as a shell would show one that the kernel killed for it.
pub const OUT_OF_MEMORY: i32 = 137;
