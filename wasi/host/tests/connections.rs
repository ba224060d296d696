//! `wave_net`: connections by a connector, and what a guest gets without one.

mod guest;

use guest::{Guest, errno};
use rustix::io::Errno as Host;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;
use wave_wasi::{ConnectRule, Connector, Errno, Failure, PeerRule, Protocol, wave_net};

const REMOTE: u32 = 0;
const OPENED: u32 = 32;
const OUT: u32 = 64;

/// Begins connections, and says to which addresses.
#[derive(Debug)]
struct Begin(Sender<SocketAddr>);

impl Connector for Begin {
    fn connect_tcp(&self, remote: SocketAddr) -> io::Result<OwnedFd> {
        self.0.send(remote).expect("the test listens");
        let socket = Idle.connect_tcp(remote)?;
        match rustix::net::connect(&socket, &remote) {
            Ok(()) | Err(Host::INPROGRESS) => Ok(socket),
            Err(error) => Err(error.into()),
        }
    }
}

/// Answers with a socket that is never connected.
#[derive(Debug)]
struct Idle;

impl Connector for Idle {
    fn connect_tcp(&self, _: SocketAddr) -> io::Result<OwnedFd> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        Ok(rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
    }
}

/// Answers with an error.
#[derive(Debug)]
struct Fail(Host);

impl Connector for Fail {
    fn connect_tcp(&self, _: SocketAddr) -> io::Result<OwnedFd> {
        Err(self.0.into())
    }
}

/// The loopback address of IPv4 with this port and no other.
fn rules(port: u16) -> Vec<ConnectRule> {
    let mut network = [0; 16];
    network[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
    let network = PeerRule::new(network, 128).expect("a host");
    vec![ConnectRule::new(network, port, port, Protocol::Tcp).expect("a port")]
}

fn v4(octets: [u8; 4], port: u16) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[0] = 4;
    bytes[2..4].copy_from_slice(&port.to_le_bytes());
    bytes[8..12].copy_from_slice(&octets);
    bytes
}

fn connect(guest: &mut Guest, remote: [u8; 24]) -> Result<u32, Errno> {
    guest.memory[..24].copy_from_slice(&remote);
    guest.memory[OPENED as usize..OPENED as usize + 4].fill(0xaa);
    let result = errno(wave_net::tcp_connect(&mut guest.wasi, &mut guest.memory, REMOTE, OPENED));
    let stored = guest.u32(OPENED);
    assert_eq!(result.is_err(), stored == 0xaaaa_aaaa, "nothing is stored if it fails");
    result.map(|()| stored)
}

fn status(guest: &mut Guest, fd: u32) -> Result<(), Errno> {
    errno(wave_net::tcp_status(&mut guest.wasi, &mut guest.memory, fd))
}

fn address(guest: &mut Guest, fd: u32, which: u32) -> Result<Vec<u8>, Errno> {
    errno(wave_net::address(&mut guest.wasi, &mut guest.memory, fd, which, OUT)).map(|()| guest.bytes(OUT, 24).to_vec())
}

#[test]
fn t38_without_a_connector_there_are_no_connections() {
    let mut guest = Guest::new();
    assert_eq!(connect(&mut guest, v4([127, 0, 0, 1], 80)), Err(Errno::NOTCAPABLE));
    for fd in [u32::MAX, 0, 3, 99] {
        assert_eq!(status(&mut guest, fd), Err(Errno::NOTCAPABLE));
        assert_eq!(address(&mut guest, fd, 0), Err(Errno::NOTCAPABLE));
    }
}

fn listener(guest: &mut Guest, index: u32) -> Result<u32, Errno> {
    guest.memory[OPENED as usize..OPENED as usize + 4].fill(0xaa);
    errno(wave_net::tcp_listener(&mut guest.wasi, &mut guest.memory, index, OPENED))?;
    Ok(guest.u32(OPENED))
}

#[test]
fn listeners_are_counted_and_have_an_address_and_no_peer() {
    let mut guest = Guest::new();
    assert_eq!(listener(&mut guest, 0), Err(Errno::NOENT));
    let ports = [0, 0].map(|port| {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        guest.wasi.add_listener(listener.into()).unwrap();
        port
    });
    assert_eq!([0, 1, 2, u32::MAX].map(|index| listener(&mut guest, index).ok()), [Some(4), Some(5), None, None]);
    let outside = u32::try_from(guest.memory.len()).unwrap() - 3;
    let result = wave_net::tcp_listener(&mut guest.wasi, &mut guest.memory, 0, outside);
    assert_eq!(errno(result), Err(Errno::FAULT));
    for (fd, port) in [4, 5].into_iter().zip(ports) {
        assert_eq!(address(&mut guest, fd, 0).unwrap(), v4([127, 0, 0, 1], port));
        assert_eq!(address(&mut guest, fd, 1), Err(Errno::NOTCONN));
        assert_eq!(status(&mut guest, fd), Err(Errno::NOTCAPABLE), "that is for connections");
        let peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let accepted = wave_wasi::preview1::sock_accept(&mut guest.wasi, &mut guest.memory, fd, 0, OPENED);
        assert_eq!(errno(accepted), Ok(()));
        let accepted = guest.u32(OPENED);
        let expected = v4([127, 0, 0, 1], peer.local_addr().unwrap().port());
        assert_eq!(address(&mut guest, accepted, 1).unwrap(), expected);
        assert_eq!(address(&mut guest, accepted, 0).unwrap(), v4([127, 0, 0, 1], port));
    }
    // What is no socket has none, and a standard stream is none.
    assert_eq!([0, 3, 99].map(|fd| address(&mut guest, fd, 0)), [Errno::NOTSOCK, Errno::NOTSOCK, Errno::BADF].map(Err));
    // With connections as well, a listener has no way that it goes.
    let (sender, _asked) = channel();
    guest.wasi.allow_connections(rules(1), Box::new(Begin(sender)));
    assert_eq!(status(&mut guest, 4), Err(Errno::NOTCONN));
    // One that is withheld is not there.
    guest.wasi.withhold_sockets();
    assert_eq!(listener(&mut guest, 0), Err(Errno::NOENT));
}

#[test]
fn t38_an_allowed_address_is_connected_and_no_other_is_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    let (sender, asked) = channel();
    let mut guest = Guest::new();
    guest.wasi.allow_connections(rules(remote.port()), Box::new(Begin(sender)));
    for (octets, port) in [([127, 0, 0, 1], 1), ([127, 0, 0, 2], remote.port()), ([0, 0, 0, 0], remote.port())] {
        assert_eq!(connect(&mut guest, v4(octets, port)), Err(Errno::NOTCAPABLE));
    }
    assert_eq!(status(&mut guest, u32::MAX), Err(Errno::BADF));
    assert_eq!(status(&mut guest, 3), Err(Errno::NOTSOCK));
    assert!(asked.try_recv().is_err());

    let fd = connect(&mut guest, v4([127, 0, 0, 1], remote.port())).unwrap();
    assert_eq!((fd, asked.try_iter().collect::<Vec<_>>()), (4, vec![remote]));
    let (mut peer, client) = listener.accept().unwrap();
    assert_eq!(status(&mut guest, fd), Ok(()));
    assert_eq!(address(&mut guest, fd, 0).unwrap(), v4([127, 0, 0, 1], client.port()));
    assert_eq!(address(&mut guest, fd, 1).unwrap(), v4([127, 0, 0, 1], remote.port()));
    for which in [2, u32::MAX] {
        assert_eq!(address(&mut guest, fd, which), Err(Errno::INVAL));
    }

    // It reads, writes and closes as every stream does.
    peer.write_all(b"hello").unwrap();
    assert_eq!(guest.read(fd, 5), Ok(b"hello".to_vec()));
    assert_eq!(guest.write(fd, b"goodbye"), Ok(7));
    guest.close(fd).unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "goodbye");
    assert_eq!(status(&mut guest, fd), Err(Errno::BADF));
}

#[test]
fn how_a_connection_fails_is_said() {
    let mut guest = Guest::new();
    // Not even begun: Linux says at once that the other side has hung up.
    guest.wasi.allow_connections(rules(80), Box::new(Idle));
    let fd = connect(&mut guest, v4([127, 0, 0, 1], 80)).unwrap();
    assert_eq!(status(&mut guest, fd), Err(Errno::NOTCONN));
    assert_eq!(address(&mut guest, fd, 1), Err(Errno::NOTCONN));
    for (host, wasi) in
        [(Host::CONNREFUSED, Errno::CONNREFUSED), (Host::MFILE, Errno::MFILE), (Host::ACCESS, Errno::ACCES)]
    {
        guest.wasi.allow_connections(rules(80), Box::new(Fail(host)));
        assert_eq!(connect(&mut guest, v4([127, 0, 0, 1], 80)), Err(wasi));
    }
}

#[test]
fn a_connection_in_progress_and_one_that_was_refused_are_told_apart() {
    // One connection fills the queue of a listener without a backlog, so the next one stays in progress.
    let listener = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let port = SocketAddr::try_from(rustix::net::getsockname(&listener).unwrap()).unwrap().port();
    let _first = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (sender, _asked) = channel();
    let mut guest = Guest::new();
    guest.wasi.allow_connections(rules(port), Box::new(Begin(sender)));
    let fd = connect(&mut guest, v4([127, 0, 0, 1], port)).unwrap();
    assert_eq!(status(&mut guest, fd), Err(Errno::AGAIN));
    assert_eq!(address(&mut guest, fd, 1), Err(Errno::NOTCONN));
    // Once nobody listens, it is refused. The kernel asks again after a second.
    drop(listener);
    let mut refused = status(&mut guest, fd);
    while refused == Err(Errno::AGAIN) {
        thread::sleep(Duration::from_millis(20));
        refused = status(&mut guest, fd);
    }
    assert_eq!(refused, Err(Errno::CONNREFUSED));
    assert_eq!(status(&mut guest, fd), Err(Errno::NOTCONN));
}

#[test]
fn t34_descriptors_of_connections_are_counted() {
    let (sender, asked) = channel();
    let mut guest = Guest::changed(&[], |config| config.limits.open_files = 3);
    guest.wasi.allow_connections(rules(80), Box::new(Begin(sender)));
    assert_eq!(connect(&mut guest, v4([127, 0, 0, 1], 80)), Err(Errno::MFILE));
    assert!(asked.try_recv().is_err());
}

#[test]
fn t1_addresses_lie_in_memory_and_have_one_form() {
    let mut guest = Guest::new();
    guest.wasi.allow_connections(rules(80), Box::new(Idle));
    let right = v4([127, 0, 0, 1], 80);
    assert!(connect(&mut guest, right).is_ok());
    for (at, value, expected) in [
        (0, 5, Errno::AFNOSUPPORT),
        (1, 1, Errno::AFNOSUPPORT),
        (4, 1, Errno::INVAL),
        (7, 1, Errno::INVAL),
        (12, 1, Errno::INVAL),
        (23, 1, Errno::INVAL),
    ] {
        let mut wrong = right;
        wrong[at] = value;
        assert_eq!(connect(&mut guest, wrong), Err(expected), "{at}");
    }
    let end = u32::try_from(guest.memory.len()).unwrap();
    for (remote, opened) in [(end - 23, 0), (0, end - 3), (u32::MAX, 0), (0, u32::MAX)] {
        let result = wave_net::tcp_connect(&mut guest.wasi, &mut guest.memory, remote, opened);
        assert_eq!(result, Err(Failure::Errno(Errno::FAULT)));
    }
    let fd = connect(&mut guest, right).unwrap();
    let result = wave_net::address(&mut guest.wasi, &mut guest.memory, fd, 0, end - 23);
    assert_eq!(result, Err(Failure::Errno(Errno::FAULT)));
}

/// A lookup of the name with room for so many addresses: how many there are, and those that were stored.
fn resolve(guest: &mut Guest, name: &[u8], capacity: u32) -> Result<(u32, Vec<u8>), Errno> {
    const NAME: u32 = 256;
    guest.memory[NAME as usize..][..name.len()].copy_from_slice(name);
    guest.memory[OPENED as usize..][..4].fill(0xaa);
    guest.memory[OUT as usize..][..96].fill(0xaa);
    let len = u32::try_from(name.len()).unwrap();
    let result = errno(wave_net::resolve(&mut guest.wasi, &mut guest.memory, NAME, len, OUT, capacity, OPENED));
    let (count, stored) = (guest.u32(OPENED), guest.bytes(OUT, 96).to_vec());
    assert_eq!(result.is_err(), count == 0xaaaa_aaaa, "nothing is stored if it fails");
    let used = if result.is_ok() { 24 * count.min(capacity) as usize } else { 0 };
    assert_eq!(stored[used..], vec![0xaa; 96 - used], "and nothing behind the addresses");
    result.map(|()| (count, stored[..used].to_vec()))
}

#[test]
fn t46_granted_names_have_their_addresses_and_no_others() {
    let mut guest = Guest::new();
    assert_eq!(resolve(&mut guest, b"db.example", 2), Err(Errno::NOTCAPABLE));
    assert_eq!(resolve(&mut guest, b"127.0.0.1", 2), Err(Errno::NOTCAPABLE), "the run has no connections");
    guest.wasi.allow_connections(rules(80), Box::new(Idle));
    let addresses = ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.2"].map(|text| text.parse().unwrap());
    guest.wasi.allow_names([("db.example", &addresses[..])]);
    let mut all = [v4([192, 0, 2, 1], 0), [0; 24], v4([192, 0, 2, 2], 0)];
    all[1][0] = 6;
    all[1][8..12].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    all[1][23] = 1;
    for capacity in 0..=4 {
        let expected = all[..(capacity as usize).min(3)].concat();
        assert_eq!(resolve(&mut guest, b"DB.example.", capacity), Ok((3, expected)), "{capacity}");
    }
    for name in [&b"example"[..], b"", b"db.example\0", b"db.example/", b"\xff"] {
        assert_eq!(resolve(&mut guest, name, 2), Err(Errno::NOTCAPABLE), "{name:?}");
    }
    assert_eq!(resolve(&mut guest, b"10.0.0.1", 1), Ok((1, v4([10, 0, 0, 1], 0).to_vec())));
    // That a name is known allows no connection.
    assert_eq!(connect(&mut guest, v4([192, 0, 2, 1], 80)), Err(Errno::NOTCAPABLE));
    let end = u32::try_from(guest.memory.len()).unwrap();
    for (name, len, out, capacity, count) in [
        (end, 1, OUT, 1, OPENED),
        (0, u32::MAX, OUT, 1, OPENED),
        (0, 1, end - 23, 1, OPENED),
        (0, 1, OUT, u32::MAX, OPENED),
        (0, 1, OUT, 1, end - 3),
    ] {
        let result = wave_net::resolve(&mut guest.wasi, &mut guest.memory, name, len, out, capacity, count);
        assert_eq!(result, Err(Failure::Errno(Errno::FAULT)));
    }
}
