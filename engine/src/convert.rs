//! Conversions between crates. The monitor and the hostcalls know no policy, and have their own types for accesses,
//! resolvers and limits.

use wave_contract::module::{ImportType, ModuleInfo};
use wave_policy::limits::LIMITS;
use wave_policy::{Access, ConnectGrant, Protocol, Resolver, Stub, Surface, file::Limits};

/// The limits that the engine enforces itself; all others are the monitor's.
#[cfg(test)]
const ENGINE_LIMITS: [&str; 9] = [
    "timeout",
    "cpu-time",
    "fuel",
    "max-memory",
    "max-stack",
    "max-rss",
    "compile-timeout",
    "compile-memory",
    "max-connections",
];

/// The monitor's type of an access.
pub const fn monitor_access(access: Access) -> wave_wasi::Access {
    match access {
        Access::ReadOnly => wave_wasi::Access::ReadOnly,
        Access::Append => wave_wasi::Access::Append,
        Access::ReadWrite => wave_wasi::Access::ReadWrite,
    }
}

/// The policy's type of an access of the monitor.
pub const fn policy_access(access: wave_wasi::Access) -> Access {
    match access {
        wave_wasi::Access::ReadOnly => Access::ReadOnly,
        wave_wasi::Access::Append => Access::Append,
        wave_wasi::Access::ReadWrite => Access::ReadWrite,
    }
}

/// The hostcalls' type of a resolver.
pub(crate) const fn hostcall_resolver(resolver: Resolver) -> wave_wasi::Resolver {
    match resolver {
        Resolver::Kernel => wave_wasi::Resolver::Kernel,
        Resolver::Manual => wave_wasi::Resolver::Manual,
    }
}

/// The runtime's type of a stub.
pub(crate) const fn runtime_stub(stub: Stub) -> wave_runtime::Stub {
    match stub {
        Stub::Trap => wave_runtime::Stub::Trap,
        Stub::Zero => wave_runtime::Stub::Zero,
    }
}

/// The resolver that this host allows: the kernel if it can.
pub(crate) fn detected_resolver() -> Resolver {
    match wave_wasi::Resolver::detect() {
        wave_wasi::Resolver::Kernel => Resolver::Kernel,
        wave_wasi::Resolver::Manual => Resolver::Manual,
    }
}

/// The monitor's type of a connection that is granted. `None` for a network with bits set behind its prefix, which no grant has.
pub fn connect_rule(grant: &ConnectGrant) -> Option<wave_wasi::ConnectRule> {
    let network = wave_wasi::PeerRule::new(grant.network.octets(), grant.prefix_bits)?;
    let protocol = match grant.ports.protocol {
        Protocol::Tcp => wave_wasi::Protocol::Tcp,
        Protocol::Udp => wave_wasi::Protocol::Udp,
    };
    wave_wasi::ConnectRule::new(network, grant.ports.first, grant.ports.last, protocol)
}

/// The limits that the monitor enforces. Those it does not know by name are the engine's.
pub(crate) fn monitor_limits(limits: &Limits) -> wave_wasi::Limits {
    let mut enforced = wave_wasi::Limits::default();
    for limit in LIMITS {
        if let Some(value) = limit.get(limits) {
            let _is_known: bool = enforced.set(limit.name, u64::try_from(value).unwrap_or(u64::MAX));
        }
    }
    enforced
}

/// The surface of a module. A shared memory that it imports is no part of it: a run creates one.
pub fn surface_of(info: &ModuleInfo) -> Surface {
    let asked = info.imports.iter().filter(|import| !matches!(import.ty, ImportType::Memory(ty) if ty.shared));
    Surface::from_imports(asked.map(|import| (&import.module, &import.name)))
        .with_shared_memory(info.memories.iter().any(|memory| memory.shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_enforced_by_the_monitor_or_by_the_engine() {
        let mut monitor = wave_wasi::Limits::default();
        for limit in LIMITS {
            let is_ours = ENGINE_LIMITS.contains(&limit.name);
            assert_ne!(monitor.set(limit.name, 7), is_ours, "{}: enforced by one of them", limit.name);
        }
        for name in wave_wasi::Limits::NAMES {
            assert!(LIMITS.iter().any(|limit| limit.name == *name), "{name} is in no policy");
            assert_eq!(monitor.get(name), Some(7));
        }
    }

    #[test]
    fn the_usual_limits_are_those_of_a_run() {
        let usual = wave_wasi::Limits::default();
        assert_eq!(monitor_limits(&Limits::default()), usual);
        assert_eq!(monitor_limits(&Limits::USUAL), usual);
        for limit in LIMITS.iter().filter(|limit| !ENGINE_LIMITS.contains(&limit.name)) {
            let value = usual.get(limit.name).map(u128::from);
            match limit.default() {
                Some(default) => assert_eq!(value, Some(default), "{}", limit.name),
                // Without a limit, the monitor has the largest number there is.
                None => assert!(value.is_some_and(|value| value >= u32::MAX.into()), "{}", limit.name),
            }
        }
        assert_eq!([usual.file_size_bytes, usual.written_bytes, usual.entries, usual.output_bytes], [u64::MAX; 4]);
        assert_eq!(usual.call_bytes, u32::MAX);
    }

    #[test]
    fn connections_are_asked_for_by_the_functions_that_there_are() {
        assert_eq!(wave_wasi::NET, wave_policy::NET_MODULE);
        for name in wave_policy::NET_FUNCTIONS {
            assert!(wave_wasi::host_function(wave_wasi::NET, name).is_some(), "{name}");
        }
        assert!(wave_wasi::host_function(wave_wasi::NET, "tcp_listen").is_none());
    }

    /// T39: what `wave policy diff` takes for contained is what the monitor allows as well.
    #[test]
    fn a_grant_covers_what_the_monitor_allows_under_it() {
        let networks = [
            "0.0.0.0/0",
            "0.0.0.0/1",
            "8.0.0.0/5",
            "10.0.0.0/8",
            "10.0.0.0/7",
            "10.1.0.0/16",
            "11.0.0.0/8",
            "100.64.0.0/10",
            "100.0.0.0/8",
            "127.0.0.0/8",
            "127.0.0.1",
            "168.63.129.16",
            "168.63.0.0/16",
            "169.254.0.0/16",
            "169.254.169.254",
            "169.0.0.0/8",
            "172.16.0.0/12",
            "172.16.0.0/13",
            "172.0.0.0/8",
            "192.0.0.0/24",
            "192.0.0.0/16",
            "192.0.0.0/8",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.18.0.0/16",
            "198.16.0.0/12",
            "[::]/0",
            "[::]/8",
            "[::1]",
            "[::]/96",
            "[::]/1",
            "[64:ff9b:1::]/48",
            "[64:ff9b::]/47",
            "[100::]/64",
            "[100::]/48",
            "[2001::]/23",
            "[2001::]/16",
            "[fc00::]/7",
            "[fc00::]/6",
            "[fd00::]/8",
            "[fe80::]/10",
            "[fe80::]/9",
            "[fec0::]/10",
            "[fe00::]/7",
            "[2606::]/16",
            "[2606:1::]/32",
        ];
        let grants = networks.map(|text| ConnectGrant::parse(&format!("{text}:80"), Protocol::Tcp).unwrap());
        let ends = grants.iter().flat_map(|grant| {
            let first = grant.network.to_bits();
            [first, first + 1, first | u128::MAX.checked_shr(grant.prefix_bits.into()).unwrap_or(0)]
        });
        let addresses: Vec<_> = ends.map(u128::to_be_bytes).collect();
        let allows = |grant: &ConnectGrant| -> Vec<bool> {
            let rules = [connect_rule(grant).unwrap()];
            addresses.iter().map(|a| wave_wasi::connect_allowed(&rules, *a, 80, wave_wasi::Protocol::Tcp)).collect()
        };
        let allowed = grants.map(|grant| allows(&grant));
        let mut covered = 0;
        for (wide, of_wide) in grants.iter().zip(&allowed) {
            for (narrow, of_narrow) in grants.iter().zip(&allowed) {
                let contains = of_wide.iter().zip(of_narrow).all(|(wide, narrow)| *wide || !*narrow);
                assert!(contains || !wide.covers(narrow), "{wide} {narrow}");
                // What is outside of a network can be in a special range and thus say nothing.
                let is_within = wide.prefix_bits <= narrow.prefix_bits && of_narrow.contains(&true);
                assert!(!(contains && is_within) || wide.covers(narrow), "{wide} {narrow}");
                covered += usize::from(wide.covers(narrow));
            }
        }
        assert!(covered > networks.len(), "more than each itself: {covered}");
    }

    #[test]
    fn accesses_are_the_same_there_and_back() {
        assert!(Access::ALL.into_iter().all(|access| policy_access(monitor_access(access)) == access));
    }
}
