//! Workers, supervised processes and the start of a process, on a platform that has none of these.

use std::convert::Infallible;
use std::env::consts::OS;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::time::Duration;

use wave_policy::Policy;

use crate::ended::{Ended, Supervised};
use crate::error::{Cause, StartError, WorkerError};

/// Refuses.
///
/// # Errors
/// [`Cause::Platform`], always.
pub fn supervise(_: NonZeroUsize, _: impl FnOnce(&'static mut [u8]) -> i32) -> Result<Supervised, Cause> {
    Err(Cause::Platform("run a program in a process of its own", OS))
}

/// Does nothing here.
///
/// # Errors
/// None.
pub fn start() -> Result<(), StartError> {
    Ok(())
}

/// Refuses.
///
/// # Errors
/// [`Cause::Platform`], always.
pub fn end_with_parent() -> Result<(), Cause> {
    Err(Cause::Platform("end a process with its parent", OS))
}

/// Refuses.
///
/// # Errors
/// [`Cause::Platform`], always.
pub fn inherited_descriptor(_: i32) -> Result<OwnedFd, Cause> {
    Err(Cause::Platform("check an inherited descriptor", OS))
}

/// A variable of the environment.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A worker, which cannot be started here.
#[derive(Debug)]
pub struct Worker(Infallible);

/// A worker's side of its channel.
#[derive(Debug)]
pub struct Channel(Infallible);

impl Worker {
    /// Refuses.
    ///
    /// # Errors
    /// [`WorkerError::Start`], always.
    pub fn start(_: &Policy, _: Duration, _: impl FnOnce(Channel)) -> Result<Self, WorkerError> {
        Err(WorkerError::Start(Cause::Platform("seal a process that compiles", OS)))
    }

    /// There is no worker.
    ///
    /// # Errors
    /// None.
    pub fn sealed(&mut self) -> Result<String, WorkerError> {
        match self.0 {}
    }

    /// There is no worker.
    pub fn is_readable_within(&self, _: Duration) -> bool {
        match self.0 {}
    }

    /// There is no worker.
    pub fn autopsy(&mut self, _: &io::Error) -> Ended {
        match self.0 {}
    }

    /// There is no worker.
    ///
    /// # Errors
    /// None.
    pub fn kill(&self) -> io::Result<()> {
        match self.0 {}
    }

    /// There is no worker.
    ///
    /// # Errors
    /// None.
    pub fn end(self) -> io::Result<()> {
        match self.0 {}
    }
}

impl Read for Worker {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}

impl Write for Worker {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match self.0 {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}

impl Read for Channel {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}

impl Write for Channel {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match self.0 {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}

/// Does nothing here: std reports a panic.
pub fn report_failures() {}
