//! Linux: each layer in a file of its own. `seal` applies them in order, and `sys` is the bottom: it has the system calls that no
//! crate wraps safely.

mod bpf;
mod broker;
mod child;
pub mod container;
mod denial;
mod failing;
mod filter_check;
mod identity;
mod landlock;
mod namespaces;
pub mod narrower;
mod privileges;
mod probe;
mod process;
mod seal;
mod seccomp;
pub mod specific;
mod start;
mod supervisor;
mod sys;
mod worker;

pub use broker::{Broker, BrokerClient};
pub use child::Channel;
pub use failing::report_failures;
pub use namespaces::leave_namespaces;
pub use seal::{exit, prepare_allocator, seal};
pub use seccomp::outer::OuterFilter;
pub use start::{end_with_parent, inherited_descriptor, start, variable};
pub use supervisor::supervise;
pub use sys::Allocator;
pub use worker::Worker;
