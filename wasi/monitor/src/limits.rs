//! How much a guest may use, and what it may still write.
//!
//! A new limit is a row of the table here and the method that decides by it.

use crate::{Errno, Rule};

macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident: $ty:ty = $default:expr, $variant:ident, $name:literal, $text:literal;)*) => {
        /// How much one guest may use of the host (T107 to T110).
        ///
        /// Reaching a limit is an errno or a short count, so a guest that handles a full disk handles
        /// these. The default bounds what the host needs memory for and leaves the rest open.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[$doc])* pub $field: $ty,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Limits {
            /// The names of all limits, as a policy has them.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// Sets the limit of this name. More than its type holds is the most that it holds.
            ///
            /// Returns whether the monitor has a limit of this name.
            #[must_use]
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $($name => self.$field = <$ty>::try_from(value).unwrap_or(<$ty>::MAX),)*
                    _ => return false,
                }
                true
            }

            /// The limit of this name. `None`: the monitor has no limit of this name.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $($name => Some(u64::from(self.$field)),)*
                    _ => None,
                }
            }
        }

        /// Which limit a refusal follows from.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum LimitName {
            $(#[doc = concat!("[`Limits::", stringify!($field), "`].")] $variant,)*
        }

        impl LimitName {
            /// Its name in a policy.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The reason, as it reads after "denied: ".
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

limits! {
    /// Descriptors open at once, standard streams and preopens included (T34). Beyond:
    /// [`Errno::MFILE`], before anything is opened.
    open_files: u32 = 1024, OpenFiles, "max-open-files", "the limit on open descriptors is reached";
    /// The size of a file, in bytes (T110). Setting a larger size, or reserving or writing at a given
    /// offset beyond it: [`Errno::FBIG`]. A write at a given offset is shortened to end there.
    /// Where the current position or the end of the file is, only the kernel knows, so writes
    /// there are its to stop (`RLIMIT_FSIZE`).
    file_size_bytes: u64 = u64::MAX, FileSize, "max-file-size", "the limit on the size of a file is reached";
    /// Bytes written to files under the grants, reserved in them and added by setting a size, in
    /// all (T110); each new name of a file, directory or link counts as [`ENTRY_BYTES`] and its text. The
    /// write that reaches it is shortened; after that, and for anything else that is larger:
    /// [`Errno::NOSPC`]. What is overwritten or removed is not given back.
    written_bytes: u64 = u64::MAX, Written, "max-writes", "the limit on bytes written to files is reached";
    /// New names under the grants, in all: of files, directories and links (T110). Beyond:
    /// [`Errno::NOSPC`]. A name that is removed or changed is not given back.
    entries: u64 = u64::MAX, Entries, "max-entries", "the limit on names made in directories is reached";
    /// Bytes written to standard streams, in all (T110). As [`written_bytes`](Self::written_bytes).
    output_bytes: u64 = u64::MAX, Output, "max-output", "the limit on bytes written to standard streams is reached";
    /// Bytes moved by one call; zero counts as one (T109). Reads, writes and transfers are shortened.
    /// Random bytes and directory listings cannot be short, so to ask for more is
    /// [`Errno::TOOBIG`].
    call_bytes: u32 = u32::MAX, CallBytes, "max-call-bytes", "the limit on bytes moved by one call is exceeded";
    /// Buffers of one scattered read or gathered write (T109). A longer list is used up to here. At
    /// least one is always used, and never more than [`IOV_MAX`](crate::IOV_MAX).
    iovecs: u32 = 1024, Iovecs, "max-iovecs", "the limit on buffers of one call is exceeded";
    /// Subscriptions of one `poll_oneoff` (T109). Beyond: [`Errno::INVAL`].
    subscriptions: u32 = 4096, Subscriptions, "max-subscriptions", "the limit on subscriptions of one call is exceeded";
}

impl Limits {
    /// Whether names and sizes count, so that a change of them is claimed before it is made.
    #[inline]
    pub(crate) const fn counts_changes(&self) -> bool {
        self.written_bytes != u64::MAX || self.entries != u64::MAX
    }

    /// The most bytes one call may move. Not zero, which would read as the end of a file.
    #[inline]
    pub(crate) const fn per_call(&self) -> u32 {
        if self.call_bytes == 0 { 1 } else { self.call_bytes }
    }

    /// Refuses a call that moves `len` bytes or nothing.
    pub(crate) const fn admit_whole(&self, len: u32) -> Result<(), Errno> {
        if len <= self.per_call() { Ok(()) } else { Err(Errno::TOOBIG.because(Rule::Limit(LimitName::CallBytes))) }
    }

    /// Refuses a file that would be this large.
    pub(crate) const fn admit_size(&self, size: u64) -> Result<(), Errno> {
        if size <= self.file_size_bytes { Ok(()) } else { Err(Errno::FBIG.because(Rule::Limit(LimitName::FileSize))) }
    }

    /// How many bytes can be written from `offset` on before a file is too large; at least one.
    #[inline]
    pub(crate) const fn admit_from(&self, offset: u64) -> Result<u64, Errno> {
        match self.file_size_bytes.saturating_sub(offset) {
            0 => Err(Errno::FBIG.because(Rule::Limit(LimitName::FileSize))),
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
            Account::Files if self.files == 0 => Err(Errno::NOSPC.because(Rule::Limit(LimitName::Written))),
            Account::Output if self.output == 0 => Err(Errno::NOSPC.because(Rule::Limit(LimitName::Output))),
            Account::Files => Ok(self.files),
            Account::Output => Ok(self.output),
            Account::Free => Ok(u64::MAX),
        }
    }

    /// Refuses to reserve more than is left.
    pub(crate) const fn admit_reserve(&self, len: u64) -> Result<(), Errno> {
        if len <= self.files { Ok(()) } else { Err(Errno::NOSPC.because(Rule::Limit(LimitName::Written))) }
    }

    /// Admits one more name, with a text of so many bytes.
    pub(crate) const fn admit_entry(&self, text_bytes: u64) -> Result<Claim, Errno> {
        if self.entries == 0 {
            return Err(Errno::NOSPC.because(Rule::Limit(LimitName::Entries)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_set_by_its_name_and_no_other_one_with_it() {
        for name in Limits::NAMES {
            let mut limits = Limits::default();
            assert!(limits.set(name, 7));
            for other in Limits::NAMES {
                let expected = if other == name { Some(7) } else { Limits::default().get(other) };
                assert_eq!(limits.get(other), expected, "{name} {other}");
            }
        }
        let mut limits = Limits::default();
        assert!(!limits.set("max-memory", 7) && limits == Limits::default() && limits.get("max-memory").is_none());
        assert!(limits.set("max-call-bytes", u64::MAX) && limits.call_bytes == u32::MAX);
    }

    #[test]
    fn a_rule_names_the_limit_it_is() {
        assert_eq!(Rule::Limit(LimitName::Entries).limit(), Some("max-entries"));
        assert_eq!(Rule::ReadOnly.limit(), None);
    }
}
