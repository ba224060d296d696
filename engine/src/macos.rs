//! What the engine asks of macOS alone. None of it has run on a Mac.

use rustix::fs::{Mode, OFlags};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Opens an object to name it, without following a link. There is no `O_PATH`: it must be readable. A FIFO does not block.
pub const HANDLE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Opens a symbolic link itself, too (open(2), `O_SYMLINK`).
pub const LINK_HANDLE: OFlags = OFlags::RDONLY
    .union(OFlags::from_bits_retain(libc::O_SYMLINK.cast_unsigned()))
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// The target of a link, by its name: a handle cannot be asked. Whoever asks has checked that no other user can replace the name.
pub fn link_target(_: &OwnedFd, parent: &OwnedFd, name: &CStr) -> rustix::io::Result<CString> {
    rustix::fs::readlinkat(parent, name, Vec::new())
}

/// Opens a directory, and refuses a path with a link anywhere in it (open(2), `O_NOFOLLOW_ANY`).
pub fn open_without_links(path: &Path) -> io::Result<File> {
    let no_links = OFlags::from_bits_retain(libc::O_NOFOLLOW_ANY.cast_unsigned());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | no_links;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// Whether the number of a character device is that of `/dev/null`. The numbers of terminals are not fixed.
pub fn is_null_or_terminal(device: u64) -> bool {
    std::fs::metadata("/dev/null").is_ok_and(|null| std::os::unix::fs::MetadataExt::rdev(&null) == device)
}

/// Whether a socket listens. No descriptor is inherited here (`wave_sandbox::inherited_descriptor`), so none is confirmed.
pub const fn is_listening(_: &TcpListener) -> bool {
    false
}

/// The kernel resolves no path for us in any case.
pub const fn needs_manual_resolver() -> bool {
    true
}
