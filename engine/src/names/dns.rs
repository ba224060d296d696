//! Asking name servers: by UDP, and by TCP for what does not fit. Each question has a number and a port that are random, and ends in time.

use super::message::{Answer, Family, answer, question};
use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketType};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How long a server has for one answer.
const TRY: Duration = Duration::from_secs(2);

/// How often each server is asked.
const TRIES: usize = 2;

/// More datagrams that answer no question of ours are an attack, or a broken server.
const MOST_STRAY: usize = 64;

/// Without an extension of the protocol, which is not asked for, a datagram has 512 bytes at most.
const DATAGRAM_BYTES: usize = 4096;

/// Why there are no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// There is no such name.
    Name,
    /// No server said: why not.
    Failed(String),
}

/// The addresses of a name, of both families, of the first server that answers.
///
/// # Errors
/// There is no such name, or no server says.
pub fn lookup(servers: &[SocketAddr], name: &str, until: Instant) -> Result<Vec<IpAddr>, Unknown> {
    let v4 = lookup_family(servers, name, Family::V4, until);
    if v4 == Err(Unknown::Name) {
        return Err(Unknown::Name);
    }
    let v6 = lookup_family(servers, name, Family::V6, until);
    match (v4, v6) {
        (Ok(v4), Ok(v6)) => Ok([v4, v6].concat()),
        // Servers that know nothing of a family exist.
        (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => Ok(found),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

fn lookup_family(servers: &[SocketAddr], name: &str, family: Family, until: Instant) -> Result<Vec<IpAddr>, Unknown> {
    let mut failed = "there is no name server".to_owned();
    for server in servers.iter().cycle().take(servers.len() * TRIES) {
        let answered = ask(*server, name, family, until);
        failed = match answered {
            Ok(Answer::Addresses(found)) => return Ok(found),
            Ok(Answer::NoSuchName) => return Err(Unknown::Name),
            Ok(Answer::Failed(what)) => format!("{server}: {what}"),
            Ok(Answer::Truncated | Answer::Another) => format!("{server}: an answer to no question"),
            Err(error) if is_late(&error) => format!("{server}: no answer in time"),
            Err(error) => format!("{server}: {error}"),
        };
    }
    Err(Unknown::Failed(failed))
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn ask(server: SocketAddr, name: &str, family: Family, until: Instant) -> io::Result<Answer> {
    let until = until.min(Instant::now() + TRY);
    let id = random_number()?;
    let question = question(id, name, family);
    let read = |bytes: &[u8]| answer(bytes, id, name, family);
    match by_udp(server, &question, read, until)? {
        Answer::Truncated => by_tcp(server, &question, read, until),
        answer => Ok(answer),
    }
}

/// Asks by a socket of its own, which is bound by connecting it: the kernel chooses its port at random, and passes only what comes from
/// the server.
fn by_udp(server: SocketAddr, question: &[u8], read: impl Fn(&[u8]) -> Answer, until: Instant) -> io::Result<Answer> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = UdpSocket::from(rustix::net::socket(family, SocketType::DGRAM, None)?);
    rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    socket.connect(server)?;
    socket.send(question)?;
    let mut buffer = [0; DATAGRAM_BYTES];
    for _ in 0..MOST_STRAY {
        socket.set_read_timeout(Some(left(until)?))?;
        let len = socket.recv(&mut buffer)?;
        match read(&buffer[..len]) {
            Answer::Another => {}
            answer => return Ok(answer),
        }
    }
    Ok(Answer::Another)
}

/// Messages have their length in front, in two bytes.
fn by_tcp(server: SocketAddr, question: &[u8], read: impl Fn(&[u8]) -> Answer, until: Instant) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, left(until)?)?;
    stream.set_write_timeout(Some(left(until)?))?;
    let len = u16::try_from(question.len()).map_err(|_| ErrorKind::InvalidInput)?;
    stream.write_all(&[&len.to_be_bytes(), question].concat())?;
    let mut len = [0; 2];
    read_exact(&mut stream, &mut len, until)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(len))];
    read_exact(&mut stream, &mut bytes, until)?;
    Ok(read(&bytes))
}

/// The whole must be there in time, not each byte.
fn read_exact(stream: &mut TcpStream, mut buffer: &mut [u8], until: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(left(until)?))?;
        let len = stream.read(buffer)?;
        if len == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        buffer = buffer.split_at_mut(len).1;
    }
    Ok(())
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn random_number() -> io::Result<u16> {
    let mut bytes = [0; 2];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u16::from_ne_bytes(bytes))
}
