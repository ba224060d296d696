//! The process of the container: from its first instruction to the program.
//!
//! Dependencies point down this list: `process`; `root`; `mounts`, `devices`, `terminal`; `options`, `inside`, `copy`; `namespaces`.

mod copy;
mod devices;
mod inside;
mod mounts;
mod namespaces;
mod options;
mod process;
mod root;
mod terminal;

pub use namespaces::{fork_into, has_maker};
pub use options::mount_options;
pub use process::{START, Setup, openable_devices, run};
