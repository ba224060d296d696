//! One open descriptor: its object, its rights and where it came from.

use crate::limits::Account;
use crate::{Access, Errno, FdFlags, Kind, Rights, Rule, Waiting};

/// A host object, by the number the performing crate gave it. Means nothing to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostFd(u32);

impl HostFd {
    /// Names a host object.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The number it was made with.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }
}

/// The object of an admitted effect. Made only by the monitor; not `Clone`.
#[derive(Debug)]
pub struct Target(HostFd);

impl Target {
    pub(crate) const fn new(host: HostFd) -> Self {
        Self(host)
    }

    /// Which host object it is.
    #[must_use]
    pub const fn host(&self) -> HostFd {
        self.0
    }
}

/// How a descriptor came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryOrigin {
    /// Inherited from whoever started us: its host flags are not ours to change (T35).
    Stdio,
    /// A granted directory, and its place among them.
    Preopen(u16),
    /// Opened through a descriptor that goes back to this granted directory.
    Beneath(u16),
    /// A socket: made for the guest, or accepted by it.
    Socket,
}

impl EntryOrigin {
    /// The origin of what is opened through a descriptor of this one.
    pub(crate) const fn beneath(self) -> Self {
        match self {
            Self::Preopen(grant) | Self::Beneath(grant) => Self::Beneath(grant),
            Self::Stdio | Self::Socket => self,
        }
    }
}

/// One open descriptor of the guest.
///
/// `base` and `inheriting` are below the ceilings of `access` and `kind` from the start, and only
/// shrink afterwards (T22).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    host: HostFd,
    kind: Kind,
    access: Access,
    base: Rights,
    inheriting: Rights,
    pub(crate) flags: FdFlags,
    origin: EntryOrigin,
}

impl Entry {
    pub(crate) fn new(host: HostFd, kind: Kind, access: Access, origin: EntryOrigin, wanted: Rights) -> Self {
        Self {
            host,
            kind,
            access,
            base: base_rights(wanted, kind, access),
            inheriting: Rights::NONE,
            flags: FdFlags::empty(),
            origin,
        }
    }

    pub(crate) fn inheriting(mut self, wanted: Rights) -> Self {
        self.inheriting = inheriting_rights(wanted, self.kind, self.access);
        self
    }

    pub(crate) fn flags(mut self, flags: FdFlags) -> Self {
        self.flags = flags;
        self
    }

    #[inline]
    pub(crate) const fn target(&self) -> Target {
        Target::new(self.host)
    }

    /// Whether it was inherited as standard input, output or error.
    pub(crate) const fn is_stdio(&self) -> bool {
        matches!(self.origin, EntryOrigin::Stdio)
    }

    /// Whether it is a FIFO that was opened through a grant.
    #[inline]
    pub(crate) const fn is_fifo(&self) -> bool {
        matches!((self.kind, self.origin), (Kind::Pipe, EntryOrigin::Beneath(_)))
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) const fn access(&self) -> Access {
        self.access
    }

    pub(crate) const fn base(&self) -> Rights {
        self.base
    }

    pub(crate) const fn inherited(&self) -> Rights {
        self.inheriting
    }

    pub(crate) const fn origin(&self) -> EntryOrigin {
        self.origin
    }

    /// Which granted directory it goes back to.
    pub(crate) const fn grant(&self) -> Option<u16> {
        match self.origin {
            EntryOrigin::Preopen(grant) | EntryOrigin::Beneath(grant) => Some(grant),
            EntryOrigin::Stdio | EntryOrigin::Socket => None,
        }
    }

    /// What written bytes are charged to.
    #[inline]
    pub(crate) const fn account(&self) -> Account {
        match self.origin {
            EntryOrigin::Stdio => Account::Output,
            EntryOrigin::Preopen(_) | EntryOrigin::Beneath(_) => Account::Files,
            EntryOrigin::Socket => Account::Free,
        }
    }

    #[inline]
    pub(crate) const fn waiting(&self) -> Waiting {
        if !self.kind.may_wait() {
            Waiting::Never
        } else if self.flags.contains(FdFlags::NONBLOCK) {
            Waiting::Refuse
        } else {
            Waiting::Wait
        }
    }

    #[inline]
    pub(crate) const fn require(&self, rights: Rights) -> Result<(), Errno> {
        if self.base.contains(rights) { Ok(()) } else { Err(self.refusal(rights)) }
    }

    #[cold]
    const fn refusal(&self, rights: Rights) -> Errno {
        let missing = rights.without(self.base);
        Errno::NOTCAPABLE.because(self.access.refusal(self.kind.ceiling(), missing))
    }

    /// Drops every right that is not listed, for good (T22).
    pub(crate) fn narrow(&mut self, base: Rights, inheriting: Rights) -> Result<(), Errno> {
        if !self.base.contains(base) || !self.inheriting.contains(inheriting) {
            return Err(Errno::NOTCAPABLE.because(Rule::Right));
        }
        self.base = base;
        self.inheriting = inheriting;
        Ok(())
    }
}

/// What a new descriptor can be used for.
pub(crate) const fn base_rights(wanted: Rights, kind: Kind, access: Access) -> Rights {
    wanted.intersection(kind.ceiling()).intersection(access.ceiling())
}

/// What descriptors opened through a new one can be used for. Only directories hand rights on.
pub(crate) const fn inheriting_rights(wanted: Rights, kind: Kind, access: Access) -> Rights {
    match kind {
        Kind::Directory => wanted.intersection(access.ceiling()),
        _ => Rights::NONE,
    }
}
