//! Decisions on a descriptor itself: its flags and rights.

use crate::effects::Commit;
use crate::entries::EntryOrigin;
use crate::{Access, Admitted, Errno, FdFlags, FileType, Kind, Monitor, Performed, Rights, Rule, SetFlags};

/// What `fd_fdstat_get` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdStat {
    /// The type of the object.
    pub file_type: FileType,
    /// The flags.
    pub flags: FdFlags,
    /// The rights of the descriptor.
    pub base: Rights,
    /// The rights that descriptors opened through it can have.
    pub inheriting: Rights,
}

impl Monitor {
    /// `fd_fdstat_get`: needs no right.
    ///
    /// # Errors
    /// [`Errno::BADF`].
    #[inline(never)]
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
    /// `NONBLOCK` is only stored in the table. An inherited stream may be shared, so its flags on the host are not
    /// changed (T35). Descriptors that the guest opened are always nonblocking on the host.
    ///
    /// # Errors
    /// [`Errno::INVAL`] for a change of a synchronization flag, which Linux cannot make; [`Errno::NOTSUP`] for a change
    /// of `APPEND` on anything but a file that the guest opened; [`Errno::NOTCAPABLE`] for leaving append mode under an
    /// append-only grant.
    #[inline(never)]
    pub fn admit_set_flags(&self, fd: u32, flags: FdFlags) -> Result<Admitted<SetFlags>, Errno> {
        let entry = self.entry_with(fd, Rights::FD_FDSTAT_SET_FLAGS)?;
        let append = flag_change(entry.flags, flags)?;
        if let Some(on) = append {
            admit_append_change(on, entry.origin(), entry.kind(), entry.access())?;
        }
        Ok(Admitted::new(SetFlags { on: entry.target(), append, commit: Commit { fd, flags } }))
    }

    /// Records flags that were changed on the host.
    ///
    /// # Errors
    /// [`Errno::BADF`] if the descriptor was closed.
    #[inline(never)]
    pub fn commit_flags(&mut self, change: Performed<SetFlags>) -> Result<(), Errno> {
        let Commit { fd, flags } = change.into_effect().commit;
        self.entry_mut(fd)?.flags = flags;
        Ok(())
    }

    /// `fd_fdstat_set_rights`: drops rights permanently.
    ///
    /// # Errors
    /// [`Errno::NOTCAPABLE`] if any right would be added, [`Errno::INVAL`] for unknown bits.
    #[inline(never)]
    pub fn set_rights(&mut self, fd: u32, base: u64, inheriting: u64) -> Result<(), Errno> {
        self.narrow(fd, Rights::from_guest(base)?, Rights::from_guest(inheriting)?)
    }
}

/// The new append mode, if it changes. Linux cannot change the synchronization flags of an open file.
pub(crate) const fn flag_change(before: FdFlags, after: FdFlags) -> Result<Option<bool>, Errno> {
    let changed = before.difference(after);
    if changed.contains(FdFlags::DSYNC) || changed.contains(FdFlags::RSYNC) || changed.contains(FdFlags::SYNC) {
        return Err(Errno::INVAL);
    }
    if changed.contains(FdFlags::APPEND) { Ok(Some(after.contains(FdFlags::APPEND))) } else { Ok(None) }
}

/// Decides on a change of append mode.
pub(crate) const fn admit_append_change(
    on: bool,
    origin: EntryOrigin,
    kind: Kind,
    access: Access,
) -> Result<(), Errno> {
    match (origin, kind, access) {
        (EntryOrigin::Stdio, ..) => Err(Errno::NOTSUP.because(Rule::Inherited)),
        (_, Kind::RegularFile, Access::Append) if !on => Err(Errno::NOTCAPABLE.because(Rule::AppendOnly)),
        (_, Kind::RegularFile, _) => Ok(()),
        _ => Err(Errno::NOTSUP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::Entry;
    use crate::{HostFd, Limits, Waiting};

    #[test]
    fn an_append_grant_stays_at_the_end() {
        let mut monitor = Monitor::new(Limits::default());
        let file = Entry::new(HostFd::new(0), Kind::RegularFile, Access::Append, EntryOrigin::Beneath(0), Rights::ALL);
        let fd = monitor.insert(file.flags(FdFlags::APPEND));
        assert!(monitor.admit_write(fd).is_ok());
        assert_eq!(monitor.admit_write_at(fd, 0).err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_set_size(fd, 0).err(), Some(Errno::NOTCAPABLE));
        assert_eq!(monitor.admit_set_flags(fd, FdFlags::empty()).err(), Some(Errno::NOTCAPABLE));
        let keep = monitor.admit_set_flags(fd, FdFlags::APPEND.union(FdFlags::NONBLOCK)).unwrap();
        assert_eq!(keep.append, None);
        monitor.commit_flags(keep.performed()).unwrap();
    }

    #[test]
    fn t35_flags_of_inherited_streams_stay_in_the_table() {
        let mut monitor = Monitor::new(Limits::default());
        monitor.grant_stdio(1, HostFd::new(1), Kind::Pipe, FdFlags::empty()).unwrap();
        let change = monitor.admit_set_flags(1, FdFlags::NONBLOCK).unwrap();
        assert_eq!(change.append, None);
        monitor.commit_flags(change.performed()).unwrap();
        assert_eq!(monitor.admit_write(1).unwrap().waiting, Waiting::Refuse);
        assert_eq!(monitor.admit_set_flags(1, FdFlags::APPEND).err(), Some(Errno::NOTSUP));
    }
}
