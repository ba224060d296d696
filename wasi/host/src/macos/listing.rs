//! The state of a listing by `readdir`: the call of macOS that fills a buffer of the caller is private.
//!
//! No position of the C library or the kernel is stored. Going back reads the directory again from its start (T9).

use crate::wait::{self, Interrupted};
use crate::{Failure, stat};
use rustix::fs::Dir;
use rustix::io::Errno as Host;
use std::os::fd::BorrowedFd;
use wave_monitor::{Errno, FileType};

/// How many entries are skipped for a cookie that was never returned, before the cookie is refused. About those that Linux
/// skips there.
const MAX_SKIPPED: u64 = 64 * 1024;

/// The state of a directory's listing.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Opened at the first use: it reads the directory through a descriptor of its own.
    stream: Option<Dir>,
    /// The entry that was read and not yet passed.
    entry: Option<rustix::fs::DirEntry>,
    /// The ordinal of the next entry.
    next: u64,
}

/// One entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DirEntry<'b> {
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
    pub(crate) name: &'b [u8],
    pub(crate) end: End,
}

/// Where an entry ends, which the stream knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End;

impl Listing {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The cookie of the entry after the next one.
    pub(crate) const fn cookie_after(&self) -> u64 {
        self.next + 1
    }

    /// Goes to the entry that a cookie stands for, or to the end if the directory has fewer entries.
    ///
    /// # Errors
    /// `INVAL` for a cookie far beyond every cookie returned so far.
    pub(crate) fn seek(&mut self, fd: BorrowedFd<'_>, interrupted: Interrupted, cookie: u64) -> Result<(), Failure> {
        let known = self.next;
        // POSIX: after rewinding, the listing shows the current directory.
        if cookie == 0 || cookie < self.next {
            *self = Self::new();
        }
        while self.next < cookie {
            if self.next >= known.saturating_add(MAX_SKIPPED) {
                return Err(Errno::INVAL.into());
            }
            if self.peek(fd, interrupted)?.is_none() {
                break;
            }
            self.skip(End);
        }
        Ok(())
    }

    /// The next entry, without going past it. `None` at the end.
    pub(crate) fn peek(
        &mut self,
        fd: BorrowedFd<'_>,
        interrupted: Interrupted,
    ) -> Result<Option<DirEntry<'_>>, Failure> {
        if self.entry.is_none() {
            wait::check(interrupted)?;
            let stream = match &mut self.stream {
                Some(stream) => stream,
                empty => empty.insert(wait::retry_interrupted(interrupted, || Dir::read_from(fd))?),
            };
            self.entry = match stream.read() {
                // The directory was removed while it is open. POSIX: that is the end of the listing.
                None | Some(Err(Host::NOENT)) => None,
                Some(entry) => Some(entry?),
            };
        }
        Ok(self.entry.as_ref().map(|entry| DirEntry {
            inode: entry.ino(),
            file_type: stat::file_type(entry.file_type()),
            name: entry.file_name().to_bytes(),
            end: End,
        }))
    }

    /// Goes past the next entry.
    pub(crate) fn skip(&mut self, _: End) {
        self.entry = None;
        self.next += 1;
    }
}
