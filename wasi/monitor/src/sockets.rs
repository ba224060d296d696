//! Decisions on sockets. A guest of preview 1 cannot create one. It uses those that were granted.

use crate::entries::{Entry, EntryOrigin};
use crate::{
    Access, Admitted, Errno, FdFlags, HostFd, Kind, Monitor, Performed, RiFlags, Rights, SdFlags, Target, Waiting,
};

/// Accept a connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accept {
    /// The listening socket.
    pub on: Target,
    /// Whether to wait for a peer.
    pub waiting: Waiting,
    flags: FdFlags,
}

/// Receive from a connected socket.
#[derive(Debug)]
#[non_exhaustive]
pub struct Receive {
    /// The socket.
    pub on: Target,
    /// Maximum bytes to move.
    pub at_most: usize,
    /// Whether to wait for data.
    pub waiting: Waiting,
    /// The flags.
    pub flags: RiFlags,
}

/// Send on a connected socket.
#[derive(Debug)]
#[non_exhaustive]
pub struct Send {
    /// The socket.
    pub on: Target,
    /// Maximum bytes to move.
    pub at_most: usize,
    /// Whether to wait for space.
    pub waiting: Waiting,
}

/// Shut down one or both directions.
#[derive(Debug)]
#[non_exhaustive]
pub struct Shutdown {
    /// The socket.
    pub on: Target,
    /// The directions, at least one.
    pub how: SdFlags,
}

impl Monitor {
    /// `sock_accept`: needs `SOCK_ACCEPT` on a listening socket, and room for one descriptor.
    ///
    /// # Errors
    /// [`Errno::NOTSOCK`]; [`Errno::INVAL`] for a connected socket and for flags other than
    /// `NONBLOCK`; [`Errno::MFILE`] before a connection is taken from the queue.
    #[inline(never)]
    pub fn admit_accept(&self, fd: u32, flags: u32) -> Result<Admitted<Accept>, Errno> {
        let flags = accept_flags(flags)?;
        let entry = self.socket(fd)?;
        match entry.kind() {
            Kind::Listener => entry.require(Rights::SOCK_ACCEPT)?,
            _ => return Err(Errno::INVAL),
        }
        self.check_room()?;
        Ok(Admitted::new(Accept { on: entry.target(), waiting: entry.waiting(), flags }))
    }

    /// Enters an accepted connection into the table and returns its number.
    #[inline(never)]
    pub fn install_accepted(&mut self, accept: Performed<Accept>, host: HostFd) -> u32 {
        let flags = accept.into_effect().flags;
        self.insert(Entry::new(host, Kind::Stream, Access::ReadWrite, EntryOrigin::Socket, Rights::ALL).flags(flags))
    }

    /// `sock_recv`: needs `FD_READ`.
    ///
    /// # Errors
    /// [`Errno::NOTSOCK`], [`Errno::NOTCONN`] on a listening socket, [`Errno::NOTCAPABLE`].
    #[inline(never)]
    pub fn admit_receive(&self, fd: u32, flags: u32) -> Result<Admitted<Receive>, Errno> {
        let flags = RiFlags::from_guest(flags)?;
        let entry = self.connected(fd, Rights::FD_READ)?;
        Ok(Admitted::new(Receive { on: entry.target(), at_most: self.per_call(), waiting: entry.waiting(), flags }))
    }

    /// `sock_send`: needs `FD_WRITE`. No send flags are defined.
    ///
    /// # Errors
    /// As [`admit_receive`](Self::admit_receive); [`Errno::INVAL`] for any flag.
    #[inline(never)]
    pub fn admit_send(&self, fd: u32, flags: u32) -> Result<Admitted<Send>, Errno> {
        check_send_flags(flags)?;
        let entry = self.connected(fd, Rights::FD_WRITE)?;
        Ok(Admitted::new(Send { on: entry.target(), at_most: self.per_call(), waiting: entry.waiting() }))
    }

    /// `sock_shutdown`: needs `SOCK_SHUTDOWN`.
    ///
    /// # Errors
    /// As [`admit_receive`](Self::admit_receive); [`Errno::INVAL`] without a direction.
    #[inline(never)]
    pub fn admit_shutdown(&self, fd: u32, how: u32) -> Result<Admitted<Shutdown>, Errno> {
        let how = shutdown_how(how)?;
        let entry = self.connected(fd, Rights::SOCK_SHUTDOWN)?;
        Ok(Admitted::new(Shutdown { on: entry.target(), how }))
    }

    pub(crate) fn connected(&self, fd: u32, rights: Rights) -> Result<&Entry, Errno> {
        let entry = self.socket(fd)?;
        match entry.kind() {
            Kind::Stream => entry.require(rights).map(|()| entry),
            _ => Err(Errno::NOTCONN),
        }
    }

    /// A granted socket. A standard stream is not a socket for the guest, even if it is one on the host: it can only be
    /// read and written, so that it does not need the system calls of sockets.
    pub(crate) fn socket(&self, fd: u32) -> Result<&Entry, Errno> {
        let entry = self.entry(fd)?;
        match entry.kind() {
            Kind::Listener | Kind::Stream if !entry.is_stdio() => Ok(entry),
            _ => Err(Errno::NOTSOCK),
        }
    }
}

/// The flags of an accepted connection. Only `NONBLOCK` applies to a socket.
pub(crate) fn accept_flags(bits: u32) -> Result<FdFlags, Errno> {
    let flags = FdFlags::from_guest(bits)?;
    if FdFlags::NONBLOCK.contains(flags) { Ok(flags) } else { Err(Errno::INVAL) }
}

/// Preview 1 defines no flag for sending.
pub(crate) const fn check_send_flags(bits: u32) -> Result<(), Errno> {
    if bits == 0 { Ok(()) } else { Err(Errno::INVAL) }
}

/// The directions to shut down, at least one.
pub(crate) fn shutdown_how(bits: u32) -> Result<SdFlags, Errno> {
    let how = SdFlags::from_guest(bits)?;
    if how == SdFlags::empty() { Err(Errno::INVAL) } else { Ok(how) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn only_sockets_that_were_given_work() {
        let mut monitor = Monitor::new(Limits::default());
        monitor.grant_stdio(1, HostFd::new(0), Kind::Terminal, FdFlags::empty()).unwrap();
        monitor.grant_stdio(0, HostFd::new(9), Kind::Stream, FdFlags::empty()).unwrap();
        let listener = monitor.grant_socket(HostFd::new(1), Kind::Listener).unwrap();
        assert_eq!(monitor.admit_receive(0, 0).err(), Some(Errno::NOTSOCK), "an inherited stream is read by fd_read");
        assert!(monitor.admit_read(0).is_ok());
        assert_eq!(monitor.admit_shutdown(1, 1).err(), Some(Errno::NOTSOCK));
        assert_eq!(monitor.admit_accept(1, 0).err(), Some(Errno::NOTSOCK));
        assert_eq!(monitor.admit_receive(listener, 0).err(), Some(Errno::NOTCONN));
        assert_eq!(monitor.admit_accept(listener, 1).err(), Some(Errno::INVAL));
        let accept = monitor.admit_accept(listener, 4).unwrap();
        let stream = monitor.install_accepted(accept.performed(), HostFd::new(2));
        assert_eq!(monitor.admit_send(stream, 0).unwrap().waiting, Waiting::Refuse);
        assert_eq!(monitor.admit_send(stream, 1).err(), Some(Errno::INVAL));
        assert_eq!(monitor.admit_receive(stream, 4).err(), Some(Errno::INVAL));
        assert_eq!(monitor.admit_shutdown(stream, 0).err(), Some(Errno::INVAL));
        assert_eq!(monitor.admit_shutdown(99, 1).err(), Some(Errno::BADF));
    }
}
