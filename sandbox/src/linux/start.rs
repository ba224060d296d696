//! The first thing a process does: whatever its parent left behind, it goes on from one state.
//!
//! `docs/inherited.md` lists what a process inherits, and what becomes of each.

use std::env::{args_os, var_os};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use caps::CapSet;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, getegid, geteuid, getgid, getpid, getppid, getuid};

use super::{process, sys};
use crate::{Cause, StartError};

/// What the dynamic loader and the allocator are told before any code of ours runs.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Variables that make libraries do something: cranelift-jit appends to a file whose name can be guessed, and std makes the stacks
/// of threads so large.
const OF_LIBRARIES: [&str; 2] = ["PERF_BUILDID_DIR", "RUST_MIN_STACK"];

/// How late the kernel may wake a process, unless it says otherwise.
const TIMER_SLACK_NS: u64 = 50_000;

/// Signals that ask for an end. The first process of a PID namespace gets none that it has no handler for (pid_namespaces(7)).
const ENDS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// The process that this one can be asked to end with. 0: it is outside of this PID namespace.
static PARENT: AtomicI32 = AtomicI32::new(UNKNOWN);

const UNKNOWN: i32 = -1;

/// Whether the parent's end is to be this one's.
static ENDS_WITH_PARENT: AtomicBool = AtomicBool::new(false);

/// Whether this is the first process of its PID namespace.
static IS_FIRST: AtomicBool = AtomicBool::new(false);

/// What was taken out of the environment.
static TAKEN: OnceLock<Vec<(&str, OsString)>> = OnceLock::new();

/// Brings this process into a known state, whatever its parent left behind. Call it first thing in `main`, before any thread is
/// started.
///
/// It executes the program again, once, where something cannot be undone otherwise: variables that glibc has read, and a
/// personality that has laid out the memory.
///
/// # Errors
/// [`StartError`] if the program has rights that the user who started it does not have, or the kernel refuses something. All that
/// is left to do is to say so.
pub fn start() -> Result<(), StartError> {
    refuse_privileges()?;
    // Before anything below allocates.
    sys::allocate_by_brk();
    start_again_if_needed()?;
    sys::reset_floating_point();
    // Before signals are unblocked: one that they sent must not count.
    sys::stop_interval_timers().map_err(Cause::refused("setitimer"))?;
    settle_signals()?;
    settle_umask();
    // It is about time alone, so a kernel or a filter that refuses may.
    sys::set_timer_slack(TIMER_SLACK_NS).ok();
    take_variables()?;
    note_parent(getppid());
    if sys::parent_death_signal().is_ok_and(|signal| signal != 0) {
        end_with_parent()?;
    }
    Ok(())
}

/// Ends this process by SIGKILL when its parent ends, from now on and after the seal.
///
/// # Errors
/// [`Cause::Refused`] if the kernel does not promise so.
pub fn end_with_parent() -> Result<(), Cause> {
    sys::die_with_parent().map_err(Cause::refused("prctl(PR_SET_PDEATHSIG)"))?;
    ENDS_WITH_PARENT.store(true, Ordering::Relaxed);
    // It may have ended before the kernel knew.
    let (before, now) = (PARENT.load(Ordering::Relaxed), getppid().as_raw());
    if before == UNKNOWN {
        note_parent(getppid());
    } else if now > 0 && now != before {
        sys::exit_now(128 + Signal::SIGKILL as i32);
    }
    Ok(())
}

/// Whether [`end_with_parent`] was called.
pub(crate) fn ends_with_parent() -> bool {
    ENDS_WITH_PARENT.load(Ordering::Relaxed)
}

/// What a process that was made from this one does first: it ends with it, and is not the first of a PID namespace.
pub(crate) fn begin_child(parent: Pid) -> Result<(), Cause> {
    note_parent(parent);
    if IS_FIRST.swap(false, Ordering::Relaxed) {
        for signal in ENDS {
            if !sys::is_ignored(signal).map_err(Cause::refused("sigaction"))? {
                sys::by_default(signal).map_err(Cause::refused("sigaction"))?;
            }
        }
    }
    end_with_parent()
}

/// A variable of the environment that this process was started with. For what a user asks to pass on: [`start`] takes some away from
/// the libraries.
pub fn variable(name: &str) -> Option<OsString> {
    let taken = TAKEN.get().and_then(|taken| taken.iter().find(|(other, _)| *other == name));
    taken.map(|(_, value)| value.clone()).or_else(|| var_os(name))
}

fn note_parent(parent: Pid) {
    PARENT.store(parent.as_raw(), Ordering::Relaxed);
}

/// Refuses to run with rights that come from the file of this program: what it reads and writes it would read and write with
/// them, for whoever asks.
///
/// The kernel's mark alone does not say so: security modules set it, too, where a process enters another domain.
fn refuse_privileges() -> Result<(), StartError> {
    if !sys::is_secure() {
        return Ok(());
    }
    if getuid() != geteuid() {
        return Err(StartError::Privileged("the rights of another user"));
    }
    if getgid() != getegid() {
        return Err(StartError::Privileged("the rights of another group"));
    }
    // Of root's capabilities none is from the file; those of others that come from the parent are in the ambient set, which the
    // kernel clears for a file with capabilities (capabilities(7)).
    let has = |set| caps::read(None, set).map_or(true, |set| !set.is_empty());
    if !getuid().is_root() && has(CapSet::Permitted) && !has(CapSet::Ambient) {
        return Err(StartError::Privileged("capabilities"));
    }
    Ok(())
}

/// Executes this program once more, without what has had its effect before `main`. Each reason is gone then.
fn start_again_if_needed() -> Result<(), StartError> {
    // A filter that hides the call stands where nobody could change the personality either.
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
    /// Whether it is ignored is the parent's to say: `nohup`, and shells without job control for what runs in the background.
    Inherited,
    /// std has set it.
    OfRuntime,
}

const fn effect(signal: Signal) -> Effect {
    match signal {
        // Nobody can change these.
        Signal::SIGKILL | Signal::SIGSTOP => Effect::OfRuntime,
        // A write to a closed pipe is an error, and so is one past the limit on files (T110).
        Signal::SIGPIPE => Effect::OfRuntime,
        Signal::SIGXFSZ => Effect::Ignored,
        // Whoever shares a descriptor can have it sent.
        Signal::SIGIO => Effect::Ignored,
        Signal::SIGHUP | Signal::SIGINT | Signal::SIGQUIT => Effect::Inherited,
        Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU => Effect::Inherited,
        // std handles these if they were not ignored.
        Signal::SIGSEGV | Signal::SIGBUS => Effect::OfRuntime,
        _ => Effect::Default,
    }
}

/// Each signal has one effect, none is blocked, and none that came before counts but those that ask for an end or a stop.
fn settle_signals() -> Result<(), Cause> {
    let pending = sys::pending().map_err(Cause::refused("sigpending"))?;
    sys::discard_realtime(&pending);
    for signal in Signal::iterator() {
        let refused = |errno| Cause::refused("sigaction")(errno);
        match effect(signal) {
            Effect::Default => {
                let is_request = matches!(signal, Signal::SIGTERM | Signal::SIGCONT);
                // Ignoring a signal takes those away that wait.
                if pending.contains(signal) && !is_request {
                    sys::ignore(signal).map_err(refused)?;
                }
                sys::by_default(signal).map_err(refused)?;
            }
            Effect::Ignored => sys::ignore(signal).map_err(refused)?,
            Effect::OfRuntime if matches!(signal, Signal::SIGSEGV | Signal::SIGBUS) => {
                if pending.contains(signal) {
                    sys::ignore(signal).map_err(refused)?;
                }
                if sys::is_ignored(signal).map_err(refused)? {
                    sys::by_default(signal).map_err(refused)?;
                }
            }
            Effect::Inherited | Effect::OfRuntime => {}
        }
    }
    // As before `main`, without what the parent had waiting.
    sys::answer_aborts().map_err(Cause::refused("sigaction"))?;
    if getpid().as_raw() == 1 {
        IS_FIRST.store(true, Ordering::Relaxed);
        for signal in ENDS {
            if !sys::is_ignored(signal).map_err(Cause::refused("sigaction"))? {
                sys::end_by_handler(signal).map_err(Cause::refused("sigaction"))?;
            }
        }
    }
    SigSet::empty().thread_set_mask().map_err(Cause::refused("sigprocmask"))
}

/// A mask that lets everybody write was not chosen for the files of a guest; any other is the user's choice.
fn settle_umask() {
    let usual = Mode::S_IWGRP | Mode::S_IWOTH;
    let inherited = umask(usual);
    if inherited.contains(Mode::S_IWOTH) {
        umask(inherited);
    } else if !inherited.is_empty() {
        umask(inherited | usual);
    }
}

/// Takes variables away from the libraries that would act on them.
fn take_variables() -> Result<(), Cause> {
    if OF_LIBRARIES.iter().all(|name| var_os(name).is_none()) {
        return Ok(());
    }
    let alone = process::assert_single_thread()?;
    let taken = OF_LIBRARIES.iter().filter_map(|name| Some((*name, sys::take_variable(name, &alone)?)));
    TAKEN.get_or_init(|| taken.collect());
    Ok(())
}
