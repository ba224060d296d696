//! `proc_*`: ending the run. No signal is sent and the process is not left from here.

use crate::{Failure, Stop, Wasi};
use wave_monitor::{Raise, admit_raise};

/// Ends the run with an exit code. Never returns to the guest.
///
/// # Errors
/// Always [`Stop::Exit`].
///
/// Host syscalls: none.
pub fn proc_exit(_wasi: &mut Wasi, _memory: &mut [u8], code: u32) -> Result<(), Failure> {
    Err(Stop::Exit(code).into())
}

/// Does what a signal does by default: nothing, or end the run as if by it.
///
/// # Errors
/// [`Stop::Signal`] with the number Linux has for it; `NOTSUP` for a signal that would stop the
/// process; `INVAL` for an unknown one.
///
/// Host syscalls: none.
pub fn proc_raise(_wasi: &mut Wasi, _memory: &mut [u8], signal: u32) -> Result<(), Failure> {
    match admit_raise(signal)? {
        Raise::Ignored => Ok(()),
        Raise::Terminates(number) => Err(Stop::Signal(number).into()),
    }
}
