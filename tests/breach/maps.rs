//! Pages of a process at its end, seen by its tracer.

use std::fs::File;
use std::io::Read as _;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::raw::call;

/// A process that stops once more when it ends, with its memory in place.
pub struct Scan {
    process: Pid,
    maps: File,
}

impl Scan {
    /// Starts to watch a child that waits.
    pub fn of(process: Pid) -> Self {
        call!(libc::SYS_ptrace, libc::PTRACE_SEIZE, process.as_raw(), 0, libc::PTRACE_O_TRACEEXIT).expect("own child");
        // Opened now: later the process is not dumpable.
        let maps = File::open(format!("/proc/{process}/maps")).expect("own child");
        Self { process, maps }
    }

    /// Lets it run to its end; whether a page was writable and executable then.
    pub fn until_exit(mut self) -> bool {
        loop {
            let status = waitpid(self.process, Some(WaitPidFlag::__WALL)).expect("own child");
            let signal = match status {
                WaitStatus::PtraceEvent(_, Signal::SIGTRAP, libc::PTRACE_EVENT_EXIT) => {
                    let mut maps = String::new();
                    self.maps.read_to_string(&mut maps).expect("text");
                    assert!(!maps.is_empty(), "the memory is still there");
                    call!(libc::SYS_ptrace, libc::PTRACE_DETACH, self.process.as_raw(), 0, 0).expect("own tracee");
                    return maps.lines().any(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rwx")));
                }
                WaitStatus::Stopped(_, signal) => signal as i32,
                WaitStatus::PtraceEvent(..) => 0,
                other => panic!("{other:?}"),
            };
            call!(libc::SYS_ptrace, libc::PTRACE_CONT, self.process.as_raw(), 0, signal).expect("own tracee");
        }
    }
}
