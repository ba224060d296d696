//! Decisions on moving bytes: reads, writes and random numbers.

use crate::limits::at_most;
use crate::offsets::end_of;
use crate::{Access, Admitted, Errno, Kind, Monitor, Performed, Read, ReadAt, Rights, Rule, Write, WriteAt};

impl Monitor {
    /// `fd_read`: needs `FD_READ`.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`].
    #[inline]
    pub fn admit_read(&self, fd: u32) -> Result<Admitted<Read>, Errno> {
        let entry = self.entry_with(fd, Rights::FD_READ)?;
        let (waiting, fifo) = (entry.waiting(), entry.is_fifo());
        Ok(Admitted::new(Read { on: entry.target(), at_most: self.per_call(), waiting, fifo }))
    }

    /// `fd_write`: needs `FD_WRITE`, and something left of the limit. [`wrote`](Self::wrote) records the result.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`]; [`Errno::NOSPC`] if
    /// [`Limits::written_bytes`](crate::Limits::written_bytes) or
    /// [`Limits::output_bytes`](crate::Limits::output_bytes) are used up.
    #[inline]
    pub fn admit_write(&self, fd: u32) -> Result<Admitted<Write>, Errno> {
        let entry = self.entry_with(fd, Rights::FD_WRITE)?;
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
        let entry = self.seekable_entry(fd, Rights::FD_READ.union(Rights::FD_SEEK))?;
        end_of(offset, 0)?;
        Ok(Admitted::new(ReadAt { on: entry.target(), at_most: self.per_call(), offset }))
    }

    /// `fd_pwrite`: needs `FD_WRITE` and `FD_SEEK`, and a grant that is not append-only. [`wrote_at`](Self::wrote_at)
    /// records the result.
    ///
    /// # Errors
    /// As [`admit_read_at`](Self::admit_read_at) and [`admit_write`](Self::admit_write);
    /// [`Errno::FBIG`] at or beyond [`Limits::file_size_bytes`](crate::Limits::file_size_bytes).
    #[inline]
    pub fn admit_write_at(&self, fd: u32, offset: u64) -> Result<Admitted<WriteAt>, Errno> {
        let entry = self.seekable_entry(fd, Rights::FD_WRITE.union(Rights::FD_SEEK))?;
        end_of(offset, 0)?;
        if entry.access() == Access::Append {
            return Err(Errno::NOTCAPABLE.because(Rule::AppendOnly));
        }
        let account = entry.account();
        let left = self.limits().admit_from(offset)?.min(self.budgets.left(account)?);
        let at_most = at_most(left, self.limits().per_call());
        Ok(Admitted::new(WriteAt { on: entry.target(), at_most, offset, account }))
    }

    /// Charges the `count` bytes that a write has written.
    #[inline]
    pub fn wrote(&mut self, write: Performed<Write>, count: usize) {
        self.budgets.charge(write.into_effect().account, count as u64);
    }

    /// Charges the `count` bytes that a write at an offset has written.
    #[inline]
    pub fn wrote_at(&mut self, write: Performed<WriteAt>, count: usize) {
        self.budgets.charge(write.into_effect().account, count as u64);
    }

    /// `random_get` of `len` bytes.
    ///
    /// # Errors
    /// [`Errno::TOOBIG`] for more than [`Limits::call_bytes`](crate::Limits::call_bytes): a guest would take the rest
    /// of the buffer for random bytes, so it cannot get fewer.
    pub const fn admit_random(&self, len: u32) -> Result<(), Errno> {
        self.limits().admit_whole(len)
    }

    #[inline]
    pub(crate) const fn per_call(&self) -> usize {
        self.limits().per_call() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::{Entry, EntryOrigin};
    use crate::{FdFlags, HostFd, LimitName, Limits};

    fn with_limits(limits: Limits) -> (Monitor, u32) {
        let mut monitor = Monitor::new(limits);
        monitor.grant_stdio(1, HostFd::new(1), Kind::Pipe, FdFlags::empty()).unwrap();
        let file =
            Entry::new(HostFd::new(0), Kind::RegularFile, Access::ReadWrite, EntryOrigin::Beneath(0), Rights::ALL);
        let fd = monitor.insert(file);
        (monitor, fd)
    }

    fn because<T>(result: Result<T, Errno>) -> Option<(Errno, Rule)> {
        result.err().map(|errno| (errno, errno.rule()))
    }

    #[test]
    fn t110_the_size_of_a_file_is_limited() {
        let (monitor, fd) = with_limits(Limits { file_size_bytes: 100, ..Limits::default() });
        let too_large = Some((Errno::FBIG, Rule::Limit(LimitName::FileSize)));
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
        monitor.wrote(write.performed(), 4);
        let write = monitor.admit_write_at(fd, 0).unwrap();
        assert_eq!(write.at_most, 6);
        monitor.wrote_at(write.performed(), 1);
        assert_eq!(because(monitor.admit_allocate(fd, 0, 6)), Some((Errno::NOSPC, Rule::Limit(LimitName::Written))));
        let allocate = monitor.admit_allocate(fd, 0, 5).unwrap();
        monitor.allocated(allocate.performed());
        assert_eq!(because(monitor.admit_write(fd)), Some((Errno::NOSPC, Rule::Limit(LimitName::Written))));

        let write = monitor.admit_write(1).unwrap();
        assert_eq!(write.at_most, 5);
        monitor.wrote(write.performed(), 5);
        assert_eq!(because(monitor.admit_write(1)), Some((Errno::NOSPC, Rule::Limit(LimitName::Output))));
    }

    #[test]
    fn t109_one_call_moves_a_limited_number_of_bytes() {
        let (mut monitor, fd) = with_limits(Limits { call_bytes: 7, ..Limits::default() });
        assert_eq!(monitor.admit_read(fd).unwrap().at_most, 7);
        assert_eq!(monitor.admit_write_at(fd, 0).unwrap().at_most, 7);
        assert_eq!(monitor.admit_random(7), Ok(()));
        let too_big = Some((Errno::TOOBIG, Rule::Limit(LimitName::CallBytes)));
        assert_eq!(because(monitor.admit_random(8)), too_big);
        let dir = monitor.grant_directory(HostFd::new(2), b"/".to_vec(), Access::ReadOnly).unwrap();
        assert!(monitor.admit_readdir(dir, 0, 7).is_ok());
        assert_eq!(because(monitor.admit_readdir(dir, 0, 8)), too_big);
    }
}
