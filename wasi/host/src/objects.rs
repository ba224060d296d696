//! The host's side of the descriptor table.
//!
//! The monitor has the guest's numbers and rights. This module has the host descriptors behind them, and hands one out
//! only for a [`Target`], which only an admitted effect contains.

use crate::platform::{self, Listing};
use crate::terminal::TerminalFilter;
use rustix::fs::Stat;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use wave_monitor::{Admitted, Close, Errno, HostFd, Target};

/// A host object that the guest has open.
#[derive(Debug)]
pub(crate) struct Object {
    descriptor: Descriptor,
    /// Device number of its file system, to detect that a path leads to another one.
    pub(crate) device: u64,
    /// Its inode number, which listings report for `..`.
    pub(crate) inode: u64,
    /// Where the next transfer begins, if only this process has a say in it: of a file that the guest opened, and that was never in
    /// append mode. Otherwise the kernel knows.
    pub(crate) position: Option<u64>,
    /// The state of a directory's listing.
    pub(crate) listing: Option<Box<Listing>>,
    /// The state of the filter for terminals.
    pub(crate) terminal_filter: TerminalFilter,
}

#[derive(Debug)]
enum Descriptor {
    /// 0, 1 or 2. Never closed.
    Inherited(BorrowedFd<'static>),
    /// Opened for the guest, and closed on drop.
    Owned(OwnedFd),
}

impl Object {
    pub(crate) fn inherited(stream: BorrowedFd<'static>) -> Self {
        Self::new(Descriptor::Inherited(stream), None)
    }

    pub(crate) fn opened(fd: OwnedFd, found: Option<&Stat>) -> Self {
        Self::new(Descriptor::Owned(fd), found)
    }

    fn new(descriptor: Descriptor, found: Option<&Stat>) -> Self {
        Self {
            descriptor,
            device: found.map_or(0, platform::device),
            inode: found.map_or(0, |stat| stat.st_ino),
            position: None,
            listing: None,
            terminal_filter: TerminalFilter::default(),
        }
    }
}

impl AsFd for Object {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.descriptor {
            Descriptor::Inherited(fd) => fd.as_fd(),
            Descriptor::Owned(fd) => fd.as_fd(),
        }
    }
}

/// All host objects of one guest, by [`HostFd`].
#[derive(Debug, Default)]
pub(crate) struct Objects {
    slots: Vec<Option<Object>>,
    free: Vec<u32>,
}

impl Objects {
    pub(crate) fn insert(&mut self, object: Object) -> HostFd {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            *slot = Some(object);
            return HostFd::new(index);
        }
        let index = u32::try_from(self.slots.len()).expect("the monitor's limit is a u32");
        self.slots.push(Some(object));
        HostFd::new(index)
    }

    /// The descriptor of something granted, before the guest runs. `None` if it was forgotten.
    pub(crate) fn granted(&self, host: HostFd) -> Option<BorrowedFd<'_>> {
        self.slots.get(host.index() as usize)?.as_ref().map(Object::as_fd)
    }

    /// Closes something granted. Nothing else ever takes its slot, which an entry of the monitor still leads to.
    pub(crate) fn forget(&mut self, host: HostFd) {
        if let Some(slot) = self.slots.get_mut(host.index() as usize) {
            *slot = None;
        }
    }

    /// The object of an admitted effect.
    #[inline]
    pub(crate) fn get(&self, target: &Target) -> Result<&Object, Errno> {
        let slot = self.slots.get(target.host().index() as usize);
        slot.and_then(Option::as_ref).ok_or(Errno::BADF)
    }

    pub(crate) fn get_mut(&mut self, target: &Target) -> Result<&mut Object, Errno> {
        let slot = self.slots.get_mut(target.host().index() as usize);
        slot.and_then(Option::as_mut).ok_or(Errno::BADF)
    }

    /// The descriptor of an admitted effect.
    #[inline]
    pub(crate) fn fd(&self, target: &Target) -> Result<BorrowedFd<'_>, Errno> {
        self.get(target).map(Object::as_fd)
    }

    /// Removes an object. Closes its descriptor unless it was inherited.
    pub(crate) fn close(&mut self, close: Admitted<Close>) {
        let index = close.on.host().index();
        if let Some(slot) = self.slots.get_mut(index as usize)
            && slot.take().is_some()
        {
            self.free.push(index);
        }
    }
}
