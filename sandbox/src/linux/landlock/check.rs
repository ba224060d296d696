//! Compares a ruleset with the policy before the kernel gets it. What makes the ruleset is not trusted, and nothing of it is used here.
//!
//! Source of names, bits and ABIs: landlock(7), `linux/landlock.h`.

use std::os::fd::{AsRawFd as _, RawFd};

use nix::sys::stat::fstat;
use wave_policy::{Protocol, Role};

use crate::error::Cause;
use crate::linux::narrower;
use crate::plan::SealPlan;

/// A right on files. Its bit is its position in [`FILE_RIGHTS`].
struct Right {
    name: &'static str,
    /// The first ABI that has it.
    abi: i32,
    /// Whether it applies to a file; all apply to a directory.
    of_files: bool,
}

const fn right(name: &'static str, abi: i32, of_files: bool) -> Right {
    Right { name, abi, of_files }
}

const FILE_RIGHTS: [Right; 17] = [
    right("execute", 1, true),
    right("write_file", 1, true),
    right("read_file", 1, true),
    right("read_dir", 1, false),
    right("remove_dir", 1, false),
    right("remove_file", 1, false),
    right("make_char", 1, false),
    right("make_dir", 1, false),
    right("make_reg", 1, false),
    right("make_sock", 1, false),
    right("make_fifo", 1, false),
    right("make_block", 1, false),
    right("make_sym", 1, false),
    right("refer", 2, false),
    right("truncate", 3, true),
    right("ioctl_dev", 5, true),
    right("resolve_unix", 9, true),
];

/// Binding and connecting TCP sockets; abstract sockets and signals. Two rights each, and the first ABI that has them.
const TWO_RIGHTS: u64 = 0b11;
const PORTS_ABI: i32 = 4;
const SCOPES_ABI: i32 = 6;

/// Connecting TCP sockets. It is handled unless the policy of a broker has more ports than this.
const CONNECT: u64 = 0b10;
const MOST_PORTS: usize = 4096;

/// What the kernel is to get: the rights that are handled, and for each rule the descriptor or the port, and the rights.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub files: u64,
    pub ports: u64,
    pub scopes: u64,
    pub rules: Vec<(RawFd, u64)>,
    pub port_rules: Vec<(u16, u64)>,
}

/// Confirms that a request handles every right of an ABI, and that its rules are the grants of the policy.
pub(super) fn check(request: &Request, plan: &SealPlan<'_>, abi: i32) -> Result<(), Cause> {
    let expected = of_plan(plan, abi)?;
    if *request == expected {
        Ok(())
    } else {
        Err(Cause::RulesetDiffers(format!("{request:x?} instead of {expected:x?}")))
    }
}

fn of_plan(plan: &SealPlan<'_>, abi: i32) -> Result<Request, Cause> {
    let two_from = |first: i32| if abi >= first { TWO_RIGHTS } else { 0 };
    let mut rules = Vec::new();
    for (granted, opened) in plan.policy.grants.iter().zip(plan.grants) {
        let mode = fstat(opened.fd).map_err(Cause::refused("fstat(grant)"))?.st_mode;
        let is_directory = mode & libc::S_IFMT == libc::S_IFDIR;
        let names = granted.access.landlock_rights();
        let given = |right: &Right| {
            names.contains(&right.name) && (is_directory || right.of_files) && narrower::gives(right.name)
        };
        rules.push((opened.fd.as_raw_fd(), bits(abi, given)));
    }
    let (files, scopes) = (bits(abi, |_| true), two_from(SCOPES_ABI));
    let connected = connected(plan);
    let (free, port_rules) = match connected.len() {
        _ if abi < PORTS_ABI => (0, Vec::new()),
        more if more > MOST_PORTS => (CONNECT, Vec::new()),
        _ => (0, connected.into_iter().map(|port| (port, CONNECT)).collect()),
    };
    Ok(Request { files, ports: two_from(PORTS_ABI) & !free, scopes, rules, port_rules })
}

/// The TCP ports that the broker of a policy connects to, in their order. Other processes connect to none.
fn connected(plan: &SealPlan<'_>) -> Vec<u16> {
    let is_listed = |port: &u16| {
        let mut rules = plan.policy.connections.iter().filter(|rule| rule.protocol == Protocol::Tcp);
        rules.any(|rule| rule.first <= *port && *port <= rule.last)
    };
    if plan.policy.role == Role::Broker { (0..=u16::MAX).filter(is_listed).collect() } else { Vec::new() }
}

/// The bits of those rights of an ABI for which something holds.
fn bits(abi: i32, holds: impl Fn(&Right) -> bool) -> u64 {
    let rights = FILE_RIGHTS.iter().enumerate().filter(|(_, right)| right.abi <= abi && holds(right));
    rights.fold(0, |bits, (position, _)| bits | 1 << position)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::linux::landlock::{Handled, Ports, request};
    use crate::plan::Grant;
    use ::landlock::ABI;
    use wave_policy::{Access, ConnectPorts, FilesystemGrant, Policy};

    /// Calls `then` with a plan that grants a directory and a file with each access.
    fn with_plan(then: impl Fn(&SealPlan<'_>)) {
        let places = ["/", "/proc/self/status"].map(|path| File::open(path).expect("it is there"));
        let all = || places.iter().flat_map(|place| Access::ALL.map(|access| (place, access)));
        let grants: Vec<_> = all().map(|(place, access)| Grant { fd: place.as_fd(), access }).collect();
        let described = all().map(|(_, access)| FilesystemGrant { host: "/".into(), access }).collect();
        let policy = Policy { grants: described, ..Policy::default() };
        then(&SealPlan { grants: &grants, ..SealPlan::new(&policy) });
    }

    #[test]
    fn requests_of_every_abi_are_those_of_the_policy() {
        with_plan(|plan| {
            for abi in 1..=9 {
                let request = made(plan, ABI::from(abi));
                check(&request, plan, abi).unwrap_or_else(|cause| panic!("{abi}: {cause}"));
            }
        });
    }

    #[test]
    fn a_request_that_differs_is_refused() {
        with_plan(|plan| {
            let differs = |change: &dyn Fn(&mut Request)| {
                let mut request = made(plan, ABI::V7);
                change(&mut request);
                assert!(matches!(check(&request, plan, 7), Err(Cause::RulesetDiffers(_))), "{request:x?}");
            };
            differs(&|request| request.files &= !1);
            differs(&|request| request.ports = 1);
            differs(&|request| request.scopes = 0);
            differs(&|request| request.rules.truncate(5));
            differs(&|request| request.rules.push(request.rules[0]));
            differs(&|request| request.rules[0].0 += 1);
            differs(&|request| request.rules[0].1 |= 1 << 1);
            differs(&|request| request.rules.swap(0, 2));
            differs(&|request| request.port_rules.push((443, CONNECT)));
        });
    }

    /// What is made for a plan.
    fn made(plan: &SealPlan<'_>, abi: ABI) -> Request {
        let ports = Ports::of(plan.policy);
        let handled = Handled { ports: ports.handled(abi), ..Handled::of(abi) };
        request(plan, &handled, &ports, abi).expect("open grants").0
    }

    fn broker(rules: &[(Protocol, u16, u16)]) -> Policy {
        let rule = |(protocol, first, last): &(Protocol, u16, u16)| ConnectPorts {
            protocol: *protocol,
            first: *first,
            last: *last,
        };
        Policy { role: Role::Broker, connections: rules.iter().map(rule).collect(), ..Policy::default() }
    }

    #[test]
    fn a_broker_connects_to_the_ports_of_its_rules_and_no_guest_does() {
        let policy = broker(&[(Protocol::Tcp, 8000, 8002), (Protocol::Tcp, 8001, 8003), (Protocol::Udp, 53, 53)]);
        let request = made(&SealPlan::new(&policy), ABI::V7);
        assert_eq!(request.port_rules, [8000, 8001, 8002, 8003].map(|port| (port, CONNECT)));
        assert_eq!(request.ports, TWO_RIGHTS);
        for abi in 1..=9 {
            check(&made(&SealPlan::new(&policy), ABI::from(abi)), &SealPlan::new(&policy), abi).expect("as the policy");
        }
        assert_eq!(made(&SealPlan::new(&policy), ABI::V3).port_rules, []);
        let mut more = made(&SealPlan::new(&policy), ABI::V7);
        more.port_rules[0].0 = 22;
        assert!(check(&more, &SealPlan::new(&policy), 7).is_err());
        let guest = Policy { role: Role::Guest, ..policy };
        assert_eq!(made(&SealPlan::new(&guest), ABI::V7).port_rules, []);
    }

    #[test]
    fn more_ports_than_the_kernel_is_given_are_free_and_binding_is_not() {
        for (last, free) in [(4096, false), (4097, true), (u16::MAX, true)] {
            let policy = broker(&[(Protocol::Tcp, 1, last)]);
            let request = made(&SealPlan::new(&policy), ABI::V7);
            check(&request, &SealPlan::new(&policy), 7).expect("as the policy");
            assert_eq!(request.ports, if free { TWO_RIGHTS & !CONNECT } else { TWO_RIGHTS });
            assert_eq!(request.port_rules.len(), if free { 0 } else { usize::from(last) });
        }
    }
}
