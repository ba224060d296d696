//! Names of hosts that a program may connect to. They are looked up once, before the program is loaded, by the process that prepares the
//! run; then they stand for these addresses. So nobody in the sandbox looks anything up, and what a name server says later changes nothing.
//!
//! A server can say any address. So each is judged by the decision that judges connections, under a grant of the whole internet: one of a
//! special range, such as the host's own or a private one, is refused, unless a grant by address allows it too (T46).

mod dns;
mod hosts;
mod message;

use crate::convert::connect_rule;
use crate::failure::Failure;
use dns::Unknown;
use message::MOST_ADDRESSES;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};
use wave_policy::{ConnectGrant, ConnectPorts, ConnectTarget, HostGrant, HostName};
use wave_wasi::{ConnectRule, Protocol, connect_allowed};

const HOSTS: &str = "/etc/hosts";
const SERVERS: &str = "/etc/resolv.conf";

/// How long all lookups of a run may take.
const TIME: Duration = Duration::from_secs(15);

/// How many names a run may have.
const MOST_NAMES: usize = 64;

/// A name, and the addresses that it stands for in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The name.
    pub name: HostName,
    /// Its addresses, as the hosts file or a server has them.
    pub addresses: Vec<IpAddr>,
}

/// Looks up the names among what a program may connect to, in the hosts file and then by these name servers, or by those of
/// `/etc/resolv.conf` if there are none. `place` says where the grant of a number comes from.
///
/// # Errors
/// 125 if a name has no address, or one that the program may not connect to.
pub fn pin(
    targets: &[ConnectTarget],
    servers: &[SocketAddr],
    place: impl Fn(usize) -> String,
) -> Result<Vec<Pinned>, Failure> {
    let hosts = || (0..).zip(targets).filter_map(|(index, target)| Some((index, target.host()?)));
    if hosts().next().is_none() {
        return Ok(Vec::new());
    }
    let file = read(HOSTS)?;
    let servers = if servers.is_empty() { hosts::servers(&read(SERVERS)?) } else { servers.to_vec() };
    let until = Instant::now() + TIME;
    let mut pinned: Vec<Pinned> = Vec::new();
    for (index, grant) in hosts() {
        let known = pinned.iter().find(|known| known.name == grant.name);
        let addresses = match known {
            Some(known) => known.addresses.clone(),
            None if pinned.len() == MOST_NAMES => {
                let what = format!("the program may connect to more than {MOST_NAMES} names");
                return Err(Failure::refused(what).at(place(index)).fix("name addresses"));
            }
            None => {
                let found = lookup(&file, &servers, &grant.name, until).map_err(|failure| failure.at(place(index)))?;
                pinned.push(Pinned { name: grant.name.clone(), addresses: found.clone() });
                found
            }
        };
        for address in addresses {
            judge(address, grant, targets).map_err(|failure| failure.at(place(index)))?;
        }
    }
    Ok(pinned)
}

/// The addresses and ports that a target allows in this run.
pub fn grants(target: &ConnectTarget, pinned: &[Pinned]) -> Vec<ConnectGrant> {
    match target {
        ConnectTarget::Addresses(grant) => vec![*grant],
        ConnectTarget::Host(HostGrant { name, ports }) => {
            let addresses = pinned.iter().filter(|known| known.name == *name).flat_map(|known| &known.addresses);
            addresses.map(|address| one(*address, *ports)).collect()
        }
    }
}

fn read(path: &str) -> Result<String, Failure> {
    hosts::read(Path::new(path)).map_err(|error| Failure::refused(format!("cannot read {path}: {error}")))
}

fn lookup(file: &str, servers: &[SocketAddr], name: &HostName, until: Instant) -> Result<Vec<IpAddr>, Failure> {
    let failed = |why: &str| Failure::refused(format!("cannot look up `{name}`: {why}"));
    let mut found = hosts::addresses(file, name.as_str());
    if found.is_empty() {
        found = dns::lookup(servers, name.as_str(), until).map_err(|unknown| match unknown {
            Unknown::Name => failed("there is no such name").fix(format!(
                "correct the name, or give it an address in {HOSTS}; a name is a whole one, without a domain to search"
            )),
            Unknown::Failed(why) => {
                failed(&why).fix(format!("name a server that answers by --dns or in {SERVERS}, or name addresses"))
            }
        })?;
    }
    match found.len() {
        0 => Err(failed("it has no address").fix("correct the name, or name addresses")),
        1..=MOST_ADDRESSES => Ok(found),
        many => Err(failed(&format!("it has {many} addresses, more than {MOST_ADDRESSES}")).fix("name addresses")),
    }
}

/// Whether a name may lead to this address (T46).
fn judge(address: IpAddr, grant: &HostGrant, targets: &[ConnectTarget]) -> Result<(), Failure> {
    let one = one(address, grant.ports);
    let allows = |rules: &[ConnectRule]| connect_allowed(rules, one.network.octets(), one.ports.first, Protocol::Tcp);
    let is_public = allows(&internet(one.ports));
    let is_named = targets.iter().filter_map(ConnectTarget::addresses).any(|named| named.covers(&one));
    if is_public || is_named {
        return Ok(());
    }
    let what = format!("`{}` leads to {address}, which is no public address", grant.name);
    let is_possible = connect_rule(&one).is_some_and(|rule| allows(&[rule]));
    let fix = match is_possible {
        true => format!("grant the address too, if the program may connect to it: --connect {one}"),
        false => "correct what the name leads to: no program may connect there".to_owned(),
    };
    Err(Failure::refused(what).fix(fix))
}

/// All addresses of both families.
fn internet(ports: ConnectPorts) -> Vec<ConnectRule> {
    let all = [(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), 96), (Ipv6Addr::UNSPECIFIED, 0)];
    all.iter()
        .filter_map(|(network, bits)| connect_rule(&ConnectGrant { network: *network, prefix_bits: *bits, ports }))
        .collect()
}

fn one(address: IpAddr, ports: ConnectPorts) -> ConnectGrant {
    ConnectGrant { network: to_ipv6(address), prefix_bits: 128, ports }
}

fn to_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
