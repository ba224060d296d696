//! What each ABI level of Landlock adds, and what protects instead on a kernel of a lower level (T91).
//!
//! Source: landlock(7), and `Documentation/userspace-api/landlock.rst` of Linux 7.1.

/// One ABI level of Landlock.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct LandlockLevel {
    /// Its number.
    pub abi: i32,
    /// The first kernel that has it.
    pub linux: &'static str,
    /// What it can restrict that the level before cannot.
    pub adds: &'static str,
    /// What protects instead on a kernel of a lower level.
    pub below: Below,
    /// The same, in words.
    pub detail: &'static str,
}

/// What protects on a kernel that lacks a level.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "calls")]
pub enum Below {
    /// Nothing: strict refuses to run, standard runs without it and reports that.
    Refused,
    /// The kernel denies more than it would with the level.
    Stricter,
    /// The filter: none permits these system calls, whatever the module imports and the user grants.
    Filtered(&'static [&'static str]),
    /// Nothing is needed: the level does not affect a run.
    Nothing,
}

/// Every level that this build knows, in order.
pub const LEVELS: [LandlockLevel; 9] = [
    LandlockLevel {
        abi: 1,
        linux: "5.13",
        adds: "opening, making and removing files",
        below: Below::Refused,
        detail: "strict refuses; standard runs and reports it: with the monitor broken, only the permissions of its user protect files",
    },
    LandlockLevel {
        abi: 2,
        linux: "5.19",
        adds: "moves between directories by rule",
        below: Below::Stricter,
        detail: "the kernel denies every rename and link from one directory to another (EXDEV), also in rw grants",
    },
    LandlockLevel {
        abi: 3,
        linux: "6.2",
        adds: "truncating files",
        below: Below::Refused,
        detail: "strict refuses; standard resolves paths without openat2, so that the filter permits O_TRUNC only with \
                 write access; with the monitor broken, the files of an append grant can be truncated",
    },
    LandlockLevel {
        abi: 4,
        linux: "6.7",
        adds: "TCP bind and connect",
        below: Below::Filtered(&["socket", "socketpair", "bind", "connect", "listen", "sendmmsg"]),
        detail: "no guest's filter has a call that makes, binds or connects a socket; sendto is pinned to \
                 MSG_NOSIGNAL, so MSG_FASTOPEN does not connect either, and to no address; a broker that was taken over \
                 connects to ports outside the rules",
    },
    LandlockLevel {
        abi: 5,
        linux: "6.10",
        adds: "controls of device files",
        below: Below::Filtered(&["ioctl"]),
        detail: "no filter has the call",
    },
    LandlockLevel {
        abi: 6,
        linux: "6.12",
        adds: "signals and abstract Unix sockets",
        below: Below::Filtered(&[
            "kill",
            "tkill",
            "tgkill",
            "rt_sigqueueinfo",
            "rt_tgsigqueueinfo",
            "pidfd_send_signal",
            "pidfd_open",
            "socket",
            "socketpair",
            "connect",
            "sendmmsg",
        ]),
        detail: "no filter has a call that sends a signal or makes a Unix socket; F_SETOWN and O_ASYNC are not in fcntl's rule",
    },
    LandlockLevel {
        abi: 7,
        linux: "6.15",
        adds: "flags for the audit log",
        below: Below::Nothing,
        detail: "they change what the kernel logs, not what it denies",
    },
    LandlockLevel {
        abi: 8,
        linux: "7.0",
        adds: "restricting all threads at once",
        below: Below::Filtered(&["clone", "clone3", "fork", "vfork"]),
        detail: "the seal requires a single thread, and no filter has a call that starts one",
    },
    LandlockLevel {
        abi: 9,
        linux: "7.1",
        adds: "Unix sockets with a path",
        below: Below::Filtered(&["socket", "socketpair", "connect", "sendmmsg"]),
        detail: "no filter has a call that makes a Unix socket",
    },
];

/// The level that `strict` needs: the last one that nothing replaces.
pub(crate) const STRICT_ABI: i32 = {
    let (mut needed, mut i) = (0, 0);
    while i < LEVELS.len() {
        if matches!(LEVELS[i].below, Below::Refused) {
            needed = LEVELS[i].abi;
        }
        i += 1;
    }
    needed
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscalls;
    use ::landlock::{ABI, Access as _, AccessFs, AccessNet, Scope};
    use wave_policy::{
        Access, ConnectPorts, FilesystemGrant, Policy, Protocol, Resolver, Surface, SyscallRule, Test, all_functions,
        all_rules,
    };

    /// T91: the table starts at 1, has no gap and ends where the `landlock` crate ends.
    #[test]
    fn t91_every_level_is_in_the_table() {
        let numbers: Vec<i32> = LEVELS.iter().map(|level| level.abi).collect();
        assert_eq!(numbers, (1..=ABI::from(i32::MAX) as i32).collect::<Vec<_>>());
        assert_eq!(STRICT_ABI, 3);
    }

    /// T91: a level that needs nothing in its place adds no right that a rule could grant.
    #[test]
    fn t91_every_level_that_adds_a_right_is_compensated_or_refused() {
        for level in &LEVELS {
            let (before, now) = (ABI::from(level.abi - 1), ABI::from(level.abi));
            let more_files = AccessFs::from_all(before) != AccessFs::from_all(now);
            let more_ports = AccessNet::from_all(before) != AccessNet::from_all(now);
            let more_scopes = Scope::from_all(before) != Scope::from_all(now);
            if more_files || more_ports || more_scopes {
                assert_ne!(level.below, Below::Nothing, "{level:?}");
            }
        }
    }

    /// The rules of a guest with every import and every grant. A compiler's process is sealed before it starts threads, which inherit
    /// the seal. A broker is to connect: without level 4, its own code alone holds the ports of the rules.
    fn guests() -> Vec<&'static SyscallRule> {
        let names = all_functions().iter().map(|function| ("wasi_snapshot_preview1", function.name));
        let policy = Policy {
            surface: Surface::from_imports(names).with_connections(true),
            grants: vec![FilesystemGrant { host: "/".into(), access: Access::ReadWrite }],
            listeners: vec![([127, 0, 0, 1], 80).into()],
            connections: vec![ConnectPorts { protocol: Protocol::Tcp, first: 1, last: 65535 }],
            prints_results: true,
            records: true,
            dumps: true,
            ..Policy::default()
        };
        let manual = Policy { resolver: Resolver::Manual, ..policy.clone() };
        policy.rules(true).chain(manual.rules(true)).collect()
    }

    /// T91: a call that no filter permits by the table is in no rule, so the filter of no policy can permit it.
    #[test]
    fn t91_no_rule_permits_a_call_that_stands_in_for_a_level() {
        let mut seen = 0;
        for level in &LEVELS {
            let Below::Filtered(calls) = level.below else { continue };
            for call in calls {
                assert!(syscalls::number(call) >= 0, "{call} is a system call");
                assert!(!guests().iter().any(|rule| rule.call == *call), "{call} stands in for ABI {}", level.abi);
                seen += 1;
            }
        }
        assert_eq!(seen, 26);
    }

    /// T91: the table's statements about arguments of permitted calls. Any other rule for these calls fails here.
    #[test]
    fn t91_permitted_calls_with_a_part_that_landlock_would_restrict_are_pinned() {
        let rules = |call: &str| {
            let mut rules: Vec<_> = guests().into_iter().filter(|rule| rule.call == call).collect();
            rules.sort_by_key(|rule| rule.id);
            rules.dedup_by_key(|rule| rule.id);
            rules
        };
        let conditions = |call: &str| {
            let rules = rules(call);
            assert_eq!(rules.len(), 1, "{call}");
            rules[0].conditions
        };
        let no_signal = u64::from(libc::MSG_NOSIGNAL.cast_unsigned());
        assert!(rules("sendmsg").is_empty() && rules("sendmmsg").is_empty());
        let sends = rules("sendto");
        assert_eq!(sends.iter().map(|rule| rule.id).collect::<Vec<_>>(), ["send_request", "sendto"]);
        for rule in sends {
            let test = |arg| rule.conditions.iter().find(|condition| condition.arg == arg).map(|found| found.test);
            let equal = |value| Some(Test::Equal(wave_policy::Operand::Value(value)));
            assert_eq!([3, 4, 5].map(test), [equal(no_signal), equal(0), equal(0)], "flags and address of {}", rule.id);
        }
        let command = u64::from(libc::F_SETFL.cast_unsigned());
        let fcntl = conditions("fcntl");
        assert_eq!(fcntl[0].test, Test::Equal(wave_policy::Operand::Value(command)));
        let Test::Masked { mask, value: 0 } = fcntl[1].test else { panic!("{fcntl:?}") };
        assert_ne!(mask & u64::from(libc::O_ASYNC.cast_unsigned()), 0);
    }

    /// T91: nothing replaces only what strict requires.
    #[test]
    fn t91_the_calls_that_truncate_a_file_are_why_strict_needs_level_3() {
        for call in ["openat", "openat2", "ftruncate"] {
            assert!(all_rules().iter().any(|rule| rule.call == call), "{call}");
        }
        assert!(!all_rules().iter().any(|rule| rule.call == "truncate" || rule.call == "open" || rule.call == "creat"));
        assert_eq!(LEVELS[2].below, Below::Refused);
    }
}
