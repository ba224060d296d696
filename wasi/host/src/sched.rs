//! `sched_yield`.

use crate::{Failure, Stop, Wasi};

/// Lets others run first.
///
/// # Errors
/// [`Stop::Deadline`] when the run was interrupted.
///
/// Host syscalls: `sched_yield`.
pub fn sched_yield(wasi: &mut Wasi, _memory: &mut [u8]) -> Result<(), Failure> {
    if (wasi.interrupted)() {
        return Err(Stop::Deadline.into());
    }
    rustix::thread::sched_yield();
    Ok(())
}
