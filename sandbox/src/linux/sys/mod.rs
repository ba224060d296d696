//! The system calls that no crate wraps safely. All unsafe code of this crate is here, one call per function.
#![allow(unsafe_code, reason = "the only file of this crate that may; each block argues why it is sound")]

mod allocator;
mod arguments;
mod calls;
mod descriptors;
mod facilities;
mod pages;
mod prctl;
mod shared;
mod signals;
mod start_state;
mod threads;
mod trap;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};
use nix::unistd::{ForkResult, fork};

use crate::AddressRange;
use crate::linux::denial::{Refused, denied};
use crate::linux::failing;
use crate::linux::seccomp::SelfTest;

pub use allocator::Allocator;
pub(crate) use {
    allocator::*, arguments::*, calls::*, descriptors::*, facilities::*, pages::*, prctl::*, shared::*, signals::*,
    start_state::*, threads::*, trap::*,
};
