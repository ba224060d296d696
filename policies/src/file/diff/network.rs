//! Where a program listens, whom it may accept, and where it may connect to.

use super::{Diff, Effect, Side};
use crate::ConnectTarget;
use crate::file::Values;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) fn compare(diff: &mut Diff<'_>) {
    listen(diff);
    accept(diff);
    connect(diff);
}

fn listen(diff: &mut Diff<'_>) {
    let (old, new) = (listeners(diff.old), listeners(diff.new));
    let addresses: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
    for address in addresses {
        let [was, is] = [&old, &new].map(|set| set.get(&address));
        let [reached, reaches] = [&old, &new].map(|set| includes(set, address));
        let name = address.to_string();
        let (effect, text) = match Effect::of(reached, reaches) {
            Some(effect @ Effect::Widens) => (effect, format!("may listen at {name}")),
            Some(effect) => (effect, format!("may no longer listen at {name}")),
            None if was.is_some() == is.is_some() => continue,
            None if is.is_some() => {
                (Effect::Neutral, format!("names {name}, which was among all addresses of its port"))
            }
            None => (Effect::Neutral, format!("no longer names {name}, which is among all addresses of its port")),
        };
        let side = |index: Option<&usize>| match index {
            Some(index) => Side::new("listens", format!("net.listen[{index}]")),
            None => Side::default(),
        };
        diff.add(effect, "net.listen", &name, side(was), side(is), text);
    }
}

fn listeners(values: &Values) -> BTreeMap<SocketAddr, usize> {
    let plain = |address: &SocketAddr| match address {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
            SocketAddr::new(address.ip().to_canonical(), address.port())
        }
        _ => *address,
    };
    values.listen.iter().flatten().enumerate().map(|(index, address)| (plain(address), index)).collect()
}

/// Whether connections to this address arrive: at a socket of this address, or of every one. A socket of every IPv6 address
/// has those of IPv4 as well. Port 0 is a port that the kernel chooses, a new one for each socket.
fn includes(listeners: &BTreeMap<SocketAddr, usize>, address: SocketAddr) -> bool {
    let at = |ip: IpAddr| listeners.contains_key(&SocketAddr::new(ip, address.port()));
    let everywhere = || match address {
        SocketAddr::V4(_) => at(Ipv4Addr::UNSPECIFIED.into()) || at(Ipv6Addr::UNSPECIFIED.into()),
        SocketAddr::V6(_) => at(Ipv6Addr::UNSPECIFIED.into()),
    };
    listeners.contains_key(&address) || address.port() != 0 && everywhere()
}

fn accept(diff: &mut Diff<'_>) {
    const KEY: &str = "net.accept_from";
    let (old, new) = (Peers::of(diff.old), Peers::of(diff.new));
    if old.is_everyone || new.is_everyone {
        let side = |peers: &Peers<'_>| match peers.is_everyone {
            true => Side::unsaid("everyone"),
            false => Side::new(peers.networks.values().map(|(_, text)| *text).collect::<Vec<_>>().join(", "), KEY),
        };
        if let Some(effect) = Effect::of(old.has(ALL), new.has(ALL)) {
            let text = match effect {
                Effect::Widens => "may accept connections from everyone".to_owned(),
                _ if new.networks.is_empty() => "may accept connections from nobody".to_owned(),
                _ => format!("may accept connections only from {}", side(&new).value()),
            };
            diff.add(effect, KEY, "", side(&old), side(&new), text);
        }
        return;
    }
    let networks: BTreeSet<_> = old.networks.keys().chain(new.networks.keys()).copied().collect();
    for network in networks {
        let [was, is] = [&old, &new].map(|peers| peers.networks.get(&network));
        let name = in_numbers(network);
        let (effect, text) = match Effect::of(old.has(network), new.has(network)) {
            Some(effect @ Effect::Widens) => (effect, format!("may accept connections from {name}")),
            Some(effect) => (effect, format!("may no longer accept connections from {name}")),
            None if was.is_some() == is.is_some() => continue,
            None if is.is_some() => (Effect::Neutral, format!("names {name}, whose connections were accepted before")),
            None => (Effect::Neutral, format!("no longer names {name}, whose connections are still accepted")),
        };
        let side = |network: Option<&(usize, &str)>| match network {
            Some((index, text)) => Side::new(*text, format!("{KEY}[{index}]")),
            None => Side::default(),
        };
        diff.add(effect, KEY, &name, side(was), side(is), text);
    }
}

/// What one grant allows, another one alone may allow as well; what several allow together is not looked at, so that may read as more than
/// it is.
fn connect(diff: &mut Diff<'_>) {
    const KEY: &str = "net.connect";
    let places = |values: &Values| -> BTreeMap<ConnectTarget, usize> {
        values.connect.iter().flatten().enumerate().map(|(index, grant)| (grant.clone(), index)).collect()
    };
    let (old, new) = (places(diff.old), places(diff.new));
    let allows = |grants: &BTreeMap<ConnectTarget, usize>, grant: &ConnectTarget| {
        grants.contains_key(grant) || grants.keys().any(|other| other.covers(grant))
    };
    let all: BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
    for grant in all {
        let [was, is] = [&old, &new].map(|grants| grants.get(&grant));
        let (effect, text) = match Effect::of(allows(&old, &grant), allows(&new, &grant)) {
            Some(effect @ Effect::Widens) => (effect, format!("may connect to {grant}")),
            Some(effect) => (effect, format!("may no longer connect to {grant}")),
            None if was.is_some() == is.is_some() => continue,
            None if is.is_some() => (Effect::Neutral, format!("names {grant}, to which it could connect before")),
            None => (Effect::Neutral, format!("no longer names {grant}, to which it may still connect")),
        };
        let side = |index: Option<&usize>| match index {
            Some(index) => Side::new("connects", format!("{KEY}[{index}]")),
            None => Side::default(),
        };
        diff.add(effect, KEY, &grant.to_string(), side(was), side(is), text);
    }
}

/// First and last address, those of IPv4 as `::ffff:a.b.c.d`.
type Network = (u128, u128);

const ALL: Network = (0, u128::MAX);

struct Peers<'v> {
    is_everyone: bool,
    networks: BTreeMap<Network, (usize, &'v str)>,
    /// The same, united where they meet.
    united: Vec<Network>,
}

impl<'v> Peers<'v> {
    fn of(values: &'v Values) -> Self {
        let texts = values.accept_from.iter().flatten().enumerate();
        let networks: BTreeMap<_, _> =
            texts.filter_map(|(index, text)| Some((network(text)?, (index, text.as_str())))).collect();
        let is_everyone = values.accept_from.is_none();
        let mut united: Vec<Network> = if is_everyone { vec![ALL] } else { Vec::new() };
        for (first, last) in networks.keys().copied() {
            match united.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => united.push((first, last)),
            }
        }
        Self { is_everyone, networks, united }
    }

    fn has(&self, (first, last): Network) -> bool {
        let behind = self.united.partition_point(|(start, _)| *start <= first);
        behind.checked_sub(1).and_then(|at| self.united.get(at)).is_some_and(|(_, end)| last <= *end)
    }
}

/// Reads `ADDRESS[/BITS]`. A file in which one cannot be read was refused before.
fn network(text: &str) -> Option<Network> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let (address, offset, width) = match address.parse().ok()? {
        IpAddr::V4(address) => (address.to_ipv6_mapped(), 96, 32),
        IpAddr::V6(address) => (address, 0, 128),
    };
    let bits = bits.map_or(Some(width), |bits| bits.parse().ok()).filter(|bits: &u32| *bits <= width)?;
    let behind = u128::MAX.checked_shr(offset + bits).unwrap_or(0);
    Some((u128::from(address) & !behind, u128::from(address) | behind))
}

/// A network in the one way it is written here.
fn in_numbers((first, last): Network) -> String {
    let bits = 128 - (first ^ last).count_ones();
    let address = Ipv6Addr::from(first);
    match address.to_ipv4_mapped().filter(|_| bits >= 96) {
        Some(address) => format!("{address}/{}", bits - 96),
        None => format!("{address}/{bits}"),
    }
}
