//! What each kind of grant adds to a run. The rules of example policies are compared.

use serde::Serialize;
use std::path::PathBuf;
use wave_policy::{Access, ConnectPorts, FilesystemGrant, Need, Policy, Protocol, Surface, SyscallRule};

/// A kind of grant, and what a module with a surface gains by it.
#[derive(Debug, Serialize)]
pub struct Gain {
    /// The kind of grant in words.
    pub grant: &'static str,
    /// The flag for it.
    pub flag: &'static str,
    /// The system calls that it adds, sorted by name.
    pub calls: Vec<Call>,
    /// Whether an imported function can use such a grant, even if it adds no system call.
    pub is_used: bool,
    /// The Landlock rights under such a directory. Empty if the module cannot use a directory, because then it gets none.
    pub landlock: &'static [&'static str],
}

/// A system call, and the rules that permit it.
#[derive(Debug, Serialize)]
pub struct Call {
    /// Its name.
    pub call: &'static str,
    /// The rules. One of them must match.
    pub rules: Vec<Permission>,
}

/// A rule of the reviewed table.
#[derive(Debug, Serialize)]
pub struct Permission {
    /// Its name in `docs/syscalls.md`.
    pub id: &'static str,
    /// The condition on arguments. Empty for any arguments.
    pub when: &'static str,
    /// Why a run needs it.
    pub reason: &'static str,
    /// What native code gets from it.
    pub effect: &'static str,
}

/// An example policy with one kind of grant.
struct Scenario {
    grant: &'static str,
    flag: &'static str,
    access: Option<Access>,
    listener: bool,
    connection: bool,
    /// Index of the scenario that it is compared with. `None`: it is not compared.
    base: Option<usize>,
}

const SCENARIOS: [Scenario; 6] = [
    Scenario { grant: "nothing", flag: "", access: None, listener: false, connection: false, base: None },
    Scenario {
        grant: "a read-only directory",
        flag: "--dir DIR::/GUEST::ro",
        access: Some(Access::ReadOnly),
        listener: false,
        connection: false,
        base: Some(0),
    },
    Scenario {
        grant: "a directory to add to",
        flag: "--dir DIR::/GUEST::append",
        access: Some(Access::Append),
        listener: false,
        connection: false,
        base: Some(1),
    },
    Scenario {
        grant: "a writable directory",
        flag: "--dir DIR::/GUEST::rw",
        access: Some(Access::ReadWrite),
        listener: false,
        connection: false,
        base: Some(1),
    },
    Scenario {
        grant: "a listening socket",
        flag: "--tcplisten ADDRESS:PORT",
        access: None,
        listener: true,
        connection: false,
        base: Some(0),
    },
    Scenario {
        grant: "a connection",
        flag: "--connect ADDRESS:PORT",
        access: None,
        listener: false,
        connection: true,
        base: Some(0),
    },
];

/// A port, whichever: the rules are the same for all.
const SOME_PORT: ConnectPorts = ConnectPorts { protocol: Protocol::Tcp, first: 1, last: 1 };

impl Scenario {
    fn rules(&self, surface: &Surface, growable: bool) -> Vec<&'static SyscallRule> {
        let grant = |access| FilesystemGrant { host: PathBuf::from("/"), access };
        let policy = Policy {
            surface: surface.known(),
            grants: self.access.map(grant).into_iter().collect(),
            listeners: if self.listener { vec![([127, 0, 0, 1], 0).into()] } else { Vec::new() },
            connections: self.connection.then_some(SOME_PORT).into_iter().collect(),
            ..Policy::default()
        };
        policy.rules(growable).collect()
    }
}

/// What a module with this surface gains by each kind of grant. The first entry is what it has without a grant.
pub fn gains(surface: &Surface, growable: bool) -> Vec<Gain> {
    let rules: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.rules(surface, growable)).collect();
    let has_use = surface.functions().any(|function| matches!(function.need, Need::Grant | Need::WritableGrant));
    let gain = |(scenario, granted): (&Scenario, &Vec<&'static SyscallRule>)| {
        let before = scenario.base.and_then(|base| rules.get(base));
        let added = granted.iter().copied().filter(|rule| before.is_none_or(|before| !before.contains(rule)));
        Gain {
            grant: scenario.grant,
            flag: scenario.flag,
            calls: by_call(added),
            is_used: match scenario.access {
                Some(_) => has_use,
                None if scenario.connection => surface.asks_for_connections(),
                None => !scenario.listener || surface.contains("sock_accept"),
            },
            landlock: scenario.access.filter(|_| has_use).map_or(&[][..], Access::landlock_rights),
        }
    };
    SCENARIOS.iter().zip(&rules).map(gain).collect()
}

/// Each kind of grant, with the rules of a module under it.
pub fn rules(surface: &Surface, growable: bool) -> Vec<(&'static str, Vec<&'static SyscallRule>)> {
    SCENARIOS.iter().map(|scenario| (scenario.grant, scenario.rules(surface, growable))).collect()
}

fn by_call(rules: impl Iterator<Item = &'static SyscallRule>) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for rule in rules {
        let permission = Permission { id: rule.id, when: rule.when, reason: rule.reason, effect: rule.effect };
        match calls.iter_mut().find(|call| call.call == rule.call) {
            Some(call) => call.rules.push(permission),
            None => calls.push(Call { call: rule.call, rules: vec![permission] }),
        }
    }
    calls.sort_unstable_by_key(|call| call.call);
    calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use wave_policy::all_functions;

    fn everything() -> Surface {
        Surface::of_functions(all_functions().iter().map(|function| function.name)).with_connections(true)
    }

    #[test]
    fn what_is_compared_with_comes_first_and_is_less() {
        let rules = rules(&everything(), true);
        for (place, scenario) in SCENARIOS.iter().enumerate() {
            let Some(base) = scenario.base else { continue };
            assert!(base < place);
            assert!(rules[base].1.iter().all(|rule| rules[place].1.contains(rule)), "{}", scenario.grant);
        }
    }

    #[test]
    fn each_grant_adds_what_needs_it() {
        let gains = gains(&everything(), true);
        let has = |place: usize, call: &str| gains[place].calls.iter().any(|entry| entry.call == call);
        for (call, places) in [
            ("writev", &[0][..]),
            ("mprotect", &[0]),
            ("openat2", &[1]),
            ("mkdirat", &[2, 3]),
            ("accept4", &[4]),
            ("sendto", &[4, 5]),
            ("getpeername", &[4, 5]),
            ("getsockopt", &[5]),
            ("execve", &[]),
        ] {
            let found: Vec<_> = (0..6).filter(|place| has(*place, call)).collect();
            assert_eq!(found, places, "{call}");
        }
        assert!(gains[0].landlock.is_empty() && gains[4].landlock.is_empty() && gains[5].landlock.is_empty());
        assert_eq!(gains[1].landlock, ["read_file", "read_dir"]);
    }
}
