//! Runs work in a forked process, waits for its end, and reads what it left in shared memory.
//!
//! Writing to the memory takes no descriptor and no system call. So the process can be sealed like any other, and what it wrote is
//! there however it ends.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid};

use super::sys::{self, SharedArea};
use super::{denial, process, start};
use crate::ended::{DeniedCall, Ended, Supervised, Usage};
use crate::error::Cause;
use crate::syscalls;

/// Exit status of work that panicked, as in std.
const PANICKED: i32 = 101;

/// Signals that ask a command to end. This process forwards them, so that it lives to see how the other one ends.
const FORWARDED: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Does `work` in a forked process and waits for its end. `work` gets `len_bytes` of zeroes to write to and returns the exit
/// status. The forked process never returns to the caller.
///
/// What the process left in the memory is as untrusted as what it worked on. The signals that ask for an end stay blocked in this
/// process, so that it can finish its use of that.
///
/// # Errors
/// [`Cause`] if this process has several threads, or the kernel refuses the memory or another process.
#[allow(unsafe_code, reason = "the order of steps is known here")]
pub fn supervise(len_bytes: NonZeroUsize, work: impl FnOnce(&'static mut [u8]) -> i32) -> Result<Supervised, Cause> {
    process::confirm_single_thread()?;
    let area = SharedArea::map(len_bytes).map_err(Cause::refused("mmap"))?;
    let denied = sys::map_shared_number().map_err(Cause::refused("mmap"))?;
    // If it were ignored, an ended child would be gone at once.
    sys::restore_default(Signal::SIGCHLD).map_err(Cause::refused("signal(SIGCHLD)"))?;
    let mut awaited: SigSet = FORWARDED.into_iter().collect();
    awaited.add(Signal::SIGCHLD);
    let before = awaited.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(Cause::refused("sigprocmask"))?;
    let parent = getpid();
    match sys::fork()? {
        ForkResult::Child => run_child(parent, area, denied, &before, work),
        ForkResult::Parent { child } => {
            let ended = wait(child, &awaited)?;
            // SAFETY: `wait` returned how the child ended, so it was waited for. It excluded its own children from the area, or did
            // not begin its work; and this process has forked no other since it mapped the area.
            let left = unsafe { area.into_readable() };
            let denied_call = denied_call(denied.load(Ordering::Relaxed));
            Ok(Supervised { ended, usage: usage_of_children()?, denied_call, left })
        }
    }
}

#[allow(unsafe_code, reason = "the order of steps is known here")]
fn run_child(
    parent: Pid,
    area: SharedArea,
    denied: &'static AtomicI64,
    mask: &SigSet,
    work: impl FnOnce(&'static mut [u8]) -> i32,
) -> ! {
    denial::record_in(denied);
    // The process that compiles is forked from this one, and must not have the area.
    let prepared =
        area.exclude_from_children().is_ok() && start::prepare_child(parent).is_ok() && mask.thread_set_mask().is_ok();
    if !prepared {
        sys::exit_now(PANICKED);
    }
    // SAFETY: this process was forked after the area was mapped and has just excluded its children from it. The parent reads the
    // area only after it has waited for this process.
    let area = unsafe { area.into_writable() };
    let outcome = catch_unwind(AssertUnwindSafe(|| work(area)));
    sys::exit_now(outcome.unwrap_or(PANICKED))
}

fn wait(child: Pid, awaited: &SigSet) -> Result<Ended, Cause> {
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(Ended::Status(status)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Ended::Signal(signal as i32)),
            // The signals are blocked, so one that comes between these two calls is not lost.
            Ok(_) => match awaited.wait() {
                // The child was not waited for, so no other process has its number.
                Ok(signal) if FORWARDED.contains(&signal) => kill(child, signal).map_err(Cause::refused("kill"))?,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Cause::refused("sigwait")(errno)),
            },
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Cause::refused("waitpid")(errno)),
        }
    }
}

/// The call that was recorded by its number plus one; 0 is none.
fn denied_call(recorded: i64) -> Option<DeniedCall> {
    let number = i32::try_from(recorded.checked_sub(1)?).ok().filter(|number| *number >= 0)?;
    Some(DeniedCall { number, name: usize::try_from(number).ok().and_then(syscalls::name) })
}

/// What the processes used that this one has waited for, and those that they have waited for.
fn usage_of_children() -> Result<Usage, Cause> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(Cause::refused("getrusage"))?;
    let time = |time: TimeVal| Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or(0));
    // The kernel counts in KiB.
    let peak_bytes = u64::try_from(usage.max_rss()).unwrap_or(0).saturating_mul(1024);
    Ok(Usage { user: time(usage.user_time()), system: time(usage.system_time()), peak_bytes })
}
