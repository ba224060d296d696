//! Decides which addresses a guest may connect to.
//!
//! Each meaning of an address must be allowed, as for peers (`addresses.rs`, T40). Wide rules are for the internet: an
//! address of a special range is allowed only by a rule whose network lies inside this range. So `0.0.0.0/0` allows
//! neither `127.0.0.1` nor `169.254.169.254` nor `10.0.0.1`, and `::/0` allows no address of IPv4.

use crate::addresses::{COMPATIBLE, MAPPED, NAT64, TRANSLATED, embedded_ipv4, is_unspecified, prefix_mask, split};
use crate::entries::{Entry, EntryOrigin};
use crate::{
    Access, Admitted, Errno, FdFlags, HostFd, IpBytes, Kind, Monitor, PeerRule, Performed, Rights, Rule, Target,
};
use std::fmt;

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP, a stream.
    Tcp,
    /// UDP, datagrams.
    Udp,
}

/// Allows connections to one network and a range of ports, with one protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectRule {
    network: PeerRule,
    first_port: u16,
    last_port: u16,
    protocol: Protocol,
}

impl ConnectRule {
    /// Allows the ports from `first_port` to `last_port` of the addresses of `network`.
    ///
    /// `None` if the range of ports is empty or contains port 0, which no service has.
    #[must_use]
    pub const fn new(network: PeerRule, first_port: u16, last_port: u16, protocol: Protocol) -> Option<Self> {
        if first_port == 0 || first_port > last_port {
            return None;
        }
        Some(Self { network, first_port, last_port, protocol })
    }

    /// The addresses.
    #[must_use]
    pub const fn network(&self) -> PeerRule {
        self.network
    }

    /// The first and the last port.
    #[must_use]
    pub const fn ports(&self) -> (u16, u16) {
        (self.first_port, self.last_port)
    }

    /// The protocol.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The widest mask is that of the special range around the address. Both networks contain the address, so that of the rule
    /// lies inside the range if its prefix is not shorter.
    fn admits(&self, address: IpBytes, widest_mask: u128, port: u16, protocol: Protocol) -> bool {
        self.protocol == protocol
            && (self.first_port..=self.last_port).contains(&port)
            && self.network.admits(address)
            && self.network.mask() >= widest_mask
    }
}

/// `ADDRESS:PORT`, `ADDRESS/BITS:PORT` or `ADDRESS/BITS:PORT-PORT`, the syntax of `--connect` and `--udp`. An address of
/// IPv6 is in brackets.
impl fmt::Display for ConnectRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = self.network.to_string();
        let (address, bits) = network.split_once('/').unwrap_or((&network, ""));
        if address.contains(':') {
            write!(f, "[{address}]")?
        } else {
            f.write_str(address)?
        }
        if self.network.mask() != u128::MAX {
            write!(f, "/{bits}")?;
        }
        write!(f, ":{}", self.first_port)?;
        if self.last_port == self.first_port { Ok(()) } else { write!(f, "-{}", self.last_port) }
    }
}

/// Decides on a connection. Without rules none is allowed.
///
/// Never allowed are port 0, the unspecified addresses, which the kernel takes for the host itself, and multicast and
/// broadcast by TCP.
#[must_use]
#[inline(never)]
pub fn connect_allowed(rules: &[ConnectRule], address: IpBytes, port: u16, protocol: Protocol) -> bool {
    let admitted = |meaning| is_admitted(rules, meaning, port, protocol);
    port != 0 && admitted(address) && embedded_ipv4(address).is_none_or(admitted)
}

/// Whether a rule allows this meaning of an address. The compiler must not share it: the proof follows the two loops one by one.
#[inline(always)]
fn is_admitted(rules: &[ConnectRule], meaning: IpBytes, port: u16, protocol: Protocol) -> bool {
    let widest_mask = widest_mask(meaning);
    is_host(meaning, protocol) && rules.iter().any(|rule| rule.admits(meaning, widest_mask, port, protocol))
}

/// Connect to an address.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connect {
    /// The address.
    pub address: IpBytes,
    /// The port.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// Ask how a connection is, or a socket for its addresses.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspect {
    /// The socket.
    pub on: Target,
}

impl Monitor {
    /// Allows connections that match one of these rules. Without a call none is allowed.
    pub fn set_connections(&mut self, rules: Vec<ConnectRule>) {
        self.connections = rules;
    }

    /// Decides on a connection, before a socket exists.
    ///
    /// # Errors
    /// [`Errno::NOTCAPABLE`] if no rule matches, [`Errno::MFILE`] without room for a descriptor.
    pub fn admit_connect(&self, address: IpBytes, port: u16, protocol: Protocol) -> Result<Admitted<Connect>, Errno> {
        if !connect_allowed(&self.connections, address, port, protocol) {
            return Err(Errno::NOTCAPABLE.because(Rule::Connect));
        }
        self.check_room()?;
        Ok(Admitted::new(Connect { address, port, protocol }))
    }

    /// Decides on asking how a connection is. That changes nothing, so it needs no right.
    ///
    /// # Errors
    /// [`Errno::NOTSOCK`], [`Errno::NOTCONN`] on a listening socket, [`Errno::BADF`].
    pub fn admit_inspect(&self, fd: u32) -> Result<Admitted<Inspect>, Errno> {
        Ok(Admitted::new(Inspect { on: self.connected(fd, Rights::NONE)?.target() }))
    }

    /// Decides on asking a connection or a listening socket for its addresses. That needs no right either.
    ///
    /// # Errors
    /// [`Errno::NOTSOCK`], [`Errno::BADF`].
    pub fn admit_name(&self, fd: u32) -> Result<Admitted<Inspect>, Errno> {
        Ok(Admitted::new(Inspect { on: self.socket(fd)?.target() }))
    }

    /// Enters the socket of a connection into the table and returns its number.
    pub fn install_connected(&mut self, connect: Performed<Connect>, host: HostFd, flags: FdFlags) -> u32 {
        let Connect { .. } = connect.into_effect();
        self.insert(Entry::new(host, Kind::Stream, Access::ReadWrite, EntryOrigin::Socket, Rights::ALL).flags(flags))
    }
}

/// Whether a connection to this address can have one other end: it is neither unspecified nor, for TCP, a group.
#[inline(never)]
pub(crate) const fn is_host(address: IpBytes, protocol: Protocol) -> bool {
    !(is_unspecified(address) || matches!(protocol, Protocol::Tcp) && is_group(address))
}

/// Multicast (RFC 5771, RFC 4291 2.7) and limited broadcast (RFC 919).
const fn is_group(address: IpBytes) -> bool {
    matches!((split(address), address), ((MAPPED, [224..=239, ..] | [255, 255, 255, 255]), _) | (_, [0xff, ..]))
}

/// The mask of the special range around an address, 0 for an address of none.
#[inline(never)]
pub(crate) const fn widest_mask(address: IpBytes) -> u128 {
    prefix_mask(special_bits(address))
}

/// How many bits the special range around an address has in common, 0 for an address of none.
///
/// The ranges are those that are not global in the registries of RFC 6890. Addresses that contain one of IPv4 are global
/// here if they are in the registries; what they contain is judged on its own.
const fn special_bits(address: IpBytes) -> u8 {
    match (split(address), address) {
        ((MAPPED, ipv4), _) => 96 + special_bits_of_ipv4(ipv4),
        // Loopback.
        ((COMPATIBLE, [0, 0, 0, 1]), _) => 128,
        ((COMPATIBLE | TRANSLATED, _), _) => 96,
        ((NAT64, _), _) => 0,
        // Translation inside a network (RFC 8215), and addresses whose packets are dropped (RFC 6666).
        (_, [0, 0x64, 0xff, 0x9b, 0, 1, ..]) => 48,
        (_, [1, 0, 0, 0, 0, 0, 0, 0, ..]) => 64,
        // Not assigned (RFC 4291, 2.4).
        (_, [0, ..]) => 8,
        // Protocols of the IETF, with Teredo.
        (_, [0x20, 0x01, 0 | 1, ..]) => 23,
        // Unique local addresses (RFC 4193).
        (_, [0xfc | 0xfd, ..]) => 7,
        // Link-local and, in the past, site-local addresses (RFC 4291, RFC 3879).
        (_, [0xfe, 0x80..=0xff, ..]) => 10,
        // Multicast.
        (_, [0xff, ..]) => 8,
        _ => 0,
    }
}

const fn special_bits_of_ipv4(address: [u8; 4]) -> u8 {
    match address {
        // This network and host, private, loopback.
        [0 | 10 | 127, ..] => 8,
        // Shared by the customers of a provider (RFC 6598).
        [100, 64..=127, ..] => 10,
        // Link-local, where clouds have their metadata services (RFC 3927).
        [169, 254, ..] => 16,
        // Private (RFC 1918).
        [172, 16..=31, ..] => 12,
        [192, 168, ..] => 16,
        // Protocols of the IETF.
        [192, 0, 0, _] => 24,
        // Measurements of network devices (RFC 2544).
        [198, 18 | 19, ..] => 15,
        // Limited broadcast.
        [255, 255, 255, 255] => 32,
        // Multicast (RFC 5771), and addresses for the future (RFC 1112).
        [224..=255, ..] => 4,
        // In no registry: the host's agent in one large cloud.
        [168, 63, 129, 16] => 32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use std::net::Ipv6Addr;

    const ANY_PORT: (u16, u16) = (1, 65535);

    fn bytes(text: &str) -> IpBytes {
        text.parse::<Ipv6Addr>().unwrap().octets()
    }

    fn rule(network: &str, prefix_bits: u8, (first, last): (u16, u16), protocol: Protocol) -> ConnectRule {
        ConnectRule::new(PeerRule::new(bytes(network), prefix_bits).unwrap(), first, last, protocol).unwrap()
    }

    fn tcp(network: &str, prefix_bits: u8) -> ConnectRule {
        rule(network, prefix_bits, ANY_PORT, Protocol::Tcp)
    }

    fn allowed(rules: &[ConnectRule], address: &str) -> bool {
        connect_allowed(rules, bytes(address), 80, Protocol::Tcp)
    }

    /// Everything that a short rule can say.
    fn everything(protocol: Protocol) -> [ConnectRule; 2] {
        [rule("::", 0, ANY_PORT, protocol), rule("::ffff:0:0", 96, ANY_PORT, protocol)]
    }

    #[test]
    fn t38_without_rules_no_connection_is_allowed() {
        for address in ["::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "2606::1", "::"] {
            assert!(!allowed(&[], address), "{address}");
        }
        let mut monitor = Monitor::new(Limits::default());
        let refused = monitor.admit_connect(bytes("::ffff:8.8.8.8"), 80, Protocol::Tcp).unwrap_err();
        assert_eq!((refused, refused.rule()), (Errno::NOTCAPABLE, Rule::Connect));
        monitor.set_connections(vec![tcp("::ffff:8.8.8.8", 128)]);
        assert!(monitor.admit_connect(bytes("::ffff:8.8.8.8"), 80, Protocol::Tcp).is_ok());
    }

    #[test]
    fn t39_wide_rules_allow_the_internet_and_no_special_range() {
        let all = everything(Protocol::Tcp);
        for global in ["::ffff:8.8.8.8", "::ffff:11.0.0.1", "::ffff:168.63.129.15", "2606::1", "2001:200::1", "fe00::1"]
        {
            assert!(allowed(&all, global), "{global}");
        }
        let ranges = [
            ("::ffff:0.1.2.3", 8),
            ("::ffff:10.1.2.3", 8),
            ("::ffff:100.64.1.2", 10),
            ("::ffff:127.0.0.1", 8),
            ("::ffff:168.63.129.16", 32),
            ("::ffff:169.254.169.254", 16),
            ("::ffff:172.16.1.2", 12),
            ("::ffff:192.0.0.192", 24),
            ("::ffff:192.168.1.2", 16),
            ("::ffff:198.18.1.2", 15),
            ("::ffff:240.1.2.3", 4),
        ];
        let ranges = ranges.map(|(address, bits)| (address, 96 + bits));
        let others = [("::1", 128), ("::1:0:0:1", 8), ("64:ff9b:1::1", 48), ("100::1", 64), ("2001::1", 23)];
        let last = [("fc00::1", 7), ("fd00:ec2::254", 7), ("fe80::1", 10), ("fec0::1", 10)];
        for (address, bits) in ranges.into_iter().chain(others).chain(last) {
            assert!(!allowed(&all, address), "{address}");
            let first = |bits| Ipv6Addr::from_bits(u128::from_be_bytes(bytes(address)) & prefix_mask(bits));
            let within = |bits| allowed(&[tcp(&first(bits).to_string(), bits)], address);
            assert!(within(bits) && !within(bits - 1), "{address} {bits}");
        }
    }

    #[test]
    fn t39_a_rule_for_ipv6_allows_no_ipv4() {
        assert!(!allowed(&[tcp("::", 0)], "::ffff:8.8.8.8"));
        assert!(!allowed(&[tcp("::", 95)], "::ffff:8.8.8.8"));
        assert!(allowed(&[tcp("::ffff:0:0", 96)], "::ffff:8.8.8.8"));
    }

    #[test]
    fn t40_each_meaning_needs_a_rule_for_its_port_and_protocol() {
        for form in ["::8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"] {
            let (written, inside) = (tcp(form, 128), tcp("::ffff:8.8.8.8", 128));
            assert!(!allowed(&[written], form) && !allowed(&[inside], form), "{form}");
            assert!(allowed(&[written, inside], form), "{form}");
            let other_port = rule("::ffff:8.8.8.8", 128, (81, 81), Protocol::Tcp);
            let other_protocol = rule("::ffff:8.8.8.8", 128, ANY_PORT, Protocol::Udp);
            assert!(!allowed(&[written, other_port, other_protocol], form), "{form}");
        }
        // The forms of special addresses need a rule inside both ranges.
        let all = everything(Protocol::Tcp);
        assert!(allowed(&all, "64:ff9b::8.8.8.8") && allowed(&all, "2002:808:808::1"));
        for form in ["64:ff9b::127.0.0.1", "2002:a9fe:a9fe::1", "64:ff9b::10.0.0.1", "::127.0.0.1", "::ffff:0:8.8.8.8"]
        {
            assert!(!allowed(&all, form), "{form}");
        }
    }

    #[test]
    fn t40_unspecified_addresses_and_port_zero_are_never_allowed() {
        for form in ["::", "::ffff:0.0.0.0", "::ffff:0:0.0.0.0", "64:ff9b::0.0.0.0", "2002::1"] {
            assert!(!allowed(&[tcp(form, 128), tcp("::ffff:0.0.0.0", 128)], form), "{form}");
        }
        let loopback = [tcp("::ffff:127.0.0.1", 128)];
        assert!(!connect_allowed(&loopback, bytes("::ffff:127.0.0.1"), 0, Protocol::Tcp));
        assert!(connect_allowed(&loopback, bytes("::ffff:127.0.0.1"), 1, Protocol::Tcp));
    }

    #[test]
    fn t42_groups_are_reached_by_udp_rules_of_their_own_only() {
        for group in ["::ffff:224.0.0.251", "::ffff:239.255.255.250", "::ffff:255.255.255.255", "ff02::fb"] {
            let named = |protocol| [rule(group, 128, ANY_PORT, protocol)];
            assert!(!connect_allowed(&named(Protocol::Tcp), bytes(group), 80, Protocol::Tcp), "{group}");
            assert!(connect_allowed(&named(Protocol::Udp), bytes(group), 80, Protocol::Udp), "{group}");
            assert!(!connect_allowed(&everything(Protocol::Udp), bytes(group), 80, Protocol::Udp), "{group}");
        }
    }

    #[test]
    fn t43_a_rule_is_for_one_protocol_and_its_ports() {
        let rules = [rule("::ffff:8.8.8.8", 128, (80, 82), Protocol::Tcp)];
        for port in [1, 79, 80, 81, 82, 83, 65535] {
            let inside = (80..=82).contains(&port);
            assert_eq!(connect_allowed(&rules, bytes("::ffff:8.8.8.8"), port, Protocol::Tcp), inside, "{port}");
            assert!(!connect_allowed(&rules, bytes("::ffff:8.8.8.8"), port, Protocol::Udp), "{port}");
        }
    }

    #[test]
    fn t47_a_range_without_a_port_is_no_rule() {
        let network = PeerRule::new(bytes("::1"), 128).unwrap();
        assert_eq!(ConnectRule::new(network, 0, 80, Protocol::Tcp), None);
        assert_eq!(ConnectRule::new(network, 81, 80, Protocol::Tcp), None);
        assert!(ConnectRule::new(network, 80, 80, Protocol::Tcp).is_some());
    }

    #[test]
    fn a_rule_is_printed_as_it_is_typed() {
        assert_eq!(rule("::ffff:10.0.0.0", 104, (80, 80), Protocol::Tcp).to_string(), "10.0.0.0/8:80");
        assert_eq!(rule("::ffff:10.0.0.1", 128, (80, 99), Protocol::Tcp).to_string(), "10.0.0.1:80-99");
        assert_eq!(rule("2001:db8::", 32, (1, 65535), Protocol::Udp).to_string(), "[2001:db8::]/32:1-65535");
        assert_eq!(rule("::1", 128, (443, 443), Protocol::Tcp).to_string(), "[::1]:443");
    }

    #[test]
    fn only_connections_can_be_asked_about() {
        let mut monitor = Monitor::new(Limits::default());
        monitor.grant_stdio(0, HostFd::new(0), Kind::Stream, FdFlags::empty()).unwrap();
        let listener = monitor.grant_socket(HostFd::new(1), Kind::Listener).unwrap();
        assert_eq!(monitor.admit_inspect(0).err(), Some(Errno::NOTSOCK), "an inherited stream is no socket");
        assert_eq!(monitor.admit_inspect(listener).err(), Some(Errno::NOTCONN));
    }

    #[test]
    fn t34_a_connection_is_a_stream_and_takes_a_descriptor() {
        let mut monitor = Monitor::new(Limits { open_files: 1, ..Limits::default() });
        monitor.set_connections(vec![tcp("::1", 128)]);
        let connect = monitor.admit_connect(bytes("::1"), 80, Protocol::Tcp).unwrap();
        assert_eq!((connect.address, connect.port, connect.protocol), (bytes("::1"), 80, Protocol::Tcp));
        let fd = monitor.install_connected(connect.performed(), HostFd::new(7), FdFlags::empty());
        assert!(monitor.admit_send(fd, 0).is_ok() && monitor.admit_receive(fd, 0).is_ok());
        assert_eq!(monitor.admit_accept(fd, 0).err(), Some(Errno::INVAL));
        assert!(monitor.admit_inspect(fd).is_ok());
        assert_eq!(monitor.admit_inspect(fd + 1).err(), Some(Errno::BADF));
        assert_eq!(monitor.admit_connect(bytes("::1"), 80, Protocol::Tcp).err(), Some(Errno::MFILE));
        assert_eq!(monitor.admit_connect(bytes("::2"), 80, Protocol::Tcp).err(), Some(Errno::NOTCAPABLE));
    }
}
