//! A sealed process that makes connections for a guest's process, which itself can make none.
//!
//! It is forked before the seal, while this process has the network of the host. The two share only a socket with packets: one
//! request, one answer, and a descriptor with it. The broker judges each request itself, after its own seal, so a guest's process that
//! was taken over gets no farther than the rules. What it sends is as untrusted as what any worker answers.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, ipproto,
};
use wave_policy::{BROKER_FD, Identity, Policy, ProcessLimits, Role};

use super::child::{Child, read_outcome};
use super::sys;
use crate::broker::{BrokerRequest, REQUEST_BYTES};
use crate::ended::Ended;
use crate::error::{Cause, WorkerError};

/// Exit status of a broker that got something which is no request.
const MALFORMED: i32 = 65;

/// Most descriptors of a broker. It needs four; more only while it seals itself.
const OPEN_FILES: u64 = 16;

/// The longest report of a seal, and what a socket of packets holds in any case.
const OUTCOME_BYTES: usize = 1 << 17;

/// How long a broker that has closed its socket may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// A broker, before the seal of the process that it is for. Dropping it ends the broker.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    socket: Option<OwnedFd>,
}

/// The way to a broker from a sealed process.
#[derive(Debug)]
pub struct BrokerClient {
    socket: OwnedFd,
}

impl Broker {
    /// Starts a process that seals itself with `policy`, as a [`Role::Broker`], and then makes connections that `decide` allows,
    /// `most` in all.
    ///
    /// It becomes a user of its own if this process is root. `decide` has 1 MiB for what it allocates. Returns at once; [`sealed`](Self::sealed) waits for the seal.
    ///
    /// # Errors
    /// [`WorkerError::Start`] if this process has several threads, or the kernel refuses another process or a socket.
    pub fn start(policy: &Policy, most: u64, decide: impl Fn(&BrokerRequest) -> bool) -> Result<Self, WorkerError> {
        let (socket, far) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|errno| WorkerError::Start(Cause::refused("socketpair")(errno)))?;
        let policy = Policy {
            role: Role::Broker,
            identity: None::<Identity>,
            limits: ProcessLimits { open_files: OPEN_FILES, threads: 0, ..policy.limits.clone() },
            ..policy.clone()
        };
        let child = Child::start(&policy, "wave: broker", &far, tell, |_| serve(most, &decide))?;
        Ok(Self { child, socket: Some(socket) })
    }

    /// Waits until the broker is sealed, and returns in one line which layers it has.
    ///
    /// # Errors
    /// [`WorkerError::Seal`] if a layer that the policy requires is missing, [`WorkerError::Ended`] if there is no answer.
    pub fn sealed(&mut self) -> Result<String, WorkerError> {
        let mut packet = vec![0; OUTCOME_BYTES];
        let received = self.socket.as_ref().map_or(Err(Errno::BADF), |socket| {
            retry(|| rustix::net::recv(socket, packet.as_mut_slice(), RecvFlags::empty()))
        });
        let len = received.map_or(0, |(len, _)| len);
        let outcome = read_outcome(&mut packet.get(..len).unwrap_or_default());
        let outcome = outcome.map_err(|_| WorkerError::Ended(self.autopsy()))?;
        outcome.map_err(|(message, fix)| WorkerError::Seal { message, fix })
    }

    /// How a broker that no longer answers has ended.
    pub fn autopsy(&mut self) -> Ended {
        self.child.ended_within(GRACE)
    }

    /// Gives this process, which is about to be sealed, the way to the broker: its descriptor is [`BROKER_FD`] from now on. The broker
    /// ends with this process.
    ///
    /// # Errors
    /// The kernel's if that number cannot be had, or [`io::ErrorKind::AlreadyExists`] if it is taken.
    pub fn into_client(mut self) -> io::Result<BrokerClient> {
        let Some(socket) = self.socket.take() else { return Err(io::ErrorKind::NotConnected.into()) };
        let moved = rustix::io::fcntl_dupfd_cloexec(&socket, BROKER_FD)?;
        if moved.as_raw_fd() != BROKER_FD {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(BrokerClient { socket: moved })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.socket.is_some() {
            // A broker that cannot be killed dies with this process. There is no one to return the error to.
            drop(self.child.kill_and_wait());
        }
    }
}

impl BrokerClient {
    /// The descriptor to be kept open by the seal, and never closed.
    pub fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// A TCP socket that is connected to an address, or is about to be: it does not block, and once it can be written to, its pending
    /// error says how the connection went.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] if the broker does not allow it, `EMFILE` if there were too many connections, `EPIPE` or
    /// [`io::ErrorKind::InvalidData`] if there is no valid answer, or the kernel's error for the connection.
    pub fn connect_tcp(&self, remote: SocketAddr) -> io::Result<OwnedFd> {
        let request = BrokerRequest::ConnectTcp(remote).encode().ok_or(io::ErrorKind::InvalidInput)?;
        let sent = retry(|| rustix::net::send(&self.socket, &request, SendFlags::NOSIGNAL));
        sent.map_err(of_channel).and_then(|_| receive(&self.socket))
    }
}

/// The answer of a broker: an error number, or 0 and one descriptor.
fn receive(socket: &OwnedFd) -> io::Result<OwnedFd> {
    let mut answer = [0; ANSWER_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = retry(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut answer)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })
    .map_err(of_channel)?;
    if received.bytes == 0 {
        return Err(Errno::PIPE.into());
    }
    let rights = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let mut descriptors: Vec<OwnedFd> = rights.flatten().collect();
    match (i32::from_le_bytes(answer), descriptors.pop()) {
        (0, Some(descriptor)) if received.bytes == ANSWER_BYTES && descriptors.is_empty() => Ok(descriptor),
        (1..=4095, None) if received.bytes == ANSWER_BYTES => {
            Err(io::Error::from_raw_os_error(i32::from_le_bytes(answer)))
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The error of a channel. Whether a broker that has ended had read the request makes no difference.
fn of_channel(errno: Errno) -> io::Error {
    if errno == Errno::CONNRESET { Errno::PIPE.into() } else { errno.into() }
}

/// Length of an answer in bytes: an error number, little endian.
const ANSWER_BYTES: usize = 4;

/// Tells the other side about the seal of this broker.
fn tell(bytes: &[u8]) -> io::Result<()> {
    send(io::stdin().as_fd(), bytes, &mut SendAncillaryBuffer::default())?;
    Ok(())
}

/// The sealed broker: answers requests until the channel is closed. Its standard input is the channel.
fn serve(most: u64, decide: &dyn Fn(&BrokerRequest) -> bool) {
    let stdin = io::stdin();
    let channel = stdin.as_fd();
    let mut made = 0;
    loop {
        let mut bytes = [0; REQUEST_BYTES];
        // Its real length, also if it is longer than the buffer.
        let len = match retry(|| rustix::net::recv(channel, &mut bytes[..], RecvFlags::TRUNC)) {
            Ok((_, len)) if len > 0 => len,
            _ => return,
        };
        let request = if len == REQUEST_BYTES { BrokerRequest::decode(&bytes) } else { None };
        let Some(request) = request else { sys::exit_now(MALFORMED) };
        let outcome = match (decide(&request), made < most) {
            (false, _) => Err(Errno::ACCESS),
            (true, false) => Err(Errno::MFILE),
            (true, true) => {
                made += 1;
                perform(&request)
            }
        };
        if answer(channel, outcome.as_ref().map(OwnedFd::as_fd).map_err(|errno| *errno)).is_err() {
            return;
        }
    }
}

fn perform(BrokerRequest::ConnectTcp(remote): &BrokerRequest) -> Result<OwnedFd, Errno> {
    let family = if remote.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    match rustix::net::connect(&socket, remote) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

fn answer(channel: BorrowedFd<'_>, outcome: Result<BorrowedFd<'_>, Errno>) -> Result<(), Errno> {
    let (errno, descriptors) = match &outcome {
        Ok(descriptor) => (0, std::slice::from_ref(descriptor)),
        Err(errno) => (errno.raw_os_error(), &[][..]),
    };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::NOBUFS);
    }
    match (send(channel, &errno.to_le_bytes(), &mut ancillary), outcome) {
        // The user has too many descriptors on their way: an error for the guest, and not the end of its broker.
        (Err(errno @ Errno::TOOMANYREFS), Ok(_)) => answer(channel, Err(errno)),
        (sent, _) => sent,
    }
}

/// Sends a packet by the one call that a broker's filter permits for it.
fn send(channel: BorrowedFd<'_>, bytes: &[u8], ancillary: &mut SendAncillaryBuffer<'_, '_, '_>) -> Result<(), Errno> {
    retry(|| rustix::net::sendmsg(channel, &[IoSlice::new(bytes)], ancillary, SendFlags::NOSIGNAL)).map(drop)
}

/// Makes a call again that a signal has interrupted.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}
