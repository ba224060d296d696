//! Decides which peers may connect to a guest.
//!
//! Some IPv6 addresses contain an IPv4 address, which a gateway or a tunnel translates. Such an address is two
//! addresses at once, so both must be allowed (T40): a rule for `2002::/16` alone does not allow `10.0.0.1` written as
//! `2002:a00:1::`, and a rule for `10.0.0.0/8` alone does not allow that address either.

use crate::{Errno, Monitor, Rule};
use std::fmt;
use std::net::Ipv6Addr;

/// An address in network byte order. IPv4 addresses are `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2).
pub type IpBytes = [u8; 16];

/// The first 96 bits of an IPv4 address.
pub(crate) const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
/// The first 96 bits of an IPv4-translated address (RFC 2765, 2.1).
pub(crate) const TRANSLATED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0];
/// The first 96 bits of a NAT64 address (RFC 6052, 2.1). Prefixes that a network chooses itself cannot be recognized.
pub(crate) const NAT64: [u8; 12] = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
/// The first 96 bits of an IPv4-compatible address (RFC 4291, 2.5.5.1), but also of `::` and `::1`.
pub(crate) const COMPATIBLE: [u8; 12] = [0; 12];

/// Allows the peers in one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerRule {
    network: u128,
    mask: u128,
}

impl PeerRule {
    /// Allows the addresses whose first `prefix_bits` bits are those of `network`. For an IPv4 network, add 96 to the
    /// length of its prefix.
    ///
    /// `None` for more than 128 bits, and if `network` has a bit set after its prefix: the meaning is not clear then,
    /// and a rule must not be wider than meant (T47).
    #[must_use]
    #[inline(never)]
    pub const fn new(network: IpBytes, prefix_bits: u8) -> Option<Self> {
        let (network, mask) = (u128::from_be_bytes(network), prefix_mask(prefix_bits));
        if prefix_bits > 128 || network & !mask != 0 {
            return None;
        }
        Some(Self { network, mask })
    }

    pub(crate) const fn admits(self, address: IpBytes) -> bool {
        (u128::from_be_bytes(address) ^ self.network) & self.mask == 0
    }

    pub(crate) const fn mask(self) -> u128 {
        self.mask
    }
}

/// `ADDRESS/BITS`, the syntax of `--accept-from`.
impl fmt::Display for PeerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, prefix_bits) = (Ipv6Addr::from_bits(self.network), self.mask.leading_ones());
        match (address.to_ipv4_mapped(), prefix_bits.checked_sub(96)) {
            (Some(address), Some(bits)) => write!(f, "{address}/{bits}"),
            _ => write!(f, "{address}/{prefix_bits}"),
        }
    }
}

/// Decides on the address of a peer. Without rules (`None`) every peer is allowed. An empty list allows none.
///
/// The peer chooses its port, so the port does not matter.
#[must_use]
#[inline(never)]
pub fn peer_allowed(rules: Option<&[PeerRule]>, address: IpBytes) -> bool {
    let Some(rules) = rules else { return true };
    let admitted = |address: IpBytes| rules.iter().any(|rule| rule.admits(address));
    !is_unspecified(address) && admitted(address) && embedded_ipv4(address).is_none_or(admitted)
}

impl Monitor {
    /// Allows only peers that match one of these rules. An empty list allows none.
    pub fn set_peers(&mut self, rules: Vec<PeerRule>) {
        self.peers = Some(rules);
    }

    /// Decides on the peer of a new connection, before the guest gets the connection (T41).
    ///
    /// # Errors
    /// [`Errno::NOTCAPABLE`] if no rule matches. The connection must be closed.
    pub fn admit_accepted_peer(&self, address: IpBytes) -> Result<(), Errno> {
        if peer_allowed(self.peers.as_deref(), address) { Ok(()) } else { Err(Errno::NOTCAPABLE.because(Rule::Peer)) }
    }
}

/// A mask of the first `bits` of 128 bits, of all of them for more.
pub(crate) const fn prefix_mask(bits: u8) -> u128 {
    match u128::MAX.checked_shr(bits as u32) {
        Some(rest) => !rest,
        None => u128::MAX,
    }
}

/// The unspecified address of both families. As a peer's address it is forged (T40).
pub(crate) const fn is_unspecified(address: IpBytes) -> bool {
    matches!(split(address), (MAPPED | COMPATIBLE, [0, 0, 0, 0]))
}

/// The IPv4 address that an IPv6 address contains, if any.
pub(crate) const fn embedded_ipv4(address: IpBytes) -> Option<IpBytes> {
    match (split(address), address) {
        ((COMPATIBLE, [0, 0, 0, 0 | 1]), _) => None,
        ((COMPATIBLE | TRANSLATED | NAT64, ipv4), _) => Some(mapped(ipv4)),
        // 6to4 (RFC 3056, 2): the address of the gateway follows `2002`.
        (_, [0x20, 0x02, a, b, c, d, ..]) => Some(mapped([a, b, c, d])),
        _ => None,
    }
}

const fn mapped([a, b, c, d]: [u8; 4]) -> IpBytes {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

pub(crate) const fn split([a, b, c, d, e, f, g, h, i, j, k, l, ipv4 @ ..]: IpBytes) -> ([u8; 12], [u8; 4]) {
    ([a, b, c, d, e, f, g, h, i, j, k, l], ipv4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use std::net::Ipv6Addr;

    fn bytes(text: &str) -> IpBytes {
        text.parse::<Ipv6Addr>().unwrap().octets()
    }

    fn rule(network: &str, prefix_bits: u8) -> PeerRule {
        PeerRule::new(bytes(network), prefix_bits).unwrap()
    }

    fn allowed(rules: &[PeerRule], address: IpBytes) -> bool {
        peer_allowed(Some(rules), address)
    }

    /// T41, T47: no list is not the same as an empty list.
    #[test]
    fn t47_an_empty_list_admits_nobody() {
        for address in ["::1", "::ffff:127.0.0.1", "2001:db8::1", "::"] {
            assert!(peer_allowed(None, bytes(address)), "{address}");
            assert!(!peer_allowed(Some(&[]), bytes(address)), "{address}");
        }
        let mut monitor = Monitor::new(Limits::default());
        assert!(monitor.admit_accepted_peer(bytes("::1")).is_ok());
        monitor.set_peers(Vec::new());
        assert!(monitor.admit_accepted_peer(bytes("::1")).is_err());
        monitor.set_peers(vec![rule("::1", 128)]);
        assert!(monitor.admit_accepted_peer(bytes("::1")).is_ok());
    }

    #[test]
    fn t40_an_embedded_address_needs_both_of_its_meanings_admitted() {
        let private = [rule("::ffff:10.0.0.0", 104)];
        assert!(allowed(&private, bytes("::ffff:10.1.2.3")));
        assert!(!allowed(&private, bytes("::ffff:11.1.2.3")));
        let forms = ["::10.1.2.3", "::ffff:0:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1"];
        for form in forms {
            assert!(!allowed(&private, bytes(form)), "{form}");
            let as_written = rule(form, 128);
            assert!(!allowed(&[as_written], bytes(form)), "{form}");
            assert!(allowed(&[as_written, rule("::ffff:10.1.2.3", 128)], bytes(form)), "{form}");
        }
    }

    #[test]
    fn t40_the_unspecified_address_is_nobody() {
        let any = [rule("::", 0)];
        assert!(allowed(&any, bytes("::1")));
        assert!(allowed(&any, bytes("2001:db8::1")));
        assert!(!allowed(&any, bytes("::")));
        assert!(!allowed(&any, bytes("::ffff:0.0.0.0")));
    }

    #[test]
    fn t47_a_rule_with_bits_behind_its_prefix_is_none() {
        assert_eq!(PeerRule::new(bytes("::ffff:10.0.0.1"), 104), None);
        assert_eq!(PeerRule::new(bytes("::"), 129), None);
        assert!(PeerRule::new(bytes("::ffff:10.0.0.1"), 128).is_some());
    }

    #[test]
    fn t47_the_mask_is_the_prefix_and_is_printed_as_its_length() {
        for prefix_bits in 0..=128 {
            let rule = rule("::", prefix_bits);
            assert_eq!(rule.to_string(), format!("::/{prefix_bits}"));
            for bit in 0..128 {
                let neighbor = (1_u128 << (127 - bit)).to_be_bytes();
                assert_eq!(rule.admits(neighbor), bit >= prefix_bits, "bit {bit} of {rule}");
            }
        }
        assert_eq!(rule("::ffff:10.0.0.0", 104).to_string(), "10.0.0.0/8");
        assert_eq!(rule("::ffff:0.0.0.0", 96).to_string(), "0.0.0.0/0");
    }

    #[test]
    fn t41_without_rules_every_peer_is_admitted_and_with_them_only_those() {
        let mut monitor = Monitor::new(Limits::default());
        assert_eq!(monitor.admit_accepted_peer(bytes("2001:db8::1")), Ok(()));
        monitor.set_peers(vec![rule("::1", 128), rule("::ffff:127.0.0.0", 104)]);
        assert_eq!(monitor.admit_accepted_peer(bytes("::ffff:127.0.0.1")), Ok(()));
        assert_eq!(monitor.admit_accepted_peer(bytes("::1")), Ok(()));
        let refused = monitor.admit_accepted_peer(bytes("2001:db8::1")).unwrap_err();
        assert_eq!((refused, refused.rule()), (Errno::NOTCAPABLE, Rule::Peer));
    }
}
