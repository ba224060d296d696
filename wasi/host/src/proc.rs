//! `proc_*`: ending the run. Nothing here sends a signal or exits the process.

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

/// Performs the default action of a signal: ignores it, or ends the run as if the signal had terminated it.
///
/// # Errors
/// [`Stop::Signal`] with Linux's number; `NOTSUP` for a signal that would stop the process; `INVAL` for an unknown one.
///
/// Host syscalls: none.
pub fn proc_raise(_wasi: &mut Wasi, _memory: &mut [u8], signal: u32) -> Result<(), Failure> {
    match admit_raise(signal)? {
        Raise::Ignored => Ok(()),
        Raise::Terminates(number) => Err(Stop::Signal(number).into()),
    }
}
