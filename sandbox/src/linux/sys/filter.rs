//! Installing a system-call filter.

use std::ffi::{c_ulong, c_ushort};

use libc::{sock_filter, sock_fprog};
use nix::errno::Errno;

/// Installs a filter on all threads of this process. It cannot be removed. `flags`: of the call, besides the one for all threads; none
/// that returns a descriptor.
///
/// # Errors
/// `EINVAL` if the kernel does not accept the program, `EACCES` without `no_new_privs` and `CAP_SYS_ADMIN`, `ESRCH` if a thread has a
/// filter that this thread does not have.
///
/// Source: seccomp(2).
pub(crate) fn install_filter(program: &[sock_filter], flags: c_ulong) -> Result<(), Errno> {
    // Longer programs than the type can count are longer than the kernel accepts.
    let len = c_ushort::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let program = sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let flags = flags | libc::SECCOMP_FILTER_FLAG_TSYNC;
    // SAFETY: the kernel reads `len` instructions at the pointer, which are those of a live slice, and writes nothing. The filter changes
    // what later system calls do and no memory.
    let rc = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    match Errno::result(rc)? {
        0 => Ok(()),
        // The thread that cannot have the filter.
        _ => Err(Errno::ESRCH),
    }
}
