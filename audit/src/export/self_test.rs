//! The call with which the seal tests the filter.

/// The call that every filter denies with an error number of its own, and that number (`EKEYREJECTED`).
pub const SELF_TEST: (&str, u32) = ("getppid", 129);
