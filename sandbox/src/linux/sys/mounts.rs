//! mount_setattr(2), which no crate has.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;

/// Changes the attributes of a mount, and of all below it if `recursive`: sets and clears flags `MOUNT_ATTR_…`, and sets the
/// propagation, unless it is 0.
///
/// Source: mount_setattr(2), Linux 5.12.
pub(crate) fn set_mount_attributes(
    mount: BorrowedFd<'_>,
    recursive: bool,
    set: u64,
    clear: u64,
    propagation: u64,
) -> Result<(), Errno> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: clear, propagation, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and `attributes` a live local of the size that is passed. The kernel only reads both.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags.cast_unsigned(),
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(rc).map(drop)
}
