//! Connections of the guest: its broker, and the way to it.

use crate::convert::connect_rule;
use crate::failure::Failure;
use crate::names::Pinned;
use crate::plan::Plan;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{OwnedFd, RawFd};
use wave_policy::{ConnectGrant, ConnectPorts, Level, Policy, chain};
use wave_sandbox::{Broker, BrokerClient, BrokerRequest, WorkerError};
use wave_wasi::{ConnectRule, Connector, Protocol, Wasi, connect_allowed};

/// Starts a broker that makes `most` connections in total: those that the grants allow, by its own copy of the decision. `None` without
/// grants.
///
/// It stays in the network namespace that this process is in, so this comes before another one is entered.
///
/// # Errors
/// 125 if no process can be started.
pub fn start(level: Level, grants: &[ConnectGrant], most: u32) -> Result<Option<Broker>, Failure> {
    if grants.is_empty() {
        return Ok(None);
    }
    let rules = rules(grants);
    let decide = move |request: &BrokerRequest| {
        let BrokerRequest::ConnectTcp(remote) = request;
        let address = match remote.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        connect_allowed(&rules, address.octets(), remote.port(), Protocol::Tcp)
    };
    let policy = Policy { level, connections: ports(grants), ..Policy::default() };
    Broker::start(&policy, most.into(), decide).map(Some).map_err(|error| failure(&error))
}

/// The ports of the grants, for the policy of the kernel's layers.
pub fn ports(grants: &[ConnectGrant]) -> Vec<ConnectPorts> {
    grants.iter().map(|grant| grant.ports).collect()
}

/// The way of a sealed process to its broker.
pub(crate) struct Way {
    /// The descriptor that the seal has to keep.
    pub descriptor: RawFd,
    /// The layers of the broker, for the report.
    pub layers: String,
}

/// Lets the guest connect by a broker, once it is sealed.
///
/// # Errors
/// 125 if the broker has not all layers that the level requires, or has ended.
pub(crate) fn allow(mut broker: Broker, plan: &Plan, wasi: &mut Wasi) -> Result<Way, Failure> {
    let layers = broker.sealed().map_err(|error| failure(&error))?;
    let client = broker.into_client();
    let client = client.map_err(|error| Failure::refused(format!("cannot keep the way to the broker: {error}")))?;
    let descriptor = client.descriptor();
    wasi.allow_connections(rules(&plan.connections()), Box::new(ByBroker(client)));
    wasi.allow_names(plan.pinned.iter().map(|Pinned { name, addresses }| (name.as_str(), addresses.as_slice())));
    Ok(Way { descriptor, layers })
}

fn rules(grants: &[ConnectGrant]) -> Vec<ConnectRule> {
    grants.iter().filter_map(connect_rule).collect()
}

fn failure(error: &WorkerError) -> Failure {
    let fix = match error {
        WorkerError::Seal { fix, .. } => fix.clone(),
        _ => "leave out the connections of the program".to_owned(),
    };
    let what = format!("no process can make connections for the program: {}", chain(error));
    Failure::refused(what).at("--connect").fix(fix)
}

/// Connections by the broker.
#[derive(Debug)]
struct ByBroker(BrokerClient);

impl Connector for ByBroker {
    fn connect_tcp(&self, remote: SocketAddr) -> io::Result<OwnedFd> {
        self.0.connect_tcp(remote)
    }
}
