//! `wave oci` from outside: what the OCI runtime specification demands, and what a hostile image or a crash can do.
//!
//! docs/oci-musts.md says which sentence of the specification each test shows. `tests/containers` has the same under podman and
//! containerd.

mod attacks;
mod bundle;
mod cgroup2;
mod config;
mod hooks;
mod lifecycle;
mod mounts;
mod rootless;
