//! The state of a listing by `getdents64`.
//!
//! `lseek` gets only positions that the kernel itself returned (T9). One position is stored per buffer, so going back
//! reads at most one buffer.

use super::sys;
use crate::wait::{self, Interrupted, retry_interrupted};
use crate::{Failure, stat};
use rustix::fs::{FileType as HostType, SeekFrom, seek};
use rustix::io::Errno as Host;
use std::os::fd::BorrowedFd;
use wave_monitor::{Errno, FileType};

/// Bytes of entries read at once.
const BUFFER_BYTES: usize = 32 * 1024;

/// How many buffers are skipped for a cookie that was never returned, before the cookie is refused.
const MAX_SKIPPED: usize = 64;

/// The state of a directory's listing.
#[derive(Debug)]
pub(crate) struct Listing {
    buffer: Box<[u8]>,
    filled: usize,
    /// The next entry: its offset in the buffer, and its ordinal.
    at: usize,
    next: u64,
    /// The start of each buffer read so far, in order. The last one is the current buffer.
    chunks: Vec<Chunk>,
    /// The kernel's position after the buffer.
    resume: u64,
}

#[derive(Debug, Clone, Copy)]
struct Chunk {
    first: u64,
    position: u64,
}

/// One entry, as the kernel returned it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DirEntry<'b> {
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
    pub(crate) name: &'b [u8],
    pub(crate) end: End,
}

/// Where an entry ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    len: usize,
    /// The kernel's position after it.
    position: u64,
}

impl Listing {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            filled: 0,
            at: 0,
            next: 0,
            chunks: Vec::new(),
            resume: 0,
        }
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
        if cookie == 0 && !self.chunks.is_empty() {
            // POSIX: after rewinding, the listing shows the current directory.
            self.restart(fd, 0)?;
        }
        if cookie < self.next {
            let chunk = self.chunks.iter().rposition(|chunk| chunk.first <= cookie).unwrap_or(0);
            if chunk + 1 == self.chunks.len() {
                self.at = 0;
                self.next = self.chunks.last().map_or(0, |chunk| chunk.first);
            } else {
                self.restart(fd, chunk)?;
            }
        }
        let mut skipped = 0;
        while self.next < cookie {
            if self.at == self.filled {
                skipped += 1;
                if skipped > MAX_SKIPPED {
                    return Err(Errno::INVAL.into());
                }
            }
            if self.peek(fd, interrupted)?.is_none() {
                break;
            }
            self.advance();
        }
        Ok(())
    }

    /// The next entry, without going past it. `None` at the end.
    pub(crate) fn peek(
        &mut self,
        fd: BorrowedFd<'_>,
        interrupted: Interrupted,
    ) -> Result<Option<DirEntry<'_>>, Failure> {
        if self.at == self.filled {
            self.fill(fd, interrupted)?;
        }
        Ok(self.current())
    }

    /// Goes past the next entry.
    fn advance(&mut self) {
        if let Some(entry) = self.current() {
            let end = entry.end;
            self.skip(end);
        }
    }

    /// Goes past the next entry, which ends there.
    pub(crate) fn skip(&mut self, end: End) {
        self.at += end.len;
        self.next += 1;
        if self.at == self.filled {
            self.resume = end.position;
        }
    }

    fn current(&self) -> Option<DirEntry<'_>> {
        parse(self.buffer.get(self.at..self.filled)?)
    }

    fn fill(&mut self, fd: BorrowedFd<'_>, interrupted: Interrupted) -> Result<(), Failure> {
        wait::check(interrupted)?;
        let buffer = &mut self.buffer;
        let filled = retry_interrupted(interrupted, || match sys::getdents64(fd, buffer) {
            // The directory was removed while it is open. POSIX: that is the end of the listing.
            Err(Host::NOENT) => Ok(0),
            done => done,
        })?;
        if filled > 0 {
            self.filled = filled;
            self.at = 0;
            self.chunks.push(Chunk { first: self.next, position: self.resume });
        }
        Ok(())
    }

    /// Discards the buffer and all chunks from the given one on, and goes to the start of that chunk.
    fn restart(&mut self, fd: BorrowedFd<'_>, chunk: usize) -> Result<(), Failure> {
        let start = match self.chunks.get(chunk) {
            Some(start) if chunk > 0 => *start,
            _ => Chunk { first: 0, position: 0 },
        };
        self.chunks.truncate(chunk);
        self.filled = 0;
        self.at = 0;
        self.next = start.first;
        self.resume = start.position;
        seek(fd, SeekFrom::Start(start.position))?;
        Ok(())
    }
}

/// Reads one `struct linux_dirent64`: inode, position after it, length, type, name, NUL.
fn parse(bytes: &[u8]) -> Option<DirEntry<'_>> {
    let inode = u64::from_le_bytes(*bytes.first_chunk()?);
    let position = u64::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
    let len = usize::from(u16::from_le_bytes(*bytes.get(16..)?.first_chunk()?));
    let kind = *bytes.get(18)?;
    let name = bytes.get(19..len)?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some(DirEntry { inode, file_type: file_type(kind), name, end: End { len, position } })
}

/// `DT_*` is the type bits of a mode, shifted.
fn file_type(kind: u8) -> FileType {
    stat::file_type(HostType::from_raw_mode(u32::from(kind) << 12))
}
