//! Who sees the hostcalls of a run, its beginning and its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wave_runtime::Stop;
use wave_wasi::Record;

/// Sees what a guest asks its host for.
///
/// Calls come from the one thread of the run, after the seal: what an observer does then has to do with the system calls that the
/// filter allows. Memory can be allocated, and standard error can be written to.
pub trait Observer: Send {
    /// Whether the calls of a WASI function are reported. Asked before the seal; the calls of other functions cost nothing.
    fn observes(&self, function: &str) -> bool;

    /// A hostcall has ended.
    fn hostcall(&mut self, record: &Record);

    /// The guest is about to be entered.
    fn begins(&mut self) {}

    /// The guest has returned, or stopped for this reason, with so much linear memory.
    fn ends(&mut self, _stop: Option<&Stop>, _memory_bytes: u64) {}
}

/// The observer of a run, as the hostcalls and the run itself reach it.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Box<dyn Observer>>>);

impl Shared {
    pub fn new(observer: Box<dyn Observer>) -> Self {
        Self(Arc::new(Mutex::new(observer)))
    }

    /// The observer. Nobody else has it: a run is one thread, and no observer runs the guest.
    pub fn lock(&self) -> MutexGuard<'_, Box<dyn Observer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
