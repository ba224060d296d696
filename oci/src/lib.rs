//! An OCI runtime: `config.json` becomes a plan for [`wave_engine`], and a container is one sealed program.
//!
//! | step | who does it | what happens |
//! |---|---|---|
//! | `create` | the runtime | checks the configuration, makes state directory and cgroup, starts the process of the container |
//! | | the process | makes namespaces, mounts the root file system, loads the module: compiled, verified, grants opened |
//! | `start` | the process | runs the hooks, seals itself, enters the program |
//! | `kill`, `pause`, … | the runtime | signals the process, controls the cgroup |
//! | `delete` | the runtime | removes cgroup and state directory |
//!
//! The process that `create` starts is the one that runs the program, so its wait status is the container's result. Every property
//! of the configuration is applied or refused by name; a property that no version of the specification knows is ignored, as the
//! specification demands.
//!
//! Dependencies point down this list: `create`, `lifecycle`; `init`; `policy`, `resources`, `hooks`, `channel`, `features`; `state`;
//! `config`; `log`, `failure`.
//!
//! Source: OCI runtime specification 1.2. On other platforms than Linux, this crate is empty.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod channel;
mod config;
mod create;
mod failure;
mod features;
mod hooks;
mod init;
mod lifecycle;
mod log;
mod policy;
mod resources;
mod state;

pub use create::{Create, Load, Program, Running, create, create_and_start};
pub use features::features;
pub use lifecycle::{Listed, delete, kill, list, pause, ps, resume, start, state, update};
pub use log::{Log, LogFormat};
pub use state::{Root, Status};
pub use wave_cgroups::Resources;
