//! The only `unsafe` code of the hostcalls: system calls with several buffers. Each platform has more of its own.
//!
//! Guest buffers may overlap each other, so they cannot be slices at the same time. They are raw `iovec`s, all derived
//! from one pointer to linear memory, which is borrowed during the whole call.
#![allow(unsafe_code, reason = "vectored calls over overlapping guest buffers have no safe form")]

use rustix::io::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd};
use wave_monitor::{Buffers, GuestRange};

/// Maximum bytes that one system call moves (`MAX_RW_COUNT`, read(2)).
pub(crate) const MAX_RW_BYTES: usize = 0x7fff_f000;

/// Maximum number of buffers for which a call allocates nothing.
const INLINE: usize = 16;

/// Reads `at_most` bytes into several buffers at the current position.
pub(crate) fn readv(fd: BorrowedFd<'_>, memory: &mut [u8], buffers: &Buffers, at_most: usize) -> Result<usize> {
    with_iovecs(memory.as_mut_ptr(), memory.len(), buffers, at_most, |iovecs, count| {
        // SAFETY: `with_iovecs` made `count` iovecs inside `memory`, which is borrowed mutably
        // until the call has returned.
        unsafe { libc::readv(fd.as_raw_fd(), iovecs, count) }
    })
}

/// Reads `at_most` bytes into several buffers at `offset`.
pub(crate) fn preadv(
    fd: BorrowedFd<'_>,
    memory: &mut [u8],
    buffers: &Buffers,
    offset: u64,
    at_most: usize,
) -> Result<usize> {
    let offset = i64::try_from(offset).map_err(|_| Errno::INVAL)?;
    with_iovecs(memory.as_mut_ptr(), memory.len(), buffers, at_most, |iovecs, count| {
        // SAFETY: as in `readv`.
        unsafe { libc::preadv(fd.as_raw_fd(), iovecs, count, offset) }
    })
}

/// Writes the first `at_most` bytes of several buffers at the current position.
pub(crate) fn writev(fd: BorrowedFd<'_>, memory: &[u8], buffers: &Buffers, at_most: usize) -> Result<usize> {
    with_iovecs(memory.as_ptr().cast_mut(), memory.len(), buffers, at_most, |iovecs, count| {
        // SAFETY: `with_iovecs` made `count` iovecs inside `memory`, which is borrowed until the
        // call has returned; the kernel only reads through them.
        unsafe { libc::writev(fd.as_raw_fd(), iovecs, count) }
    })
}

/// Writes the first `at_most` bytes of several buffers at `offset`.
pub(crate) fn pwritev(
    fd: BorrowedFd<'_>,
    memory: &[u8],
    buffers: &Buffers,
    offset: u64,
    at_most: usize,
) -> Result<usize> {
    let offset = i64::try_from(offset).map_err(|_| Errno::INVAL)?;
    with_iovecs(memory.as_ptr().cast_mut(), memory.len(), buffers, at_most, |iovecs, count| {
        // SAFETY: as in `writev`.
        unsafe { libc::pwritev(fd.as_raw_fd(), iovecs, count, offset) }
    })
}

/// Receives into several buffers. Also returns whether a message was truncated.
pub(crate) fn recvmsg(fd: BorrowedFd<'_>, memory: &mut [u8], buffers: &Buffers, flags: i32) -> Result<(usize, bool)> {
    let mut truncated = false;
    let received = with_iovecs(memory.as_mut_ptr(), memory.len(), buffers, MAX_RW_BYTES, |iovecs, count| {
        let mut message = message(iovecs, count);
        // SAFETY: `message` has no address and no control buffer, only the `count` iovecs that `with_iovecs` made inside
        // `memory`, which is borrowed mutably until the call has returned.
        let received = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) };
        truncated = message.msg_flags & libc::MSG_TRUNC != 0;
        received
    })?;
    Ok((received, truncated))
}

fn message(iovecs: *const libc::iovec, count: i32) -> libc::msghdr {
    // SAFETY: `msghdr` has only integers and raw pointers, and all zeroes are valid values of these.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = iovecs.cast_mut();
    message.msg_iovlen = count.try_into().unwrap_or(0);
    message
}

/// Passes the iovecs of the first `at_most` bytes of `buffers` to a call. They are on the stack if there are few.
///
/// Each range is checked against this memory again, so that soundness does not depend on ranges that were checked elsewhere.
fn with_iovecs(
    base: *mut u8,
    len: usize,
    buffers: &Buffers,
    at_most: usize,
    call: impl FnOnce(*const libc::iovec, i32) -> isize,
) -> Result<usize> {
    const EMPTY: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    let ranges = buffers.ranges();
    let mut few = [EMPTY; INLINE];
    let mut many = Vec::new();
    let iovecs = if let Some(iovecs) = few.get_mut(..ranges.len()) {
        iovecs
    } else {
        many.resize(ranges.len(), EMPTY);
        many.as_mut_slice()
    };
    let mut left = at_most;
    for (iovec, range) in iovecs.iter_mut().zip(ranges) {
        let range = range.shortened(left);
        left -= range.len();
        *iovec = iovec_of(base, len, range)?;
    }
    let count = i32::try_from(iovecs.len()).map_err(|_| Errno::INVAL)?;
    usize::try_from(call(iovecs.as_ptr(), count)).map_err(|_| last_error())
}

fn iovec_of(base: *mut u8, len: usize, range: GuestRange) -> Result<libc::iovec> {
    if range.end() > len {
        return Err(Errno::FAULT);
    }
    // The pointer stays inside: see the check above. Wrapping arithmetic would be sound in any case.
    Ok(libc::iovec { iov_base: base.wrapping_add(range.start()).cast(), iov_len: range.len() })
}

pub(crate) fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn list(memory: &mut [u8], ranges: &[(u32, u32)]) -> Buffers {
        for (at, (ptr, len)) in ranges.iter().enumerate() {
            memory[at * 8..at * 8 + 4].copy_from_slice(&ptr.to_le_bytes());
            memory[at * 8 + 4..at * 8 + 8].copy_from_slice(&len.to_le_bytes());
        }
        let mut buffers = Buffers::new();
        buffers.copy_in(memory, 0, u32::try_from(ranges.len()).unwrap(), u32::MAX).unwrap();
        buffers
    }

    #[test]
    fn t6_overlapping_buffers_and_the_list_itself_can_be_read_into() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&writer, b"abcdefgh").unwrap();
        let mut memory = vec![0; 64];
        let buffers = list(&mut memory, &[(0, 4), (32, 2), (33, 2)]);
        assert_eq!(readv(reader.as_fd(), &mut memory, &buffers, MAX_RW_BYTES), Ok(8));
        assert_eq!(&memory[..4], b"abcd");
        assert_eq!(&memory[32..35], b"egh");
    }

    #[test]
    fn t108_a_call_moves_no_more_than_it_is_told() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut memory = *b"................abcdefgh";
        let buffers = list(&mut memory, &[(16, 3), (19, 5)]);
        assert_eq!(writev(writer.as_fd(), &memory, &buffers, 5), Ok(5));
        assert_eq!(writev(writer.as_fd(), &memory, &buffers, 2), Ok(2));
        assert_eq!(readv(reader.as_fd(), &mut memory, &buffers, 6), Ok(6));
        assert_eq!(&memory[16..], b"abcdeagh");
    }

    #[test]
    fn more_buffers_than_fit_the_stack() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut memory = vec![0; 512];
        let ranges: Vec<_> = (0..40).map(|at| (400 + at, 1)).collect();
        let buffers = list(&mut memory, &ranges);
        for (at, byte) in memory[400..440].iter_mut().enumerate() {
            *byte = u8::try_from(at).unwrap();
        }
        assert_eq!(writev(writer.as_fd(), &memory, &buffers, MAX_RW_BYTES), Ok(40));
        let mut read = [0; 40];
        assert_eq!(rustix::io::read(&reader, &mut read), Ok(40));
        assert_eq!(read[39], 39);
    }

    #[test]
    fn a_range_of_another_memory_is_refused() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let mut large = vec![0; 64];
        let buffers = list(&mut large, &[(60, 4), (61, 1)]);
        assert_eq!(readv(reader.as_fd(), &mut [0; 16], &buffers, MAX_RW_BYTES), Err(Errno::FAULT));
    }
}
