//! The monitor, and the guest's descriptor table, which it owns.
//!
//! A guest's number is only an index into this table, so no number reaches any other host descriptor (T33). The host's
//! side is an opaque [`HostFd`], chosen by the crate that performs effects.

use crate::entries::{Entry, EntryOrigin};
use crate::limits::Budgets;
use crate::lists::List;
use crate::{
    Access, Admitted, Close, ConnectRule, Errno, FdFlags, HostFd, Kind, KnownHost, LimitName, Limits, PeerRule, Rights,
    Rule,
};

/// The lowest number of a descriptor that is not a standard stream.
const FIRST_FREE: u32 = 3;

/// The reference monitor of one instance.
#[derive(Debug)]
pub struct Monitor {
    entries: Vec<Option<Entry>>,
    open: u32,
    limits: Limits,
    pub(crate) budgets: Budgets,
    // No lower number from 3 on is free. The search for the lowest free number starts here.
    lowest_free: u32,
    names: Vec<Vec<u8>>,
    pub(crate) lists: Vec<List>,
    pub(crate) peers: Option<Vec<PeerRule>>,
    pub(crate) connections: Vec<ConnectRule>,
    pub(crate) hosts: Vec<KnownHost>,
}

impl Monitor {
    /// Creates a monitor without grants.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            entries: vec![None; FIRST_FREE as usize],
            open: 0,
            limits,
            budgets: Budgets::new(&limits),
            lowest_free: FIRST_FREE,
            names: Vec::new(),
            lists: Vec::new(),
            peers: None,
            connections: Vec::new(),
            hosts: Vec::new(),
        }
    }

    /// The limits.
    #[inline]
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Gives the guest a standard stream under number 0, 1 or 2.
    ///
    /// Standard input can be read and, if it is a file, positioned. The others can be written, but their position, size
    /// and times cannot be set: after a seek, the guest could overwrite what its parent wrote before. All can be
    /// synchronized if they are files.
    ///
    /// # Errors
    /// [`Errno::BADF`] for another number, [`Errno::MFILE`] at the limit.
    pub fn grant_stdio(&mut self, fd: u32, host: HostFd, kind: Kind, flags: FdFlags) -> Result<(), Errno> {
        let rights = match fd {
            0 => Rights::STREAM.without(Rights::FD_WRITE).union(Rights::FD_SEEK).union(Rights::FD_TELL),
            1 | 2 => Rights::STREAM.without(Rights::FD_READ).union(Rights::FD_TELL),
            _ => return Err(Errno::BADF),
        };
        let rights = rights.union(Rights::FD_SYNC).union(Rights::FD_DATASYNC);
        self.check_room()?;
        let kind = if kind == Kind::Directory { Kind::Other } else { kind };
        let entry = Entry::new(host, kind, Access::ReadWrite, EntryOrigin::Stdio, rights);
        self.place(fd, entry.flags(flags));
        Ok(())
    }

    /// Grants a directory tree with a name for the guest, and returns its number.
    ///
    /// # Errors
    /// [`Errno::MFILE`] at the limit, and after 65 536 granted directories.
    pub fn grant_directory(&mut self, host: HostFd, name: Vec<u8>, access: Access) -> Result<u32, Errno> {
        self.check_room()?;
        let grant = self.add_grant(name)?;
        let entry = Entry::new(host, Kind::Directory, access, EntryOrigin::Preopen(grant), Rights::ALL);
        Ok(self.insert(entry.inheriting(Rights::DIRECTORY.union(Rights::REGULAR_FILE))))
    }

    /// The number of a new grant with this name.
    pub(crate) fn add_grant(&mut self, name: Vec<u8>) -> Result<u16, Errno> {
        let grant = u16::try_from(self.names.len()).map_err(|_| Errno::MFILE)?;
        self.names.push(name);
        Ok(grant)
    }

    /// Grants a socket and returns its number.
    ///
    /// # Errors
    /// [`Errno::NOTSOCK`] if `kind` is not a socket, [`Errno::MFILE`] at the limit.
    pub fn grant_socket(&mut self, host: HostFd, kind: Kind) -> Result<u32, Errno> {
        if !matches!(kind, Kind::Listener | Kind::Stream) {
            return Err(Errno::NOTSOCK);
        }
        self.check_room()?;
        Ok(self.insert(Entry::new(host, kind, Access::ReadWrite, EntryOrigin::Socket, Rights::ALL)))
    }

    /// The name of a preopened directory.
    ///
    /// # Errors
    /// [`Errno::BADF`] if `fd` is not one. Libraries look for preopens up to this error.
    pub fn preopen_name(&self, fd: u32) -> Result<&[u8], Errno> {
        match self.entry(fd)?.origin() {
            EntryOrigin::Preopen(grant) => self.names.get(usize::from(grant)).map(Vec::as_slice).ok_or(Errno::BADF),
            EntryOrigin::Stdio | EntryOrigin::Beneath(_) | EntryOrigin::Socket => Err(Errno::BADF),
        }
    }

    /// The grant that a descriptor goes back to, by its number in the order of [`grant_directory`](Self::grant_directory) and
    /// [`grant_list`](Self::grant_list). `None` for streams, sockets and closed numbers.
    #[must_use]
    pub fn grant_of(&self, fd: u32) -> Option<usize> {
        self.entry(fd).ok()?.grant().map(usize::from)
    }

    /// Removes `fd` from the table. The effect closes its host object.
    ///
    /// # Errors
    /// [`Errno::BADF`].
    #[inline(never)]
    pub fn admit_close(&mut self, fd: u32) -> Result<Admitted<Close>, Errno> {
        let entry = self.entries.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::BADF)?;
        self.open -= 1;
        if fd >= FIRST_FREE {
            self.lowest_free = self.lowest_free.min(fd);
        }
        Ok(Admitted::new(Close { on: entry.target() }))
    }

    /// Moves `from` to the number `to`; both must be open. The effect closes the old object of `to`.
    ///
    /// # Errors
    /// [`Errno::BADF`] if either is closed. So a guest cannot enlarge the table.
    #[inline(never)]
    pub fn admit_renumber(&mut self, from: u32, to: u32) -> Result<Option<Admitted<Close>>, Errno> {
        let moved = *self.entry(from)?;
        self.entry(to)?;
        if from == to {
            return Ok(None);
        }
        let replaced = self.admit_close(to)?;
        self.admit_close(from)?;
        self.place(to, moved);
        Ok(Some(replaced))
    }

    #[inline]
    pub(crate) fn entry(&self, fd: u32) -> Result<&Entry, Errno> {
        self.entries.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::BADF)
    }

    pub(crate) fn entry_mut(&mut self, fd: u32) -> Result<&mut Entry, Errno> {
        self.entries.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::BADF)
    }

    #[inline]
    pub(crate) fn entry_with(&self, fd: u32, rights: Rights) -> Result<&Entry, Errno> {
        let entry = self.entry(fd)?;
        entry.require(rights)?;
        Ok(entry)
    }

    #[inline]
    pub(crate) fn seekable_entry(&self, fd: u32, rights: Rights) -> Result<&Entry, Errno> {
        let entry = self.entry(fd)?;
        if !entry.kind().is_seekable() {
            return Err(Errno::SPIPE);
        }
        entry.require(rights)?;
        Ok(entry)
    }

    pub(crate) fn directory_entry(&self, fd: u32, rights: Rights) -> Result<&Entry, Errno> {
        let entry = self.entry(fd)?;
        match entry.kind() {
            Kind::Directory => entry.require(rights)?,
            Kind::List => return Err(Errno::NOTCAPABLE.because(Rule::Listed)),
            _ => return Err(Errno::NOTDIR),
        }
        Ok(entry)
    }

    /// Checks before an effect that its descriptor can be stored after it (T5, T34).
    pub(crate) const fn check_room(&self) -> Result<(), Errno> {
        if self.open < self.limits.open_files {
            Ok(())
        } else {
            Err(Errno::MFILE.because(Rule::Limit(LimitName::OpenFiles)))
        }
    }

    /// Stores an entry under the lowest free number.
    pub(crate) fn insert(&mut self, entry: Entry) -> u32 {
        let mut fd = self.lowest_free;
        while self.entry(fd).is_ok() {
            fd += 1;
        }
        self.place(fd, entry);
        fd
    }

    fn place(&mut self, fd: u32, entry: Entry) {
        let index = fd as usize;
        if self.entries.len() <= index {
            self.entries.resize(index + 1, None);
        }
        if let Some(slot) = self.entries.get_mut(index)
            && slot.replace(entry).is_none()
        {
            self.open += 1;
        }
        if fd == self.lowest_free {
            self.lowest_free = fd + 1;
        }
    }

    pub(crate) fn narrow(&mut self, fd: u32, base: Rights, inheriting: Rights) -> Result<(), Errno> {
        self.entry_mut(fd)?.narrow(base, inheriting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor() -> Monitor {
        let mut monitor = Monitor::new(Limits { open_files: 8, ..Limits::default() });
        for fd in 0..3 {
            monitor.grant_stdio(fd, HostFd::new(fd), Kind::Terminal, FdFlags::empty()).unwrap();
        }
        monitor.grant_directory(HostFd::new(3), b"/".to_vec(), Access::ReadWrite).unwrap();
        monitor
    }

    fn file(host: u32) -> Entry {
        Entry::new(HostFd::new(host), Kind::RegularFile, Access::ReadWrite, EntryOrigin::Beneath(0), Rights::ALL)
    }

    #[test]
    fn numbers_are_the_lowest_free_from_three() {
        let mut monitor = monitor();
        assert_eq!(monitor.insert(file(4)), 4);
        assert_eq!(monitor.insert(file(5)), 5);
        monitor.admit_close(0).unwrap();
        monitor.admit_close(4).unwrap();
        assert_eq!(monitor.insert(file(6)), 4);
        assert_eq!(monitor.insert(file(7)), 6);
    }

    #[test]
    fn t32_renumbering_equal_closed_and_chained_descriptors() {
        let mut monitor = monitor();
        let (a, b) = (monitor.insert(file(4)), monitor.insert(file(5)));
        assert!(monitor.admit_renumber(a, a).unwrap().is_none());
        let closed = monitor.admit_renumber(a, b).unwrap().unwrap();
        assert_eq!(closed.on.host(), HostFd::new(5));
        assert_eq!(monitor.entry(b).unwrap().target().host(), HostFd::new(4));
        assert_eq!(monitor.admit_renumber(a, b).err(), Some(Errno::BADF));
        assert_eq!(monitor.admit_renumber(b, u32::MAX).err(), Some(Errno::BADF));
        assert_eq!(monitor.admit_renumber(b, a).err(), Some(Errno::BADF));
        let over = monitor.admit_renumber(b, 1).unwrap().unwrap();
        assert_eq!(over.on.host(), HostFd::new(1));
        assert_eq!(monitor.open, 4);
    }

    #[test]
    fn t33_only_table_numbers_work() {
        let monitor = monitor();
        let open = (0..65_536).filter(|fd| monitor.entry(*fd).is_ok()).count();
        assert_eq!(open, 4);
        assert!(monitor.entry(u32::MAX).is_err());
    }

    #[test]
    fn t34_the_limit_is_reported_before_anything_happens() {
        let mut monitor = monitor();
        for host in 4..8 {
            monitor.check_room().unwrap();
            monitor.insert(file(host));
        }
        assert_eq!(monitor.check_room(), Err(Errno::MFILE));
        monitor.admit_close(5).unwrap();
        assert_eq!(monitor.check_room(), Ok(()));
    }

    #[test]
    fn t22_rights_start_below_the_grant_and_only_shrink() {
        let mut monitor = Monitor::new(Limits::default());
        let fd = monitor.grant_directory(HostFd::new(0), b"/".to_vec(), Access::ReadOnly).unwrap();
        let entry = *monitor.entry(fd).unwrap();
        assert_eq!(entry.base().intersection(Rights::MUTATING), Rights::NONE);
        assert_eq!(entry.inherited().intersection(Rights::MUTATING), Rights::NONE);
        let more = entry.base().union(Rights::PATH_SYMLINK);
        assert_eq!(monitor.narrow(fd, more, Rights::NONE), Err(Errno::NOTCAPABLE));
        monitor.narrow(fd, Rights::PATH_OPEN, Rights::NONE).unwrap();
        assert_eq!(monitor.narrow(fd, entry.base(), Rights::NONE), Err(Errno::NOTCAPABLE));
    }

    #[test]
    fn a_stream_that_is_a_file_has_the_rights_of_its_direction() {
        let mut monitor = Monitor::new(Limits::default());
        for fd in 0..3 {
            monitor.grant_stdio(fd, HostFd::new(fd), Kind::RegularFile, FdFlags::empty()).unwrap();
        }
        let common = Rights::FD_TELL
            .union(Rights::FD_SYNC)
            .union(Rights::FD_DATASYNC)
            .union(Rights::FD_FDSTAT_SET_FLAGS)
            .union(Rights::FD_FILESTAT_GET)
            .union(Rights::POLL_FD_READWRITE);
        let base = |fd| monitor.entry(fd).unwrap().base();
        assert_eq!(base(0), common.union(Rights::FD_READ).union(Rights::FD_SEEK));
        // No seek, no size, no times: the guest cannot change what its parent wrote.
        assert_eq!((base(1), base(2)), (common.union(Rights::FD_WRITE), common.union(Rights::FD_WRITE)));
    }

    #[test]
    fn a_terminal_looks_like_one() {
        // `isatty` of wasi-libc: a character device without the rights to seek and tell.
        let monitor = monitor();
        for fd in 0..3 {
            let base = monitor.entry(fd).unwrap().base();
            assert_eq!(base.intersection(Rights::FD_SEEK.union(Rights::FD_TELL)), Rights::NONE);
        }
    }
}
