//! How much a guest may use, and what it may still write.

use crate::{Errno, Rule};

/// How much one guest may use of the host (T107 to T110).
///
/// Reaching a limit is an errno or a short count, so a guest that handles a full disk handles
/// these. The default bounds what the host needs memory for and leaves the rest open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Descriptors open at once, standard streams and preopens included. Beyond:
    /// [`Errno::MFILE`], before anything is opened.
    pub open_files: u32,
    /// The size of a file, in bytes. Setting a larger size, or reserving or writing at a given
    /// offset beyond it: [`Errno::FBIG`]. A write at a given offset is shortened to end there.
    /// Where the current position or the end of the file is, only the kernel knows, so writes
    /// there are its to stop (`RLIMIT_FSIZE`).
    pub file_size_bytes: u64,
    /// Bytes written to files beneath the grants, reserved in them and added by setting a size, in
    /// all; each new name of a file, directory or link counts as [`ENTRY_BYTES`] and its text. The
    /// write that reaches it is shortened; after that, and for anything else that is larger:
    /// [`Errno::NOSPC`]. What is overwritten or removed is not given back.
    pub written_bytes: u64,
    /// Names made beneath the grants, in all: of files, directories and links. Beyond:
    /// [`Errno::NOSPC`]. A name that is removed or changed is not given back.
    pub entries: u64,
    /// Bytes written to standard streams, in all. As [`written_bytes`](Self::written_bytes).
    pub output_bytes: u64,
    /// Buffers of one scattered read or gathered write. A longer list is used up to here. At
    /// least one is always used, and never more than [`IOV_MAX`](crate::IOV_MAX).
    pub iovecs: u32,
    /// Subscriptions of one `poll_oneoff`. Beyond: [`Errno::INVAL`].
    pub subscriptions: u32,
    /// Bytes moved by one call; zero counts as one. Reads, writes and transfers are shortened.
    /// Random bytes and directory listings cannot be short, so to ask for more is
    /// [`Errno::TOOBIG`].
    pub call_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open_files: 1024,
            file_size_bytes: u64::MAX,
            written_bytes: u64::MAX,
            entries: u64::MAX,
            output_bytes: u64::MAX,
            iovecs: 1024,
            subscriptions: 4096,
            call_bytes: u32::MAX,
        }
    }
}

impl Limits {
    /// The most bytes one call may move. Not zero, which would read as the end of a file.
    #[inline]
    pub(crate) const fn per_call(&self) -> u32 {
        if self.call_bytes == 0 { 1 } else { self.call_bytes }
    }

    /// Refuses a call that moves `len` bytes or nothing.
    pub(crate) const fn admit_whole(&self, len: u32) -> Result<(), Errno> {
        if len <= self.per_call() { Ok(()) } else { Err(Errno::TOOBIG.because(Rule::CallBytes)) }
    }

    /// Refuses a file that would be this large.
    pub(crate) const fn admit_size(&self, size: u64) -> Result<(), Errno> {
        if size <= self.file_size_bytes { Ok(()) } else { Err(Errno::FBIG.because(Rule::FileSize)) }
    }

    /// How many bytes can be written from `offset` on before a file is too large; at least one.
    #[inline]
    pub(crate) const fn admit_from(&self, offset: u64) -> Result<u64, Errno> {
        match self.file_size_bytes.saturating_sub(offset) {
            0 => Err(Errno::FBIG.because(Rule::FileSize)),
            left => Ok(left),
        }
    }
}

/// What a new name counts as besides its text (T110): a directory and a longer symbolic link take a block of their own, and
/// every file an inode and a place in its directory.
pub const ENTRY_BYTES: u64 = 4096;

/// What a change will take of the limits, once it is made.
#[derive(Debug)]
#[must_use = "a change that is made is charged"]
pub struct Claim {
    bytes: u64,
    entries: u64,
}

/// What written bytes are charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// [`Limits::written_bytes`].
    Files,
    /// [`Limits::output_bytes`].
    Output,
    /// Nothing: what a socket takes is kept by nobody here.
    Free,
}

/// How many bytes may still be written. It only shrinks.
#[derive(Debug)]
pub(crate) struct Budgets {
    files: u64,
    entries: u64,
    output: u64,
}

impl Budgets {
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self { files: limits.written_bytes, entries: limits.entries, output: limits.output_bytes }
    }

    /// What is left on an account.
    ///
    /// # Errors
    /// [`Errno::NOSPC`] if nothing is.
    #[inline]
    pub(crate) const fn left(&self, account: Account) -> Result<u64, Errno> {
        match account {
            Account::Files if self.files == 0 => Err(Errno::NOSPC.because(Rule::Written)),
            Account::Output if self.output == 0 => Err(Errno::NOSPC.because(Rule::Output)),
            Account::Files => Ok(self.files),
            Account::Output => Ok(self.output),
            Account::Free => Ok(u64::MAX),
        }
    }

    /// Refuses to reserve more than is left.
    pub(crate) const fn admit_reserve(&self, len: u64) -> Result<(), Errno> {
        if len <= self.files { Ok(()) } else { Err(Errno::NOSPC.because(Rule::Written)) }
    }

    /// Admits one more name, with a text of so many bytes.
    pub(crate) const fn admit_entry(&self, text_bytes: u64) -> Result<Claim, Errno> {
        if self.entries == 0 {
            return Err(Errno::NOSPC.because(Rule::Entries));
        }
        let bytes = ENTRY_BYTES.saturating_add(text_bytes);
        match self.admit_reserve(bytes) {
            Ok(()) => Ok(Claim { bytes, entries: 1 }),
            Err(errno) => Err(errno),
        }
    }

    /// Admits a file that grows by so many bytes.
    pub(crate) const fn admit_growth(&self, bytes: u64) -> Result<Claim, Errno> {
        match self.admit_reserve(bytes) {
            Ok(()) => Ok(Claim { bytes, entries: 0 }),
            Err(errno) => Err(errno),
        }
    }

    /// Takes off what an admitted change has used.
    pub(crate) const fn spend(&mut self, claim: &Claim) {
        self.files = self.files.saturating_sub(claim.bytes);
        self.entries = self.entries.saturating_sub(claim.entries);
    }

    /// Takes what was used off an account. More than was left leaves nothing.
    #[inline]
    pub(crate) const fn charge(&mut self, account: Account, used: u64) {
        match account {
            Account::Files => self.files = self.files.saturating_sub(used),
            Account::Output => self.output = self.output.saturating_sub(used),
            Account::Free => {}
        }
    }
}

/// The most bytes a call may move that may move `left` bytes in all.
#[inline]
pub(crate) fn at_most(left: u64, per_call: u32) -> usize {
    let per_call = per_call as usize;
    usize::try_from(left).map_or(per_call, |left| left.min(per_call))
}
