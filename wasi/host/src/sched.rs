//! `sched_yield`.

use crate::{Failure, Wasi, wait};

/// Yields the processor to other threads.
///
/// # Errors
/// [`Stop::Deadline`](crate::Stop::Deadline) if the run was interrupted.
///
/// Host syscalls: `sched_yield`.
pub fn sched_yield(wasi: &mut Wasi, _memory: &mut [u8]) -> Result<(), Failure> {
    wait::check(wasi.interrupted)?;
    rustix::thread::sched_yield();
    Ok(())
}
