//! Default limits of a run, and the bounds of limits.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Maximum size of linear memory.
pub const MEMORY_MAX_BYTES: u64 = 4 << 30;

/// Default size of the guest's stack.
pub const STACK_BYTES: u64 = 8 << 20;

/// Allowed sizes of the guest's stack. Hostcalls need half of the smallest. A stack above the largest would limit nothing.
pub const STACK_RANGE_BYTES: RangeInclusive<u64> = 512 << 10..=4 << 30;

/// Default time limit of the compiler.
pub const COMPILE_TIMEOUT: Duration = Duration::from_secs(120);

/// Default memory limit of the compiler, in bytes.
pub const COMPILE_MEMORY_BYTES: u64 = 4 << 30;
