//! `sock_*`: hostcalls on sockets that the user granted.

use crate::fd::count;
use crate::objects::Object;
use crate::wait::{self, retry_until_ready};
use crate::{Failure, Wasi, platform, sys};
use rustix::event::PollFlags;
use rustix::net::{Shutdown as HostShutdown, SocketAddrAny};
use std::net::SocketAddr;
use wave_monitor::{
    Accept, Admitted, Buffers, GuestRange, IpBytes, Performed, Receive, RiFlags, RoFlags, SdFlags, Send,
};

/// The most bytes of several buffers that are sent by one call. No datagram is longer.
const JOINED_BYTES: usize = 1 << 16;

/// Accepts a connection and stores the number of the new descriptor at `opened_fd`.
///
/// Connections of denied peers are closed and not returned (T41).
///
/// # Errors
/// `AGAIN` if there is no connection and the descriptor does not wait, `NOTSOCK`, `INVAL` for a connected socket or
/// unknown flags, `MFILE`, `BADF`, `NOTCAPABLE`, `FAULT`.
///
/// Host syscalls: `accept4`, `ppoll`.
pub fn sock_accept(wasi: &mut Wasi, memory: &mut [u8], fd: u32, flags: u32, opened_fd: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), opened_fd, 4)?;
    let accept = wasi.monitor.admit_accept(fd, flags)?;
    let (object, performed) = accept_allowed_peer(wasi, accept)?;
    let host = wasi.objects.insert(object);
    let opened = wasi.monitor.install_accepted(performed, host);
    out.store_u32(memory, opened)?;
    Ok(())
}

/// Receives into the buffers listed at `data`. Stores the count at `received` and the result flags (16 bits) at `out_flags`.
///
/// # Errors
/// `AGAIN`, `CONNRESET`, `NOTSOCK`, `NOTCONN`, `INVAL` for unknown flags, `BADF`, `NOTCAPABLE`,
/// `FAULT`.
///
/// Host syscalls: `recvmsg`, `ppoll`.
#[expect(clippy::too_many_arguments, reason = "the interface has this many")]
pub fn sock_recv(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    data: u32,
    data_len: u32,
    flags: u32,
    received: u32,
    out_flags: u32,
) -> Result<(), Failure> {
    let received = GuestRange::check(memory.len(), received, 4)?;
    let out_flags = GuestRange::check(memory.len(), out_flags, 2)?;
    let mut buffers = Buffers::new();
    buffers.copy_in(memory, data, data_len, wasi.monitor.limits().iovecs)?;
    let receive = wasi.monitor.admit_receive(fd, flags)?;
    buffers.shorten(receive.at_most.min(wasi.step_bytes));
    let (bytes, truncated) = receive_bytes(wasi, receive, memory, &buffers)?;
    let flags = if truncated { RoFlags::DATA_TRUNCATED } else { RoFlags::empty() };
    received.store_u32(memory, count(bytes))?;
    out_flags.store(memory, &flags.bits().to_le_bytes())?;
    Ok(())
}

/// Sends the buffers listed at `data` and stores the count at `sent`. `flags` must be zero. Several buffers are joined, up to 64 KiB.
///
/// # Errors
/// As [`sock_recv`]; also `PIPE` after the peer has closed the connection.
///
/// Host syscalls: `sendto` without an address, `ppoll`.
pub fn sock_send(
    wasi: &mut Wasi,
    memory: &mut [u8],
    fd: u32,
    data: u32,
    data_len: u32,
    flags: u32,
    sent: u32,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), sent, 4)?;
    let mut buffers = Buffers::new();
    buffers.copy_in(memory, data, data_len, wasi.monitor.limits().iovecs)?;
    let send = wasi.monitor.admit_send(fd, flags)?;
    buffers.shorten(send.at_most.min(wasi.step_bytes));
    let bytes = send_bytes(wasi, send, memory, &buffers)?;
    out.store_u32(memory, count(bytes))?;
    Ok(())
}

/// Shuts down one or both directions of a connection.
///
/// # Errors
/// `NOTSOCK`, `NOTCONN`, `INVAL` without a direction, `BADF`, `NOTCAPABLE`.
///
/// Host syscalls: `shutdown`.
pub fn sock_shutdown(wasi: &mut Wasi, _memory: &mut [u8], fd: u32, how: u32) -> Result<(), Failure> {
    let shutdown = wasi.monitor.admit_shutdown(fd, how)?;
    let how = match (shutdown.how.contains(SdFlags::RD), shutdown.how.contains(SdFlags::WR)) {
        (true, true) => HostShutdown::Both,
        (true, false) => HostShutdown::Read,
        (false, _) => HostShutdown::Write,
    };
    Ok(rustix::net::shutdown(wasi.objects.fd(&shutdown.on)?, how)?)
}

// ---- effects ------------------------------------------------------------------------------------

/// Takes connections from the queue until one comes from an allowed peer.
///
/// That is one effect, though it may take several connections: the guest gets one. Each peer is decided on its own, and the
/// connection of a denied one is closed before the next is taken.
fn accept_allowed_peer(wasi: &Wasi, accept: Admitted<Accept>) -> Result<(Object, Performed<Accept>), Failure> {
    let fd = wasi.objects.fd(&accept.on)?;
    loop {
        wait::check(wasi.interrupted)?;
        // `ppoll` waits. Our listeners are nonblocking, so `accept4` never does.
        let (accepted, peer) =
            retry_until_ready(wasi.interrupted, accept.waiting, fd, PollFlags::IN, || platform::accept(fd))?;
        if wasi.monitor.admit_accepted_peer(ip_bytes(peer)).is_ok() {
            return Ok((Object::opened(accepted, None), accept.performed()));
        }
    }
}

/// The address of a peer. Without one, the unspecified address, which no rule allows.
fn ip_bytes(peer: Option<SocketAddrAny>) -> IpBytes {
    match peer.map(SocketAddr::try_from) {
        Some(Ok(SocketAddr::V4(address))) => address.ip().to_ipv6_mapped().octets(),
        Some(Ok(SocketAddr::V6(address))) => address.ip().octets(),
        Some(Err(_)) | None => [0; 16],
    }
}

fn receive_bytes(
    wasi: &Wasi,
    receive: Admitted<Receive>,
    memory: &mut [u8],
    buffers: &Buffers,
) -> Result<(usize, bool), Failure> {
    let mut flags = 0;
    if receive.flags.contains(RiFlags::PEEK) {
        flags |= libc::MSG_PEEK;
    }
    if receive.flags.contains(RiFlags::WAITALL) {
        flags |= libc::MSG_WAITALL;
    }
    let fd = wasi.objects.fd(&receive.on)?;
    retry_until_ready(wasi.interrupted, receive.waiting, fd, PollFlags::IN, || sys::recvmsg(fd, memory, buffers, flags))
}

fn send_bytes(wasi: &Wasi, send: Admitted<Send>, memory: &[u8], buffers: &Buffers) -> Result<usize, Failure> {
    let fd = wasi.objects.fd(&send.on)?;
    let joined;
    let bytes = match buffers.ranges() {
        [only] => only.bytes(memory)?,
        ranges => {
            joined = join(memory, ranges)?;
            joined.as_slice()
        }
    };
    // Not `sendmsg`, whose address lies in memory: a filter sees that this call has none.
    retry_until_ready(wasi.interrupted, send.waiting, fd, PollFlags::OUT, || {
        rustix::net::send(fd, bytes, platform::SEND_FLAGS)
    })
}

/// Copies buffers into one, up to the most that it holds.
fn join(memory: &[u8], ranges: &[GuestRange]) -> Result<Vec<u8>, Failure> {
    let mut joined = Vec::new();
    for range in ranges {
        joined.extend_from_slice(range.shortened(JOINED_BYTES - joined.len()).bytes(memory)?);
    }
    Ok(joined)
}
