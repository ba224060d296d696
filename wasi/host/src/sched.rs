//! `sched_yield`.

use crate::{Failure, Wasi, wait};

/// Lets others run first.
///
/// # Errors
/// [`Stop::Deadline`](crate::Stop::Deadline) when the run was interrupted.
///
/// Host syscalls: `sched_yield`.
pub fn sched_yield(wasi: &mut Wasi, _memory: &mut [u8]) -> Result<(), Failure> {
    wait::check(wasi.interrupted)?;
    rustix::thread::sched_yield();
    Ok(())
}
