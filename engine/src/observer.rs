//! Observers of a run: they see its start, its hostcalls and its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wave_runtime::Stop;
use wave_wasi::Record;

/// Sees the hostcalls of a guest.
///
/// The methods are called after the seal, on the only thread of the run, so an observer can only make system calls that
/// the filter allows. It can allocate memory and write to standard error.
pub trait Observer: Send {
    /// Whether calls of a WASI function are reported. This is called before the seal. Calls of other functions have no
    /// overhead.
    fn observes(&self, function: &str) -> bool;

    /// Called when a hostcall has ended.
    fn hostcall(&mut self, record: &Record);

    /// Called before the guest is entered.
    fn begins(&mut self) {}

    /// Called when the guest has returned, or has stopped for this reason.
    fn ends(&mut self, _stop: Option<&Stop>, _used: Used) {}
}

/// What a guest has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// The size of its linear memory.
    pub memory_bytes: u64,
    /// Units of fuel, if they are limited.
    pub fuel: Option<u64>,
}

/// The observer of a run, shared by the hostcalls and the run.
#[derive(Clone)]
pub struct SharedObserver(Arc<Mutex<Box<dyn Observer>>>);

impl SharedObserver {
    pub fn new(observer: Box<dyn Observer>) -> Self {
        Self(Arc::new(Mutex::new(observer)))
    }

    /// The observer. This never waits: a run has one thread, and no observer enters the guest.
    pub fn lock(&self) -> MutexGuard<'_, Box<dyn Observer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
