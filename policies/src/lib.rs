//! What a run may do, as plain data: policy types, and the reviewed table from WASI functions to system calls.
//!
//! Nothing here asks the operating system or changes anything; `wave-sandbox` enforces a [`Policy`].
//!
//! ```
//! use wave_policy::{Policy, Surface};
//!
//! let surface = Surface::from_imports([("wasi_snapshot_preview1", "fd_write")]);
//! let policy = Policy { surface, ..Policy::default() };
//! let calls: Vec<_> = policy.rules(false).map(|rule| rule.call).collect();
//! assert!(calls.contains(&"writev"));
//! assert!(!calls.contains(&"openat"));
//! ```
#![forbid(unsafe_code)]

mod access;
mod area;
mod connect;
mod document;
pub mod file;
mod level;
pub mod limits;
mod policy;
mod shape;
mod stub;
mod surface;
mod table;
mod target;
mod text;

pub use access::{Access, UnknownAccess};
pub use area::Area;
pub use connect::{ConnectGrant, parse_network};
pub use document::syscalls_markdown;
pub use level::{Level, UnknownLevel};
pub use policy::{
    BROKER_FD, ConnectPorts, DUMP_FD, FilesystemGrant, Identity, Policy, ProcessLimits, Protocol, RECORD_FDS, Resolver,
    Role,
};
pub use shape::{Shape, all_shapes};
pub use stub::{Stub, UnknownStub};
pub use surface::{Import, NET_FUNCTIONS, NET_MODULE, Surface};
pub use table::{
    Condition, Function, Need, Needed, Operand, RuleSet, Start, SyscallRule, Test, all_functions, all_rules,
    all_starts, functions_using,
};
pub use target::{ConnectTarget, HostGrant, HostName};
pub use text::{chain, clean, clean_lines, harmful, parse_duration, parse_size, shell_word, short};
