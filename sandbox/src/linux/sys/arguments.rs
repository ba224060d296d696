use super::*;

/// The argument vector that the kernel made.
static ARGUMENTS: AtomicPtr<*mut c_char> = AtomicPtr::new(std::ptr::null_mut());

/// glibc calls it before `main`, with what `main` of a C program would get.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_ARGUMENTS: extern "C" fn(c_int, *mut *mut c_char) = {
    extern "C" fn note(_: c_int, argv: *mut *mut c_char) {
        ARGUMENTS.store(argv, Ordering::Relaxed);
        failing::note_limits();
        // std aborts if there is no memory for what it does before `main`. If it fails, that is a signal.
        answer_aborts().unwrap_or_default();
    }
    note
};

/// Overwrites arguments and environment with `title` and zeroes; the number of bytes. `None` if they do not lie where the kernel
/// puts them. The process must have one thread.
///
/// From low to high addresses, the kernel puts the arguments, the environment and the name of the program on the stack, one
/// text behind the other. Source: `fs/exec.c`, `do_execveat_common`.
pub(crate) fn wipe_arguments(title: &str) -> Option<usize> {
    /// Their size is limited to 6 MiB (execve(2)); anything larger is a misunderstanding.
    const MOST: usize = 8 << 20;
    let arguments = ARGUMENTS.load(Ordering::Relaxed);
    // SAFETY: null, or the vector that the kernel ended by a null pointer.
    let first = if arguments.is_null() { return None } else { unsafe { *arguments } };
    // SAFETY: takes a number. AT_EXECFN is 0 or the address of a text.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const c_char;
    if first.is_null() || name.is_null() {
        return None;
    }
    // SAFETY: the kernel ended the text by a zero.
    let end = name as usize + unsafe { CStr::from_ptr(name) }.count_bytes();
    let len = end.checked_sub(first as usize).filter(|len| (1..MOST).contains(len))?;
    // SAFETY: one stretch of the stack's upper end, which is writable and belongs to this process alone; the only thread is
    // here. Whoever reads arguments or environment later finds empty texts that still end by a zero.
    let area = unsafe { std::slice::from_raw_parts_mut(first.cast::<u8>(), len) };
    area.fill(0);
    let shown = title.len().min(len - 1);
    area[..shown].copy_from_slice(&title.as_bytes()[..shown]);
    Some(len)
}
