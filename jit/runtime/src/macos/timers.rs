//! The timers of the deadlines.
//!
//! A signal does not say who sent it: `si_code` is 0 for the kernel's as for any other (bsd/kern/kern_sig.c, `psignal_internal`). So each
//! timer has a clock beside it, and a signal that comes before its time counts for nothing.

use super::libc;
use crate::signal::Deadline;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest time of a timer (bsd/kern/kern_time.c, `itimerfix`).
const LONGEST: Duration = Duration::from_secs(100_000_000);

/// A timer of the process: what it counts, and when that is due.
struct Timer {
    which: i32,
    clock: libc::clockid_t,
    deadline: Deadline,
    /// In nanoseconds of the clock.
    due: AtomicU64,
}

/// As `setitimer`, its clock stands still while the machine sleeps.
static WALL: Timer = Timer::new(libc::ITIMER_REAL, libc::CLOCK_UPTIME_RAW, Deadline::Wall);

/// The kernel counts for this timer what each thread has used, and not ticks (`bsd_ast` in bsd/kern/kern_sig.c).
static PROCESSOR: Timer = Timer::new(libc::ITIMER_PROF, libc::CLOCK_PROCESS_CPUTIME_ID, Deadline::Processor);

/// The timer of wall-clock time sends SIGALRM after `limit`, and again after each `repeat`.
///
/// # Errors
/// The kernel's error.
pub fn start_wall(limit: Duration, repeat: Duration) -> io::Result<()> {
    WALL.start(limit, repeat)
}

/// The timer of processor time sends SIGPROF after `limit`, and again after each `repeat`.
///
/// # Errors
/// The kernel's error.
pub fn start_processor(limit: Duration, repeat: Duration) -> io::Result<()> {
    PROCESSOR.start(limit, repeat)
}

/// The deadline that a signal announces.
pub fn announced(signal: i32, _: &libc::siginfo_t) -> Option<Deadline> {
    let timer = if signal == libc::SIGPROF { &PROCESSOR } else { &WALL };
    timer.is_due().then_some(timer.deadline)
}

impl Timer {
    const fn new(which: i32, clock: libc::clockid_t, deadline: Deadline) -> Self {
        Self { which, clock, deadline, due: AtomicU64::new(u64::MAX) }
    }

    fn start(&self, limit: Duration, repeat: Duration) -> io::Result<()> {
        // Zero would disarm the timer.
        let limit = limit.clamp(Duration::from_micros(1), LONGEST);
        let time = |duration: Duration| libc::timeval {
            tv_sec: duration.as_secs().cast_signed(),
            tv_usec: libc::suseconds_t::from(duration.subsec_micros().cast_signed()),
        };
        let now = now(self.clock).ok_or_else(io::Error::last_os_error)?;
        self.due.store(now.saturating_add(nanoseconds(limit)), Ordering::Relaxed);
        let timer = libc::itimerval { it_value: time(limit), it_interval: time(repeat) };
        // SAFETY: `timer` is a valid value that the call only reads; no old value is asked for.
        let rc = unsafe { libc::setitimer(self.which, &raw const timer, std::ptr::null_mut()) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Allowed in a signal handler.
    fn is_due(&self) -> bool {
        now(self.clock).is_some_and(|now| now >= self.due.load(Ordering::Relaxed))
    }
}

/// What a clock says, in nanoseconds. Allowed in a signal handler (sigaction(2)).
fn now(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes a live local.
    let rc = unsafe { libc::clock_gettime(clock, &raw mut time) };
    let duration = Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
    (rc == 0).then(|| nanoseconds(duration))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timer of processor time in user space, which nobody else in these tests sets, and which this one does not let expire.
    #[test]
    fn a_timer_is_due_at_its_time_and_not_before() {
        let timer = Timer::new(libc::ITIMER_VIRTUAL, libc::CLOCK_PROCESS_CPUTIME_ID, Deadline::Processor);
        assert!(!timer.is_due(), "it was not started");
        timer.start(Duration::from_secs(3600), Duration::from_millis(10)).expect("the kernel has such a timer");
        assert!(!timer.is_due());
        let mut set = libc::itimerval { it_value: ZERO, it_interval: ZERO };
        // SAFETY: the call writes a live local.
        assert_eq!(unsafe { libc::getitimer(timer.which, &raw mut set) }, 0);
        assert!((3590..=3600).contains(&set.it_value.tv_sec), "{}", set.it_value.tv_sec);
        assert_eq!((set.it_interval.tv_sec, set.it_interval.tv_usec), (0, 10_000));
        let off = libc::itimerval { it_value: ZERO, it_interval: ZERO };
        // SAFETY: the call only reads a valid value.
        assert_eq!(unsafe { libc::setitimer(timer.which, &raw const off, std::ptr::null_mut()) }, 0);
        timer.due.store(now(timer.clock).expect("a clock"), Ordering::Relaxed);
        assert!(timer.is_due());
    }

    const ZERO: libc::timeval = libc::timeval { tv_sec: 0, tv_usec: 0 };

    /// A signal that somebody else sends counts for nothing before the time.
    #[test]
    fn a_signal_without_a_timer_announces_nothing() {
        // SAFETY: all of it is integers and pointers that nobody follows.
        let info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        assert_eq!(announced(libc::SIGALRM, &info), None);
        assert_eq!(announced(libc::SIGPROF, &info), None);
        PROCESSOR.due.store(0, Ordering::Relaxed);
        assert_eq!(announced(libc::SIGPROF, &info), Some(Deadline::Processor));
        assert_eq!(announced(libc::SIGALRM, &info), None);
    }
}
