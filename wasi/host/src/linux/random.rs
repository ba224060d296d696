//! The kernel's random bytes.

use super::sys::Generator;
use rustix::io::Result;
use rustix::rand::{GetRandomFlags, getrandom};

/// The kernel's generator: in this process where the vDSO has one, by a system call elsewhere.
#[derive(Debug)]
pub(crate) struct Random(Option<Generator>);

impl Random {
    /// Host syscalls: `mmap`, so it has to be before the seal.
    pub(crate) fn new() -> Self {
        Self(Generator::new())
    }

    /// Fills the start of the buffer and returns how much of it.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match &mut self.0 {
            Some(generator) => generator.fill(buffer),
            None => getrandom(buffer, GetRandomFlags::empty()),
        }
    }
}
