use super::*;

/// Makes a second process of this one. `alone` is the proof that there is one thread.
pub(crate) fn split(_alone: &crate::linux::process::Alone) -> Result<ForkResult, Errno> {
    // SAFETY: no other thread exists that could hold a lock or be in the middle of a change, so all of the child's memory,
    // the allocator's included, is whole.
    unsafe { fork() }
}

/// Takes a variable out of the environment. `alone` is the proof that there is one thread.
pub(crate) fn take_variable(name: &str, _alone: &crate::linux::process::Alone) -> Option<std::ffi::OsString> {
    let value = std::env::var_os(name)?;
    // SAFETY: no other thread reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
    Some(value)
}
