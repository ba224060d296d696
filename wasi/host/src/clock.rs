//! `clock_*`: wall-clock time, and time since the guest started.

use crate::{Failure, Wasi};
use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};
use wave_monitor::{Clock, GuestRange};

/// Stores the resolution of a clock, in nanoseconds, at `resolution`.
///
/// # Errors
/// `NOTSUP` for the processor-time clocks (T114), `INVAL` for an unknown one, `FAULT`.
///
/// Host syscalls: `clock_getres`.
pub fn clock_res_get(_wasi: &mut Wasi, memory: &mut [u8], id: u32, resolution: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), resolution, 8)?;
    let clock = Clock::admit(id)?;
    let resolution = nanoseconds(clock_getres(host_id(clock)));
    out.store_u64(memory, resolution.max(1))?;
    Ok(())
}

/// Stores the time of a clock, in nanoseconds, at `time`. `precision` is a hint and not used.
///
/// # Errors
/// As [`clock_res_get`].
///
/// Host syscalls: none; the vDSO answers. Where the kernel offers none, `clock_gettime`.
pub fn clock_time_get(wasi: &mut Wasi, memory: &mut [u8], id: u32, _precision: u64, time: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), time, 8)?;
    let clock = Clock::admit(id)?;
    out.store_u64(memory, now(wasi, clock))?;
    Ok(())
}

/// The time of a clock as the guest sees it.
///
/// Monotonic time counts from the start of the guest: the host's uptime is none of its business.
pub(crate) fn now(wasi: &Wasi, clock: Clock) -> u64 {
    let host = nanoseconds(clock_gettime(host_id(clock)));
    match clock {
        Clock::Realtime => host,
        Clock::Monotonic => host.saturating_sub(nanoseconds(wasi.started)),
    }
}

const fn host_id(clock: Clock) -> ClockId {
    match clock {
        Clock::Realtime => ClockId::Realtime,
        Clock::Monotonic => ClockId::Monotonic,
    }
}

/// A host time in nanoseconds; before 1970 is 0, after 2554 is the largest number.
pub(crate) fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Nanoseconds as a host time.
pub(crate) fn timespec(nanoseconds: u64) -> Timespec {
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    Timespec { tv_sec: seconds.cast_signed(), tv_nsec: rest.cast_signed() }
}
