//! Sequences of hostcalls against a model: the generator, the model and the oracle.
//!
//! Bytes become a sequence of calls ([`Machine::sequence`]). A [`Machine`] performs it on real
//! directories and, call by call, on a [`Model`](predict::Model) in memory, which says beforehand
//! how the call has to end and what memory and the trees have to look like then. Both path
//! resolvers have to agree. The fuzzer (`fuzz/`) and the test `sequences` of `wave-wasi` use it.
//!
//! Files: `source` bytes as choices, `ops` choices as `calls`, `tree` the files of the model, `table` its
//! descriptors, `answer` and `predict` what each call has to do, `world` the real directories and streams,
//! `alarm` the deadline, `machine` one run and its oracle.
#![cfg(target_os = "linux")]
#![allow(missing_docs, reason = "for tests alone")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers of the model are far below its limits")]

mod alarm;
mod answer;
mod calls;
mod machine;
mod ops;
mod predict;
mod source;
mod table;
mod tree;
mod world;

pub use calls::Call;
pub use machine::{Machine, smallest};

/// The size of linear memory. Half a page, because it is compared after every call.
pub const MEMORY_BYTES: usize = 32_768;

/// The most descriptors the guest may have open.
pub const MAX_OPEN_FILES: u32 = 16;

/// No file grows beyond this (`RLIMIT_FSIZE`), so that a sequence cannot fill the disk and the
/// model knows where writes end.
pub const FILE_MAX_BYTES: u64 = 128 * 1024;
