//! Runs compiled code: maps it, creates its memories, tables and globals, enters and leaves it, and turns its faults
//! into traps.
//!
//! | file | holds |
//! |---|---|
//! | `mapping` | address space: reservations, access, checked reads and writes |
//! | `arena`, `memory`, `table`, `stack`, `code` | what is mapped there |
//! | `low_addresses` | addresses for mode fixed |
//! | `enter`, `signal` | entering and leaving guest code |
//! | `host`, `libcalls`, `bulk` | what guest code calls |
//! | `exception` | what was thrown |
//! | `store`, `instance`, `link`, `function`, `value` | the objects of the specification |
//! | `linux`, `macos` | what differs between the platforms: registers of a signal, timers, flags of mappings |
//! | `inspect` | where all of it lies, for programs that watch it |
//!
//! All unsafe code of the JIT is here: in `mapping` (system calls on memory), `code` (cranelift-jit's provider trait),
//! `enter` and `signal` (registers and stacks), `linux` and `macos` (system calls that only one has), `host`, `libcalls` and `store` (pointers that pass through guest code).

#![expect(clippy::cast_possible_truncation, reason = "guest sizes fit `usize`, which has 64 bits here (checked below)")]

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "advises the kernel, asks it for random bytes and for timers")]
mod linux;
#[cfg(target_os = "macos")]
#[expect(unsafe_code, reason = "as on Linux, and follows the pointer to the registers of a signal")]
mod macos;

#[cfg(all(test, target_os = "linux"))]
#[expect(unsafe_code, reason = "as on macOS")]
#[path = "macos/shim.rs"]
mod macos_shim;

// The platform is chosen here and nowhere else.
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;

#[expect(unsafe_code, reason = "maps memory")]
mod mapping;

mod arena;
mod bulk;
mod code;
mod debug;
#[expect(unsafe_code, reason = "switches stacks")]
mod enter;
mod exception;
mod function;
#[expect(unsafe_code, reason = "turns a context into a caller")]
mod host;
pub mod inspect;
mod instance;
#[expect(unsafe_code, reason = "turns a context into a store")]
mod libcalls;
mod link;
mod low_addresses;
mod memory;
mod object;
#[expect(unsafe_code, reason = "handles signals")]
mod signal;
mod stack;
#[expect(unsafe_code, reason = "shares the store with the guest code it enters")]
mod store;
mod table;
mod trap;
mod value;

pub use code::{CodeError, prepare_loading};
pub use debug::{DebugBytes, DebugFile, DebugInfo, debug_bytes};
pub use function::Function;
pub use host::{Caller, HostFunction, HostParam, HostResult, IntoHostFunction, Stub};
pub use libcalls::TIMED_OUT;
pub use link::{Binding, Item, LinkError, Placement};
pub use mapping::{prefer_large_pages, random_u64};
pub use memory::MemoryError;
pub use object::ObjectKind;
pub use signal::{Deadline, arm_deadline, arm_processor_deadline, deadline_passed, passed_deadline};
pub use store::{CallError, GlobalId, InstanceId, MemoryId, PreparedCall, Store, StoreOptions, TableId, TagId};
pub use trap::{Frame, Stop, Stopped, Trap};
pub use value::Value;

const _: () = assert!(usize::BITS == 64, "reservations of 8 GiB need a 64-bit host");
