//! The terminal of a container, and the caller that gets its other end.

use crate::config::ConsoleSize;
use rustix::fd::AsFd;
use rustix::io::IoSlice;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::Winsize;
use std::fs::OpenOptions;
use std::mem::MaybeUninit;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use wave_engine::Failure;

/// Makes a terminal of the container's own `/dev/pts` this process's, and sends its other end. The process must be the leader of a
/// session.
///
/// # Errors
/// 125 if the kernel or the caller refuses.
pub fn open(caller: &UnixStream, size: Option<ConsoleSize>) -> Result<(), Failure> {
    let refuse =
        |error: std::io::Error| Failure::refused(format!("cannot make a terminal: {error}")).at("process.terminal");
    let errno = |errno: rustix::io::Errno| refuse(errno.into());
    let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).map_err(errno)?;
    grantpt(&main).map_err(errno)?;
    unlockpt(&main).map_err(errno)?;
    let name = ptsname(&main, Vec::new()).map_err(errno)?;
    let name = name.to_str().map_err(|error| refuse(std::io::Error::other(error)))?;
    let terminal = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(name).map_err(refuse)?;
    if let Some(ConsoleSize { height, width }) = size {
        let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&terminal, size).map_err(errno)?;
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let ends = [main.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&ends));
    sendmsg(caller, &[IoSlice::new(name.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL).map_err(errno)?;
    rustix::process::ioctl_tiocsctty(&terminal).map_err(errno)?;
    rustix::stdio::dup2_stdin(&terminal).map_err(errno)?;
    rustix::stdio::dup2_stdout(&terminal).map_err(errno)?;
    rustix::stdio::dup2_stderr(&terminal).map_err(errno)?;
    Ok(())
}
