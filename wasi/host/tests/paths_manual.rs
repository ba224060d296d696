//! The tests of `paths.rs` once more, with the manual resolver: it finds what the kernel finds (T17, T88, T125).

#[path = "paths.rs"]
mod paths;
