//! `environ_*`: the environment variables that the user listed. The host's own are never visible (T113).

use crate::{Failure, Wasi};

/// Stores the variables at `environ_buf` and an array of pointers to them at `environ`.
///
/// # Errors
/// `FAULT` if either range is outside memory. Nothing is stored then.
///
/// Host syscalls: none.
pub fn environ_get(wasi: &mut Wasi, memory: &mut [u8], environ: u32, environ_buf: u32) -> Result<(), Failure> {
    wasi.environ.get(memory, environ, environ_buf)
}

/// Stores the number of variables at `count` and their size in bytes, NULs included, at `size`.
///
/// # Errors
/// `FAULT` if either range is outside memory. Nothing is stored then.
///
/// Host syscalls: none.
pub fn environ_sizes_get(wasi: &mut Wasi, memory: &mut [u8], count: u32, size: u32) -> Result<(), Failure> {
    wasi.environ.sizes_get(memory, count, size)
}
