//! Decisions on a descriptor itself: its flags and rights.

use crate::effects::Commit;
use crate::entries::EntryOrigin;
use crate::{Access, Admitted, Errno, FdFlags, FileType, Kind, Monitor, Performed, Rights, Rule, SetFlags};

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
        let append = flag_change(entry.flags, flags)?;
        if let Some(on) = append {
            admit_append_change(on, entry.origin(), entry.kind(), entry.access())?;
        }
        Ok(Admitted::new(SetFlags { on: entry.target(), append, commit: Commit { fd, flags } }))
    }

    /// Records flags the host has taken on.
    ///
    /// # Errors
    /// [`Errno::BADF`] if the descriptor is gone.
    pub fn commit_flags(&mut self, change: Performed<SetFlags>) -> Result<(), Errno> {
        let Commit { fd, flags } = change.into_effect().commit;
        self.entry_mut(fd)?.flags = flags;
        Ok(())
    }

    /// `fd_fdstat_set_rights`: drops rights, for good.
    ///
    /// # Errors
    /// [`Errno::NOTCAPABLE`] if any right would be added, [`Errno::INVAL`] for unknown bits.
    pub fn set_rights(&mut self, fd: u32, base: u64, inheriting: u64) -> Result<(), Errno> {
        self.narrow(fd, Rights::from_guest(base)?, Rights::from_guest(inheriting)?)
    }
}

/// The new append mode, if it changes. Linux cannot change the synchronisation of an open file.
pub(crate) const fn flag_change(before: FdFlags, after: FdFlags) -> Result<Option<bool>, Errno> {
    let changed = before.difference(after);
    if changed.contains(FdFlags::DSYNC) || changed.contains(FdFlags::RSYNC) || changed.contains(FdFlags::SYNC) {
        return Err(Errno::INVAL);
    }
    if changed.contains(FdFlags::APPEND) { Ok(Some(after.contains(FdFlags::APPEND))) } else { Ok(None) }
}

/// Decides on turning append mode on or off.
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
