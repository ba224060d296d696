//! The timers of the deadlines.

use crate::signal::Deadline;
use std::io;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

/// The timer of wall-clock time sends SIGALRM after `limit`, and again after each `repeat`.
///
/// # Errors
/// The kernel's error.
pub fn start_wall(limit: Duration, repeat: Duration) -> io::Result<()> {
    let time = |duration: Duration| libc::timeval {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_usec: i64::from(duration.subsec_micros()),
    };
    // Zero would disarm the timer.
    let timer = libc::itimerval { it_value: time(limit.max(Duration::from_micros(1))), it_interval: time(repeat) };
    // SAFETY: `timer` is a valid value that the call only reads; no old value is asked for.
    let rc = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The timer of processor time sends SIGPROF after `limit`, and again after each `repeat`. The kernel compares at each tick of its clock
/// (1 to 10 ms), so the limit is never reached early.
///
/// Not by `ITIMER_PROF`: that counts ticks. A guest that sleeps over each tick would use none, and one that wakes at each would use
/// more than it has had.
///
/// # Errors
/// The kernel's error.
pub fn start_processor(limit: Duration, repeat: Duration) -> io::Result<()> {
    let time = |duration: Duration| libc::timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    };
    // SAFETY: all zeroes is a valid `sigevent`; its fields are set below.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = libc::SIGPROF;
    event.sigev_value = libc::sigval { sival_ptr: mark() };
    let mut timer: libc::timer_t = std::ptr::null_mut();
    // SAFETY: the kernel reads a live local and stores the timer in another one.
    let rc = unsafe { libc::timer_create(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut event, &raw mut timer) };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    let value = libc::itimerspec { it_value: time(limit.max(Duration::from_nanos(1))), it_interval: time(repeat) };
    // SAFETY: the timer was just made; `value` is a valid value that the call only reads; no old value is asked for.
    let rc = unsafe { libc::timer_settime(timer, 0, &raw const value, std::ptr::null_mut()) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What the signal of the processor's timer carries: an address that no other process knows.
fn mark() -> *mut libc::c_void {
    static MARK: AtomicU8 = AtomicU8::new(0);
    (&raw const MARK).cast_mut().cast()
}

/// The deadline that a signal announces.
///
/// Only the kernel's own signal counts. Another process can send SIGALRM, but not in the kernel's name (rt_sigqueueinfo(2)). It can send
/// SIGPROF in a timer's name, and then does not know what that carries.
pub fn announced(signal: i32, info: &libc::siginfo_t) -> Option<Deadline> {
    // SAFETY: a signal in a timer's name carries a value; with any other, whatever is there is compared to nothing.
    let carried = unsafe { info.si_value().sival_ptr };
    match signal {
        libc::SIGPROF => (info.si_code == libc::SI_TIMER && carried == mark()).then_some(Deadline::Processor),
        _ => (info.si_code == libc::SI_KERNEL).then_some(Deadline::Wall),
    }
}
