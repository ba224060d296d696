//! Containers on a host of their own, for tests and benchmarks.

pub mod guests;
pub mod podman;
pub mod scene;
