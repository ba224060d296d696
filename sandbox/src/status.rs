//! Exit statuses of sealed runs, as a shell shows a process that a signal ended.

/// Exit status of a run that made a system call that the filter denies: 128 + `SIGSYS`.
pub const DENIED: i32 = 159;

/// Exit status of a sealed run for which the host has no memory left: 128 + `SIGKILL`.
pub const OUT_OF_MEMORY: i32 = 137;
