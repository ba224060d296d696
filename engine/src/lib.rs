//! One sandboxed run of a WebAssembly program, from plan to outcome.
//!
//! | step | what happens |
//! |---|---|
//! | [`PlanBuilder::build`] | a request and an optional policy file become a checked [`Plan`] |
//! | [`Engine::prepare`] | a sealed process compiles the module; the code is verified and loaded; grants are opened |
//! | [`Ready::seal`] | privileges are dropped, and Landlock and the system call filter are applied; none of it can be undone |
//! | [`SealedRun::enter`] | the guest runs to its [`Outcome`] |
//!
//! A process runs one program and then ends with [`exit`], because a sealed process cannot make the system calls of a
//! normal exit. An embedder that has to continue starts a child process for the run. The child calls [`start`] first,
//! uses [`Allocator`] as its global allocator, and has a single thread until the seal.
//!
//! Dependencies point down this list: `run`; `lines`, `demangle`, `coredump`, `unused`, `entry`, `source`, `network`, `connections`, `builder`; `program`, `plan`, `names`, `cache`; `compile`,
//! `policy`; `grants`, `artifact`, `input`; `refusal`, `shortage`, `failure`, `peers`, `convert`, `ranges`, `observer`, `outcome`.
#![forbid(unsafe_code)]

pub mod artifact;
mod builder;
pub mod cache;
pub mod compile;
pub mod connections;
mod convert;
mod coredump;
mod cwd;
mod demangle;
mod entry;
mod failure;
mod grants;
pub mod input;
pub mod json;
mod lines;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
pub mod names;
mod network;
mod observer;
mod outcome;
mod peers;
mod plan;
pub mod policy;
pub mod program;
pub mod progress;
mod ranges;
mod refusal;
mod run;
pub mod shortage;
mod source;
mod unused;

// The platform is chosen here and nowhere else.
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;

pub use builder::PlanBuilder;
pub use convert::{connect_rule, monitor_access, policy_access, surface_of};
pub use demangle::demangled;
pub use failure::Failure;
pub use grants::{
    DirectoryGrant, GrantKind, Overlap, first_descriptors, overlaps, overlaps_as_written, refuse_overlap,
    refuse_taken_names, taken_names,
};
pub use input::Module;
pub use observer::{Observer, Used};
pub use outcome::Outcome;
pub use peers::parse_network;
pub use plan::{Plan, Variable, owner_of_writable};
pub use ranges::ProgramRanges;
pub use refusal::Refusal;
pub use run::{Code, Container, Engine, Ready, Remains, SPARE_FILES, SealedRun};
pub use unused::Unused;
pub use wave_compiler::features;
pub use wave_policy::file::Limits;
pub use wave_policy::{Access, Identity, Level};
pub use wave_sandbox::{Allocator, OuterFilter, exit, start};
