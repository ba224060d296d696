//! The deadline signal of a run, as the runtime has it: no `SA_RESTART`, and it fires again.
//!
//! A call that never stops ends the process (`SIGABRT`): nothing else can.
#![allow(unsafe_code, reason = "timers and signal handlers have no safe form")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

static STOP: AtomicBool = AtomicBool::new(false);

/// Whether the run has to stop: what `Config::interrupted` asks.
pub fn interrupted() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// How often a call is told to stop before it counts as one that never does: ten seconds.
const ENOUGH: u32 = 5000;

static TOLD: AtomicU32 = AtomicU32::new(0);

extern "C" fn stop(_: i32) {
    STOP.store(true, Ordering::Relaxed);
    if TOLD.fetch_add(1, Ordering::Relaxed) > ENOUGH {
        // SAFETY: `abort` may be called from a signal handler.
        unsafe { libc::abort() };
    }
}

/// A timer that interrupts the thread that made it.
#[derive(Debug)]
pub struct Alarm {
    timer: libc::timer_t,
}

impl Alarm {
    /// Also ignores the signals that `wave-wasi` asks its process to ignore.
    pub fn new() -> Self {
        let signal = libc::SIGRTMIN();
        let mut timer = std::ptr::null_mut();
        // SAFETY: both structures are plain data for which zeros are valid; the handler only
        // stores to an atomic; all pointers are to locals that outlive their call.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = stop as *const () as usize;
            assert_eq!(libc::sigaction(signal, &raw const action, std::ptr::null_mut()), 0);
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = signal;
            event.sigev_notify_thread_id = libc::gettid();
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer), 0);
        }
        Self { timer }
    }

    /// Lets the run go on, stops it after `time`, and again every two milliseconds.
    pub fn set(&self, time: Duration) {
        self.clear();
        self.arm(time, Duration::from_millis(2));
    }

    /// The run goes on.
    pub fn clear(&self) {
        // In this order: the timer may fire in between.
        self.arm(Duration::ZERO, Duration::ZERO);
        STOP.store(false, Ordering::Relaxed);
        TOLD.store(0, Ordering::Relaxed);
    }

    fn arm(&self, time: Duration, again: Duration) {
        let spec = |time: Duration| libc::timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        let value = libc::itimerspec { it_interval: spec(again), it_value: spec(time) };
        // SAFETY: `self.timer` was made by `timer_create` and lives as long as `self`.
        let set = unsafe { libc::timer_settime(self.timer, 0, &raw const value, std::ptr::null_mut()) };
        assert_eq!(set, 0, "the timer exists");
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: as in `arm`; nobody uses the timer after this.
        unsafe { libc::timer_delete(self.timer) };
    }
}
