//! Positions in a file: offsets, ends and seek targets.

use crate::{Errno, Whence};

/// The largest offset or size that the kernel accepts.
pub(crate) const OFFSET_MAX: u64 = i64::MAX as u64;

/// A checked seek.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeekFrom {
    /// From the start, below 2^63.
    Start(u64),
    /// From the current position.
    Current(i64),
    /// From the end.
    End(i64),
}

/// The end of a range of a file. An error for offsets that the kernel would take as negative, and for sums above its limit
/// (T12).
#[inline]
pub(crate) const fn end_of(offset: u64, len: u64) -> Result<u64, Errno> {
    match offset.checked_add(len) {
        Some(end) if end <= OFFSET_MAX => Ok(end),
        _ => Err(Errno::INVAL),
    }
}

/// Decides on the target of a seek. The guest passes 64 bits. From the start, they are unsigned.
#[inline]
pub(crate) const fn seek_target(offset: u64, whence: Whence) -> Result<SeekFrom, Errno> {
    match whence {
        Whence::Set if offset <= OFFSET_MAX => Ok(SeekFrom::Start(offset)),
        Whence::Set => Err(Errno::INVAL),
        Whence::Current => Ok(SeekFrom::Current(offset.cast_signed())),
        Whence::End => Ok(SeekFrom::End(offset.cast_signed())),
    }
}
