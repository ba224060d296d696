//! The table from error numbers of macOS to those of WASI.

use wave_monitor::Errno;

/// A row of the table.
pub(super) struct Row {
    /// The number on macOS.
    number: i32,
    /// The number that the same name has on the system that this is compiled for.
    pub(super) here: i32,
    pub(super) errno: Errno,
}

macro_rules! table {
    ($($name:ident = $number:literal => $errno:ident, $source:literal;)*) => {
        /// Names and numbers are those of XNU's `bsd/sys/errno.h`. The text says which of our calls has the error in its manual
        /// page, or that only `intro(2)` lists it. Numbers that are not here have no WASI number.
        pub(super) const TABLE: &[Row] =
            &[$(Row { number: $number, here: libc::$name, errno: Errno::$errno }),*];
    };
}

table! {
    EPERM = 1 => PERM, "intro(2)";
    ENOENT = 2 => NOENT, "openat";
    EINTR = 4 => INTR, "any call that waits";
    EIO = 5 => IO, "read, write, fsync";
    ENXIO = 6 => NXIO, "openat of a FIFO without a reader";
    E2BIG = 7 => TOOBIG, "intro(2)";
    EBADF = 9 => BADF, "any call on a descriptor";
    EDEADLK = 11 => DEADLK, "fcntl";
    ENOMEM = 12 => NOMEM, "any call that allocates";
    EACCES = 13 => ACCES, "openat, by file permissions";
    EFAULT = 14 => FAULT, "intro(2)";
    EBUSY = 16 => BUSY, "unlinkat of a mount point";
    EEXIST = 17 => EXIST, "openat, mkdirat, linkat, symlinkat";
    EXDEV = 18 => XDEV, "renameat, linkat";
    ENODEV = 19 => NODEV, "openat of a device";
    ENOTDIR = 20 => NOTDIR, "openat";
    EISDIR = 21 => ISDIR, "openat of a directory for writing";
    EINVAL = 22 => INVAL, "any call";
    ENFILE = 23 => NFILE, "openat, accept";
    EMFILE = 24 => MFILE, "openat, accept";
    ENOTTY = 25 => NOTTY, "ioctl";
    ETXTBSY = 26 => TXTBSY, "openat of a running program";
    EFBIG = 27 => FBIG, "write, ftruncate";
    ENOSPC = 28 => NOSPC, "write, mkdirat";
    ESPIPE = 29 => SPIPE, "lseek, pread";
    EROFS = 30 => ROFS, "openat, unlinkat";
    EMLINK = 31 => MLINK, "linkat";
    EPIPE = 32 => PIPE, "write, sendmsg";
    ERANGE = 34 => RANGE, "intro(2)";
    EAGAIN = 35 => AGAIN, "read, accept";
    EINPROGRESS = 36 => INPROGRESS, "intro(2)";
    EALREADY = 37 => ALREADY, "intro(2)";
    ENOTSOCK = 38 => NOTSOCK, "recvmsg, shutdown";
    EDESTADDRREQ = 39 => DESTADDRREQ, "sendmsg";
    EMSGSIZE = 40 => MSGSIZE, "sendmsg";
    ENOPROTOOPT = 42 => NOPROTOOPT, "intro(2)";
    ENOTSUP = 45 => NOTSUP, "fcntl, linkat";
    EAFNOSUPPORT = 47 => AFNOSUPPORT, "intro(2)";
    EADDRINUSE = 48 => ADDRINUSE, "bind";
    EADDRNOTAVAIL = 49 => ADDRNOTAVAIL, "bind";
    ENETDOWN = 50 => NETDOWN, "sendmsg";
    ENETUNREACH = 51 => NETUNREACH, "sendmsg";
    ENETRESET = 52 => NETRESET, "intro(2)";
    ECONNABORTED = 53 => CONNABORTED, "accept";
    ECONNRESET = 54 => CONNRESET, "recvmsg, read";
    ENOBUFS = 55 => NOBUFS, "sendmsg, recvmsg";
    EISCONN = 56 => ISCONN, "sendmsg";
    ENOTCONN = 57 => NOTCONN, "shutdown, recvmsg";
    ETIMEDOUT = 60 => TIMEDOUT, "read of a socket";
    ECONNREFUSED = 61 => CONNREFUSED, "intro(2)";
    ELOOP = 62 => LOOP, "openat, with O_NOFOLLOW";
    ENAMETOOLONG = 63 => NAMETOOLONG, "openat";
    EHOSTUNREACH = 65 => HOSTUNREACH, "sendmsg";
    ENOTEMPTY = 66 => NOTEMPTY, "unlinkat, renameat";
    EDQUOT = 69 => DQUOT, "write, mkdirat";
    ESTALE = 70 => STALE, "intro(2), NFS";
    ENOLCK = 77 => NOLCK, "intro(2)";
    ENOSYS = 78 => NOSYS, "intro(2)";
    EOVERFLOW = 84 => OVERFLOW, "lseek, fstat";
    ECANCELED = 89 => CANCELED, "intro(2)";
    EILSEQ = 92 => ILSEQ, "openat with a name that is not UTF-8, on APFS";
    EBADMSG = 94 => BADMSG, "intro(2)";
    EPROTO = 100 => PROTO, "intro(2)";
    EOPNOTSUPP = 102 => NOTSUP, "openat of a socket";
}

// Nothing compiles for macOS if a number is not that of the C library there.
#[cfg(target_os = "macos")]
const _: () = {
    let mut row = 0;
    while row < TABLE.len() {
        assert!(TABLE[row].number == TABLE[row].here);
        row += 1;
    }
};

/// Translates an error number. Numbers without a WASI number become `IO`.
pub(super) fn of_number(number: i32) -> Errno {
    TABLE.iter().find(|row| row.number == number).map_or(Errno::IO, |row| row.errno)
}
