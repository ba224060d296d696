//! Decisions on open descriptors: the `fd_*` functions.

use crate::limits::Account;
use crate::offsets::{end_of, seek_target};
use crate::{
    Admitted, Advice, Advise, Allocate, Claim, Errno, Kind, Monitor, NewTimes, Performed, ReadDir, Rights, Seek,
    SeekFrom, SetSize, SetTimes, Stat, Sync, Target, Whence,
};

impl Monitor {
    /// `fd_seek`: needs `FD_SEEK`, or `FD_TELL` if the position does not change.
    ///
    /// # Errors
    /// Also [`Errno::INVAL`] for a position before the start, [`Errno::SPIPE`] on a stream.
    #[inline]
    pub fn admit_seek(&self, fd: u32, offset: u64, whence: Whence) -> Result<Admitted<Seek>, Errno> {
        if whence == Whence::Current && offset == 0 {
            return self.admit_tell(fd);
        }
        let entry = self.seekable_entry(fd, Rights::FD_SEEK)?;
        Ok(Admitted::new(Seek { on: entry.target(), to: seek_target(offset, whence)? }))
    }

    /// `fd_tell`: needs `FD_TELL` or `FD_SEEK`, which implies it.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`], [`Errno::SPIPE`] on a stream.
    #[inline]
    pub fn admit_tell(&self, fd: u32) -> Result<Admitted<Seek>, Errno> {
        let entry = self.seekable_entry(fd, Rights::NONE)?;
        entry.require(Rights::FD_TELL).or_else(|_| entry.require(Rights::FD_SEEK))?;
        Ok(Admitted::new(Seek { on: entry.target(), to: SeekFrom::Current(0) }))
    }

    /// `fd_filestat_get`: needs `FD_FILESTAT_GET`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`].
    #[inline]
    pub fn admit_stat(&self, fd: u32) -> Result<Admitted<Stat>, Errno> {
        let entry = self.entry_with(fd, Rights::FD_FILESTAT_GET)?;
        Ok(Admitted::new(Stat { on: entry.target() }))
    }

    /// `fd_filestat_set_size`: needs `FD_FILESTAT_SET_SIZE`.
    ///
    /// # Errors
    /// Also [`Errno::INVAL`] for a size of 2^63 or more (T12), [`Errno::FBIG`] above
    /// [`Limits::file_size_bytes`](crate::Limits::file_size_bytes).
    #[inline(never)]
    pub fn admit_set_size(&self, fd: u32, size: u64) -> Result<Admitted<SetSize>, Errno> {
        let entry = self.entry_with(fd, Rights::FD_FILESTAT_SET_SIZE)?;
        end_of(size, 0)?;
        self.limits().admit_size(size)?;
        Ok(Admitted::new(SetSize { on: entry.target(), size }))
    }

    /// `fd_filestat_set_times`: needs `FD_FILESTAT_SET_TIMES`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`].
    #[inline(never)]
    pub fn admit_set_times(&self, fd: u32, times: NewTimes) -> Result<Admitted<SetTimes>, Errno> {
        let entry = self.entry_with(fd, Rights::FD_FILESTAT_SET_TIMES)?;
        Ok(Admitted::new(SetTimes { on: entry.target(), times }))
    }

    /// `fd_allocate`: needs `FD_ALLOCATE`. [`allocated`](Self::allocated) records the result.
    ///
    /// # Errors
    /// Also [`Errno::INVAL`] for an empty range or an end at 2^63 or beyond,
    /// [`Errno::FBIG`] if the end is above
    /// [`Limits::file_size_bytes`](crate::Limits::file_size_bytes), [`Errno::NOSPC`] for more than
    /// is left of [`Limits::written_bytes`](crate::Limits::written_bytes).
    #[inline(never)]
    pub fn admit_allocate(&self, fd: u32, offset: u64, len: u64) -> Result<Admitted<Allocate>, Errno> {
        let entry = self.entry_with(fd, Rights::FD_ALLOCATE)?;
        let end = end_of(offset, len)?;
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
    #[inline(never)]
    pub fn admit_advise(&self, fd: u32, offset: u64, len: u64, advice: Advice) -> Result<Admitted<Advise>, Errno> {
        let entry = self.entry_with(fd, Rights::FD_ADVISE)?;
        end_of(offset, len)?;
        Ok(Admitted::new(Advise { on: entry.target(), offset, len, advice }))
    }

    /// `fd_sync`: needs `FD_SYNC`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`]; [`Errno::INVAL`] for anything but a file or directory, as on Linux.
    #[inline(never)]
    pub fn admit_sync(&self, fd: u32) -> Result<Admitted<Sync>, Errno> {
        let on = self.stored(fd, Rights::FD_SYNC)?;
        Ok(Admitted::new(Sync { on, data_only: false }))
    }

    /// `fd_datasync`: needs `FD_DATASYNC`.
    ///
    /// # Errors
    /// As [`admit_sync`](Self::admit_sync).
    #[inline(never)]
    pub fn admit_datasync(&self, fd: u32) -> Result<Admitted<Sync>, Errno> {
        let on = self.stored(fd, Rights::FD_DATASYNC)?;
        Ok(Admitted::new(Sync { on, data_only: true }))
    }

    fn stored(&self, fd: u32, rights: Rights) -> Result<Target, Errno> {
        let entry = self.entry(fd)?;
        if !matches!(entry.kind(), Kind::RegularFile | Kind::Directory) {
            return Err(Errno::INVAL);
        }
        entry.require(rights)?;
        Ok(entry.target())
    }

    /// `fd_readdir` into a buffer of `len` bytes: needs `FD_READDIR`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`], [`Errno::NOTDIR`]; [`Errno::TOOBIG`] for more than
    /// [`Limits::call_bytes`](crate::Limits::call_bytes). Filling less of the buffer would mean the end of the listing.
    #[inline(never)]
    pub fn admit_readdir(&self, fd: u32, cookie: u64, len: u32) -> Result<Admitted<ReadDir>, Errno> {
        let entry = self.directory_entry(fd, Rights::FD_READDIR)?;
        self.limits().admit_whole(len)?;
        Ok(Admitted::new(ReadDir { on: entry.target(), cookie }))
    }

    /// Whether there are limits on names or written bytes. Then a new name or a larger size needs a claim first.
    #[inline]
    #[must_use]
    pub const fn counts_changes(&self) -> bool {
        self.limits().counts_changes()
    }

    /// Claims a new name. `text_bytes` is the length of the name, plus that of a symbolic link's target.
    ///
    /// # Errors
    /// [`Errno::NOSPC`] if [`Limits::entries`](crate::Limits::entries) or
    /// [`Limits::written_bytes`](crate::Limits::written_bytes) are used up.
    #[inline(never)]
    pub fn claim_entry(&self, text_bytes: usize) -> Result<Claim, Errno> {
        self.budgets.admit_entry(text_bytes as u64)
    }

    /// Claims the growth of a file by this many bytes.
    ///
    /// # Errors
    /// [`Errno::NOSPC`] for more than is left of [`Limits::written_bytes`](crate::Limits::written_bytes).
    #[inline(never)]
    pub fn claim_growth(&self, bytes: u64) -> Result<Claim, Errno> {
        self.budgets.admit_growth(bytes)
    }

    /// Charges what was claimed, after the change. One claim is charged once.
    pub fn spend(&mut self, claim: Claim) {
        self.budgets.spend(&claim);
    }

    /// Charges the range that an allocation has reserved, including what was reserved before.
    #[inline(never)]
    pub fn allocated(&mut self, allocate: Performed<Allocate>) {
        self.budgets.charge(Account::Files, allocate.into_effect().len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::{Entry, EntryOrigin};
    use crate::offsets::OFFSET_MAX;
    use crate::{Access, FdFlags, HostFd, Limits};

    fn with_file(access: Access, rights: Rights, flags: FdFlags) -> (Monitor, u32) {
        let mut monitor = Monitor::new(Limits::default());
        let entry = Entry::new(HostFd::new(0), Kind::RegularFile, access, EntryOrigin::Beneath(0), rights);
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
    fn only_files_and_directories_can_be_synchronized() {
        let mut monitor = Monitor::new(Limits::default());
        for (fd, kind) in [(0, Kind::RegularFile), (1, Kind::RegularFile), (2, Kind::Terminal)] {
            monitor.grant_stdio(fd, HostFd::new(fd), kind, FdFlags::empty()).unwrap();
        }
        for fd in [0, 1] {
            assert!(!monitor.admit_sync(fd).unwrap().data_only);
            assert!(monitor.admit_datasync(fd).unwrap().data_only);
        }
        for kind in [Kind::Pipe, Kind::Terminal, Kind::Device, Kind::Stream, Kind::Listener, Kind::Other] {
            let entry = Entry::new(HostFd::new(3), kind, Access::ReadWrite, EntryOrigin::Beneath(0), Rights::ALL);
            let fd = monitor.insert(entry);
            assert_eq!(monitor.admit_sync(fd).err(), Some(Errno::INVAL), "{kind:?}");
            assert_eq!(monitor.admit_datasync(fd).err(), Some(Errno::INVAL), "{kind:?}");
        }
        let (monitor, fd) = with_file(Access::ReadWrite, Rights::FD_READ, FdFlags::empty());
        assert_eq!(monitor.admit_sync(fd).err(), Some(Errno::NOTCAPABLE));
    }

    #[test]
    fn telling_needs_less_than_seeking() {
        let (monitor, fd) = with_file(Access::ReadWrite, Rights::FD_TELL, FdFlags::empty());
        assert!(monitor.admit_tell(fd).is_ok());
        assert!(monitor.admit_seek(fd, 0, Whence::Current).is_ok());
        assert_eq!(monitor.admit_seek(fd, 1, Whence::Current).err(), Some(Errno::NOTCAPABLE));
    }
}
