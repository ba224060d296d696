//! The tests of `native.rs` once more, with the manual resolver.

#[path = "native.rs"]
mod native;
