//! Sockets for the guest, bound before the seal, and the peers it may talk to.

use crate::failure::Failure;
use crate::plan::Plan;
use crate::text::clean;
use rustix::net::sockopt::socket_acceptconn;
use std::net::{IpAddr, SocketAddr, TcpListener};
use wave_wasi::PeerRule;

/// A listening socket, and where it listens.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// Its address, with the port the kernel chose if none was given.
    pub address: SocketAddr,
    /// Whether the kernel chose the port, so that the operator has to be told.
    pub chosen_port: bool,
}

/// Opens what `--tcplisten` names and takes over what `--listenfd` allows.
///
/// # Errors
/// 125 if an address cannot be bound, or if what was passed on is no listening TCP socket.
pub fn listeners(plan: &Plan) -> Result<Vec<Listener>, Failure> {
    // Those that were passed on come first, so that they have the same numbers whatever else is given.
    let mut listeners = if plan.listenfd { inherited()? } else { Vec::new() };
    for (index, address) in plan.tcplisten.iter().enumerate() {
        listeners.push(bind(*address).map_err(|error| {
            let id = format!("net.listen[{index}]");
            let line = plan.line_of_policy(&id).map(|line| format!("{id} ({line})"));
            Failure::refused(format!("cannot listen on {address}: {error}"))
                .at(line.unwrap_or_else(|| format!("--tcplisten {address}")))
                .fix("choose an address of this host and a port nobody uses; ports below 1024 take privileges")
        })?);
    }
    Ok(listeners)
}

fn bind(address: SocketAddr) -> std::io::Result<Listener> {
    let socket = TcpListener::bind(address)?;
    // Where the guest waits for a connection, `ppoll` does, so that the deadline holds.
    socket.set_nonblocking(true)?;
    Ok(Listener { address: socket.local_addr()?, socket, chosen_port: address.port() == 0 })
}

/// The sockets of `sd_listen_fds(3)`. Their flags are shared with the service manager and stay as they are (T35).
fn inherited() -> Result<Vec<Listener>, Failure> {
    let refuse = |what: String| {
        Failure::refused(what).at("--listenfd").fix("pass on listening TCP sockets, in LISTEN_FDS and LISTEN_PID")
    };
    let mut passed = listenfd::ListenFd::from_env();
    if passed.len() == 0 {
        return Err(refuse("no sockets were passed on".to_owned()));
    }
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        let socket = passed
            .take_tcp_listener(index)
            .map_err(|error| refuse(format!("socket {index} cannot be used: {error}")))?;
        let socket = socket.ok_or_else(|| refuse(format!("socket {index} is not there")))?;
        let address = socket.local_addr().map_err(|error| refuse(format!("socket {index} has no address: {error}")))?;
        if !socket_acceptconn(&socket).unwrap_or(false) {
            return Err(refuse(format!("socket {index} does not listen")));
        }
        listeners.push(Listener { socket, address, chosen_port: false });
    }
    Ok(listeners)
}

/// Reads `ADDRESS[/BITS]`.
///
/// # Errors
/// Says what is wrong with it; nothing that is unclear means "everywhere" (T47).
pub fn parse_network(text: &str) -> Result<PeerRule, String> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| format!("`{}` is no IPv4 or IPv6 address", clean(address)))?;
    let (octets, first, width) = match address {
        IpAddr::V4(address) => (address.to_ipv6_mapped().octets(), 96, 32),
        IpAddr::V6(address) => (address.octets(), 0, 128),
    };
    let digits = |bits: &str| bits.bytes().all(|byte| byte.is_ascii_digit()).then(|| bits.parse::<u8>().ok())?;
    let bits = bits.map_or(Some(width), |bits| digits(bits).filter(|bits| *bits <= width));
    let bits = bits.ok_or_else(|| format!("the number of bits goes from 0 to {width}"))?;
    PeerRule::new(octets, first + bits).ok_or_else(|| format!("`{}` has bits set behind its first {bits}", clean(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(network: [u8; 16], bits: u8) -> Result<PeerRule, String> {
        Ok(PeerRule::new(network, bits).expect("a plain network"))
    }

    #[test]
    fn networks_of_both_families() {
        let ten = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0];
        assert_eq!(parse_network("10.0.0.0/8"), rule(ten, 104));
        assert_eq!(parse_network("10.0.0.0"), rule(ten, 128));
        assert_eq!(parse_network("0.0.0.0/0"), rule([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0], 96));
        assert_eq!(parse_network("::/0"), rule([0; 16], 0));
        let mut local = [0; 16];
        local[15] = 1;
        assert_eq!(parse_network("::1"), rule(local, 128));
        for text in ["10.0.0.0/8", "10.0.0.0/32", "0.0.0.0/0", "::/0", "::1/128", "fd00::/8", "::/96"] {
            assert_eq!(parse_network(text).map(|rule| rule.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn t47_unclear_networks_are_refused() {
        for text in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::1/129",
            "10.0.0",
            "[::1]",
            "host",
            "::/0/0",
            "10.0.0.0/8 ",
        ] {
            assert!(parse_network(text).is_err(), "{text}");
        }
    }
}
