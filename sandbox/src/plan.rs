//! What a seal is made from.

use std::os::fd::{BorrowedFd, RawFd};

use crate::{LayerName, Namespaces};

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
    /// Where machine code of the guest lies. Under `strict`, a system call that comes from there ends the process.
    pub guest_code: Option<AddressRange>,
    /// Pages that nobody changes any more: code, and tables that say what its faults mean.
    pub final_pages: &'a [AddressRange],
    /// What came of [`leave_namespaces`](crate::leave_namespaces), if it was called.
    pub namespaces: Option<Namespaces>,
    /// What `ps` shows instead of the arguments, which are wiped with the environment. `None` wipes nothing: for programs whose
    /// arguments hold no secret.
    pub title: Option<&'a str>,
    /// Other descriptors that stay open, besides 0, 1 and 2. All the rest is closed, whoever owned it: drop those
    /// owners before the seal or forget them, since closing twice is a bug of its own.
    pub keep_fds: &'a [RawFd],
    /// Whether the process ends with the one that made it: see [`supervise`](crate::supervise). It does so, too, after
    /// [`end_with_parent`](crate::end_with_parent).
    pub supervised: bool,
    /// Layers that are not applied, and reported as not requested: for programs that measure one layer, or test what the others
    /// hold without it. `wave` names none, here or below.
    pub left_out: &'a [LayerName],
    /// Layers whose step fails with [`Cause::Injected`](crate::Cause::Injected), in the place of applying the layer.
    pub failing: &'a [LayerName],
}

impl<'a> SealPlan<'a> {
    /// A plan with no grant, no memory that can grow, and no descriptor but the standard streams.
    pub const fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            grants: &[],
            growable: &[],
            guest_code: None,
            final_pages: &[],
            namespaces: None,
            title: None,
            keep_fds: &[],
            supervised: false,
            left_out: &[],
            failing: &[],
        }
    }
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

/// A range of addresses of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// First address.
    pub start: u64,
    /// Length in bytes.
    pub len_bytes: u64,
}

impl AddressRange {
    /// Whether an address lies inside.
    #[must_use]
    pub const fn contains(&self, address: u64) -> bool {
        address >= self.start && address - self.start < self.len_bytes
    }
}

impl From<std::ops::Range<usize>> for AddressRange {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self { start: range.start as u64, len_bytes: range.len() as u64 }
    }
}
