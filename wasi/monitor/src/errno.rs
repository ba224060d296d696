//! The error numbers of WASI.

use crate::Rule;
use std::fmt;
use std::hash::{Hash, Hasher};

macro_rules! errnos {
    ($($(#[doc = $doc:literal])* $name:ident = $number:literal, $text:literal;)*) => {
        impl Errno {
            $(#[doc = concat!($text, ".")] pub const $name: Self = Self { raw: $number, rule: Rule::None };)*

            /// The symbol, as in the specification without the leading `E`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.raw {
                    $($number => stringify!($name),)*
                    _ => "?",
                }
            }

            const fn text(self) -> &'static str {
                match self.raw {
                    $($number => $text,)*
                    _ => "?",
                }
            }
        }
    };
}

/// A WASI error number. In an `Err`, never [`Errno::SUCCESS`].
///
/// It also contains the [`Rule`] behind it. The guest cannot see the rule, and comparison ignores it: two errnos are
/// equal if the guest gets the same number.
#[derive(Clone, Copy)]
pub struct Errno {
    raw: u16,
    rule: Rule,
}

impl Errno {
    /// The number that the guest gets.
    #[must_use]
    pub const fn raw(self) -> u16 {
        self.raw
    }

    /// The rule behind it. [`Rule::None`] if it is not a decision of the policy.
    #[must_use]
    pub const fn rule(self) -> Rule {
        self.rule
    }

    /// The same number, with `rule` behind it.
    #[must_use]
    pub const fn because(self, rule: Rule) -> Self {
        Self { raw: self.raw, rule }
    }
}

impl PartialEq for Errno {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for Errno {}

impl Hash for Errno {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Errno {}

// `$errno` in `wasi_snapshot_preview1.witx`. Snapshot 0 has the same table.
errnos! {
    SUCCESS = 0, "no error";
    TOOBIG = 1, "argument list too long";
    ACCES = 2, "permission denied";
    ADDRINUSE = 3, "address in use";
    ADDRNOTAVAIL = 4, "address not available";
    AFNOSUPPORT = 5, "address family not supported";
    AGAIN = 6, "would block";
    ALREADY = 7, "already in progress";
    BADF = 8, "bad file descriptor";
    BADMSG = 9, "bad message";
    BUSY = 10, "device or resource busy";
    CANCELED = 11, "operation canceled";
    CHILD = 12, "no child processes";
    CONNABORTED = 13, "connection aborted";
    CONNREFUSED = 14, "connection refused";
    CONNRESET = 15, "connection reset";
    DEADLK = 16, "resource deadlock would occur";
    DESTADDRREQ = 17, "destination address required";
    DOM = 18, "argument out of domain";
    DQUOT = 19, "quota exceeded";
    EXIST = 20, "file exists";
    FAULT = 21, "range outside linear memory";
    FBIG = 22, "file too large";
    HOSTUNREACH = 23, "host is unreachable";
    IDRM = 24, "identifier removed";
    ILSEQ = 25, "illegal byte sequence";
    INPROGRESS = 26, "operation in progress";
    INTR = 27, "interrupted";
    INVAL = 28, "invalid argument";
    IO = 29, "input/output error";
    ISCONN = 30, "socket is connected";
    ISDIR = 31, "is a directory";
    LOOP = 32, "too many levels of symbolic links";
    MFILE = 33, "too many open descriptors";
    MLINK = 34, "too many links";
    MSGSIZE = 35, "message too large";
    MULTIHOP = 36, "multihop attempted";
    NAMETOOLONG = 37, "name too long";
    NETDOWN = 38, "network is down";
    NETRESET = 39, "connection aborted by network";
    NETUNREACH = 40, "network unreachable";
    NFILE = 41, "too many open files in the system";
    NOBUFS = 42, "no buffer space";
    NODEV = 43, "no such device";
    NOENT = 44, "no such file or directory";
    NOEXEC = 45, "executable format error";
    NOLCK = 46, "no locks available";
    NOLINK = 47, "link severed";
    NOMEM = 48, "not enough space";
    NOMSG = 49, "no message of the desired type";
    NOPROTOOPT = 50, "protocol not available";
    NOSPC = 51, "no space left on device";
    NOSYS = 52, "function not supported";
    NOTCONN = 53, "socket is not connected";
    NOTDIR = 54, "not a directory";
    NOTEMPTY = 55, "directory not empty";
    NOTRECOVERABLE = 56, "state not recoverable";
    NOTSOCK = 57, "not a socket";
    NOTSUP = 58, "not supported";
    NOTTY = 59, "inappropriate control operation";
    NXIO = 60, "no such device or address";
    OVERFLOW = 61, "value too large";
    OWNERDEAD = 62, "previous owner died";
    PERM = 63, "operation not permitted";
    PIPE = 64, "broken pipe";
    PROTO = 65, "protocol error";
    PROTONOSUPPORT = 66, "protocol not supported";
    PROTOTYPE = 67, "wrong protocol type for socket";
    RANGE = 68, "result too large";
    ROFS = 69, "read-only file system";
    SPIPE = 70, "not seekable";
    SRCH = 71, "no such process";
    STALE = 72, "stale handle";
    TIMEDOUT = 73, "timed out";
    TXTBSY = 74, "text file busy";
    XDEV = 75, "cross-device link";
    NOTCAPABLE = 76, "refused by the grant: right or access missing, or path leads out";
}

#[cfg(test)]
mod tests {
    use super::Errno;
    use crate::Rule;

    #[test]
    fn the_reason_is_carried_along_and_changes_no_comparison() {
        let refused = Errno::NOTCAPABLE.because(Rule::ReadOnly);
        assert_eq!(refused, Errno::NOTCAPABLE);
        assert_eq!((refused.rule(), Errno::NOTCAPABLE.rule()), (Rule::ReadOnly, Rule::None));
        assert_eq!(size_of::<Result<(), Errno>>(), 4, "an errno travels in a register");
    }

    #[test]
    fn numbers_are_those_of_the_specification() {
        for (errno, number) in [
            (Errno::SUCCESS, 0),
            (Errno::BADF, 8),
            (Errno::EXIST, 20),
            (Errno::FAULT, 21),
            (Errno::INVAL, 28),
            (Errno::LOOP, 32),
            (Errno::NAMETOOLONG, 37),
            (Errno::NOENT, 44),
            (Errno::NOTDIR, 54),
            (Errno::NOTSOCK, 57),
            (Errno::NOTSUP, 58),
            (Errno::PERM, 63),
            (Errno::SPIPE, 70),
            (Errno::XDEV, 75),
            (Errno::NOTCAPABLE, 76),
        ] {
            assert_eq!(errno.raw(), number, "{errno:?}");
        }
    }
}
