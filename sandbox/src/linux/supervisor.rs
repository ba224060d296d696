//! A process that does work, and this one, which waits for its end and then reads what it left in memory that both share.
//!
//! The memory takes no descriptor and no system call to write, so a process that is sealed meanwhile is sealed as any other, and
//! what it wrote is there however it ends.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid};

use crate::linux::{process, start, sys};
use crate::{Cause, Ended, Supervised};

/// Exit status of work that panicked, as std has it.
const PANICKED: i32 = 101;

/// Signals that ask a command to end. They are passed on, so that this process lives to see how the other one ends.
const FORWARDED: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Does `work` in a process of its own and waits for its end. `work` gets `len_bytes` of zeroes to write to and returns the exit
/// status; it never returns into the code that it is a copy of.
///
/// What the process left in the memory is as untrusted as what it worked on. The signals that ask for an end stay blocked in this
/// process, so that it can finish what it does with that.
///
/// # Errors
/// [`Cause`] when this process has several threads, or the kernel refuses the memory or another process.
pub fn supervise(len_bytes: NonZeroUsize, work: impl FnOnce(&'static mut [u8]) -> i32) -> Result<Supervised, Cause> {
    let alone = process::assert_single_thread()?;
    let area = sys::share(len_bytes).map_err(Cause::refused("mmap"))?;
    // Where it is ignored, an ended child would be gone at once.
    sys::by_default(Signal::SIGCHLD).map_err(Cause::refused("signal(SIGCHLD)"))?;
    let mut awaited: SigSet = FORWARDED.into_iter().collect();
    awaited.add(Signal::SIGCHLD);
    let before = awaited.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(Cause::refused("sigprocmask"))?;
    let parent = getpid();
    match sys::split(&alone) {
        Ok(ForkResult::Child) => child(parent, area, &before, work),
        Ok(ForkResult::Parent { child }) => {
            let ended = wait(child, &awaited)?;
            Ok(Supervised { ended, left: sys::left_behind(area) })
        }
        Err(errno) => Err(Cause::refused("fork")(errno)),
    }
}

fn child(parent: Pid, area: sys::SharedArea, mask: &SigSet, work: impl FnOnce(&'static mut [u8]) -> i32) -> ! {
    // The process that compiles is made from this one, and has no business there.
    let prepared =
        sys::keep_from_children(&area).is_ok() && start::begin_child(parent).is_ok() && mask.thread_set_mask().is_ok();
    if !prepared {
        sys::exit_now(PANICKED);
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| work(sys::writable(area))));
    sys::exit_now(outcome.unwrap_or(PANICKED))
}

fn wait(child: Pid, awaited: &SigSet) -> Result<Ended, Cause> {
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(Ended::Status(status)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Ended::Signal(signal as i32)),
            // Blocked, so one that comes between these two calls is seen all the same.
            Ok(_) => match awaited.wait() {
                // It is not reaped, so its number is its own.
                Ok(signal) if FORWARDED.contains(&signal) => kill(child, signal).map_err(Cause::refused("kill"))?,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Cause::refused("sigwait")(errno)),
            },
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Cause::refused("waitpid")(errno)),
        }
    }
}
