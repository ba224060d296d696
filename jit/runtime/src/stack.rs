//! The guest's own stack.

use crate::mapping::{HOST_PAGE_BYTES, Mapping};
use std::io;
use std::ops::Range;
use wave_contract::{HOST_STACK_BYTES, STACK_GUARD_BYTES};

/// A stack with an inaccessible guard below it, growing downward.
///
/// Hostcalls run on this stack too. Code checks before each hostcall that [`HOST_STACK_BYTES`] are left. Guest code
/// itself may use everything down to the guard.
#[derive(Debug)]
pub struct GuestStack {
    mapping: Mapping,
}

impl GuestStack {
    /// A stack of `stack_bytes`, which must be more than [`HOST_STACK_BYTES`] for any hostcall to succeed.
    pub fn new(stack_bytes: u64) -> io::Result<Self> {
        let len = stack_bytes
            .checked_next_multiple_of(HOST_PAGE_BYTES as u64)
            .and_then(|bytes| bytes.checked_add(STACK_GUARD_BYTES))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        let mut mapping = Mapping::reserve(len)?;
        mapping.make_writable(STACK_GUARD_BYTES as usize..len)?;
        Ok(Self { mapping })
    }

    /// First address above the stack; aligned to 16.
    pub fn top(&self) -> usize {
        self.mapping.range().end
    }

    /// Lowest stack pointer at which code may call the host.
    pub fn host_limit(&self) -> u64 {
        self.mapping.address() as u64 + STACK_GUARD_BYTES + HOST_STACK_BYTES
    }

    /// Addresses whose access means stack overflow.
    pub fn guard(&self) -> Range<usize> {
        let start = self.mapping.address();
        start..start + STACK_GUARD_BYTES as usize
    }

    /// The word at `address`, if all of it lies in the accessible part.
    pub fn word_at(&self, address: usize) -> Option<usize> {
        let accessible = self.guard().end..self.top();
        if !address.is_multiple_of(8) || !accessible.contains(&address) || accessible.end - address < 8 {
            return None;
        }
        Some(usize::from_le_bytes(self.mapping.read(address - self.mapping.address())))
    }
}
