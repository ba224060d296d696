//! What the engine asks of Linux alone.

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::net::sockopt::socket_acceptconn;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Opens an object only to name it, without access to its contents and without following a link.
pub const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// As [`HANDLE`]. A symbolic link itself can be opened, too.
pub const LINK_HANDLE: OFlags = HANDLE;

/// The target of a link, from the handle of the link itself.
pub fn link_target(link: &OwnedFd, _: &OwnedFd, _: &CStr) -> rustix::io::Result<CString> {
    rustix::fs::readlinkat(link, c"", Vec::new())
}

/// Opens a directory, and refuses a path with a link anywhere in it.
pub fn open_without_links(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?.into())
}

/// Whether the number of a character device is that of `/dev/null` or of a terminal.
pub fn is_null_or_terminal(device: u64) -> bool {
    let [major, minor] = [rustix::fs::major(device), rustix::fs::minor(device)];
    (major, minor) == (1, 3) || (4..=5).contains(&major) || (136..=143).contains(&major)
}

/// Whether a socket listens.
pub fn is_listening(socket: &TcpListener) -> bool {
    socket_acceptconn(socket).unwrap_or(false)
}

/// Whether only a manual resolver lets the kernel's layers see every truncation.
pub fn needs_manual_resolver() -> bool {
    wave_sandbox::landlock_leaves_truncation()
}
