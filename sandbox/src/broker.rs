//! What a guest's process can ask its broker for, and how that is encoded.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A request to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerRequest {
    /// A TCP connection to this address.
    ConnectTcp(SocketAddr),
}

/// Length of an encoded request in bytes.
///
/// It is the kind (1), the family (4 or 6), the port (2 bytes, little endian), four zeros, and the address: 16 bytes, of
/// which IPv4 has the first four and zeros after them.
pub(crate) const REQUEST_BYTES: usize = 24;

const CONNECT_TCP: u8 = 1;

impl BrokerRequest {
    /// The request as bytes. `None` for an IPv6 address with a scope or a flow label, which no request can have.
    pub(crate) fn encode(&self) -> Option<[u8; REQUEST_BYTES]> {
        let Self::ConnectTcp(remote) = self;
        let (family, octets) = match remote {
            SocketAddr::V4(remote) => {
                let mut octets = [0; 16];
                octets[..4].copy_from_slice(&remote.ip().octets());
                (4, octets)
            }
            SocketAddr::V6(remote) if remote.scope_id() == 0 && remote.flowinfo() == 0 => (6, remote.ip().octets()),
            SocketAddr::V6(_) => return None,
        };
        let [low, high] = remote.port().to_le_bytes();
        let mut bytes = [0; REQUEST_BYTES];
        bytes[..4].copy_from_slice(&[CONNECT_TCP, family, low, high]);
        bytes[8..].copy_from_slice(&octets);
        Some(bytes)
    }

    /// The request of these bytes. `None` unless it would be encoded as exactly these.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; REQUEST_BYTES] = bytes.try_into().ok()?;
        let [CONNECT_TCP, family, low, high, 0, 0, 0, 0, octets @ ..] = bytes else { return None };
        let address = match (family, octets) {
            (4, [a, b, c, d, rest @ ..]) if *rest == [0; 12] => IpAddr::from(Ipv4Addr::new(*a, *b, *c, *d)),
            (6, octets) => IpAddr::from(Ipv6Addr::from(*octets)),
            _ => return None,
        };
        Some(Self::ConnectTcp(SocketAddr::new(address, u16::from_le_bytes([*low, *high]))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> [u8; REQUEST_BYTES] {
        let mut bytes = [0; REQUEST_BYTES];
        bytes[..4].copy_from_slice(&[1, 4, 0x90, 0x1f]);
        bytes[8..12].copy_from_slice(&[127, 0, 0, 1]);
        bytes
    }

    #[test]
    fn addresses_of_both_families_are_read_back() {
        for text in ["127.0.0.1:8080", "255.255.255.255:65535", "0.0.0.0:0", "[::1]:443", "[::ffff:10.0.0.1]:1"] {
            let request = BrokerRequest::ConnectTcp(text.parse().expect("an address"));
            let bytes = request.encode().expect("no scope");
            assert_eq!(BrokerRequest::decode(&bytes), Some(request), "{text}");
        }
        assert_eq!(BrokerRequest::ConnectTcp("127.0.0.1:8080".parse().expect("an address")).encode(), Some(example()));
    }

    #[test]
    fn a_scope_cannot_be_asked_for() {
        let remote = std::net::SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 1);
        assert_eq!(BrokerRequest::ConnectTcp(remote.into()).encode(), None);
    }

    /// Each changed byte gives another request or none, and whatever is read is encoded in one way.
    #[test]
    fn every_change_of_a_byte_is_another_request_or_none() {
        let right = example();
        let (mut read, mut refused) = (0, 0);
        for at in 0..REQUEST_BYTES {
            for value in 0..=u8::MAX {
                let mut bytes = right;
                bytes[at] = value;
                match BrokerRequest::decode(&bytes) {
                    Some(request) => {
                        assert_eq!(request.encode(), Some(bytes));
                        read += 1;
                    }
                    None => refused += 1,
                }
            }
        }
        // The port and the address count; as IPv6, the same bytes are an address as well.
        assert_eq!(read, 2 * 256 + 4 * 256 + (REQUEST_BYTES - 6) + 1);
        assert_eq!(read + refused, REQUEST_BYTES * 256);
    }

    #[test]
    fn no_other_length_is_read() {
        let long = [example().as_slice(), &[0]].concat();
        for len in 0..=long.len() {
            assert_eq!(BrokerRequest::decode(&long[..len]).is_some(), len == REQUEST_BYTES, "{len}");
        }
    }
}
