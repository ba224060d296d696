//! Network policy on peers: a rule must allow each meaning of the address (T40, T41, T47).

use super::config;
use crate::{IpBytes, PeerRule, peer_allowed};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::net::{Ipv4Addr, Ipv6Addr};

fn bit(address: IpBytes, at: u8) -> bool {
    address[usize::from(at / 8)] >> (7 - at % 8) & 1 == 1
}

/// The first `prefix` bits are the same.
pub(super) fn in_network(address: IpBytes, (network, prefix): (IpBytes, u8)) -> bool {
    (0..prefix).all(|at| bit(address, at) == bit(network, at))
}

/// All meanings of an address, by the groups of RFC 4291, 2765, 6052 and 3056.
pub(super) fn meanings(address: IpBytes) -> Vec<IpBytes> {
    let ipv4 = match Ipv6Addr::from(address).segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 || low > 1 => Some((high, low)),
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some((high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    let mapped = ipv4.map(|(high, low)| Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low).octets());
    [address].into_iter().chain(mapped).collect()
}

fn allowed(rules: &[(IpBytes, u8)], address: IpBytes) -> bool {
    let ip = Ipv6Addr::from(address);
    let unspecified = ip.is_unspecified() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_unspecified());
    let admitted = |meaning| rules.iter().any(|rule| in_network(meaning, *rule));
    !unspecified && meanings(address).into_iter().all(admitted)
}

/// A few IPv4 addresses in all their notations, and any address.
pub(super) fn address() -> impl Strategy<Value = IpBytes> {
    let ipv4 = select(vec![[0, 0, 0, 0], [0, 0, 0, 1], [10, 1, 2, 3], [10, 1, 2, 4], [127, 0, 0, 1], [8, 8, 8, 8]]);
    let spelled = (ipv4, 0..6u8).prop_map(|(ipv4, spelling)| {
        let [a, b, c, d] = ipv4;
        match spelling {
            0 => Ipv4Addr::from(ipv4).to_ipv6_mapped().octets(),
            1 => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d],
            2 => [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, a, b, c, d],
            3 => [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d],
            4 => [0x20, 0x02, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            // A neighbor of the mapped form, which has no second meaning.
            _ => [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xff, 0xff, a, b, c, d],
        }
    });
    prop_oneof![4 => spelled, 1 => any::<IpBytes>()]
}

/// Networks around such addresses.
pub(super) fn network() -> impl Strategy<Value = (IpBytes, u8)> {
    let prefix = prop_oneof![Just(0), Just(16), Just(96), Just(104), Just(127), Just(128), 0..=128u8];
    (address(), prefix).prop_map(|(address, prefix)| {
        let mut network = [0; 16];
        for at in (0..prefix).filter(|at| bit(address, *at)) {
            network[usize::from(at / 8)] |= 0x80 >> (at % 8);
        }
        (network, prefix)
    })
}

proptest! {
    #![proptest_config(config(8192))]

    #[test]
    fn t40_a_peer_is_allowed_if_each_of_its_meanings_is(networks in vec(network(), 0..4), address in address()) {
        let rules: Vec<_> = networks.iter().map(|(network, prefix)| PeerRule::new(*network, *prefix).unwrap()).collect();
        prop_assert_eq!(peer_allowed(Some(&rules), address), allowed(&networks, address));
    }

    #[test]
    fn t47_a_rule_is_a_network_and_nothing_behind_its_prefix(network in address(), prefix: u8) {
        let clean = prefix <= 128 && (prefix..128).all(|at| !bit(network, at));
        prop_assert_eq!(PeerRule::new(network, prefix).is_some(), clean);
    }
}
