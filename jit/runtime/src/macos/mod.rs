//! What the runtime asks of macOS on x86-64. The sources that are named here are those of its kernel, XNU 11417.

// On Linux, tests have a stand-in for it: `shim.rs`.
use ::libc;

pub mod frame;
pub mod pages;
pub mod timers;

/// The label where the signal handlers resume, inside `enter`. C names begin with an underscore here. To the linker, a label is where the
/// next function begins, which it may move; `.alt_entry` says that this one is inside of a function.
macro_rules! landing {
    () => {
        ".globl _wave_guest_landing\n.alt_entry _wave_guest_landing\n_wave_guest_landing:"
    };
}

pub(crate) use landing;
