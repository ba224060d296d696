//! What the runtime asks of Linux.

pub mod frame;
pub mod pages;
pub mod timers;

/// The label where the signal handlers resume, inside `enter`.
macro_rules! landing {
    () => {
        ".globl wave_guest_landing\nwave_guest_landing:"
    };
}

pub(crate) use landing;
