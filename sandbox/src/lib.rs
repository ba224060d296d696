//! Enforces a policy by the kernel, so that the monitor's decisions hold even if everything above the kernel is broken. This crate
//! knows no WebAssembly.
//!
//! One call, [`seal()`], applies all layers; [`Sealed`] is the proof of that. A seal cannot be undone: no function here loosens it, and
//! the filter denies the system calls that could.
//!
//! Each platform has a folder that offers the same names: `linux`, `macos`, and `unsupported` for the rest.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has a broker"))]
mod broker;
mod ended;
mod error;
mod plan;
#[cfg_attr(not(any(target_os = "linux", target_os = "macos")), allow(dead_code, reason = "nothing is probed there"))]
mod probe;
mod report;
mod sealed;
pub mod seatbelt;
mod status;
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "others only ask for names"))]
mod syscalls;

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod linux;
mod macos;
mod unsupported;

// The platform is chosen here and nowhere else.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;
#[cfg(not(any(target_os = "macos", all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))))]
use unsupported as platform;

#[allow(unused_imports, reason = "`unsupported` offers nothing more")]
pub use platform::specific::*;
pub use platform::{
    Allocator, Broker, BrokerClient, Channel, OuterFilter, Worker, end_with_parent, exit, inherited_descriptor,
    leave_namespaces, prepare_allocator, report_failures, seal, start, supervise, variable,
};

pub use broker::BrokerRequest;
pub use ended::{DeniedCall, Ended, Supervised, Usage};
pub use error::{Cause, SealError, StartError, WorkerError};
pub use plan::{AddressRange, FileCapability, Grant, GrowableRange, Namespaces, SealPlan};
pub use probe::{LayerProbe, Presence};
pub use report::{Demand, Layer, LayerName, Report, State};
pub use sealed::Sealed;
pub use status::{DENIED, OUT_OF_MEMORY};
pub use syscalls::name as call_name;
pub use wave_policy::Identity;
