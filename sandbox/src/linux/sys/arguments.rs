//! The arguments and the environment as the kernel laid them out, and what runs before `main` to find them.

use std::ffi::{CStr, c_char, c_int};
use std::sync::atomic::{AtomicPtr, Ordering};

use super::{emergency, signals};

/// The argument vector of the kernel.
static ARGUMENTS: AtomicPtr<*mut c_char> = AtomicPtr::new(std::ptr::null_mut());

// The section holds pointers to functions that glibc calls before `main`, each with the arguments of a C program's `main`. This is
// such a pointer, to a function that ignores the third argument. It needs nothing of std, which is not initialized by then.
#[used]
#[unsafe(link_section = ".init_array")]
static RUN_BEFORE_MAIN: extern "C" fn(c_int, *mut *mut c_char) = {
    extern "C" fn run(_: c_int, argv: *mut *mut c_char) {
        ARGUMENTS.store(argv, Ordering::Relaxed);
        emergency::record_memory_limits();
        // std aborts if there is no memory for what it does before `main`. Without the handler, that shows as a signal.
        signals::install_abort_handler().unwrap_or_default();
    }
    run
};

/// Overwrites arguments and environment with `title` and zeroes, and returns the number of bytes. `None` if they do not lie
/// where the kernel puts them.
///
/// From low to high addresses, the kernel puts the arguments, the environment and the name of the program on the stack, one
/// text after the other. Source: `fs/exec.c`, `do_execveat_common`.
///
/// # Safety
/// The process has one thread, and no reference into arguments or environment is alive. Pointers that C code reads later are
/// fine: they find empty texts that end in a zero.
pub(crate) unsafe fn wipe_arguments(title: &str) -> Option<usize> {
    /// The kernel limits their size to 6 MiB (execve(2)); a larger result means that the layout is another one.
    const MAX_BYTES: usize = 8 << 20;
    let arguments = ARGUMENTS.load(Ordering::Relaxed);
    // SAFETY: the pointer is null, or that of the vector, which the kernel ended by a null pointer.
    let first = if arguments.is_null() { return None } else { unsafe { *arguments } };
    // SAFETY: the call takes a number. AT_EXECFN is 0 or the address of a text.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const c_char;
    if first.is_null() || name.is_null() {
        return None;
    }
    // SAFETY: the kernel ended the text by a zero.
    let end = name as usize + unsafe { CStr::from_ptr(name) }.count_bytes();
    let len = end.checked_sub(first as usize).filter(|len| (1..MAX_BYTES).contains(len))?;
    // SAFETY: one stretch at the upper end of the stack, which is writable and belongs to this process alone. By the caller's
    // promise nothing else reads or writes it while the slice lives.
    let area = unsafe { std::slice::from_raw_parts_mut(first.cast::<u8>(), len) };
    area.fill(0);
    let shown = title.len().min(len - 1);
    area[..shown].copy_from_slice(&title.as_bytes()[..shown]);
    Some(len)
}
