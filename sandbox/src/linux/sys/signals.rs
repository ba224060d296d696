use super::*;

/// Ignores a signal.
pub(crate) fn ignore(which: Signal) -> Result<(), Errno> {
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { signal(which, SigHandler::SigIgn) }.map(drop)
}

/// Gives a signal its usual effect again.
pub(crate) fn by_default(which: Signal) -> Result<(), Errno> {
    // SAFETY: SIG_DFL runs no code of ours.
    unsafe { signal(which, SigHandler::SigDfl) }.map(drop)
}

/// Signals that wait because they are blocked. Source: sigpending(2).
pub(crate) fn pending() -> Result<SigSet, Errno> {
    // SAFETY: all zeroes is a valid set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes to a live local.
    Errno::result(unsafe { libc::sigpending(&raw mut set) })?;
    // SAFETY: the kernel filled it.
    Ok(unsafe { SigSet::from_sigset_t_unchecked(set) })
}

/// Takes away those of the real-time signals that wait.
pub(crate) fn discard_realtime(pending: &SigSet) {
    for signal in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        // SAFETY: reads a set that lives; ignoring a signal runs no code, and takes away those that wait. Nobody handles it.
        unsafe {
            if libc::sigismember(pending.as_ref(), signal) == 1 {
                libc::signal(signal, libc::SIG_IGN);
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}

/// Whether a signal is ignored.
pub(crate) fn is_ignored(which: Signal) -> Result<bool, Errno> {
    // SAFETY: all zeroes is a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: no new action is given, and the old one is written to a live local.
    Errno::result(unsafe { libc::sigaction(which as c_int, std::ptr::null(), &raw mut action) })?;
    Ok(action.sa_sigaction == libc::SIG_IGN)
}

/// Stops the interval timers, which an executed program inherits. Source: setitimer(2).
pub(crate) fn stop_interval_timers() -> Result<(), Errno> {
    // SAFETY: all zeroes is a valid value: no time, no interval.
    let none: libc::itimerval = unsafe { std::mem::zeroed() };
    for timer in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
        // SAFETY: the kernel reads a live local, and is asked for no old value.
        Errno::result(unsafe { libc::setitimer(timer, &raw const none, std::ptr::null_mut()) })?;
    }
    Ok(())
}

/// Ends the process with the status that a shell shows for a signal, when that signal comes.
pub(crate) fn end_by_handler(which: Signal) -> Result<(), Errno> {
    extern "C" fn end(signal: c_int) {
        exit_now(128 + signal)
    }
    let action = SigAction::new(SigHandler::Handler(end), SaFlags::SA_ONSTACK, SigSet::empty());
    // SAFETY: the handler makes one async-signal-safe call and does not return.
    unsafe { sigaction(which, &action) }.map(drop)
}

/// Calls [`failing::aborted`] when this process aborts itself, until [`seal`](crate::seal) takes that back.
pub(crate) fn answer_aborts() -> Result<(), Errno> {
    // SA_ONSTACK: std aborts on a full stack, too. SA_RESETHAND: for a signal from outside.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK | SaFlags::SA_RESETHAND;
    let action = SigAction::new(SigHandler::SigAction(aborted), flags, SigSet::all());
    // SAFETY: `aborted` has the signature of SA_SIGINFO and makes only async-signal-safe calls.
    unsafe { sigaction(Signal::SIGABRT, &action) }.map(drop)
}

extern "C" fn aborted(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes a whole siginfo_t, which lives while the handler runs. The sender is there for every signal that a
    // process sends; of any other, the field has some other number.
    let (code, sender) = unsafe { ((*info).si_code, (*info).si_pid()) };
    // SAFETY: takes nothing.
    if code == libc::SI_TKILL && sender == unsafe { libc::getpid() } {
        failing::aborted();
    }
    // SAFETY: takes a number. The signal is blocked until this handler returns, and has its usual effect then.
    unsafe { libc::raise(libc::SIGABRT) };
}
