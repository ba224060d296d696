//! Linux: each layer in a file of its own. `sys` holds every unsafe call, one safe function each.

pub(crate) mod bpf;
pub(crate) mod denial;
pub(crate) mod failing;
pub(crate) mod filter_check;
pub(crate) mod identity;
pub(crate) mod landlock;
pub(crate) mod privileges;
pub(crate) mod process;
pub(crate) mod seccomp;
pub(crate) mod start;
pub(crate) mod sys;
pub(crate) mod syscalls;
