//! Decisions on open descriptors: the `fd_*` functions.

use crate::entries::{Entry, Origin};
use crate::limits::{Account, at_most};
use crate::{
    Access, Admitted, Advice, Errno, FdFlags, FileType, Kind, Monitor, NewTimes, Rights, Rule, Target, Waiting, Whence,
};

/// The largest offset or size the kernel takes.
const OFFSET_MAX: u64 = i64::MAX as u64;

macro_rules! effects {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $visibility:vis $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        #[non_exhaustive]
        pub struct $name {
            /// The object.
            pub on: Target,
            $($(#[$field_doc])* $visibility $field: $type,)*
        }
    )*};
}

effects! {
    /// Read at the current position.
    Read {
        /// The most bytes to move.
        pub at_most: usize,
        /// Whether to wait for data.
        pub waiting: Waiting,
    }
    /// Write at the current position.
    Write {
        /// The most bytes to move.
        pub at_most: usize,
        /// Whether to wait for space.
        pub waiting: Waiting,
        /// Whether a terminal is at the other end.
        pub terminal: bool,
        account: Account,
    }
    /// Read at a given position.
    ReadAt {
        /// The most bytes to move.
        pub at_most: usize,
        /// Below 2^63.
        pub offset: u64,
    }
    /// Write at a given position.
    WriteAt {
        /// The most bytes to move.
        pub at_most: usize,
        /// Below 2^63.
        pub offset: u64,
        account: Account,
    }
    /// Move or query the position.
    Seek {
        /// Where to.
        pub to: SeekFrom,
    }
    /// Query the attributes.
    Stat {}
    /// Set the size.
    SetSize {
        /// Below 2^63.
        pub size: u64,
    }
    /// Set the timestamps.
    SetTimes {
        /// To these.
        pub times: NewTimes,
    }
    /// Make sure that space is there.
    Allocate {
        /// Where it starts.
        pub offset: u64,
        /// Above zero; the end is below 2^63.
        pub len: u64,
    }
    /// Tell the kernel how a part will be used.
    Advise {
        /// Where it starts.
        pub offset: u64,
        /// The end is below 2^63; zero means to the end of the file.
        pub len: u64,
        /// How.
        pub advice: Advice,
    }
    /// Wait until data, or data and metadata, are on the disk.
    Sync {
        /// Data only.
        pub data_only: bool,
    }
    /// Change the flags.
    SetFlags {
        /// The new append mode, if the host has to be told.
        pub append: Option<bool>,
        /// Committed after the host call.
        pub commit: Commit,
    }
    /// List the directory.
    ReadDir {
        /// From here. Any value a guest made up.
        pub cookie: u64,
    }
    /// Let go of the object.
    Close {}
}

/// A flag change that waits for the host to agree.
#[derive(Debug, Clone, Copy)]
pub struct Commit {
    fd: u32,
    flags: FdFlags,
}

/// A checked seek.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeekFrom {
    /// From the start, below 2^63.
    Start(u64),
    /// From the current position.
    Current(i64),
    /// From the end.
    End(i64),
}

/// What `fd_fdstat_get` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdStat {
    /// The type of the object.
    pub file_type: FileType,
    /// The flags in force.
    pub flags: FdFlags,
    /// What the descriptor can be used for.
    pub base: Rights,
    /// What descriptors opened through it can be used for.
    pub inheriting: Rights,
}

impl Monitor {
    /// `fd_read`: needs `FD_READ`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`].
    #[inline]
    pub fn admit_read(&self, fd: u32) -> Result<Admitted<Read>, Errno> {
        let entry = self.allowed(fd, Rights::FD_READ)?;
        Ok(Admitted::new(Read { on: entry.target(), at_most: self.per_call(), waiting: entry.waiting() }))
    }

    /// `fd_write`: needs `FD_WRITE`, and something left of the budget. What was written is
    /// reported to [`wrote`](Self::wrote).
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`]; [`Errno::NOSPC`] when
    /// [`Limits::written_bytes`](crate::Limits::written_bytes) or
    /// [`Limits::output_bytes`](crate::Limits::output_bytes) are used up.
    #[inline]
    pub fn admit_write(&self, fd: u32) -> Result<Admitted<Write>, Errno> {
        let entry = self.allowed(fd, Rights::FD_WRITE)?;
        let account = entry.account();
        let at_most = at_most(self.budgets.left(account)?, self.limits().per_call());
        let terminal = entry.kind() == Kind::Terminal;
        Ok(Admitted::new(Write { on: entry.target(), at_most, waiting: entry.waiting(), terminal, account }))
    }

    /// `fd_pread`: needs `FD_READ` and `FD_SEEK`.
    ///
    /// # Errors
    /// Also [`Errno::INVAL`] for an offset of 2^63 or more, [`Errno::SPIPE`] on a stream.
    #[inline]
    pub fn admit_read_at(&self, fd: u32, offset: u64) -> Result<Admitted<ReadAt>, Errno> {
        let entry = self.positioned(fd, Rights::FD_READ.union(Rights::FD_SEEK))?;
        check_end(offset, 0)?;
        Ok(Admitted::new(ReadAt { on: entry.target(), at_most: self.per_call(), offset }))
    }

    /// `fd_pwrite`: needs `FD_WRITE` and `FD_SEEK`, and a grant that is not append-only. What was
    /// written is reported to [`wrote_at`](Self::wrote_at).
    ///
    /// # Errors
    /// As [`admit_read_at`](Self::admit_read_at) and [`admit_write`](Self::admit_write);
    /// [`Errno::FBIG`] at or beyond [`Limits::file_size_bytes`](crate::Limits::file_size_bytes).
    #[inline]
    pub fn admit_write_at(&self, fd: u32, offset: u64) -> Result<Admitted<WriteAt>, Errno> {
        let entry = self.positioned(fd, Rights::FD_WRITE.union(Rights::FD_SEEK))?;
        check_end(offset, 0)?;
        if entry.access() == Access::Append {
            return Err(Errno::NOTCAPABLE.because(Rule::AppendOnly));
        }
        let account = entry.account();
        let left = self.limits().admit_from(offset)?.min(self.budgets.left(account)?);
        let at_most = at_most(left, self.limits().per_call());
        Ok(Admitted::new(WriteAt { on: entry.target(), at_most, offset, account }))
    }

    /// `fd_seek`: needs `FD_SEEK`, or `FD_TELL` if the position stays.
    ///
    /// # Errors
    /// Also [`Errno::INVAL`] for a position before the start, [`Errno::SPIPE`] on a stream.
    #[inline]
    pub fn admit_seek(&self, fd: u32, offset: u64, whence: Whence) -> Result<Admitted<Seek>, Errno> {
        let delta = offset.cast_signed();
        if whence == Whence::Current && delta == 0 {
            return self.admit_tell(fd);
        }
        let entry = self.positioned(fd, Rights::FD_SEEK)?;
        let to = match whence {
            Whence::Set => SeekFrom::Start(u64::try_from(delta).map_err(|_| Errno::INVAL)?),
            Whence::Current => SeekFrom::Current(delta),
            Whence::End => SeekFrom::End(delta),
        };
        Ok(Admitted::new(Seek { on: entry.target(), to }))
    }

    /// `fd_tell`: needs `FD_TELL` or `FD_SEEK`, which implies it.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`], [`Errno::SPIPE`] on a stream.
    #[inline]
    pub fn admit_tell(&self, fd: u32) -> Result<Admitted<Seek>, Errno> {
        let entry = self.positioned(fd, Rights::NONE)?;
        entry.require(Rights::FD_TELL).or_else(|_| entry.require(Rights::FD_SEEK))?;
        Ok(Admitted::new(Seek { on: entry.target(), to: SeekFrom::Current(0) }))
    }

    /// `fd_filestat_get`: needs `FD_FILESTAT_GET`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`].
    #[inline]
    pub fn admit_stat(&self, fd: u32) -> Result<Admitted<Stat>, Errno> {
        let entry = self.allowed(fd, Rights::FD_FILESTAT_GET)?;
        Ok(Admitted::new(Stat { on: entry.target() }))
    }

    /// `fd_filestat_set_size`: needs `FD_FILESTAT_SET_SIZE`.
    ///
    /// # Errors
    /// Also [`Errno::INVAL`] for a size of 2^63 or more (T12), [`Errno::FBIG`] above
    /// [`Limits::file_size_bytes`](crate::Limits::file_size_bytes).
    pub fn admit_set_size(&self, fd: u32, size: u64) -> Result<Admitted<SetSize>, Errno> {
        let entry = self.allowed(fd, Rights::FD_FILESTAT_SET_SIZE)?;
        check_end(size, 0)?;
        self.limits().admit_size(size)?;
        Ok(Admitted::new(SetSize { on: entry.target(), size }))
    }

    /// `fd_filestat_set_times`: needs `FD_FILESTAT_SET_TIMES`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`].
    pub fn admit_set_times(&self, fd: u32, times: NewTimes) -> Result<Admitted<SetTimes>, Errno> {
        let entry = self.allowed(fd, Rights::FD_FILESTAT_SET_TIMES)?;
        Ok(Admitted::new(SetTimes { on: entry.target(), times }))
    }

    /// `fd_allocate`: needs `FD_ALLOCATE`. Success is reported to [`allocated`](Self::allocated).
    ///
    /// # Errors
    /// Also [`Errno::INVAL`] if nothing is to be allocated or the end is at 2^63 or beyond,
    /// [`Errno::FBIG`] if the end is above
    /// [`Limits::file_size_bytes`](crate::Limits::file_size_bytes), [`Errno::NOSPC`] for more than
    /// is left of [`Limits::written_bytes`](crate::Limits::written_bytes).
    pub fn admit_allocate(&self, fd: u32, offset: u64, len: u64) -> Result<Admitted<Allocate>, Errno> {
        let entry = self.allowed(fd, Rights::FD_ALLOCATE)?;
        let end = check_end(offset, len)?;
        if len == 0 {
            return Err(Errno::INVAL);
        }
        self.limits().admit_size(end)?;
        self.budgets.admit_reserve(len)?;
        Ok(Admitted::new(Allocate { on: entry.target(), offset, len }))
    }

    /// `fd_advise`: needs `FD_ADVISE`.
    ///
    /// # Errors
    /// Also [`Errno::INVAL`] if the end is at 2^63 or beyond.
    pub fn admit_advise(&self, fd: u32, offset: u64, len: u64, advice: Advice) -> Result<Admitted<Advise>, Errno> {
        let entry = self.allowed(fd, Rights::FD_ADVISE)?;
        check_end(offset, len)?;
        Ok(Admitted::new(Advise { on: entry.target(), offset, len, advice }))
    }

    /// `fd_sync`: needs `FD_SYNC`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`].
    pub fn admit_sync(&self, fd: u32) -> Result<Admitted<Sync>, Errno> {
        let entry = self.allowed(fd, Rights::FD_SYNC)?;
        Ok(Admitted::new(Sync { on: entry.target(), data_only: false }))
    }

    /// `fd_datasync`: needs `FD_DATASYNC`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`].
    pub fn admit_datasync(&self, fd: u32) -> Result<Admitted<Sync>, Errno> {
        let entry = self.allowed(fd, Rights::FD_DATASYNC)?;
        Ok(Admitted::new(Sync { on: entry.target(), data_only: true }))
    }

    /// `fd_readdir` into a buffer of `len` bytes: needs `FD_READDIR`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`], [`Errno::NOTDIR`]; [`Errno::TOOBIG`] for more than
    /// [`Limits::call_bytes`](crate::Limits::call_bytes). To fill less of the buffer would tell the
    /// guest that the listing ends there.
    pub fn admit_readdir(&self, fd: u32, cookie: u64, len: u32) -> Result<Admitted<ReadDir>, Errno> {
        let entry = self.directory(fd, Rights::FD_READDIR)?;
        self.limits().admit_whole(len)?;
        Ok(Admitted::new(ReadDir { on: entry.target(), cookie }))
    }

    /// `fd_fdstat_get`: the truth about a descriptor. Needs no right.
    ///
    /// # Errors
    /// [`Errno::BADF`].
    pub fn fdstat(&self, fd: u32) -> Result<FdStat, Errno> {
        let entry = self.entry(fd)?;
        Ok(FdStat {
            file_type: entry.kind().file_type(),
            flags: entry.flags,
            base: entry.base(),
            inheriting: entry.inherited(),
        })
    }

    /// `fd_fdstat_set_flags`: needs `FD_FDSTAT_SET_FLAGS`.
    ///
    /// `NONBLOCK` is kept in the table only: on an inherited stream the host's flag belongs to
    /// whoever shares it (T35), and what the guest opened never waits in the kernel anyway.
    ///
    /// # Errors
    /// [`Errno::INVAL`] to change a synchronisation flag, which Linux cannot;
    /// [`Errno::NOTSUP`] to change `APPEND` of something that is not a file the guest opened;
    /// [`Errno::NOTCAPABLE`] to leave append mode under an append-only grant.
    pub fn admit_set_flags(&self, fd: u32, flags: FdFlags) -> Result<Admitted<SetFlags>, Errno> {
        let entry = self.allowed(fd, Rights::FD_FDSTAT_SET_FLAGS)?;
        let changed = entry.flags.difference(flags);
        for fixed in [FdFlags::DSYNC, FdFlags::RSYNC, FdFlags::SYNC] {
            if changed.contains(fixed) {
                return Err(Errno::INVAL);
            }
        }
        let append = changed.contains(FdFlags::APPEND).then_some(flags.contains(FdFlags::APPEND));
        if append.is_some() && entry.origin() == Origin::Stdio {
            return Err(Errno::NOTSUP.because(Rule::Inherited));
        }
        if append.is_some() && entry.kind() != Kind::RegularFile {
            return Err(Errno::NOTSUP);
        }
        if append == Some(false) && entry.access() == Access::Append {
            return Err(Errno::NOTCAPABLE.because(Rule::AppendOnly));
        }
        Ok(Admitted::new(SetFlags { on: entry.target(), append, commit: Commit { fd, flags } }))
    }

    /// Records flags the host has taken on.
    ///
    /// # Errors
    /// [`Errno::BADF`] if the descriptor is gone.
    pub fn commit_flags(&mut self, change: &Admitted<SetFlags>) -> Result<(), Errno> {
        self.entry_mut(change.commit.fd)?.flags = change.commit.flags;
        Ok(())
    }

    /// `fd_fdstat_set_rights`: drops rights, for good.
    ///
    /// # Errors
    /// [`Errno::NOTCAPABLE`] if any right would be added, [`Errno::INVAL`] for unknown bits.
    pub fn set_rights(&mut self, fd: u32, base: u64, inheriting: u64) -> Result<(), Errno> {
        self.narrow(fd, Rights::from_guest(base)?, Rights::from_guest(inheriting)?)
    }

    /// `random_get` of `len` bytes.
    ///
    /// # Errors
    /// [`Errno::TOOBIG`] for more than [`Limits::call_bytes`](crate::Limits::call_bytes): a guest
    /// takes what it gets for random, so there is no giving it less.
    pub const fn admit_random(&self, len: u32) -> Result<(), Errno> {
        self.limits().admit_whole(len)
    }

    /// Charges `count` bytes that an admitted write has written.
    #[inline]
    pub const fn wrote(&mut self, write: &Admitted<Write>, count: usize) {
        self.budgets.charge(write.get().account, count as u64);
    }

    /// Charges `count` bytes that an admitted write at an offset has written.
    #[inline]
    pub const fn wrote_at(&mut self, write: &Admitted<WriteAt>, count: usize) {
        self.budgets.charge(write.get().account, count as u64);
    }

    /// Charges what an admitted allocation has reserved, whether or not it was there before.
    pub const fn allocated(&mut self, allocate: &Admitted<Allocate>) {
        self.budgets.charge(Account::Files, allocate.get().len);
    }

    #[inline]
    pub(crate) const fn per_call(&self) -> usize {
        self.limits().per_call() as usize
    }

    #[inline]
    fn allowed(&self, fd: u32, rights: Rights) -> Result<&Entry, Errno> {
        let entry = self.entry(fd)?;
        entry.require(rights)?;
        Ok(entry)
    }

    #[inline]
    fn positioned(&self, fd: u32, rights: Rights) -> Result<&Entry, Errno> {
        let entry = self.entry(fd)?;
        if !entry.kind().is_seekable() {
            return Err(Errno::SPIPE);
        }
        entry.require(rights)?;
        Ok(entry)
    }

    pub(crate) fn directory(&self, fd: u32, rights: Rights) -> Result<&Entry, Errno> {
        let entry = self.entry(fd)?;
        if entry.kind() != Kind::Directory {
            return Err(Errno::NOTDIR);
        }
        entry.require(rights)?;
        Ok(entry)
    }
}

/// The end of a part of a file. Refuses offsets the kernel would read as negative, and sums that
/// pass its limit (T12).
#[inline]
fn check_end(offset: u64, len: u64) -> Result<u64, Errno> {
    match offset.checked_add(len) {
        Some(end) if end <= OFFSET_MAX => Ok(end),
        _ => Err(Errno::INVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostFd, Limits};

    fn with_file(access: Access, rights: Rights, flags: FdFlags) -> (Monitor, u32) {
        let mut monitor = Monitor::new(Limits::default());
        let entry = Entry::new(HostFd::new(0), Kind::RegularFile, access, Origin::Beneath(0), rights);
        let fd = monitor.insert(entry.flags(flags));
        (monitor, fd)
    }

    #[test]
    fn t12_offsets_of_2_63_and_wraps_are_refused() {
        let (monitor, fd) = with_file(Access::ReadWrite, Rights::ALL, FdFlags::empty());
        assert!(monitor.admit_read_at(fd, OFFSET_MAX).is_ok());
        assert_eq!(monitor.admit_read_at(fd, 1 << 63).err(), Some(Errno::INVAL));
        assert_eq!(monitor.admit_write_at(fd, u64::MAX).err(), Some(Errno::INVAL));
        assert_eq!(monitor.admit_set_size(fd, 1 << 63).err(), Some(Errno::INVAL));
        assert_eq!(monitor.admit_allocate(fd, OFFSET_MAX, 1).err(), Some(Errno::INVAL));
        assert_eq!(monitor.admit_allocate(fd, u64::MAX, 2).err(), Some(Errno::INVAL));
        assert_eq!(monitor.admit_allocate(fd, 0, 0).err(), Some(Errno::INVAL));
        assert_eq!(monitor.admit_advise(fd, 1, OFFSET_MAX, Advice::Normal).err(), Some(Errno::INVAL));
        assert_eq!(monitor.admit_seek(fd, u64::MAX, Whence::Set).err(), Some(Errno::INVAL));
        assert_eq!(monitor.admit_seek(fd, u64::MAX, Whence::End).unwrap().to, SeekFrom::End(-1));
    }

    #[test]
    fn t21_a_read_only_grant_admits_no_change() {
        let (monitor, fd) = with_file(Access::ReadOnly, Rights::ALL, FdFlags::empty());
        let times = NewTimes::from_guest(0, 0, 0b101).unwrap();
        assert_eq!(monitor.admit_write(fd).err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_write_at(fd, 0).err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_set_size(fd, 0).err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_allocate(fd, 0, 1).err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_set_times(fd, times).err(), Some(Errno::NOTCAPABLE));
        assert!(monitor.admit_read(fd).is_ok());
    }

    #[test]
    fn an_append_grant_stays_at_the_end() {
        let (mut monitor, fd) = with_file(Access::Append, Rights::ALL, FdFlags::APPEND);
        assert!(monitor.admit_write(fd).is_ok());
        assert_eq!(monitor.admit_write_at(fd, 0).err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_set_size(fd, 0).err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_set_flags(fd, FdFlags::empty()).err(), Some(Errno::NOTCAPABLE));
        let keep = monitor.admit_set_flags(fd, FdFlags::APPEND.union(FdFlags::NONBLOCK)).unwrap();
        assert_eq!(keep.append, None);
        monitor.commit_flags(&keep).unwrap();
    }

    #[test]
    fn t35_flags_of_inherited_streams_stay_in_the_table() {
        let mut monitor = Monitor::new(Limits::default());
        monitor.grant_stdio(1, HostFd::new(1), Kind::Pipe, FdFlags::empty()).unwrap();
        let change = monitor.admit_set_flags(1, FdFlags::NONBLOCK).unwrap();
        assert_eq!(change.append, None);
        monitor.commit_flags(&change).unwrap();
        assert_eq!(monitor.admit_write(1).unwrap().waiting, Waiting::Refuse);
        assert_eq!(monitor.admit_set_flags(1, FdFlags::APPEND).err(), Some(Errno::NOTSUP));
    }

    fn with_limits(limits: Limits) -> (Monitor, u32) {
        let mut monitor = Monitor::new(limits);
        monitor.grant_stdio(1, HostFd::new(1), Kind::Pipe, FdFlags::empty()).unwrap();
        let file = Entry::new(HostFd::new(0), Kind::RegularFile, Access::ReadWrite, Origin::Beneath(0), Rights::ALL);
        let fd = monitor.insert(file);
        (monitor, fd)
    }

    fn because<T>(result: Result<T, Errno>) -> Option<(Errno, Rule)> {
        result.err().map(|errno| (errno, errno.rule()))
    }

    #[test]
    fn t110_the_size_of_a_file_is_limited() {
        let (monitor, fd) = with_limits(Limits { file_size_bytes: 100, ..Limits::default() });
        let too_large = Some((Errno::FBIG, Rule::FileSize));
        assert!(monitor.admit_set_size(fd, 100).is_ok());
        assert_eq!(because(monitor.admit_set_size(fd, 101)), too_large);
        assert!(monitor.admit_allocate(fd, 90, 10).is_ok());
        assert_eq!(because(monitor.admit_allocate(fd, 90, 11)), too_large);
        assert_eq!(monitor.admit_write_at(fd, 99).unwrap().at_most, 1);
        assert_eq!(because(monitor.admit_write_at(fd, 100)), too_large);
    }

    #[test]
    fn t110_files_and_output_have_budgets_of_their_own() {
        let (mut monitor, fd) = with_limits(Limits { written_bytes: 10, output_bytes: 5, ..Limits::default() });
        let write = monitor.admit_write(fd).unwrap();
        assert_eq!(write.at_most, 10);
        monitor.wrote(&write, 4);
        let write = monitor.admit_write_at(fd, 0).unwrap();
        assert_eq!(write.at_most, 6);
        monitor.wrote_at(&write, 1);
        assert_eq!(because(monitor.admit_allocate(fd, 0, 6)), Some((Errno::NOSPC, Rule::Written)));
        let allocate = monitor.admit_allocate(fd, 0, 5).unwrap();
        monitor.allocated(&allocate);
        assert_eq!(because(monitor.admit_write(fd)), Some((Errno::NOSPC, Rule::Written)));

        let write = monitor.admit_write(1).unwrap();
        assert_eq!(write.at_most, 5);
        monitor.wrote(&write, 5);
        assert_eq!(because(monitor.admit_write(1)), Some((Errno::NOSPC, Rule::Output)));
    }

    #[test]
    fn t109_one_call_moves_a_limited_number_of_bytes() {
        let (mut monitor, fd) = with_limits(Limits { call_bytes: 7, ..Limits::default() });
        assert_eq!(monitor.admit_read(fd).unwrap().at_most, 7);
        assert_eq!(monitor.admit_write_at(fd, 0).unwrap().at_most, 7);
        assert_eq!(monitor.admit_random(7), Ok(()));
        let too_big = Some((Errno::TOOBIG, Rule::CallBytes));
        assert_eq!(because(monitor.admit_random(8)), too_big);
        let dir = monitor.grant_directory(HostFd::new(2), b"/".to_vec(), Access::ReadOnly).unwrap();
        assert!(monitor.admit_readdir(dir, 0, 7).is_ok());
        assert_eq!(because(monitor.admit_readdir(dir, 0, 8)), too_big);
    }

    #[test]
    fn telling_needs_less_than_seeking() {
        let (monitor, fd) = with_file(Access::ReadWrite, Rights::FD_TELL, FdFlags::empty());
        assert!(monitor.admit_tell(fd).is_ok());
        assert!(monitor.admit_seek(fd, 0, Whence::Current).is_ok());
        assert_eq!(monitor.admit_seek(fd, 1, Whence::Current).err(), Some(Errno::NOTCAPABLE));
    }
}
