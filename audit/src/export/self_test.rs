//! What every filter has to show that it works.

/// The call that every filter answers by itself, and the error number it answers with (`EKEYREJECTED`).
pub const SELF_TEST: (&str, u32) = ("getppid", 129);
