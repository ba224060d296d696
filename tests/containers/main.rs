//! Containers by podman, by containerd, and by the runtime's own commands (issue 17).
//!
//! Each test has a host of its own, made of namespaces: afterwards no process, mount, control group, link of the network or file of
//! state may be left there.

mod containerd;
mod endings;
mod files;
mod kills;
mod limits;
mod many;
mod network;
mod rootless;
mod streams;
