//! Creates, limits and controls the cgroup of one container, on hosts with cgroup v1, cgroup v2, or both (hybrid).
//!
//! ```no_run
//! use wave_cgroups::{Cgroup, CgroupPath, Layout, Resources};
//!
//! let resources: Resources = serde_json::from_str(r#"{"memory":{"limit":268435456},"pids":{"limit":64}}"#)?;
//! let path = CgroupPath::parse(Some("/wave/web"), "web", false)?;
//! let cgroup = Cgroup::create(&Layout::detect()?, &path, &resources)?;
//! let state = serde_json::to_string(&cgroup)?; // Saved, so that another process can go on.
//! cgroup.join(std::process::id())?;
//!
//! let cgroup: Cgroup = serde_json::from_str(&state)?;
//! cgroup.freeze()?;
//! cgroup.thaw()?;
//! cgroup.kill_all()?;
//! println!("{} killed for want of memory", cgroup.oom_kills()?);
//! cgroup.delete()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every property of [`Resources`] is applied or is an error that names it. Only files of cgroup file systems are written, whose mount
//! points the kernel reports. An ordinary user without a cgroup of their own gets an error for which [`Error::is_permission`] holds; a
//! container that nothing limits and that names no path can then run with [`Cgroup::none`].
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cgroup;
mod control;
mod devices;
mod error;
mod files;
mod layout;
mod path;
mod resources;
mod settings;
mod stats;

pub use cgroup::Cgroup;
pub use error::Error;
pub use layout::{Kind, Layout};
pub use path::CgroupPath;
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory, Network, Pids, Rdma, Resources, ThrottleDevice,
    WeightDevice,
};
pub use stats::Stats;
