//! `wave_net`: connections that the guest begins, and the listeners that it has. This process can make neither: it asks a [`Connector`]
//! for the ones, and the others are granted.
//!
//! An address is 24 bytes: family (`u16`, 4 or 6), port (`u16`), scope (`u32`, must be 0), and 16 bytes of the address, of
//! which IPv4 has the first four and zeros after them. Numbers are little endian.

use crate::objects::Object;
use crate::wait::retry_until_ready;
use crate::{Failure, Wasi};
use rustix::event::PollFlags;
use rustix::io::Errno as Host;
use rustix::net::sockopt::socket_error;
use rustix::net::{getpeername, getsockname};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use wave_monitor::{Admitted, Connect, Errno, FdFlags, GuestRange, IpBytes, Performed, Protocol, Rule, Waiting};

/// Length of an address in linear memory.
pub(crate) const ADDRESS_BYTES: u32 = 24;

/// Makes connections for a guest.
pub trait Connector: fmt::Debug + Send {
    /// A TCP socket that is connected to an address, or is about to be. It does not block, and its pending error says how the
    /// connection went.
    ///
    /// # Errors
    /// The host's, why there is none.
    fn connect_tcp(&self, remote: SocketAddr) -> io::Result<OwnedFd>;
}

/// Begins a TCP connection to the address at `remote`, and stores the number of its descriptor at `opened_fd`. It is connected now or
/// later: [`tcp_status`] says. Reading and writing wait, until the guest sets `NONBLOCK`.
///
/// # Errors
/// `NOTCAPABLE` if no rule allows the address, or the run has no connections at all; `AFNOSUPPORT` for another family, `INVAL` for a
/// scope, for bytes behind an address of IPv4, and for one inside an address of IPv6 (`::ffff:a.b.c.d`), which is written as IPv4;
/// `MFILE` without room for a descriptor or beyond the limit on connections; `FAULT`; what the host says.
///
/// Host syscalls: `sendto`, `recvmsg`.
pub fn tcp_connect(wasi: &mut Wasi, memory: &mut [u8], remote: u32, opened_fd: u32) -> Result<(), Failure> {
    let remote = GuestRange::check(memory.len(), remote, ADDRESS_BYTES)?;
    let out = GuestRange::check(memory.len(), opened_fd, 4)?;
    let remote = decode(remote.bytes(memory)?)?;
    let connect = wasi.monitor.admit_connect(ip_bytes(remote.ip()), remote.port(), Protocol::Tcp)?;
    let (object, performed) = begin(connector(wasi)?, connect)?;
    let host = wasi.objects.insert(object);
    let opened = wasi.monitor.install_connected(performed, host, FdFlags::empty());
    out.store_u32(memory, opened)?;
    Ok(())
}

/// Says how a connection went: success if it is there.
///
/// # Errors
/// `AGAIN` while it is in progress; why it failed, once; `NOTCONN` after that, and if it has ended; `NOTSOCK`, `BADF`; `NOTCAPABLE` if
/// the run has no connections at all, whatever the descriptor.
///
/// Host syscalls: `ppoll`, `getsockopt` (`SO_ERROR`), `getpeername`.
pub fn tcp_status(wasi: &mut Wasi, _memory: &mut [u8], fd: u32) -> Result<(), Failure> {
    connector(wasi)?;
    let inspect = wasi.monitor.admit_inspect(fd)?;
    let fd = wasi.objects.fd(&inspect.on)?;
    retry_until_ready(wasi.interrupted, Waiting::Refuse, fd, PollFlags::OUT, || {
        socket_error(fd)??;
        getpeername(fd).map(drop)
    })
}

/// Stores the number of the descriptor that the listener at `index` had at the start at `opened_fd`.
///
/// # Errors
/// `NOENT` behind the last one, `FAULT`.
///
/// Host syscalls: none.
pub fn tcp_listener(wasi: &mut Wasi, memory: &mut [u8], index: u32, opened_fd: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), opened_fd, 4)?;
    let listener = usize::try_from(index).ok().and_then(|index| wasi.listeners.get(index)).ok_or(Errno::NOENT)?;
    out.store_u32(memory, *listener)?;
    Ok(())
}

/// Stores an address of a connection or a listener at `out`: the local one if `which` is 0, that of the peer if it is 1.
///
/// # Errors
/// `INVAL` for another `which`, `NOTCONN` without a peer, `NOTSOCK`, `BADF`, `FAULT`; `NOTCAPABLE` if the run has neither connections
/// nor listeners, whatever the descriptor.
///
/// Host syscalls: `getsockname`, `getpeername`.
pub fn address(wasi: &mut Wasi, memory: &mut [u8], fd: u32, which: u32, out: u32) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), out, ADDRESS_BYTES)?;
    if wasi.listeners.is_empty() {
        connector(wasi)?;
    }
    let name = wasi.monitor.admit_name(fd)?;
    let fd = wasi.objects.fd(&name.on)?;
    let address = match which {
        0 => getsockname(fd)?,
        1 => getpeername(fd)?.ok_or(Errno::NOTCONN)?,
        _ => return Err(Errno::INVAL.into()),
    };
    let address = SocketAddr::try_from(address).map_err(|_| Errno::AFNOSUPPORT)?;
    out.store(memory, &encode(address))?;
    Ok(())
}

/// Looks up the addresses of the host that `name` names: those that were found before the guest ran. Stores as many as `capacity`
/// allows at `out`, with port 0, and how many there are at `count`. A name that is an address has this one.
///
/// # Errors
/// `NOTCAPABLE` if no rule names the host, or the run has no connections at all; `FAULT`.
///
/// Host syscalls: none.
pub fn resolve(
    wasi: &mut Wasi,
    memory: &mut [u8],
    name: u32,
    name_len: u32,
    out: u32,
    capacity: u32,
    count: u32,
) -> Result<(), Failure> {
    let name = GuestRange::check(memory.len(), name, name_len)?;
    let out = GuestRange::check_array(memory.len(), out, capacity, ADDRESS_BYTES)?;
    let count = GuestRange::check(memory.len(), count, 4)?;
    connector(wasi)?;
    let name = name.bytes(memory)?;
    let itself = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).map(ip_bytes);
    let addresses = match &itself {
        Some(address) => std::slice::from_ref(address),
        None => wasi.monitor.admit_resolve(name)?,
    };
    let found = addresses.iter().take(capacity as usize);
    let bytes: Vec<u8> = found.flat_map(|address| encode(SocketAddr::new(IpAddr::from(*address), 0))).collect();
    let len = u32::try_from(addresses.len()).map_err(|_| Errno::OVERFLOW)?;
    out.shortened(bytes.len()).store(memory, &bytes)?;
    count.store_u32(memory, len)?;
    Ok(())
}

/// The address in the guest's memory, if it is one.
pub(crate) fn decode(bytes: &[u8]) -> Result<SocketAddr, Errno> {
    let bytes: &[u8; ADDRESS_BYTES as usize] = bytes.try_into().map_err(|_| Errno::INVAL)?;
    let [family, family_high, port, port_high, 0, 0, 0, 0, octets @ ..] = bytes else { return Err(Errno::INVAL) };
    let ip = match (u16::from_le_bytes([*family, *family_high]), octets) {
        (4, [a, b, c, d, rest @ ..]) if *rest == [0; 12] => IpAddr::from(Ipv4Addr::new(*a, *b, *c, *d)),
        (6, octets) if Ipv6Addr::from(*octets).to_ipv4_mapped().is_none() => IpAddr::from(*octets),
        (4 | 6, _) => return Err(Errno::INVAL),
        _ => return Err(Errno::AFNOSUPPORT),
    };
    Ok(SocketAddr::new(ip, u16::from_le_bytes([*port, *port_high])))
}

fn encode(address: SocketAddr) -> [u8; ADDRESS_BYTES as usize] {
    let (family, octets) = match address.ip().to_canonical() {
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.octets());
            (4, octets)
        }
        IpAddr::V6(address) => (6, address.octets()),
    };
    let mut bytes = [0; ADDRESS_BYTES as usize];
    bytes[0] = family;
    bytes[2..4].copy_from_slice(&address.port().to_le_bytes());
    bytes[8..].copy_from_slice(&octets);
    bytes
}

pub(crate) fn ip_bytes(address: IpAddr) -> IpBytes {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn connector(wasi: &Wasi) -> Result<&dyn Connector, Errno> {
    wasi.connector.as_deref().ok_or(Errno::NOTCAPABLE.because(Rule::Connect))
}

/// Asks for the connection that was admitted: this address and no other.
fn begin(connector: &dyn Connector, connect: Admitted<Connect>) -> Result<(Object, Performed<Connect>), Failure> {
    let remote = SocketAddr::new(IpAddr::from(connect.address).to_canonical(), connect.port);
    let socket = connector.connect_tcp(remote).map_err(|error| Host::from_io_error(&error).unwrap_or(Host::IO))?;
    Ok((Object::opened(socket, None), connect.performed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        for text in ["127.0.0.1:80", "255.255.255.255:65535", "0.0.0.0:0", "[::1]:443", "[64:ff9b::a00:1]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            let bytes = encode(address);
            assert_eq!(decode(&bytes), Ok(address), "{text}");
            for at in 0..bytes.len() {
                let mut other = bytes;
                other[at] ^= 0x40;
                assert!(decode(&other) != Ok(address), "{text} {at}");
                assert!(decode(&other).is_err() || decode(&other).map(encode) == Ok(other), "{text} {at}");
            }
            assert!(decode(&bytes[1..]).is_err() && decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn t40_an_address_of_ipv4_is_written_as_one() {
        let mapped = "[::ffff:10.0.0.1]:80".parse().unwrap();
        let mut bytes = encode(mapped);
        assert_eq!(decode(&bytes), Ok("10.0.0.1:80".parse().unwrap()));
        bytes[0] = 6;
        bytes[8..].copy_from_slice(&Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets());
        assert_eq!(decode(&bytes), Err(Errno::INVAL));
        bytes[8] = 1;
        assert!(decode(&bytes).is_ok());
        bytes[0] = 5;
        assert_eq!(decode(&bytes), Err(Errno::AFNOSUPPORT));
    }
}
