//! One open descriptor: its object, its rights and its origin.

use crate::limits::Account;
use crate::{Access, Errno, FdFlags, Kind, Rights, Rule, Waiting};

/// The number of a host object, chosen by the crate that performs effects. The guest never sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostFd(u32);

impl HostFd {
    /// The host object with this number.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// Its number.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }
}

/// The object of an admitted effect. Only the monitor creates one, and it is not `Clone`.
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

/// The origin of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryOrigin {
    /// Inherited from our parent, which may share it. So its host flags are not changed (T35).
    Stdio,
    /// The granted directory with this number.
    Preopen(u16),
    /// Opened through a descriptor that goes back to the granted directory with this number.
    Beneath(u16),
    /// A socket, granted or accepted.
    Socket,
}

impl EntryOrigin {
    /// The origin of a descriptor that is opened through one of this origin.
    pub(crate) const fn beneath(self) -> Self {
        match self {
            Self::Preopen(grant) | Self::Beneath(grant) => Self::Beneath(grant),
            Self::Stdio | Self::Socket => self,
        }
    }
}

/// One open descriptor of the guest.
///
/// `base` and `inheriting` never exceed what `access` and `kind` allow, and only shrink (T22).
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

    /// The number of the granted directory that it goes back to.
    pub(crate) const fn grant(&self) -> Option<u16> {
        match self.origin {
            EntryOrigin::Preopen(grant) | EntryOrigin::Beneath(grant) => Some(grant),
            EntryOrigin::Stdio | EntryOrigin::Socket => None,
        }
    }

    /// The budget that written bytes are charged to.
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
    pub(crate) const fn refusal(&self, rights: Rights) -> Errno {
        let missing = rights.without(self.base);
        Errno::NOTCAPABLE.because(self.access.refusal(self.kind.ceiling(), missing))
    }

    /// Drops every right that is not listed, permanently (T22).
    pub(crate) fn narrow(&mut self, base: Rights, inheriting: Rights) -> Result<(), Errno> {
        if !self.base.contains(base) || !self.inheriting.contains(inheriting) {
            return Err(Errno::NOTCAPABLE.because(Rule::Right));
        }
        self.base = base;
        self.inheriting = inheriting;
        Ok(())
    }
}

/// The rights of a new descriptor.
pub(crate) const fn base_rights(wanted: Rights, kind: Kind, access: Access) -> Rights {
    wanted.intersection(kind.ceiling()).intersection(access.ceiling())
}

/// The rights that descriptors opened through a new one can have. Only directories and lists pass rights on.
pub(crate) const fn inheriting_rights(wanted: Rights, kind: Kind, access: Access) -> Rights {
    match kind {
        Kind::Directory | Kind::List => wanted.intersection(access.ceiling()),
        _ => Rights::NONE,
    }
}
