//! WASI 0.2 in terms of preview 1: what a component imports from `wasi:…@0.2`, as a WebAssembly module.
//!
//! The module ([`MODULE`], from the `.wat` files beside this one) is linked into the core module that a component is lowered to. So what is
//! compiled, verified and run imports preview 1 and `wave_net`, and nothing else. The adapter is code of the guest: it is not trusted, and what it does
//! wrong hurts the guest alone.
//!
//! # The module
//!
//! It exports each function of WASI 0.2.0 to 0.2.12 as `INTERFACE#FUNCTION`, with the type that `canon lower` gives it. Exports are the
//! only list of what there is: `wasi:io/poll@0.2#poll`, `wasi:io/poll@0.2#[resource-drop]pollable`.
//!
//! It imports functions of `wasi_snapshot_preview1` and, for connections, of `wave_net`; and
//!
//! - `"own" "memory"`, its own memory, of 16 pages at least, zero at the beginning. All its state lies there. It is the first memory,
//!   which the host reads and writes;
//! - `"guest" "memory"`, the memory with the parameters and results;
//! - `"guest" "realloc"`, which allocates what a result points to: `realloc(0, 0, align, bytes)`.
//!
//! It has no table, global variable, segment or start function, and no function takes a function by reference. So functions can be
//! copied one by one, each with those that it calls.
//!
//! # The adapter's memory
//!
//! | at | what |
//! |---|---|
//! | 0x0 | 64 bytes that are never used |
//! | 0x40 | state, see `handles.wat` and `filesystem.wat` |
//! | 0x100 | results of the host, iovecs, addresses |
//! | 0x400 | entries of a directory |
//! | 0x1000 | buffer of 64 KiB: bytes of streams |
//! | 0x11000 | second buffer of 64 KiB: paths, subscriptions, events |
//! | 0x21000 | handles: 8,191 entries of 32 bytes |
//! | 0x61000 | what is larger. It grows |

#![forbid(unsafe_code)]

/// The adapter, in the binary format.
pub const MODULE: &[u8] = include_bytes!("adapter.wasm");
