//! What a seal is made from.

use std::os::fd::{BorrowedFd, RawFd};

use wave_policy::{Access, Policy};

/// Everything [`seal`](crate::seal) needs to know.
#[derive(Clone, Debug)]
pub struct SealPlan<'a> {
    /// What the run may do.
    pub policy: &'a Policy,
    /// `policy.grants`, opened, in the same order. They stay open.
    pub grants: &'a [Grant<'a>],
    /// Reservations whose accessible part may grow.
    pub growable: &'a [GrowableRange],
    /// Other descriptors that stay open, besides 0, 1 and 2. All the rest is closed, whoever owned it: drop those
    /// owners before the seal or forget them, since closing twice is a bug of its own.
    pub keep_fds: &'a [RawFd],
}

/// A granted directory or file, opened once; the monitor uses the same descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The open directory or file (`O_PATH` will do).
    pub fd: BorrowedFd<'a>,
    /// What the guest may do there.
    pub access: Access,
}

/// A reserved range of addresses whose start can be made accessible after the seal, as `memory.grow` does:
/// `mprotect(base, len <= len_bytes, PROT_READ | PROT_WRITE)` and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrowableRange {
    /// First address.
    pub base: u64,
    /// Length of the whole reservation that may become accessible, in bytes.
    pub len_bytes: u64,
}
