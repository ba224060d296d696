//! One sandboxed run of a WebAssembly program, from plan to outcome.
//!
//! | step | what happens |
//! |---|---|
//! | [`PlanBuilder::build`] | what is asked for, and a policy file, become a checked [`Plan`] |
//! | [`Engine::prepare`] | the module is read and compiled in a sealed process, verified, and loaded; grants are opened |
//! | [`Ready::seal`] | privileges are dropped, Landlock and the system call filter are applied: nothing can be undone |
//! | [`SealedRun::enter`] | the guest runs to its [`Outcome`] |
//!
//! A process runs one program and then ends, by [`exit`]: a sealed process cannot do what an ordinary end takes. Whoever wants to go
//! on afterwards starts a child process for the run. That child calls [`start`] first, has [`Allocator`] as its global allocator,
//! and has one thread until the seal.
//!
//! Dependencies point down this list: `run`; `unused`, `entry`, `source`, `network`, `builder`; `program`, `plan`, `cache`; `compile`,
//! `policy`; `grants`, `artefact`, `input`; `refusal`, `shortage`, `failure`, `peers`, `terms`, `observer`, `outcome`.
#![forbid(unsafe_code)]

pub mod artefact;
mod builder;
pub mod cache;
pub mod compile;
mod entry;
mod failure;
mod grants;
pub mod input;
pub mod json;
mod network;
mod observer;
mod outcome;
mod peers;
mod plan;
pub mod policy;
pub mod program;
mod refusal;
mod run;
pub mod shortage;
mod source;
mod terms;
mod unused;

pub use builder::PlanBuilder;
pub use failure::Failure;
pub use grants::{DirectoryGrant, Overlap, overlaps, overlaps_as_written, refuse_overlap};
pub use input::Module;
pub use observer::Observer;
pub use outcome::Outcome;
pub use peers::parse_network;
pub use plan::{Plan, owner_of_writable};
pub use refusal::Refusal;
pub use run::{Engine, Ready, SPARE_FILES, SealedRun};
pub use terms::{monitor_access, policy_access, surface_of};
pub use unused::Unused;
pub use wave_policy::file::Limits;
pub use wave_policy::{Access, Identity, Level};
pub use wave_sandbox::{Allocator, exit, start};
