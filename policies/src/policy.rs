//! The policy of one run.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::table::{
    ADDRESSES, ALWAYS, BROKER, COMPILER, CONNECTS, DUMP, GROWABLE, OPENED_APPEND, OPENED_READ, OPENED_WRITE, RECORDS,
    RESOLVER_KERNEL, RESOLVER_MANUAL, RESULTS, SHARED,
};
use crate::{Access, Level, Need, RuleSet, Surface, SyscallRule};

/// What one run may do. Plain data: nothing is enforced until `wave-sandbox` seals with it.
///
/// The default is the tightest policy there is: strict, no import, no grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Which kernel layers are demanded.
    pub level: Level,
    /// What the process is for.
    pub role: Role,
    /// The WASI functions the module imports.
    pub surface: Surface,
    /// What the guest may reach in the file system. Overlapping grants: the kernel layer unites the rights along
    /// a path, so a narrower grant inside a wider one is held by the monitor alone (T28).
    pub grants: Vec<FilesystemGrant>,
    /// Who turns paths into objects.
    pub resolver: Resolver,
    /// Addresses the guest may accept connections on; the sockets are bound before the seal.
    pub listeners: Vec<SocketAddr>,
    /// Ports to which a broker may connect for the guest. Which addresses it reaches there is decided in the broker.
    pub connections: Vec<ConnectPorts>,
    /// Resource limits of the process.
    pub limits: ProcessLimits,
    /// Who the process becomes when it has the privilege to change. `None`: an id that nobody uses if it is root,
    /// its own otherwise.
    pub identity: Option<Identity>,
    /// The results of an export are printed on standard output.
    pub prints_results: bool,
    /// Something is written to descriptors of [`RECORD_FDS`] after the seal: a trace, a report.
    pub records: bool,
    /// A core dump is written to [`DUMP_FD`] after a trap.
    pub dumps: bool,
}

/// Descriptors of files that `wave` writes to after the seal. The filter permits these two and no other, so whoever has such a file moves
/// it there.
pub const RECORD_FDS: [i32; 2] = [100, 101];

/// The descriptor of a core dump, likewise.
pub const DUMP_FD: i32 = 102;

/// The descriptor of the socket to a broker, likewise.
pub const BROKER_FD: i32 = 103;

impl Policy {
    /// The rules of the system-call filter: those of every run, and the rows of the imported functions that can
    /// have an effect under these grants. `growable`: some linear memory can grow.
    pub fn rules(&self, growable: bool) -> impl Iterator<Item = &'static SyscallRule> {
        self.rule_set(growable).iter()
    }

    fn rule_set(&self, growable: bool) -> RuleSet {
        match self.role {
            Role::Compiler => return COMPILER,
            Role::Broker => return BROKER,
            Role::Guest => {}
        }
        let runtime = if growable { ALWAYS.union(GROWABLE) } else { ALWAYS };
        let runtime = if self.surface.has_shared_memory() { runtime.union(SHARED) } else { runtime };
        let runtime = if self.connects() { runtime.union(CONNECTS) } else { runtime };
        let runtime = if self.has_addresses() { runtime.union(ADDRESSES) } else { runtime };
        let runtime = if self.prints_results { runtime.union(RESULTS) } else { runtime };
        let runtime = if self.records { runtime.union(RECORDS) } else { runtime };
        let runtime = if self.dumps { runtime.union(DUMP) } else { runtime };
        let runtime = self.opened().fold(runtime, RuleSet::union);
        let resolver = match self.resolver {
            Resolver::Kernel => RESOLVER_KERNEL,
            Resolver::Manual => RESOLVER_MANUAL,
        };
        self.surface.functions().filter(|function| self.meets(function.need)).fold(runtime, |rules, function| {
            let rules = rules.union(function.rules);
            if function.resolves { rules.union(resolver) } else { rules }
        })
    }

    /// Whether the guest gets connections from a broker.
    fn connects(&self) -> bool {
        self.surface.asks_for_connections() && !self.connections.is_empty()
    }

    /// Whether the guest has sockets whose addresses it can ask for.
    fn has_addresses(&self) -> bool {
        self.surface.asks_for_connections() && self.meets(Need::Socket)
    }

    /// The rules for positions of files that the guest opens itself.
    fn opened(&self) -> impl Iterator<Item = RuleSet> {
        let opens = self.surface.contains("path_open") && !self.grants.is_empty();
        let writes = opens && self.meets(Need::WritableGrant);
        let rows = [
            ("fd_read", opens, OPENED_READ),
            ("fd_write", writes, OPENED_WRITE),
            ("fd_fdstat_set_flags", writes, OPENED_APPEND),
        ];
        rows.into_iter().filter(|(name, counts, _)| *counts && self.surface.contains(name)).map(|(.., rules)| rules)
    }

    fn meets(&self, need: Need) -> bool {
        match need {
            Need::Nothing => true,
            Need::Grant => !self.grants.is_empty(),
            Need::WritableGrant => self.grants.iter().any(|grant| grant.access.is_writable()),
            Need::Listener => !self.listeners.is_empty(),
            Need::Socket => !self.listeners.is_empty() || self.connects(),
        }
    }
}

/// What a sealed process is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It runs a guest.
    #[default]
    Guest,
    /// It reads and compiles a module, and runs nothing of it. Surface, grants and listeners mean nothing to it.
    Compiler,
    /// It makes connections for a guest, and hands them over. Of surface, grants and listeners it has nothing.
    Broker,
}

/// Who turns a path of several components into an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resolver {
    /// The kernel, by `openat2`.
    #[default]
    Kernel,
    /// The runtime, component by component.
    Manual,
}

impl Resolver {
    /// Every resolver.
    pub const ALL: [Self; 2] = [Self::Kernel, Self::Manual];

    /// The word used on the command line and in policy files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Manual => "manual",
        }
    }
}

/// A directory or file the guest may reach.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesystemGrant {
    /// Where it is on the host. For messages: what counts is the descriptor that was opened once.
    pub host: PathBuf,
    /// What may be done there.
    pub access: Access,
}

/// Ports of other hosts, or of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectPorts {
    /// The protocol.
    pub protocol: Protocol,
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

impl ConnectPorts {
    /// Whether all of these ports are among its own, with the same protocol.
    pub(crate) fn contain(self, others: Self) -> bool {
        self.protocol == others.protocol && self.first <= others.first && others.last <= self.last
    }
}

/// A protocol over IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Resource limits of the process.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessLimits {
    /// Most descriptors open at a time (`RLIMIT_NOFILE`).
    pub open_files: u64,
    /// Largest size of a written file in bytes (`RLIMIT_FSIZE`). `None`: the limit the process has.
    pub file_size_bytes: Option<u64>,
    /// Most private writable memory in bytes, what the process has already included (`RLIMIT_DATA`). `None`: the limit
    /// the process has.
    pub data_bytes: Option<u64>,
    /// Threads besides the first (`RLIMIT_NPROC`, which counts all processes of a user: it is lowered where there are
    /// to be none, and where the process becomes a user that nobody uses).
    pub threads: u64,
    /// Most processor time in seconds (`RLIMIT_CPU`). `None`: the limit the process has.
    pub processor_seconds: Option<u64>,
}

impl Default for ProcessLimits {
    fn default() -> Self {
        Self { open_files: 1024, file_size_bytes: None, data_bytes: None, threads: 0, processor_seconds: None }
    }
}

/// A user and a group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// User id; never 0.
    pub uid: u32,
    /// Group id; never 0.
    pub gid: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn importing(names: &[&str]) -> Policy {
        let surface = Surface::of_functions(names);
        Policy { surface, ..Policy::default() }
    }

    fn granting(policy: Policy, access: Access) -> Policy {
        Policy { grants: vec![FilesystemGrant { host: "/srv".into(), access }], ..policy }
    }

    fn ids(policy: &Policy) -> Vec<&str> {
        policy.rules(false).map(|rule| rule.id).collect()
    }

    #[test]
    fn a_module_that_only_computes_has_the_runtime_rules() {
        let policy = Policy::default();
        assert_eq!(ids(&policy), ["brk", "exit_group", "mmap_heap", "rt_sigreturn", "write_message"]);
        assert_eq!(policy.level, Level::Strict);
    }

    #[test]
    fn mprotect_comes_only_with_memory_that_can_grow() {
        let policy = Policy::default();
        assert!(policy.rules(true).any(|rule| rule.call == "mprotect"));
        assert!(!policy.rules(false).any(|rule| rule.call == "mprotect"));
    }

    #[test]
    fn a_wait_comes_only_with_shared_memory() {
        let of = |shared| Policy { surface: Surface::default().with_shared_memory(shared), ..Policy::default() };
        let waits = |policy: &Policy| ids(policy).contains(&"ppoll");
        assert!(waits(&of(true)) && !waits(&of(false)));
        assert!(!waits(&Policy { role: Role::Compiler, ..of(true) }));
    }

    #[test]
    fn records_are_written_to_their_descriptors_only_and_only_if_asked_for() {
        let policy = Policy { records: true, ..Policy::default() };
        let permitted = |policy: &Policy, fd: u64| {
            policy.rules(false).filter(|rule| rule.call == "write").any(|rule| rule.permits(&[fd, 0, 0, 0, 0, 0], &[]))
        };
        let written: Vec<_> = (0..1024).filter(|fd| permitted(&policy, *fd)).collect();
        assert_eq!(written, [2, 100, 101]);
        assert!(RECORD_FDS.iter().all(|fd| written.contains(&u64::try_from(*fd).expect("not negative"))));
        assert!(!permitted(&Policy::default(), 100));
        let dumps = Policy { dumps: true, ..Policy::default() };
        let written: Vec<_> = (0..1024).filter(|fd| permitted(&dumps, *fd)).collect();
        assert_eq!(written, [2, u64::try_from(DUMP_FD).expect("not negative")]);
    }

    #[test]
    fn paths_need_a_grant() {
        let policy = importing(&["path_open"]);
        assert!(!ids(&policy).contains(&"openat2"));
        assert!(ids(&granting(policy, Access::ReadOnly)).contains(&"openat2"));
    }

    #[test]
    fn paths_are_resolved_by_one_resolver() {
        let kernel = granting(importing(&["path_filestat_get"]), Access::ReadOnly);
        let manual = Policy { resolver: Resolver::Manual, ..kernel.clone() };
        let resolving = |policy: &Policy| {
            let ids = ids(policy);
            ["openat2", "openat", "readlinkat"].map(|id| ids.contains(&id))
        };
        assert_eq!(resolving(&kernel), [true, false, false]);
        assert_eq!(resolving(&manual), [false, true, true]);
        assert_eq!(resolving(&Policy { resolver: Resolver::Manual, ..importing(&["path_open"]) }), [false; 3]);
    }

    #[test]
    fn changes_need_a_writable_grant() {
        for access in [Access::ReadOnly, Access::ReadWrite, Access::Append] {
            let policy = granting(importing(&["path_create_directory"]), access);
            assert_eq!(ids(&policy).contains(&"mkdirat"), access.is_writable(), "{access}");
        }
    }

    #[test]
    fn transfers_at_a_position_come_with_files_that_the_program_opens() {
        let rules = ["pread64", "pwrite64", "lseek"];
        let of = |imports: &[&str], access: Option<Access>| {
            let policy = importing(imports);
            let policy = access.map_or(policy.clone(), |access| granting(policy, access));
            let ids = ids(&policy);
            rules.map(|rule| ids.contains(&rule))
        };
        let all = ["path_open", "fd_read", "fd_write", "fd_fdstat_set_flags"];
        assert_eq!(of(&all, Some(Access::ReadWrite)), [true; 3]);
        assert_eq!(of(&all, Some(Access::Append)), [true; 3]);
        assert_eq!(of(&all, Some(Access::ReadOnly)), [true, false, false]);
        assert_eq!(of(&all, None), [false; 3]);
        assert_eq!(of(&all[1..], Some(Access::ReadWrite)), [false; 3]);
        assert_eq!(of(&["path_open", "fd_write"], Some(Access::ReadWrite)), [false, true, false]);
    }

    #[test]
    fn sockets_need_a_listener() {
        let policy = importing(&["sock_accept"]);
        assert!(!ids(&policy).contains(&"accept4"));
        let listening = Policy { listeners: vec![([127, 0, 0, 1], 80).into()], ..policy };
        assert!(ids(&listening).contains(&"accept4"));
    }

    #[test]
    fn a_compiler_has_its_own_rules_whatever_the_module_imports() {
        let compiler = |policy| Policy { role: Role::Compiler, ..policy };
        let policy = compiler(granting(importing(&["path_open", "fd_read", "sock_accept"]), Access::ReadWrite));
        assert_eq!(ids(&policy), ids(&compiler(Policy::default())));
        let calls: Vec<_> = policy.rules(true).map(|rule| rule.call).collect();
        let never =
            ["openat", "openat2", "readv", "writev", "close", "fstat", "prctl", "kill", "tgkill", "clone3", "execve"];
        assert!(calls.contains(&"clone") && !never.iter().any(|call| calls.contains(call)), "{calls:?}");
    }

    #[test]
    fn a_broker_has_its_own_rules_whatever_the_module_imports() {
        let broker = |policy| Policy { role: Role::Broker, ..policy };
        let policy = broker(granting(importing(&["path_open", "fd_read", "sock_accept"]), Access::ReadWrite));
        let own = [
            "close_made",
            "connect_made",
            "exit_group",
            "receive_request",
            "send_answer",
            "socket_tcp",
            "write_message",
        ];
        assert_eq!(ids(&policy), own);
        assert_eq!(ids(&broker(Policy::default())), own);
    }

    #[test]
    fn a_broker_makes_tcp_sockets_and_connects_one() {
        let policy = Policy { role: Role::Broker, ..Policy::default() };
        let permits = |call: &str, arguments: [u64; 6]| {
            policy.rules(false).filter(|rule| rule.call == call).any(|rule| rule.permits(&arguments, &[]))
        };
        let socket = |domain, kind, protocol| permits("socket", [domain, kind, protocol, 0, 0, 0]);
        // AF_INET, AF_INET6; SOCK_STREAM, SOCK_CLOEXEC and SOCK_NONBLOCK; IPPROTO_TCP.
        let kind = 1 | 0x8_0000 | 0x800;
        let families: Vec<_> = (0..64).filter(|domain| socket(*domain, kind, 6)).collect();
        assert_eq!(families, [2, 10]);
        let kinds: Vec<_> = (0..0x10_0000).filter(|kind| socket(2, *kind, 6)).collect();
        assert_eq!(kinds, [kind]);
        // 262 is MPTCP.
        let protocols: Vec<_> = (0..1024).filter(|protocol| socket(10, kind, *protocol)).collect();
        assert_eq!(protocols, [6]);
        for call in ["connect", "close"] {
            let numbers: Vec<_> = (0..1024).filter(|fd| permits(call, [*fd, 0, 0, 0, 0, 0])).collect();
            assert_eq!(numbers, [3], "{call}");
        }
    }

    #[test]
    fn a_broker_is_asked_by_modules_that_ask_and_may_connect() {
        let ports = ConnectPorts { protocol: Protocol::Tcp, first: 443, last: 443 };
        let of = |asks, connections: &[ConnectPorts]| {
            let surface = Surface::default().with_connections(asks);
            Policy { surface, connections: connections.to_vec(), ..Policy::default() }
        };
        let policy = of(true, &[ports]);
        let mut more = ids(&policy);
        more.retain(|id| !ids(&Policy::default()).contains(id));
        let rules =
            ["close", "getpeername", "getsockname", "getsockopt_error", "ppoll", "receive_answer", "send_request"];
        assert_eq!(more, rules);
        for other in [of(true, &[]), of(false, &[ports])] {
            assert_eq!(ids(&other), ids(&Policy::default()));
        }
        // A listener has an address, and so has what it accepts.
        let listeners = vec![([127, 0, 0, 1], 80).into()];
        let listening = Policy { listeners: listeners.clone(), ..of(true, &[]) };
        let mut more = ids(&listening);
        more.retain(|id| !ids(&Policy::default()).contains(id));
        assert_eq!(more, ["getpeername", "getsockname"]);
        assert_eq!(ids(&Policy { listeners, ..of(false, &[ports]) }), ids(&Policy::default()));
        // What works on a connection works on any, and nothing is accepted without a listener.
        let sockets = importing(&["sock_accept", "sock_recv", "sock_send", "sock_shutdown"]);
        let sockets = |asks| Policy { surface: sockets.surface.clone().with_connections(asks), ..of(asks, &[ports]) };
        let permits = |asks| ["recvmsg", "sendto", "shutdown", "accept4"].map(|id| ids(&sockets(asks)).contains(&id));
        assert_eq!((permits(true), permits(false)), ([true, true, true, false], [false; 4]));
        let permitted = |call: &str, argument: usize, others: [u64; 6]| -> Vec<u64> {
            let with = |value| std::array::from_fn(|at| if at == argument { value } else { others[at] });
            let permits =
                |value: &u64| policy.rules(false).filter(|r| r.call == call).any(|r| r.permits(&with(*value), &[]));
            (0..0x1_0000).chain([0x4000_0000, 0x2000_4000]).filter(permits).collect()
        };
        let broker = u64::try_from(BROKER_FD).expect("not negative");
        // The descriptor, the flags (MSG_NOSIGNAL) and the address.
        let request = [broker, 0, 0, 0x4000, 0, 0];
        assert_eq!([0, 3, 4, 5].map(|at| permitted("sendto", at, request)), [[broker], [0x4000], [0], [0]]);
        let answer = [broker, 0, 0x4000_0000, 0, 0, 0];
        assert_eq!([0, 2].map(|at| permitted("recvmsg", at, answer)), [[broker], [0x4000_0000]]);
        assert_eq!([1, 2].map(|at| permitted("getsockopt", at, [7, 1, 4, 0, 0, 0])), [[1], [4]]);
    }

    #[test]
    fn streams_need_nothing() {
        let policy = importing(&["fd_write", "fd_read"]);
        assert!(ids(&policy).contains(&"writev") && ids(&policy).contains(&"readv"));
    }
}
