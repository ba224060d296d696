//! Bulk data between descriptors and guest memory, without a copy.
//!
//! One buffer is a slice and a plain call. Several are a vectored call. Neither allocates.
//!
//! Of a file that the guest opened, the position is in this process ([`Object::position`](crate::objects::Object)): a transfer names it,
//! and moving it is no system call. The kernel has the position of everything else.
//!
//! The kernel finishes a transfer of gigabytes to or from a file before it delivers a signal. So if the run has a
//! deadline, large transfers are made in steps (T108). The result is that of one call: a file is read and written to
//! the last byte, a short step is the last one, and an error after the first step is left to the next call. There are
//! two differences, only for transfers larger than a step: in append mode, others may write between two steps; and a
//! read that may wait ends after one step.

use crate::wait::{self, retry_interrupted, retry_until_ready, wait_for_data};
use crate::{Failure, Wasi, sys};
use rustix::event::PollFlags;
use rustix::io::Errno as Host;
use std::os::fd::BorrowedFd;
use wave_monitor::{Admitted, Buffers, Errno, Read, ReadAt, Target, Waiting, Write, WriteAt};

/// What a pipe that is ready takes without waiting (`pipe(7)`, `PIPE_BUF`).
const PIPE_BUF: usize = 4096;

#[inline(always)]
pub(crate) fn read(
    wasi: &mut Wasi,
    read: Admitted<Read>,
    memory: &mut [u8],
    buffers: &mut Buffers,
) -> Result<usize, Failure> {
    buffers.shorten(read.at_most);
    if let Some(position) = wasi.objects.get(&read.on)?.position {
        match read_from(wasi, wasi.objects.fd(&read.on)?, position, memory, buffers) {
            Err(failure) if cannot_seek(position, &failure) => wasi.objects.get_mut(&read.on)?.position = None,
            outcome => return advance(wasi, &read.on, position, outcome),
        }
    }
    let fd = wasi.objects.fd(&read.on)?;
    if buffers.exceed(wasi.step_bytes) {
        if read.waiting == Waiting::Never {
            return in_steps(wasi, buffers, |buffers, _| {
                retry_interrupted(wasi.interrupted, || sys::readv(fd, memory, buffers, wasi.step_bytes))
            });
        }
        buffers.shorten(wasi.step_bytes);
    }
    loop {
        let count = retry_until_ready(wasi.interrupted, read.waiting, fd, PollFlags::IN, || match buffers.ranges() {
            [] => Ok(0),
            [one] => rustix::io::read(fd, one.bytes_mut(memory).map_err(fault)?),
            _ => sys::readv(fd, memory, buffers, sys::MAX_RW_BYTES),
        })?;
        let is_end = count > 0 || !read.fifo || buffers.ranges().iter().all(|range| range.is_empty());
        if is_end || !wait_for_data(wasi.interrupted, fd)? {
            return Ok(count);
        }
    }
}

#[inline(always)]
pub(crate) fn read_at(
    wasi: &Wasi,
    read: Admitted<ReadAt>,
    memory: &mut [u8],
    buffers: &mut Buffers,
) -> Result<usize, Failure> {
    buffers.shorten(read.at_most);
    read_from(wasi, wasi.objects.fd(&read.on)?, read.offset, memory, buffers)
}

#[inline(always)]
fn read_from(
    wasi: &Wasi,
    fd: BorrowedFd<'_>,
    offset: u64,
    memory: &mut [u8],
    buffers: &mut Buffers,
) -> Result<usize, Failure> {
    if buffers.exceed(wasi.step_bytes) {
        return in_steps(wasi, buffers, |buffers, done| {
            let offset = offset + done as u64;
            retry_interrupted(wasi.interrupted, || sys::preadv(fd, memory, buffers, offset, wasi.step_bytes))
        });
    }
    retry_interrupted(wasi.interrupted, || match buffers.ranges() {
        [] => Ok(0),
        [one] => rustix::io::pread(fd, one.bytes_mut(memory).map_err(fault)?, offset),
        _ => sys::preadv(fd, memory, buffers, offset, sys::MAX_RW_BYTES),
    })
}

/// Moves the position behind what was transferred.
#[inline(always)]
fn advance(wasi: &mut Wasi, on: &Target, position: u64, outcome: Result<usize, Failure>) -> Result<usize, Failure> {
    if let Ok(moved) = outcome {
        wasi.objects.get_mut(on)?.position = Some(position + moved as u64);
    }
    outcome
}

/// Whether a transfer failed because the file has no positions: some file systems in user space have such. The kernel keeps what it
/// has instead.
fn cannot_seek(position: u64, failure: &Failure) -> bool {
    position == 0 && *failure == Failure::Errno(Errno::SPIPE)
}

/// Makes a transfer of many bytes in steps, and looks at the deadline in between. `call` moves at most a step of the
/// bytes that are left in the buffers; it is told how many went before.
///
/// The steps are one effect: each moves the part of the admitted range that follows the one before, and together they
/// move no more than was admitted.
#[cold]
fn in_steps(
    wasi: &Wasi,
    buffers: &mut Buffers,
    mut call: impl FnMut(&Buffers, usize) -> Result<usize, Failure>,
) -> Result<usize, Failure> {
    buffers.shorten(sys::MAX_RW_BYTES);
    let mut done = 0;
    loop {
        match call(buffers, done) {
            Ok(moved) => {
                done += moved;
                buffers.skip(moved);
                if moved < wasi.step_bytes || !buffers.exceed(0) {
                    return Ok(done);
                }
            }
            // As the kernel does: return what was moved, and leave the error to the next call.
            Err(Failure::Errno(_)) if done > 0 => return Ok(done),
            Err(failure) => return Err(failure),
        }
        wait::check(wasi.interrupted)?;
    }
}

#[inline(always)]
pub(crate) fn write(
    wasi: &mut Wasi,
    write: Admitted<Write>,
    memory: &[u8],
    buffers: &mut Buffers,
) -> Result<usize, Failure> {
    buffers.shorten(write.at_most);
    if let Some(position) = wasi.objects.get(&write.on)?.position {
        match write_from(wasi, wasi.objects.fd(&write.on)?, position, memory, buffers) {
            Err(failure) if cannot_seek(position, &failure) => wasi.objects.get_mut(&write.on)?.position = None,
            outcome => {
                let written = advance(wasi, &write.on, position, outcome)?;
                wasi.monitor.wrote(write.performed(), written);
                return Ok(written);
            }
        }
    }
    if write.waiting == Waiting::Refuse {
        // An inherited pipe may be blocking. Writing more than this could wait.
        buffers.shorten(PIPE_BUF);
    }
    let written = if write.terminal && !wasi.terminal_controls {
        write_to_terminal(wasi, &write, memory, buffers)?
    } else {
        let fd = wasi.objects.fd(&write.on)?;
        if buffers.exceed(wasi.step_bytes) {
            in_steps(wasi, buffers, |buffers, _| {
                retry_until_ready(wasi.interrupted, write.waiting, fd, PollFlags::OUT, || {
                    sys::writev(fd, memory, buffers, wasi.step_bytes)
                })
            })?
        } else {
            retry_until_ready(wasi.interrupted, write.waiting, fd, PollFlags::OUT, || match buffers.ranges() {
                [] => Ok(0),
                [one] => rustix::io::write(fd, one.bytes(memory).map_err(fault)?),
                _ => sys::writev(fd, memory, buffers, sys::MAX_RW_BYTES),
            })?
        }
    };
    wasi.monitor.wrote(write.performed(), written);
    Ok(written)
}

/// Writes the first few kilobytes without control characters. Libraries write the rest with the next call.
#[cold]
fn write_to_terminal(wasi: &mut Wasi, write: &Write, memory: &[u8], buffers: &Buffers) -> Result<usize, Failure> {
    let mut text = [0; PIPE_BUF];
    let mut len = 0;
    for range in buffers.ranges() {
        let Some(free) = text.get_mut(len..) else { break };
        let bytes = range.shortened(free.len()).bytes(memory)?;
        for (place, byte) in free.iter_mut().zip(bytes) {
            *place = *byte;
        }
        len += bytes.len();
    }
    // Do not split an end of line of two characters.
    let given: usize = buffers.ranges().iter().map(|range| range.len()).sum();
    if len < given && len > 1 && text.get(len - 1) == Some(&b'\r') {
        len -= 1;
    }
    let mut filtered = text;
    let filtered = filtered.get_mut(..len).unwrap_or_default();
    let mut filter = wasi.objects.get(&write.on)?.terminal_filter;
    filter.replace_controls(filtered);

    let fd = wasi.objects.fd(&write.on)?;
    let written =
        retry_until_ready(wasi.interrupted, write.waiting, fd, PollFlags::OUT, || rustix::io::write(fd, filtered))?;
    // The next write continues after what the terminal took.
    if let Some(sent) = text.get_mut(..written) {
        wasi.objects.get_mut(&write.on)?.terminal_filter.replace_controls(sent);
    }
    Ok(written)
}

#[inline(always)]
pub(crate) fn write_at(
    wasi: &mut Wasi,
    write: Admitted<WriteAt>,
    memory: &[u8],
    buffers: &mut Buffers,
) -> Result<usize, Failure> {
    buffers.shorten(write.at_most);
    let written = write_from(wasi, wasi.objects.fd(&write.on)?, write.offset, memory, buffers)?;
    wasi.monitor.wrote_at(write.performed(), written);
    Ok(written)
}

#[inline(always)]
fn write_from(
    wasi: &Wasi,
    fd: BorrowedFd<'_>,
    offset: u64,
    memory: &[u8],
    buffers: &mut Buffers,
) -> Result<usize, Failure> {
    if buffers.exceed(wasi.step_bytes) {
        return in_steps(wasi, buffers, |buffers, done| {
            let offset = offset + done as u64;
            retry_interrupted(wasi.interrupted, || sys::pwritev(fd, memory, buffers, offset, wasi.step_bytes))
        });
    }
    retry_interrupted(wasi.interrupted, || match buffers.ranges() {
        [] => Ok(0),
        [one] => rustix::io::pwrite(fd, one.bytes(memory).map_err(fault)?, offset),
        _ => sys::pwritev(fd, memory, buffers, offset, sys::MAX_RW_BYTES),
    })
}

fn fault(_: Errno) -> Host {
    Host::FAULT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use crate::{Config, preview1};
    use std::os::fd::OwnedFd;
    use wave_monitor::{FdFlags, Kind};

    /// A guest whose standard output is one end of a pipe that counts as `kind`.
    fn with_output(kind: Kind) -> (Wasi, OwnedFd) {
        let mut wasi = Wasi::new(Config::default()).unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        if let Ok(close) = wasi.monitor.admit_close(1) {
            wasi.objects.close(close);
        }
        let host = wasi.objects.insert(Object::opened(writer, None));
        wasi.monitor.grant_stdio(1, host, kind, FdFlags::empty()).unwrap();
        (wasi, reader)
    }

    /// Writes with two buffers, at 64 and at 64 + `split`.
    fn write(wasi: &mut Wasi, text: &[u8], split: u32) -> Result<usize, Failure> {
        let mut memory = vec![0; 0x2_0000];
        let len = u32::try_from(text.len()).unwrap();
        for (at, word) in [64, split, 64 + split, len - split].into_iter().enumerate() {
            memory[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        memory[64..64 + text.len()].copy_from_slice(text);
        preview1::fd_write(wasi, &mut memory, 1, 0, 2, 32)?;
        Ok(u32::from_le_bytes(memory[32..36].try_into().unwrap()) as usize)
    }

    fn read(from: &OwnedFd) -> Vec<u8> {
        let mut bytes = vec![0; 0x1_0000];
        let len = rustix::io::read(from, &mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn t115_a_terminal_gets_no_control_sequences() {
        let (mut wasi, reader) = with_output(Kind::Terminal);
        assert_eq!(write(&mut wasi, b"a\x1b[2Jb\xc2", 3), Ok(7));
        assert_eq!(write(&mut wasi, b"\x9b\n", 1), Ok(2));
        assert_eq!(read(&reader), b"a?[2Jb\xc2?\n");
        assert_eq!(write(&mut wasi, &[b'x'; 10_000], 5000), Ok(4096), "the rest is for the next call");
        assert_eq!(read(&reader), [b'x'; 4096]);
        wasi.allow_terminal_controls();
        assert_eq!(write(&mut wasi, b"\x1b[0m", 2), Ok(4));
        assert_eq!(read(&reader), b"\x1b[0m");
    }

    #[test]
    fn what_is_no_terminal_gets_every_byte() {
        let (mut wasi, reader) = with_output(Kind::Pipe);
        assert_eq!(write(&mut wasi, b"\x1b\0\xff", 1), Ok(3));
        assert_eq!(read(&reader), b"\x1b\0\xff");
    }

    #[test]
    fn t35_not_waiting_is_emulated_on_a_blocking_pipe() {
        let (mut wasi, reader) = with_output(Kind::Pipe);
        let change = wasi.monitor.admit_set_flags(1, FdFlags::NONBLOCK).unwrap();
        wasi.monitor.commit_flags(change.performed()).unwrap();
        let mut total = 0;
        let full = loop {
            match write(&mut wasi, &[b'x'; 10_000], 5000) {
                Ok(written) => total += written,
                Err(failure) => break failure,
            }
        };
        assert_eq!((full, total), (Errno::AGAIN.into(), 0x1_0000));
        assert_eq!(read(&reader).len(), 0x1_0000);
    }

    #[test]
    fn a_file_without_positions_is_left_to_the_kernel() {
        let (mut wasi, reader) = with_output(Kind::RegularFile);
        let write_effect = wasi.monitor.admit_write(1).unwrap();
        wasi.objects.get_mut(&write_effect.on).unwrap().position = Some(0);
        assert_eq!(write(&mut wasi, b"text", 2), Ok(4));
        assert_eq!(wasi.objects.get(&write_effect.on).unwrap().position, None);
        assert_eq!(write(&mut wasi, b"more", 1), Ok(4));
        assert_eq!(read(&reader), b"textmore");
        // Where the guest has moved it, the kernel's answer counts.
        wasi.objects.get_mut(&write_effect.on).unwrap().position = Some(1);
        assert_eq!(write(&mut wasi, b"text", 2), Err(Errno::SPIPE.into()));
    }

    #[test]
    fn a_pipe_nobody_reads_is_an_errno() {
        let (mut wasi, reader) = with_output(Kind::Pipe);
        drop(reader);
        assert_eq!(write(&mut wasi, b"text", 1), Err(Errno::PIPE.into()));
    }
}
