//! Decisions on `path_open`.

use crate::entries::{Entry, EntryOrigin};
use crate::{
    Access, Admitted, DirectoryPath, Errno, FdFlags, GuestPath, HostFd, Kind, LookupFlags, Monitor, OFlags, Performed,
    Rights, Rule,
};

/// The arguments of `path_open`.
#[derive(Debug, Clone, Copy)]
pub struct OpenRequest<'m> {
    /// The directory.
    pub fd: u32,
    /// Lookup flags as passed.
    pub lookup: u32,
    /// The path.
    pub path: &'m [u8],
    /// Open flags as passed.
    pub oflags: u32,
    /// Rights wanted for the new descriptor, as passed.
    pub base: u64,
    /// Rights wanted for descriptors opened through it, as passed.
    pub inheriting: u64,
    /// Descriptor flags as passed.
    pub fdflags: u32,
}

/// Open a file or directory.
#[derive(Debug)]
#[non_exhaustive]
pub struct Open<'m> {
    /// The path.
    pub place: DirectoryPath<'m>,
    /// Whether a final symbolic link is followed.
    pub follow: bool,
    /// Create, exclusive, directory, truncate.
    pub oflags: OFlags,
    /// Append and synchronization.
    pub fdflags: FdFlags,
    /// Open for reading. A descriptor without either right is opened for reading, too, but lacks the right.
    pub read: bool,
    /// Open for writing.
    pub write: bool,
    grant: Inherited,
}

/// What the new descriptor gets from the one that it is opened through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inherited {
    origin: EntryOrigin,
    access: Access,
    base: Rights,
    inheriting: Rights,
}

impl Monitor {
    /// `path_open`. Needs `PATH_OPEN`, `PATH_CREATE_FILE` to create, `PATH_FILESTAT_SET_SIZE` to
    /// truncate.
    ///
    /// The new descriptor gets the requested rights that the directory may pass on (T22). `FD_READ` and `FD_WRITE`
    /// decide the access mode. So if one of them is requested and not available, the open fails; other rights are
    /// dropped.
    ///
    /// # Errors
    /// [`Errno::MFILE`] if the table is full, before anything is created. [`Errno::INVAL`] for
    /// unknown bits and for `CREAT` with `DIRECTORY`.
    /// [`Errno::NOTCAPABLE`] for missing rights, and for writing under an append-only grant without `APPEND`.
    #[inline(never)]
    pub fn admit_open<'m>(&self, request: OpenRequest<'m>) -> Result<Admitted<Open<'m>>, Errno> {
        let wanted = Wanted::of(&request)?;
        let dir = self.directory_entry(request.fd, needed_on_directory(wanted.oflags))?;
        let path = GuestPath::parse(request.path)?;
        self.check_room()?;

        let may = dir.inherited();
        let mode = admit_mode(dir.access(), may, wanted.base, wanted.fdflags)?;
        admit_creation(wanted.oflags)?;
        Ok(Admitted::new(Open {
            place: DirectoryPath { dir: dir.target(), path },
            follow: wanted.lookup.contains(LookupFlags::SYMLINK_FOLLOW),
            oflags: wanted.oflags,
            fdflags: wanted.fdflags,
            read: mode.read,
            write: mode.write,
            grant: wanted.inherited(dir.origin().beneath(), dir.access(), may),
        }))
    }

    /// Enters the opened object into the table and returns its number.
    ///
    /// This cannot fail: `admit_open` checked that there is room.
    #[inline(never)]
    pub fn install(&mut self, open: Performed<Open<'_>>, host: HostFd, kind: Kind) -> u32 {
        let Open { grant, fdflags, .. } = open.into_effect();
        self.insert(grant.entry(host, kind, fdflags))
    }
}

/// What an open asks for, without unknown bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    lookup: LookupFlags,
    pub(crate) oflags: OFlags,
    pub(crate) fdflags: FdFlags,
    pub(crate) base: Rights,
    inheriting: Rights,
}

impl Wanted {
    #[inline]
    pub(crate) fn of(request: &OpenRequest<'_>) -> Result<Self, Errno> {
        Ok(Self {
            lookup: LookupFlags::from_guest(request.lookup)?,
            oflags: OFlags::from_guest(request.oflags)?,
            fdflags: FdFlags::from_guest(request.fdflags)?,
            base: Rights::from_guest(request.base)?,
            inheriting: Rights::from_guest(request.inheriting)?,
        })
    }

    /// What the new descriptor gets of it, where `may` is passed on.
    #[inline]
    pub(crate) const fn inherited(&self, origin: EntryOrigin, access: Access, may: Rights) -> Inherited {
        let (base, inheriting) = (self.base.intersection(may), self.inheriting.intersection(may));
        Inherited { origin, access, base, inheriting }
    }
}

impl Inherited {
    /// The entry of what was opened.
    #[inline]
    pub(crate) fn entry(self, host: HostFd, kind: Kind, flags: FdFlags) -> Entry {
        Entry::new(host, kind, self.access, self.origin, self.base).inheriting(self.inheriting).flags(flags)
    }
}

/// The access mode for the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// Decides on the access mode. If reading or writing is `wanted`, the directory must be able to pass it on (`may`). Under an
/// append-only grant, writing must be in append mode.
pub(crate) const fn admit_mode(access: Access, may: Rights, wanted: Rights, flags: FdFlags) -> Result<Mode, Errno> {
    let asked = wanted.intersection(Rights::FD_READ.union(Rights::FD_WRITE));
    if !may.contains(asked) {
        return Err(Errno::NOTCAPABLE.because(access.refusal(Rights::REGULAR_FILE, asked.without(may))));
    }
    let write = asked.contains(Rights::FD_WRITE);
    if write && matches!(access, Access::Append) && !flags.contains(FdFlags::APPEND) {
        return Err(Errno::NOTCAPABLE.because(Rule::AppendOnly));
    }
    Ok(Mode { read: asked.contains(Rights::FD_READ) || !write, write })
}

/// Denies the creation of a directory, which is what `path_create_directory` is for.
pub(crate) const fn admit_creation(oflags: OFlags) -> Result<(), Errno> {
    if oflags.contains(OFlags::CREAT) && oflags.contains(OFlags::DIRECTORY) { Err(Errno::INVAL) } else { Ok(()) }
}

/// The rights that an open needs on its directory.
pub(crate) const fn needed_on_directory(oflags: OFlags) -> Rights {
    let mut needed = Rights::PATH_OPEN;
    if oflags.contains(OFlags::CREAT) {
        needed = needed.union(Rights::PATH_CREATE_FILE);
    }
    if oflags.contains(OFlags::TRUNC) {
        needed = needed.union(Rights::PATH_FILESTAT_SET_SIZE);
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    const CREAT: u32 = 1;
    const DIRECTORY: u32 = 2;
    const TRUNC: u32 = 8;

    fn with_grant(access: Access) -> Monitor {
        let mut monitor = Monitor::new(Limits::default());
        monitor.grant_directory(HostFd::new(0), b"/".to_vec(), access).unwrap();
        monitor
    }

    fn request(path: &[u8], oflags: u32, base: Rights, fdflags: u32) -> OpenRequest<'_> {
        let inheriting = Rights::ALL.bits();
        OpenRequest { fd: 3, lookup: 0, path, oflags, base: base.bits(), inheriting, fdflags }
    }

    #[test]
    fn t21_a_read_only_grant_opens_nothing_for_change() {
        let monitor = with_grant(Access::ReadOnly);
        let read = Rights::FD_READ;
        assert!(monitor.admit_open(request(b"f", 0, read, 0)).is_ok());
        for (oflags, base) in [(CREAT, read), (TRUNC, read), (0, Rights::FD_WRITE)] {
            let refused = monitor.admit_open(request(b"f", oflags, base, 0)).err();
            assert_eq!(refused, Some(Errno::NOTCAPABLE));
        }
    }

    #[test]
    fn an_append_grant_writes_only_at_the_end() {
        let monitor = with_grant(Access::Append);
        let write = Rights::FD_WRITE;
        assert!(monitor.admit_open(request(b"f", CREAT, write, 1)).is_ok());
        assert_eq!(monitor.admit_open(request(b"f", CREAT, write, 0)).err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_open(request(b"f", TRUNC, write, 1)).err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_unlink(3, b"f").err(), Some(Errno::NOTCAPABLE));
        assert!(monitor.admit_create_directory(3, b"d").is_ok());
    }

    #[test]
    fn t22_a_child_has_what_was_asked_for_and_may_be_handed_on() {
        let mut monitor = with_grant(Access::ReadOnly);
        let wish = Rights::FD_READ.union(Rights::FD_SEEK).union(Rights::FD_FILESTAT_SET_TIMES);
        let open = monitor.admit_open(request(b"f", 0, wish, 0)).unwrap();
        let fd = monitor.install(open.performed(), HostFd::new(1), Kind::RegularFile);
        let stat = monitor.fdstat(fd).unwrap();
        assert_eq!(stat.base, Rights::FD_READ.union(Rights::FD_SEEK));
        assert_eq!(stat.inheriting, Rights::NONE);
        assert!(!monitor.fdstat(3).unwrap().inheriting.contains(Rights::FD_WRITE));
    }

    #[test]
    fn a_refusal_names_its_rule_and_a_descriptor_its_grant() {
        let mut monitor = with_grant(Access::ReadWrite);
        let read_only = monitor.grant_directory(HostFd::new(1), b"/r".to_vec(), Access::ReadOnly).unwrap();
        let through = |monitor: &Monitor, fd, path, base: Rights| {
            let asked = OpenRequest { fd, ..request(path, 0, base, 0) };
            monitor.admit_open(asked).map(drop).map_err(Errno::rule)
        };
        assert_eq!(through(&monitor, read_only, b"f", Rights::FD_WRITE), Err(Rule::ReadOnly));
        assert_eq!(through(&monitor, 3, b"/f", Rights::FD_WRITE), Err(Rule::Beneath));
        assert_eq!(monitor.admit_symlink(b"/f", 3, b"l").map(drop).map_err(Errno::rule), Err(Rule::AbsoluteLink));
        let open = monitor.admit_open(OpenRequest { fd: read_only, ..request(b"d", 0, Rights::PATH_OPEN, 0) }).unwrap();
        let inner = monitor.install(open.performed(), HostFd::new(2), Kind::Directory);
        assert_eq!(monitor.admit_stat_at(inner, 0, b"f").map(drop).map_err(Errno::rule), Err(Rule::Right));
        assert_eq!(monitor.admit_unlink(inner, b"f").map(drop).map_err(Errno::rule), Err(Rule::ReadOnly));
        assert_eq!((monitor.grant_of(3), monitor.grant_of(inner), monitor.grant_of(0)), (Some(0), Some(1), None));
        monitor.admit_renumber(inner, 3).unwrap();
        assert_eq!(monitor.grant_of(3), Some(1));
    }

    #[test]
    fn t10_unknown_bits_are_refused_before_anything_else() {
        let monitor = with_grant(Access::ReadWrite);
        let plain = request(b"f", 0, Rights::NONE, 0);
        for bad in [
            OpenRequest { lookup: 2, ..plain },
            OpenRequest { oflags: 16, ..plain },
            OpenRequest { fdflags: 32, ..plain },
            OpenRequest { base: 1 << 40, ..plain },
            OpenRequest { inheriting: 1 << 63, ..plain },
        ] {
            assert_eq!(monitor.admit_open(bad).err(), Some(Errno::INVAL));
        }
    }

    #[test]
    fn odd_combinations_are_defined() {
        let monitor = with_grant(Access::ReadWrite);
        let open = |path, oflags| monitor.admit_open(request(path, oflags, Rights::NONE, 0)).err();
        assert_eq!(open(b"d", CREAT | DIRECTORY), Some(Errno::INVAL));
        assert_eq!(open(b"d/", CREAT), None, "what is there says why not");
    }

    #[test]
    fn t34_a_full_table_refuses_before_the_file_is_made() {
        let mut monitor = Monitor::new(Limits { open_files: 1, ..Limits::default() });
        monitor.grant_directory(HostFd::new(0), b"/".to_vec(), Access::ReadWrite).unwrap();
        let refused = monitor.admit_open(request(b"f", CREAT, Rights::FD_WRITE, 0)).err();
        assert_eq!(refused, Some(Errno::MFILE));
    }
}
