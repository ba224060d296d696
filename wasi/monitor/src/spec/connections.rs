//! Network policy on connections: for each meaning of the address a rule, and for special ranges one inside them
//! (T38 to T43, T47).

use super::addresses::{address, in_network, meanings, network};
use super::config;
use crate::{ConnectRule, IpBytes, PeerRule, Protocol, connect_allowed};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a wide rule does not allow: the registries of RFC 6890 as of 2024, without what is global there.
const SPECIAL: [&str; 25] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "0.0.0.0/0",
    "::1/128",
    "::/96",
    "::ffff:0:0:0/96",
    "::/8",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

type Network = (IpBytes, u8);
/// A network, the first and the last port, and the protocol.
type Entry = (Network, (u16, u16), Protocol);

fn parsed(text: &str) -> Network {
    let (address, bits) = text.split_once('/').unwrap();
    let bits: u8 = bits.parse().unwrap();
    match address.parse().unwrap() {
        IpAddr::V4(address) => (address.to_ipv6_mapped().octets(), 96 + bits),
        IpAddr::V6(address) => (address.octets(), bits),
    }
}

/// The special ranges around an address. Those that contain an address of IPv4 are judged by it.
fn special(address: IpBytes) -> impl Iterator<Item = Network> {
    let translated = in_network(address, parsed("64:ff9b::/96"));
    SPECIAL
        .into_iter()
        .filter(move |text| !translated || *text != "::/8")
        .map(parsed)
        .filter(move |range| in_network(address, *range))
}

fn is_unspecified(address: IpBytes) -> bool {
    let ip = Ipv6Addr::from(address);
    ip.is_unspecified() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_unspecified())
}

fn is_group(address: IpBytes) -> bool {
    let ip = Ipv6Addr::from(address);
    ip.is_multicast() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_multicast() || ip.is_broadcast())
}

fn admits((network, (first, last), protocol): Entry, address: IpBytes, port: u16, asked: Protocol) -> bool {
    let inside = |range: Network| range.1 <= network.1 && in_network(network.0, range);
    protocol == asked && first <= port && port <= last && in_network(address, network) && special(address).all(inside)
}

fn allowed(rules: &[Entry], address: IpBytes, port: u16, protocol: Protocol) -> bool {
    meanings(address).into_iter().all(|meaning| {
        let possible = !is_unspecified(meaning) && (protocol == Protocol::Udp || !is_group(meaning));
        possible && rules.iter().any(|rule| admits(*rule, meaning, port, protocol))
    }) && port != 0
}

fn protocol() -> impl Strategy<Value = Protocol> {
    select(vec![Protocol::Tcp, Protocol::Udp])
}

fn port() -> impl Strategy<Value = u16> {
    select(vec![0, 1, 79, 80, 81, 65534, 65535])
}

/// The first and last addresses of the special ranges, and their neighbors; and the addresses of peers.
fn near_special() -> impl Strategy<Value = IpBytes> {
    let edge = (select(SPECIAL.to_vec()), any::<bool>(), 0..3u128).prop_map(|(text, last, off)| {
        let (network, bits) = parsed(text);
        let rest = u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
        let at = u128::from_be_bytes(network) + if last { rest } else { 0 };
        at.wrapping_add(off).wrapping_sub(1).to_be_bytes()
    });
    // An address of IPv4 at an edge, inside another form.
    let embedded = edge.clone().prop_map(|edge| {
        let [.., a, b, c, d] = edge;
        let ip = u128::from(Ipv4Addr::new(a, b, c, d).to_bits());
        ((0x64_ff9b_u128 << 96) | ip).to_be_bytes()
    });
    prop_oneof![4 => edge, 2 => embedded, 1 => address()]
}

/// Networks around an address: of any length, or about as long as a special range.
fn around(address: IpBytes) -> impl Strategy<Value = Network> {
    let ranges: Vec<_> =
        special(address).flat_map(|(_, bits)| [bits.saturating_sub(1), bits]).chain([0, 96, 128]).collect();
    prop_oneof![3 => select(ranges), 1 => 0..=128u8].prop_map(move |bits| {
        let mask = if bits == 0 { 0 } else { u128::MAX << (128 - bits) };
        ((u128::from_be_bytes(address) & mask).to_be_bytes(), bits)
    })
}

/// An address, and rules of which most are for one of its meanings.
fn question() -> impl Strategy<Value = (IpBytes, Vec<Entry>)> {
    near_special().prop_flat_map(|address| {
        let meaning = select(meanings(address)).prop_flat_map(around);
        let ports = (port(), port()).prop_map(|(one, other)| (one.min(other).max(1), one.max(other).max(1)));
        let rule = (prop_oneof![5 => meaning, 1 => network()], ports, protocol());
        (Just(address), vec(rule, 0..5))
    })
}

proptest! {
    #![proptest_config(config(16384))]

    #[test]
    fn t39_a_connection_is_allowed_if_each_meaning_is(question in question(), port in port(), protocol in protocol()) {
        let (address, entries) = question;
        let rule = |((network, bits), (first, last), protocol): &Entry| {
            ConnectRule::new(PeerRule::new(*network, *bits).unwrap(), *first, *last, *protocol).unwrap()
        };
        let rules: Vec<_> = entries.iter().map(rule).collect();
        prop_assert_eq!(connect_allowed(&rules, address, port, protocol), allowed(&entries, address, port, protocol));
    }

    #[test]
    fn t47_a_rule_has_ports_and_none_is_zero(first in port(), last in port(), protocol in protocol()) {
        let rule = ConnectRule::new(PeerRule::new([0; 16], 0).unwrap(), first, last, protocol);
        prop_assert_eq!(rule.is_some(), (first..=last).next().is_some() && !(first..=last).contains(&0));
    }
}
