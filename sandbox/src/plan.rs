//! The input of a seal.

use std::os::fd::{BorrowedFd, RawFd};

use crate::OuterFilter;
use crate::report::LayerName;

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
    /// The machine code of the guest. Under `strict`, a system call from there ends the process.
    pub guest_code: Option<AddressRange>,
    /// Pages that are never changed, moved or unmapped after the seal: code, and the tables for its faults.
    pub final_pages: &'a [AddressRange],
    /// The result of [`leave_namespaces`](crate::leave_namespaces), if it was called.
    pub namespaces: Option<Namespaces>,
    /// The text that `ps` shows instead of the arguments, which are wiped together with the environment. `None` wipes nothing: for
    /// programs whose arguments hold no secret.
    pub title: Option<&'a str>,
    /// Other descriptors that stay open, besides 0, 1, 2 and those of the grants. The seal closes all others, whoever owns them. So drop or
    /// forget their owners before the seal: an owner that uses or closes its descriptor later may reach another file.
    pub keep_fds: &'a [RawFd],
    /// Whether `policy.identity` may be root: for containers, whose configuration names their user. Without capabilities root is the
    /// owner of files and nothing more.
    pub may_be_root: bool,
    /// Supplementary groups that the process has afterwards, for containers.
    pub groups: &'a [u32],
    /// Capabilities that root has afterwards, as far as it has them now, for containers.
    pub capabilities: &'a [FileCapability],
    /// Whether the process ends when the one that forked it ends: see [`supervise`](crate::supervise). It also does after
    /// [`end_with_parent`](crate::end_with_parent).
    pub supervised: bool,
    /// A filter of the container, which the process is under besides the one of the seal. It can only deny more. Every level applies it,
    /// also `off`, as a part of [`LayerName::Seccomp`].
    pub outer_filter: Option<&'a OuterFilter>,
    /// Layers that are not applied, and reported as not requested: for programs that measure one layer, or test what the others
    /// hold without it. `wave` names none, here or below. [`LayerName::Seccomp`] stands for `outer_filter`, too.
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
            may_be_root: false,
            groups: &[],
            capabilities: &[],
            supervised: false,
            outer_filter: None,
            left_out: &[],
            failing: &[],
        }
    }
}

/// A capability that has a use for a program with files alone: what its owner may do to files of others, where Landlock and mounts
/// let it. Source: capabilities(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileCapability {
    /// Read, write and search whatever the mode of a file says.
    DacOverride,
    /// Read and search whatever the mode of a file says.
    DacReadSearch,
    /// Change modes and times.
    Fowner,
}

impl FileCapability {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DacOverride, Self::DacReadSearch, Self::Fowner];

    /// Its name, such as `CAP_FOWNER`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DacOverride => "CAP_DAC_OVERRIDE",
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::Fowner => "CAP_FOWNER",
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

/// A reserved range of addresses. After the seal, its first part can be made accessible, as for `memory.grow`: the filter permits
/// `mprotect(base, len <= len_bytes, PROT_READ | PROT_WRITE)` and no other change.
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

/// The result of [`leave_namespaces`](crate::leave_namespaces), for the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// The process is in new namespaces, each of them another one than before.
    Left,
    /// The kernel refused with this error number.
    Refused(i32),
    /// The kernel accepted the call, and at least one namespace is the same.
    Unchanged,
    /// The kernel accepted the call, and without /proc this cannot be confirmed.
    Unseen,
    /// This platform has no namespaces.
    Missing,
}
