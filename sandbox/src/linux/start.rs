//! The first thing that a process does: it resets what it inherited from its parent to a known state.
//!
//! `docs/inherited.md` lists what a process inherits and what this file does about each.

use std::env::{args_os, var_os};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use caps::CapSet;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, getegid, geteuid, getgid, getpid, getppid, getuid};

use super::sys;
use crate::error::{Cause, StartError};

/// Settings of the dynamic loader and of the allocator, which glibc reads before `main`.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Variables that libraries act on: the first makes cranelift-jit append to a file whose name can be guessed, the second is the size
/// of a thread's stack in std.
const LIBRARY_VARIABLES: [&str; 2] = ["PERF_BUILDID_DIR", "RUST_MIN_STACK"];

/// How late the kernel may wake a process: the kernel's default.
const TIMER_SLACK_NS: u64 = 50_000;

/// Signals that ask a process to end. The first process of a PID namespace gets them only if it has a handler (pid_namespaces(7)).
const TERMINATION_SIGNALS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// The parent whose end can be made this process's end. 0 if it is outside of this PID namespace.
static PARENT: AtomicI32 = AtomicI32::new(UNKNOWN);

const UNKNOWN: i32 = -1;

/// Whether this process ends when its parent ends.
static ENDS_WITH_PARENT: AtomicBool = AtomicBool::new(false);

/// Whether this is the first process of its PID namespace.
static IS_FIRST: AtomicBool = AtomicBool::new(false);

/// The variables that were removed from the environment.
static REMOVED: OnceLock<Vec<(&str, OsString)>> = OnceLock::new();

/// Resets what this process inherited from its parent to a known state. Call it first thing in `main`, before any thread starts.
///
/// It executes the program again, once, if something had its effect before `main`: variables that glibc has read, or a personality
/// that changed the layout of memory.
///
/// # Errors
/// [`StartError`] if the program has rights that the user who started it does not have, or the kernel refuses a call. The caller can
/// only report it and exit.
pub fn start() -> Result<(), StartError> {
    refuse_privileges()?;
    // Before anything below allocates. If it fails, the seal reports it.
    sys::allocate_by_brk_only();
    execute_again_if_needed()?;
    sys::reset_floating_point();
    // Before signals are unblocked: a signal of an inherited timer must have no effect.
    sys::stop_interval_timers().map_err(Cause::refused("setitimer"))?;
    reset_signals()?;
    restrict_umask();
    // The slack affects timing alone, so a failure is harmless.
    sys::set_timer_slack(TIMER_SLACK_NS).ok();
    remove_library_variables()?;
    record_parent(getppid());
    if sys::parent_death_signal().is_ok_and(|signal| signal != 0) {
        end_with_parent()?;
    }
    Ok(())
}

/// From now on, the kernel kills this process when its parent ends, also after the seal.
///
/// # Errors
/// [`Cause::Refused`] if the kernel refuses the call.
pub fn end_with_parent() -> Result<(), Cause> {
    sys::die_with_parent().map_err(Cause::refused("prctl(PR_SET_PDEATHSIG)"))?;
    ENDS_WITH_PARENT.store(true, Ordering::Relaxed);
    // The parent may have ended before the call.
    let (before, now) = (PARENT.load(Ordering::Relaxed), getppid().as_raw());
    if before == UNKNOWN {
        record_parent(getppid());
    } else if now > 0 && now != before {
        sys::exit_now(128 + Signal::SIGKILL as i32);
    }
    Ok(())
}

/// Whether [`end_with_parent`] was called.
pub(crate) fn ends_with_parent() -> bool {
    ENDS_WITH_PARENT.load(Ordering::Relaxed)
}

/// The first thing that a forked process does: from now on it ends when its parent ends. It is not the first process of a PID
/// namespace, so the termination signals have their default effects again.
pub(crate) fn prepare_child(parent: Pid) -> Result<(), Cause> {
    record_parent(parent);
    if IS_FIRST.swap(false, Ordering::Relaxed) {
        for signal in TERMINATION_SIGNALS {
            if !sys::is_ignored(signal).map_err(Cause::refused("sigaction"))? {
                sys::restore_default(signal).map_err(Cause::refused("sigaction"))?;
            }
        }
    }
    end_with_parent()
}

/// A variable of the environment that this process was started with. For variables that a user asks to pass on: [`start`] removes
/// some from the environment.
pub fn variable(name: &str) -> Option<OsString> {
    let removed = REMOVED.get().and_then(|removed| removed.iter().find(|(other, _)| *other == name));
    removed.map(|(_, value)| value.clone()).or_else(|| var_os(name))
}

/// A duplicate of a descriptor that the parent process passed on.
///
/// # Errors
/// [`Cause::Refused`] if no such descriptor is open.
pub fn inherited_descriptor(number: i32) -> Result<OwnedFd, Cause> {
    sys::duplicate_inherited(number).map_err(Cause::refused("fcntl(F_DUPFD_CLOEXEC)"))
}

fn record_parent(parent: Pid) {
    PARENT.store(parent.as_raw(), Ordering::Relaxed);
}

/// Refuses to run with rights that come from the file of this program: it would use them for anyone who starts it.
///
/// The kernel's mark `AT_SECURE` alone does not show this: security modules set it, too, when a process enters another domain.
fn refuse_privileges() -> Result<(), StartError> {
    if !sys::has_file_privileges() {
        return Ok(());
    }
    if getuid() != geteuid() {
        return Err(StartError::Privileged("the rights of another user"));
    }
    if getgid() != getegid() {
        return Err(StartError::Privileged("the rights of another group"));
    }
    // None of root's capabilities is from the file. A capability that another user has from the parent is in the ambient set, which
    // the kernel clears for a file with capabilities (capabilities(7)).
    let has_any = |set| caps::read(None, set).map_or(true, |set| !set.is_empty());
    if !getuid().is_root() && has_any(CapSet::Permitted) && !has_any(CapSet::Ambient) {
        return Err(StartError::Privileged("capabilities"));
    }
    Ok(())
}

/// Executes this program again if an inherited setting had its effect before `main`, and without that setting. So it happens once.
fn execute_again_if_needed() -> Result<(), StartError> {
    // A filter that hides the call was there before anyone could have changed the personality.
    let personality = sys::personality().unwrap_or(0);
    let has_tunables = var_os(TUNABLES).is_some();
    if personality != 0 {
        let refused = |errno: nix::errno::Errno| StartError::Again { what: "its personality", source: errno.into() };
        sys::reset_personality().map_err(refused)?;
        if sys::personality() != Ok(0) {
            return Err(StartError::State(Cause::StillThere("the parent's personality")));
        }
    }
    if personality != 0 || has_tunables {
        let what = if has_tunables { TUNABLES } else { "its personality" };
        let mut args = args_os();
        let mut again = Command::new("/proc/self/exe");
        again.arg0(args.next().unwrap_or_default()).args(args).env_remove(TUNABLES);
        let source: io::Error = again.exec();
        return Err(StartError::Again { what, source });
    }
    Ok(())
}

/// What a signal does from now on.
enum Effect {
    Default,
    Ignored,
    /// The parent decides whether it is ignored: `nohup`, and shells without job control for background processes.
    Inherited,
    /// std has set it.
    SetByStd,
}

const fn effect(signal: Signal) -> Effect {
    match signal {
        // These cannot be changed.
        Signal::SIGKILL | Signal::SIGSTOP => Effect::SetByStd,
        // A write to a closed pipe is an error, and so is a write past the limit on file size (T110).
        Signal::SIGPIPE => Effect::SetByStd,
        Signal::SIGXFSZ => Effect::Ignored,
        // Any process that shares a descriptor can have it sent.
        Signal::SIGIO => Effect::Ignored,
        Signal::SIGHUP | Signal::SIGINT | Signal::SIGQUIT => Effect::Inherited,
        Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU => Effect::Inherited,
        // std handles these if they were not ignored.
        Signal::SIGSEGV | Signal::SIGBUS => Effect::SetByStd,
        _ => Effect::Default,
    }
}

/// Sets the effect of each signal, unblocks all, and discards pending signals other than requests to end or to stop.
fn reset_signals() -> Result<(), Cause> {
    let pending = sys::pending_signals().map_err(Cause::refused("sigpending"))?;
    sys::discard_pending_realtime(&pending);
    for signal in Signal::iterator() {
        let refused = |errno| Cause::refused("sigaction")(errno);
        match effect(signal) {
            Effect::Default => {
                let is_request = matches!(signal, Signal::SIGTERM | Signal::SIGCONT);
                // Ignoring a signal discards the pending ones.
                if pending.contains(signal) && !is_request {
                    sys::ignore(signal).map_err(refused)?;
                }
                sys::restore_default(signal).map_err(refused)?;
            }
            Effect::Ignored => sys::ignore(signal).map_err(refused)?,
            Effect::SetByStd if matches!(signal, Signal::SIGSEGV | Signal::SIGBUS) => {
                if pending.contains(signal) {
                    sys::ignore(signal).map_err(refused)?;
                }
                if sys::is_ignored(signal).map_err(refused)? {
                    sys::restore_default(signal).map_err(refused)?;
                }
            }
            Effect::Inherited | Effect::SetByStd => {}
        }
    }
    // The handler of before `main` again; the loop has removed it.
    sys::install_abort_handler().map_err(Cause::refused("sigaction"))?;
    handle_termination_as_first()?;
    SigSet::empty().thread_set_mask().map_err(Cause::refused("sigprocmask"))
}

/// Lets the signals that ask for an end do so, if this is the first process of its PID namespace.
fn handle_termination_as_first() -> Result<(), Cause> {
    if getpid().as_raw() != 1 {
        return Ok(());
    }
    IS_FIRST.store(true, Ordering::Relaxed);
    for signal in TERMINATION_SIGNALS {
        if !sys::is_ignored(signal).map_err(Cause::refused("sigaction"))? {
            sys::exit_on_signal(signal).map_err(Cause::refused("sigaction"))?;
        }
    }
    Ok(())
}

/// The first thing that the process of a container does. It outlives its parent, and requests to end must end it, also as the first
/// process of a PID namespace.
pub(crate) fn prepare_container() -> Result<(), Cause> {
    record_parent(getppid());
    // Nobody outside of the container decides what it ignores.
    for signal in TERMINATION_SIGNALS {
        sys::restore_default(signal).map_err(Cause::refused("sigaction"))?;
    }
    handle_termination_as_first()
}

/// Restricts a mask that lets everyone write: nobody chose it for the files of a guest. Any other mask is the user's choice.
fn restrict_umask() {
    let usual = Mode::S_IWGRP | Mode::S_IWOTH;
    let inherited = umask(usual);
    if inherited.contains(Mode::S_IWOTH) {
        umask(inherited);
    } else if !inherited.is_empty() {
        umask(inherited | usual);
    }
}

/// Removes the variables that libraries would act on.
fn remove_library_variables() -> Result<(), Cause> {
    if LIBRARY_VARIABLES.iter().all(|name| var_os(name).is_none()) {
        return Ok(());
    }
    let mut removed = Vec::new();
    for name in LIBRARY_VARIABLES {
        removed.extend(sys::remove_variable(name)?.map(|value| (name, value)));
    }
    REMOVED.get_or_init(|| removed);
    Ok(())
}
