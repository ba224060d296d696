//! The TCP ports of a broker.

use std::collections::BTreeSet;
use std::fmt;

use ::landlock::{ABI, Access as _, AccessNet, BitFlags};
use wave_policy::{Policy, Protocol, Role};

/// The most ports with a rule each. Beyond that, the kernel restricts none: rules cost kernel memory and time.
const MOST: usize = 4096;

/// Where a process may connect by TCP.
pub(super) enum Ports {
    /// These. For all but a broker, none.
    Listed(BTreeSet<u16>),
    /// The rules of the broker have more ports than the kernel is given.
    Any,
}

impl Ports {
    pub(super) fn of(policy: &Policy) -> Self {
        let rules = policy.connections.iter().filter(|rule| rule.protocol == Protocol::Tcp);
        let ports = match policy.role {
            Role::Broker => rules.flat_map(|rule| rule.first..=rule.last).collect(),
            Role::Guest | Role::Compiler => BTreeSet::new(),
        };
        if ports.len() > MOST { Self::Any } else { Self::Listed(ports) }
    }

    /// What the kernel denies unless a rule allows it.
    pub(super) fn handled(&self, abi: ABI) -> BitFlags<AccessNet> {
        let all = AccessNet::from_all(abi);
        match self {
            Self::Listed(_) => all,
            Self::Any => all & !BitFlags::from(AccessNet::ConnectTcp),
        }
    }

    /// Each port with its rights, in order.
    pub(super) fn rules(&self, abi: ABI) -> impl Iterator<Item = (u16, BitFlags<AccessNet>)> {
        let ports = match self {
            Self::Listed(ports) if abi >= ABI::V4 => Some(ports),
            _ => None,
        };
        ports.into_iter().flatten().map(|port| (*port, AccessNet::ConnectTcp.into()))
    }
}

/// What is allowed, after the words for what is restricted.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(ports) if ports.is_empty() => Ok(()),
            Self::Listed(ports) if ports.len() == 1 => write!(f, " but to 1 port"),
            Self::Listed(ports) => write!(f, " but to {} ports", ports.len()),
            Self::Any => write!(f, " but to any port, as the rules have more than {MOST}"),
        }
    }
}
