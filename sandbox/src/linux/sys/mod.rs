//! What no crate wraps safely: system calls, signal handlers, the allocator, the arguments of the process.
//!
//! This is the bottom of the crate: nothing here imports from the layers above. An `unsafe fn` says under `Safety` what its
//! caller must see to; every other function is safe whatever it is given.
#![allow(unsafe_code, reason = "each block argues why it is sound")]

mod allocator;
mod arena;
mod arguments;
mod calls;
mod descriptors;
mod emergency;
mod facilities;
mod filter;
mod mounts;
mod pages;
mod prctl;
mod shared;
mod signals;
mod start_state;
mod threads;
mod trap;

pub use allocator::Allocator;
pub(crate) use allocator::{allocate_by_brk_only, allocate_from_arena, exit_when_exhausted};
pub(crate) use arguments::wipe_arguments;
pub(crate) use calls::{exit_now, random_u32, user_has_process, write_stderr};
pub(crate) use descriptors::{close_range, duplicate_above, duplicate_inherited, is_open};
pub(crate) use emergency::{FAILED, Message};
pub(crate) use facilities::{
    filtered_getppid, has_close_range, has_mseal, has_openat2, has_seccomp_action, landlock_abi,
};
pub(crate) use filter::install_filter;
pub(crate) use mounts::set_mount_attributes;
pub(crate) use pages::{mseal, remap_in_place};
pub(crate) use prctl::{
    die_with_parent, drop_from_bounding_set, has_refuse_exec_gain, in_bounding_set, parent_death_signal,
    refuse_exec_gain, refuses_exec_gain, seccomp_mode, securebits, set_securebits, set_timer_slack,
};
pub(crate) use shared::{SharedArea, map_shared_number};
pub(crate) use signals::{
    discard_pending_realtime, exit_on_signal, ignore, install_abort_handler, is_ignored, pending_signals,
    restore_default, stop_interval_timers,
};
pub(crate) use start_state::{has_file_privileges, personality, reset_floating_point, reset_personality};
pub(crate) use threads::{ThreadError, confirm_single_thread, fork, remove_variable};
pub(crate) use trap::{TrappedCall, install_trap_handler};
