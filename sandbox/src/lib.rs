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

// The platform is chosen here and nowhere below.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod linux;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub mod narrower;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod probe;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod seal;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod supervisor;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod worker;

#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod seal;

#[cfg(not(any(target_os = "macos", all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))))]
#[path = "unsupported.rs"]
mod seal;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
#[path = "no_worker.rs"]
mod worker;

// Compiled here as well, for their tests.
#[cfg(all(test, target_os = "linux"))]
mod macos;
#[cfg(all(test, target_os = "linux"))]
#[allow(dead_code, reason = "there is nothing to do with it")]
mod no_worker;
#[cfg(all(test, target_os = "linux"))]
#[allow(dead_code, reason = "a test does not end its process")]
mod unsupported;

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub use linux::bpf::{Instruction, SystemCall, evaluate};
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub use linux::failing::report_failures;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub use linux::identity::unused_identity;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub use linux::landlock::levels::{Below, LEVELS as LANDLOCK_LEVELS, LandlockLevel};
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub use linux::seccomp::filter;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub use linux::start::{end_with_parent, start, variable};
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub use linux::sys::Allocator;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub use linux::syscalls::name as call_name;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub use probe::{LayerProbe, Presence, landlock_abi, landlock_leaves_truncation, probe};
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub use supervisor::supervise;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
pub use worker::{end_with_parent, start, supervise, variable};

#[cfg(target_os = "macos")]
pub use seal::{enter, is_inside};

pub use error::{Cause, Ended, SealError, StartError, Supervised, WorkerError};
pub use plan::{AddressRange, Grant, GrowableRange, SealPlan};
pub use report::{Demand, Layer, LayerName, Report, State};
pub use seal::{Namespaces, exit, leave_namespaces, prepare_allocator, seal};
pub use worker::{Channel, Worker};

pub use sealed::Sealed;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
pub use std::alloc::System as Allocator;
pub use wave_policy::Identity;

/// What it is for on Linux: an unplanned end is reported. Elsewhere std reports it.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
pub fn report_failures() {}

/// Exit status of a run that made a system call the filter refuses: 128 + `SIGSYS`, as a shell would show it.
pub const DENIED: i32 = 159;

/// Exit status of a sealed run for which the host has no memory left, as a shell would show one that the kernel killed for it.
pub const OUT_OF_MEMORY: i32 = 137;
