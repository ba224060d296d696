//! The table from host error numbers to WASI error numbers.

use rustix::io::Errno as Host;
use wave_monitor::Errno;

/// Translates an error of a system call.
///
/// `EXDEV` means a rename or link across devices here. Where it means that a path leads out of its directory, `resolve` has
/// handled it. Errors without a WASI number become `IO`.
#[cold]
pub(crate) fn errno(error: Host) -> Errno {
    match error {
        Host::TOOBIG => Errno::TOOBIG,
        Host::ACCESS => Errno::ACCES,
        Host::ADDRINUSE => Errno::ADDRINUSE,
        Host::ADDRNOTAVAIL => Errno::ADDRNOTAVAIL,
        Host::AFNOSUPPORT => Errno::AFNOSUPPORT,
        Host::AGAIN => Errno::AGAIN,
        Host::ALREADY => Errno::ALREADY,
        Host::BADF => Errno::BADF,
        Host::BADMSG => Errno::BADMSG,
        Host::BUSY => Errno::BUSY,
        Host::CANCELED => Errno::CANCELED,
        Host::CONNABORTED => Errno::CONNABORTED,
        Host::CONNREFUSED => Errno::CONNREFUSED,
        Host::CONNRESET => Errno::CONNRESET,
        Host::DEADLK => Errno::DEADLK,
        Host::DESTADDRREQ => Errno::DESTADDRREQ,
        Host::DQUOT => Errno::DQUOT,
        Host::EXIST => Errno::EXIST,
        Host::FAULT => Errno::FAULT,
        Host::FBIG => Errno::FBIG,
        Host::HOSTUNREACH => Errno::HOSTUNREACH,
        Host::ILSEQ => Errno::ILSEQ,
        Host::INPROGRESS => Errno::INPROGRESS,
        Host::INTR => Errno::INTR,
        Host::INVAL => Errno::INVAL,
        Host::ISCONN => Errno::ISCONN,
        Host::ISDIR => Errno::ISDIR,
        Host::LOOP => Errno::LOOP,
        Host::MFILE => Errno::MFILE,
        Host::MLINK => Errno::MLINK,
        Host::MSGSIZE => Errno::MSGSIZE,
        Host::NAMETOOLONG => Errno::NAMETOOLONG,
        Host::NETDOWN => Errno::NETDOWN,
        Host::NETRESET => Errno::NETRESET,
        Host::NETUNREACH => Errno::NETUNREACH,
        Host::NFILE => Errno::NFILE,
        Host::NOBUFS => Errno::NOBUFS,
        Host::NODEV => Errno::NODEV,
        Host::NOENT => Errno::NOENT,
        Host::NOLCK => Errno::NOLCK,
        Host::NOMEM => Errno::NOMEM,
        Host::NOPROTOOPT => Errno::NOPROTOOPT,
        Host::NOSPC => Errno::NOSPC,
        Host::NOSYS => Errno::NOSYS,
        Host::NOTCONN => Errno::NOTCONN,
        Host::NOTDIR => Errno::NOTDIR,
        Host::NOTEMPTY => Errno::NOTEMPTY,
        Host::NOTSOCK => Errno::NOTSOCK,
        Host::OPNOTSUPP => Errno::NOTSUP,
        Host::NOTTY => Errno::NOTTY,
        Host::NXIO => Errno::NXIO,
        Host::OVERFLOW => Errno::OVERFLOW,
        Host::PERM => Errno::PERM,
        Host::PIPE => Errno::PIPE,
        Host::PROTO => Errno::PROTO,
        Host::RANGE => Errno::RANGE,
        Host::ROFS => Errno::ROFS,
        Host::SPIPE => Errno::SPIPE,
        Host::STALE => Errno::STALE,
        Host::TIMEDOUT => Errno::TIMEDOUT,
        Host::TXTBSY => Errno::TXTBSY,
        Host::XDEV => Errno::XDEV,
        _ => Errno::IO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_errors_keep_their_meaning() {
        assert_eq!(errno(Host::NOENT), Errno::NOENT);
        assert_eq!(errno(Host::WOULDBLOCK), Errno::AGAIN);
        assert_eq!(errno(Host::NOTSUP), Errno::NOTSUP);
        assert_eq!(errno(Host::KEYEXPIRED), Errno::IO);
    }
}
