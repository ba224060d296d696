//! What signals do.

use std::ffi::{c_int, c_void};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};

use super::calls::exit_now;
use super::emergency;

/// Ignores a signal.
pub(crate) fn ignore(which: Signal) -> Result<(), Errno> {
    // SAFETY: SIG_IGN runs no code of this process.
    unsafe { signal(which, SigHandler::SigIgn) }.map(drop)
}

/// Restores the default effect of a signal.
pub(crate) fn restore_default(which: Signal) -> Result<(), Errno> {
    // SAFETY: SIG_DFL runs no code of this process.
    unsafe { signal(which, SigHandler::SigDfl) }.map(drop)
}

/// Whether a signal is ignored.
pub(crate) fn is_ignored(which: Signal) -> Result<bool, Errno> {
    // SAFETY: all zeroes is a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the call gets no new action and writes the old one to a live local.
    Errno::result(unsafe { libc::sigaction(which as c_int, std::ptr::null(), &raw mut action) })?;
    Ok(action.sa_sigaction == libc::SIG_IGN)
}

/// Signals that are pending because they are blocked. Source: sigpending(2).
pub(crate) fn pending_signals() -> Result<SigSet, Errno> {
    // SAFETY: all zeroes is a valid set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes to a live local.
    Errno::result(unsafe { libc::sigpending(&raw mut set) })?;
    // SAFETY: the kernel filled the set, so it is an initialized one.
    Ok(unsafe { SigSet::from_sigset_t_unchecked(set) })
}

/// Discards the pending real-time signals.
pub(crate) fn discard_pending_realtime(pending: &SigSet) {
    for signal in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        // SAFETY: the first call reads a live set. Neither SIG_IGN nor SIG_DFL runs code of this process; ignoring a signal
        // discards the pending ones.
        unsafe {
            if libc::sigismember(pending.as_ref(), signal) == 1 {
                libc::signal(signal, libc::SIG_IGN);
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}

/// Stops the interval timers, which an executed program inherits. Source: setitimer(2).
pub(crate) fn stop_interval_timers() -> Result<(), Errno> {
    // SAFETY: all zeroes is a valid value: no time, no interval.
    let none: libc::itimerval = unsafe { std::mem::zeroed() };
    for timer in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
        // SAFETY: the kernel reads a live local and writes no old value.
        Errno::result(unsafe { libc::setitimer(timer, &raw const none, std::ptr::null_mut()) })?;
    }
    Ok(())
}

/// Makes a signal end the process with the exit status that a shell shows for it.
pub(crate) fn exit_on_signal(which: Signal) -> Result<(), Errno> {
    extern "C" fn exit(signal: c_int) {
        exit_now(128 + signal)
    }
    let action = SigAction::new(SigHandler::Handler(exit), SaFlags::SA_ONSTACK, SigSet::empty());
    // SAFETY: the handler makes one async-signal-safe call and does not return.
    unsafe { sigaction(which, &action) }.map(drop)
}

/// Installs a handler that reports when this process aborts itself, and exits with a status of ours. The seal removes it.
pub(crate) fn install_abort_handler() -> Result<(), Errno> {
    // SA_ONSTACK: std also aborts on a full stack. SA_RESETHAND: a signal from outside has its default effect.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK | SaFlags::SA_RESETHAND;
    let action = SigAction::new(SigHandler::SigAction(on_abort), flags, SigSet::all());
    // SAFETY: `on_abort` has the signature of SA_SIGINFO and makes only async-signal-safe calls.
    unsafe { sigaction(Signal::SIGABRT, &action) }.map(drop)
}

extern "C" fn on_abort(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes a whole siginfo_t, which lives while the handler runs. For a signal that a process sent, the
    // field of the sender is set; for any other it holds some other number, which is initialized, too.
    let (code, sender) = unsafe { ((*info).si_code, (*info).si_pid()) };
    // SAFETY: the call takes nothing and touches no memory.
    if code == libc::SI_TKILL && sender == unsafe { libc::getpid() } {
        emergency::abort_reported();
    }
    // SAFETY: the call takes a number. The signal is blocked until this handler returns, and has its default effect then.
    unsafe { libc::raise(libc::SIGABRT) };
}
