//! `args_*`: the arguments that the user listed.

use crate::{Failure, Wasi};

/// Stores the arguments at `argv_buf` and an array of pointers to them at `argv`.
///
/// # Errors
/// `FAULT` if either range is outside memory. Nothing is stored then.
///
/// Host syscalls: none.
pub fn args_get(wasi: &mut Wasi, memory: &mut [u8], argv: u32, argv_buf: u32) -> Result<(), Failure> {
    wasi.args.get(memory, argv, argv_buf)
}

/// Stores the number of arguments at `argc` and their size in bytes, NULs included, at `size`.
///
/// # Errors
/// `FAULT` if either range is outside memory. Nothing is stored then.
///
/// Host syscalls: none.
pub fn args_sizes_get(wasi: &mut Wasi, memory: &mut [u8], argc: u32, size: u32) -> Result<(), Failure> {
    wasi.args.sizes_get(memory, argc, size)
}
