//! Questions about sockets and environment variables.

use super::answer::{Answer, Layer, Reply, Verdict};
use super::calls;
use super::kernel::kernel_layers_off;
use std::net::{IpAddr, SocketAddr};
use wave_engine::policy::PolicyDocument;
use wave_engine::{connect_rule, parse_network};
use wave_monitor::{ConnectRule, PeerRule, Protocol, connect_allowed, peer_allowed};
use wave_policy::file::Derived;
use wave_policy::{ConnectGrant, ConnectTarget, HostGrant};

/// Answers whether a program may open a TCP connection. The monitor decides, and the broker once more before it makes one.
pub fn connect(policy: &PolicyDocument, remote: SocketAddr) -> Reply {
    let mut answer = Answer::default();
    let targets = (0..).zip(policy.values.connect.iter().flatten());
    let rules: Vec<(usize, ConnectRule)> =
        targets.filter_map(|(index, target)| Some((index, connect_rule(target.addresses()?)?))).collect();
    let octets = match remote.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    let allows = |rules: &[ConnectRule]| connect_allowed(rules, octets, remote.port(), Protocol::Tcp);
    let is_allowed = allows(&rules.iter().map(|(_, rule)| *rule).collect::<Vec<_>>());
    let mut edit = None;
    if is_allowed {
        let by = rules.iter().find(|(_, rule)| allows(&[*rule])).map(|(index, _)| *index);
        let rule = by.and_then(|by| policy.origin(&format!("net.connect[{by}]")));
        answer.add(Layer::Monitor, Verdict::Allows, rule, "the address and the port are in this network");
    } else {
        let origin = policy.origin("net.connect");
        answer.add(Layer::Monitor, Verdict::Denies, origin, "no `connect` of [net] allows the address and the port");
        match [remote, SocketAddr::new(remote.ip().to_canonical(), remote.port())].map(named) {
            [Some(named), _] | [None, Some(named)] => edit = policy.file.add_items("net", "connect", &[named]),
            [None, None] => {
                answer.advice = Some("no line of a policy allows it: this is no address of one host".to_owned())
            }
        }
    }
    if policy.values.connect.iter().flatten().any(|target| target.host().is_some()) {
        answer.notes.push("hosts that `connect` names are not looked up here: it may be the address of one".to_owned());
    }
    add_kernel_layers(&mut answer, policy, remote.port(), is_allowed);
    Reply { answer, edit }
}

/// Answers whether a program may open a TCP connection to what a name leads to.
pub fn connect_host(policy: &PolicyDocument, host: &HostGrant) -> Reply {
    let mut answer = Answer::default();
    let wanted = ConnectTarget::Host(host.clone());
    let by = policy.values.connect.iter().flatten().position(|target| target.covers(&wanted));
    let mut edit = None;
    match by {
        Some(by) => {
            let rule = policy.origin(&format!("net.connect[{by}]"));
            let what = "the name and the port are in this grant; the name stands for the addresses that it has when a run starts";
            answer.add(Layer::Monitor, Verdict::Allows, rule, what);
        }
        None => {
            let origin = policy.origin("net.connect");
            answer.add(Layer::Monitor, Verdict::Denies, origin, "no `connect` of [net] names the host with the port");
            edit = policy.file.add_items("net", "connect", &[wanted.to_string()]);
        }
    }
    add_kernel_layers(&mut answer, policy, host.ports.first, by.is_some());
    Reply { answer, edit }
}

fn add_kernel_layers(answer: &mut Answer, policy: &PolicyDocument, port: u16, is_allowed: bool) {
    match kernel_layers_off(policy) {
        Some(off) => {
            answer.add(Layer::Landlock, Verdict::Silent, None, off.clone());
            answer.add(Layer::Seccomp, Verdict::Silent, None, off);
        }
        None => {
            let ports = policy
                .values
                .connect
                .iter()
                .flatten()
                .any(|target| (target.ports().first..=target.ports().last).contains(&port));
            let what =
                if ports { "the broker may connect to the port" } else { "the broker may not connect to the port" };
            answer.add(Layer::Landlock, Verdict::of(ports), None, what);
            let asks = policy.values.os.as_ref().is_none_or(Derived::asks_for_connections);
            let (verdict, what) = match (asks, is_allowed) {
                (false, _) => (Verdict::Denies, "`[os]` is that of a module that asks for no connections"),
                (true, true) => (
                    Verdict::Allows,
                    "the program asks the broker, which has socket and connect; it has neither itself",
                ),
                (true, false) => {
                    (Verdict::Denies, "the program has neither socket nor connect, and the broker does not make it")
                }
            };
            answer.add(Layer::Seccomp, verdict, None, what);
        }
    }
}

/// The grant for one address, if the monitor would allow it then.
fn named(remote: SocketAddr) -> Option<String> {
    let grant = ConnectGrant::parse(&remote.to_string(), wave_policy::Protocol::Tcp).ok()?;
    let rule = connect_rule(&grant)?;
    let network = grant.network.octets();
    connect_allowed(&[rule], network, remote.port(), Protocol::Tcp).then(|| grant.to_string())
}

/// Answers whether a program listens on an address. Sockets are bound before the program runs.
pub fn listen(policy: &PolicyDocument, address: SocketAddr) -> Reply {
    let mut answer = Answer::default();
    let imported = calls::add_imports(&mut answer, policy, &["sock_accept"]);
    let found = policy.values.listen.iter().flatten().position(|other| *other == address);
    let edit = match found {
        Some(index) => {
            let rule = policy.origin(&format!("net.listen[{index}]"));
            answer.add(Layer::Monitor, Verdict::Allows, rule, "the program finds the socket among its descriptors");
            None
        }
        None => {
            let rule = policy.origin("net.listen");
            answer.add(
                Layer::Monitor,
                Verdict::Denies,
                rule,
                "no socket listens there, and the program cannot create one",
            );
            policy.file.add_items("net", "listen", &[address.to_string()])
        }
    };
    let bound = "binding and listening is done before the seal, and refused after it";
    if let Some(off) = kernel_layers_off(policy) {
        answer.add(Layer::Seccomp, Verdict::Silent, None, off);
    } else {
        answer.add(Layer::Landlock, Verdict::Silent, None, bound);
        calls::add_filter(&mut answer, policy, &["sock_accept"]);
    }
    Reply { answer, edit: imported.or(edit) }
}

/// Answers whether a program may accept a connection from an address. The monitor decides after the kernel has accepted it.
pub fn accept_from(policy: &PolicyDocument, address: IpAddr) -> Reply {
    let mut answer = Answer::default();
    let imported = calls::add_imports(&mut answer, policy, &["sock_accept"]);
    let listens = policy.values.listen.iter().flatten().next().is_some();
    let rules = |list: &Vec<String>| list.iter().filter_map(|text| parse_network(text).ok()).collect();
    let rules: Option<Vec<PeerRule>> = policy.values.accept_from.as_ref().map(rules);
    let octets = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    let mut edit = None;
    if !listens {
        answer.add(Layer::Monitor, Verdict::Denies, None, "no socket listens");
        answer.advice = Some("name an address in `listen` of [net]".to_owned());
    } else if rules.is_none() {
        answer.add(
            Layer::Monitor,
            Verdict::Allows,
            policy.origin("net.listen"),
            "there is no `accept_from`: all may connect",
        );
    } else if peer_allowed(rules.as_deref(), octets) {
        let admits = |rule: &PeerRule| peer_allowed(Some(&[*rule]), octets);
        let by = rules.iter().flatten().position(admits).unwrap_or_default();
        let rule = policy.origin(&format!("net.accept_from[{by}]"));
        answer.add(Layer::Monitor, Verdict::Allows, rule, "the address is in this network");
    } else {
        let rule = policy.origin("net.accept_from");
        answer.add(Layer::Monitor, Verdict::Denies, rule, "the connection is closed: no network admits the address");
        edit = policy.file.add_items("net", "accept_from", &[address.to_string()]);
    }
    if let Some(off) = kernel_layers_off(policy) {
        answer.add(Layer::Seccomp, Verdict::Silent, None, off);
    } else {
        answer.add(Layer::Landlock, Verdict::Silent, None, "it has no rules on who connects");
        calls::add_filter(&mut answer, policy, &["sock_accept"]);
    }
    Reply { answer, edit: imported.or(edit) }
}

/// Answers whether a program sees an environment variable. Variables are copied before the program runs.
pub fn variable(policy: &PolicyDocument, name: &str) -> Reply {
    let mut answer = Answer::default();
    let imported = calls::add_imports(&mut answer, policy, &["environ_get", "environ_sizes_get"]);
    let values = &policy.values;
    let set = values.env_set.as_ref().is_some_and(|set| set.contains_key(name));
    let passed = values.env_pass.iter().flatten().position(|other| other == name);
    let is_there = wave_sandbox::variable(name).is_some();
    let mut edit = None;
    match (set, passed) {
        (true, _) => {
            let rule = policy.origin(&format!("env.set.{name}"));
            answer.add(Layer::Monitor, Verdict::Allows, rule, "it has the value of the policy");
        }
        (false, Some(index)) => {
            let rule = policy.origin(&format!("env.pass[{index}]"));
            answer.add(Layer::Monitor, Verdict::Allows, rule, "it is passed on from the environment of wave");
        }
        (false, None) => {
            answer.add(
                Layer::Monitor,
                Verdict::Denies,
                policy.origin("env"),
                "variables that are not named are not inherited",
            );
            edit = policy.file.add_items("env", "pass", &[name]);
        }
    }
    if !set && !is_there {
        answer.notes.push("it is not set now: a run that passes it on is refused, with status 125".to_owned());
    }
    let nothing = "the program has a copy: no system call is made";
    answer.add(Layer::Seccomp, Verdict::Silent, None, nothing);
    Reply { answer, edit: imported.or(edit) }
}
