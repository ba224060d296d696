//! What a run has if nothing else is said, and what is possible at all.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Linear memory cannot be larger.
pub const MEMORY_MAX_BYTES: u64 = 4 << 30;

/// The guest's stack.
pub const STACK_BYTES: u64 = 8 << 20;

/// Half of the smallest stack is reserved for hostcalls. A stack larger than the largest is no limit any more.
pub const STACK_RANGE_BYTES: RangeInclusive<u64> = 512 << 10..=4 << 30;

/// How long compiling may take.
pub const COMPILE_TIMEOUT: Duration = Duration::from_secs(120);

/// How much memory compiling may take, in bytes.
pub const COMPILE_MEMORY_BYTES: u64 = 4 << 30;
