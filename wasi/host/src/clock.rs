//! `clock_*`: wall-clock time, and time since the guest started.

use crate::{Failure, Wasi, platform};
use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};
use std::cell::Cell;
use wave_monitor::{Clock, GuestRange};

/// Start of the wall clock in a deterministic run: 2000-01-01T00:00:00Z.
const VIRTUAL_EPOCH_NS: u64 = 946_684_800_000_000_000;

/// How far a reading moves the clocks in a deterministic run.
const VIRTUAL_TICK_NS: u64 = 1000;

/// Stores the resolution of a clock, in nanoseconds, at `resolution`.
///
/// # Errors
/// `NOTSUP` for a clock of processor time (T114), `INVAL` for an unknown clock, `FAULT`.
///
/// Host syscalls: `clock_getres`.
pub fn clock_res_get(wasi: &mut Wasi, memory: &mut [u8], id: u32, resolution: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), resolution, 8)?;
    let clock = Clock::admit(id)?;
    out.store_u64(memory, wasi.time.resolution(clock))?;
    Ok(())
}

/// Stores the time of a clock, in nanoseconds, at `time`. `precision` is a hint and ignored.
///
/// # Errors
/// As [`clock_res_get`].
///
/// Host syscalls: none, because the vDSO has the time. `clock_gettime` if the kernel has no vDSO.
#[inline(always)]
pub fn clock_time_get(wasi: &mut Wasi, memory: &mut [u8], id: u32, _precision: u64, time: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), time, 8)?;
    let clock = Clock::admit(id)?;
    out.store_u64(memory, wasi.time.now(clock))?;
    Ok(())
}

/// The clocks as the guest sees them.
#[derive(Debug)]
pub(crate) struct Time {
    /// The host's monotonic time when the guest started. The guest must not learn the host's uptime (T114).
    started: u64,
    /// The host's wall-clock time when the guest started.
    started_at: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// The host's clocks, rounded down to a multiple of `resolution` (T106).
    Host { resolution: u64 },
    /// A clock that only the guest's actions move. `elapsed` counts from the start.
    Virtual { elapsed: Cell<u64> },
}

impl Time {
    /// The host's clocks in steps of `resolution` nanoseconds.
    pub(crate) fn host(resolution: u64) -> Self {
        Self::starting(Source::Host { resolution: resolution.max(1) })
    }

    /// Clocks that start at the same time in every run. A reading moves them by a microsecond. Waiting takes no real time.
    pub(crate) fn deterministic() -> Self {
        Self::starting(Source::Virtual { elapsed: Cell::new(0) })
    }

    fn starting(source: Source) -> Self {
        let started_at = nanoseconds(clock_gettime(platform::FILE_CLOCK));
        Self { started: host_time(Clock::Monotonic), started_at, source }
    }

    /// Reads a clock for the guest.
    #[inline(always)]
    pub(crate) fn now(&self, clock: Clock) -> u64 {
        match &self.source {
            Source::Host { resolution } => floor(self.elapsed_or_wall(clock), *resolution),
            Source::Virtual { elapsed } => {
                elapsed.set(elapsed.get().saturating_add(VIRTUAL_TICK_NS));
                match clock {
                    Clock::Realtime => VIRTUAL_EPOCH_NS.saturating_add(elapsed.get()),
                    Clock::Monotonic => elapsed.get(),
                }
            }
        }
    }

    #[inline(always)]
    fn elapsed_or_wall(&self, clock: Clock) -> u64 {
        match clock {
            Clock::Realtime => host_time(clock),
            Clock::Monotonic => host_time(clock).saturating_sub(self.started),
        }
    }

    fn resolution(&self, clock: Clock) -> u64 {
        match self.source {
            Source::Host { resolution } => nanoseconds(clock_getres(host_id(clock))).max(resolution),
            Source::Virtual { .. } => VIRTUAL_TICK_NS,
        }
    }

    /// Monotonic time for measuring a wait. Not rounded, and does not move virtual time.
    pub(crate) fn elapsed(&self) -> u64 {
        match &self.source {
            Source::Host { .. } => self.elapsed_or_wall(Clock::Monotonic),
            Source::Virtual { elapsed } => elapsed.get(),
        }
    }

    /// Whether only the guest's actions move the clocks.
    pub(crate) const fn is_virtual(&self) -> bool {
        matches!(self.source, Source::Virtual { .. })
    }

    /// Moves virtual time to the end of a wait. The host's time moves by itself.
    pub(crate) fn skip_to(&self, deadline: u64) {
        if let Source::Virtual { elapsed } = &self.source {
            elapsed.set(elapsed.get().max(deadline));
        }
    }

    /// A file's timestamp as the guest sees it. A timestamp from this run would be a clock with a finer resolution than the
    /// guest's, and different in each run.
    #[inline]
    pub(crate) fn of_file(&self, host: u64) -> u64 {
        match self.source {
            Source::Host { resolution } if host >= self.started_at => floor(host, resolution),
            Source::Virtual { .. } if host >= self.started_at => VIRTUAL_EPOCH_NS,
            _ => host,
        }
    }
}

#[inline(always)]
fn floor(time: u64, resolution: u64) -> u64 {
    if resolution == 1 { time } else { time - time % resolution }
}

#[inline(always)]
fn host_time(clock: Clock) -> u64 {
    nanoseconds(clock_gettime(host_id(clock)))
}

const fn host_id(clock: Clock) -> ClockId {
    match clock {
        Clock::Realtime => ClockId::Realtime,
        Clock::Monotonic => ClockId::Monotonic,
    }
}

/// A host time in nanoseconds. Times before 1970 are 0, times after 2554 the largest number.
#[inline(always)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t106_a_coarse_clock_moves_in_its_steps() {
        let time = Time::host(50_000_000);
        for clock in [Clock::Realtime, Clock::Monotonic] {
            assert_eq!(time.now(clock) % 50_000_000, 0);
            assert_eq!(time.resolution(clock), 50_000_000);
        }
        let written = time.started_at + 60_000_000;
        assert_eq!(time.of_file(written) % 50_000_000, 0);
        assert_eq!(time.of_file(1_234_567), 1_234_567, "older files keep their times");
        assert!(Time::host(1).now(Clock::Realtime) > time.started_at);
    }

    #[test]
    fn a_deterministic_clock_moves_with_its_readings_and_waits() {
        let time = Time::deterministic();
        assert_eq!(time.now(Clock::Realtime), VIRTUAL_EPOCH_NS + 1000);
        assert_eq!(time.now(Clock::Monotonic), 2000);
        time.skip_to(5_000_000_000);
        assert_eq!(time.elapsed(), 5_000_000_000);
        time.skip_to(1);
        assert_eq!(time.now(Clock::Monotonic), 5_000_001_000, "never back");
        assert_eq!(time.of_file(time.started_at + 1), VIRTUAL_EPOCH_NS);
    }
}
