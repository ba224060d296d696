//! The reviewed table of `syscalls.toml`, as static data.

use std::iter;

use crate::{Access, Shape};

include!(concat!(env!("OUT_DIR"), "/tables.rs"));

/// One permission for one system call.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct SyscallRule {
    /// Its name in the table and in messages.
    pub id: &'static str,
    /// The system call it permits.
    pub call: &'static str,
    /// The call's argument names, as in its man page.
    pub args: &'static [&'static str],
    /// The conditions as they are written in the table. Empty: any arguments.
    pub when: &'static str,
    /// What must all hold. Empty: any arguments.
    pub conditions: &'static [Condition],
    /// Why an honest run needs it.
    pub reason: &'static str,
    /// What an attacker who owns the process gets from it.
    pub effect: &'static str,
    /// The same at length: what the call can do in general, what is left of it here, and what does not hold it.
    pub abuse: &'static str,
    /// Where it is needed, if not everywhere: another version of the kernel or of glibc, say. Such a rule need not be used
    /// by a run of the tests.
    pub elsewhere: Option<&'static str>,
}

impl SyscallRule {
    /// Whether the rule permits its call with these arguments. `growable`: start and length in bytes of each linear memory
    /// that can grow.
    ///
    /// This states the meaning of the filter a second time and without BPF, so that each can be checked against the other.
    pub fn permits(&self, arguments: &[u64; 6], growable: &[(u64, u64)]) -> bool {
        // A rule without growable memory is the same for every range.
        let holds = |range: (u64, u64)| self.conditions.iter().all(|condition| condition.holds(arguments, range));
        if self.speaks_of_growable() { growable.iter().any(|range| holds(*range)) } else { holds((0, 0)) }
    }

    /// Whether a condition compares with a linear memory that can grow: the filter then has the rule once per memory.
    pub fn speaks_of_growable(&self) -> bool {
        let operand = |condition: &Condition| match condition.test {
            Test::Equal(operand) | Test::AtMost(operand) => Some(operand),
            Test::Masked { .. } => None,
        };
        let growable = [Operand::GrowableBase, Operand::GrowableLength];
        self.conditions.iter().filter_map(operand).any(|operand| growable.contains(&operand))
    }
}

/// A test of one argument register, all 64 bits of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Condition {
    /// Which argument, from 0.
    pub arg: u8,
    /// What must hold of it.
    pub test: Test,
}

impl Condition {
    fn holds(&self, arguments: &[u64; 6], (base, length): (u64, u64)) -> bool {
        let value = |operand| match operand {
            Operand::Value(value) => value,
            Operand::GrowableBase => base,
            Operand::GrowableLength => length,
        };
        arguments.get(usize::from(self.arg)).is_some_and(|argument| match self.test {
            Test::Equal(operand) => *argument == value(operand),
            Test::AtMost(operand) => *argument <= value(operand),
            Test::Masked { mask, value } => argument & mask == value,
        })
    }
}

/// What must hold of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Test {
    /// The argument is this.
    Equal(Operand),
    /// The argument is this or less, unsigned.
    AtMost(Operand),
    /// These bits of the argument have this value.
    Masked {
        /// The bits that are looked at.
        mask: u64,
        /// What they must be.
        value: u64,
    },
}

/// What an argument is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Operand {
    /// A constant.
    Value(u64),
    /// Start address of a linear memory that can grow. The filter has a rule with it once per such memory.
    GrowableBase,
    /// Maximum length of that memory in bytes.
    GrowableLength,
}

/// One WASI function and what it can lead to.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its import name.
    pub name: &'static str,
    /// Without this in the policy, the monitor refuses the function before any system call.
    pub need: Need,
    /// The rules of its row.
    pub rules: RuleSet,
    /// Whether it turns paths into objects, and so uses the resolver of the run as well.
    pub resolves: bool,
}

/// What a function needs before it can have an effect on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Need {
    /// Nothing: it works on the standard streams too, or has no host effect.
    Nothing,
    /// A grant in the file system.
    Grant,
    /// A grant in the file system that allows change.
    WritableGrant,
    /// A listening socket.
    Listener,
    /// A connection: from a listening socket, or one that the module asks for.
    Socket,
}

/// Rules that come with a kind of run, whatever the module imports.
#[derive(Debug)]
pub(crate) struct RuntimeRow {
    pub(crate) name: &'static str,
    /// When it counts, in words.
    pub(crate) applies: &'static str,
    pub(crate) rules: RuleSet,
}

/// Calls that `wave` makes before the seal, for one purpose.
#[derive(Debug, PartialEq, Eq)]
pub struct Start {
    /// What the table calls it.
    pub name: &'static str,
    /// Which runs make them.
    pub needed: Needed,
    /// What they are for.
    pub reason: &'static str,
    /// Their names.
    pub calls: &'static [&'static str],
}

/// Which runs make some calls before the seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Every run.
    Every,
    /// One with a listener.
    Listener,
    /// None: without them a run does something less. A filter that is made of names may not know them yet.
    Late,
}

/// A set of rules of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSet(u128);

impl RuleSet {
    /// The rules in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The rules, in the order of their ids.
    pub fn iter(self) -> impl Iterator<Item = &'static SyscallRule> {
        let mut rest = self.0;
        iter::from_fn(move || {
            let rule = RULES.get(rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(rule)
        })
    }
}

/// Every rule of the table, in the order of their ids.
pub const fn all_rules() -> &'static [SyscallRule] {
    &RULES
}

/// The calls that `wave` makes from `execve` on to the seal, those of its compiling process included, by what they are for.
///
/// No filter of `wave` is built from them. They are for a filter around it.
pub const fn all_starts() -> &'static [Start] {
    &STARTS
}

/// Every WASI function of the table, in the order of their names.
pub const fn all_functions() -> &'static [Function] {
    &FUNCTIONS
}

/// The WASI functions whose row has a rule for this system call. Allocates nothing, so a signal handler may ask.
pub fn functions_using(call: &str) -> impl Iterator<Item = &'static Function> {
    let holds = move |rules: RuleSet| rules.iter().any(|rule| rule.call == call);
    let resolving = holds(RESOLVER_KERNEL.union(RESOLVER_MANUAL));
    FUNCTIONS.iter().filter(move |function| holds(function.rules) || (resolving && function.resolves))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str) -> &'static SyscallRule {
        RULES.iter().find(|rule| rule.id == id).expect("rule in the table")
    }

    #[test]
    fn the_table_has_the_46_functions_of_preview1() {
        assert_eq!(FUNCTIONS.len(), 46);
        assert!(FUNCTIONS.is_sorted_by_key(|function| function.name));
    }

    #[test]
    fn conditions_are_read_as_written() {
        assert_eq!(rule("read").conditions, []);
        assert_eq!(
            rule("mprotect_grow").conditions,
            [
                Condition { arg: 0, test: Test::Equal(Operand::GrowableBase) },
                Condition { arg: 1, test: Test::AtMost(Operand::GrowableLength) },
                Condition { arg: 2, test: Test::Equal(Operand::Value(0x3)) },
            ]
        );
        assert_eq!(
            rule("fcntl_setfl").conditions[1],
            Condition { arg: 2, test: Test::Masked { mask: 0x46000, value: 0 } }
        );
    }

    #[test]
    fn a_rule_permits_what_its_conditions_say() {
        assert!(rule("read").permits(&[u64::MAX; 6], &[]));
        let fcntl = |command, flags| rule("fcntl_setfl").permits(&[0, command, flags, 0, 0, 0], &[]);
        assert!(fcntl(4, 0x400) && !fcntl(4, 0x2400) && !fcntl(5, 0x400) && !fcntl(4 | 1 << 32, 0x400));
        let clock = |id| rule("clock_gettime").permits(&[id, 0, 0, 0, 0, 0], &[]);
        assert!(clock(0) && clock(1) && !clock(2) && !clock(u64::MAX));
        let grow = |base, len, ranges| rule("mprotect_grow").permits(&[base, len, 3, 0, 0, 0], ranges);
        let ranges = &[(0x1000, 0x2000), (0x8000, 0x1000)];
        assert!(grow(0x1000, 0x2000, ranges) && grow(0x8000, 0x1000, ranges) && !grow(0x8000, 0x1001, ranges));
        assert!(!grow(0x2000, 0x1000, ranges) && !grow(0, 0, &[]), "without memory that can grow there is nothing");
        assert!(rule("mprotect_grow").speaks_of_growable() && !rule("mmap_heap").speaks_of_growable());
    }

    #[test]
    fn nothing_that_makes_code_processes_or_sockets_is_in_the_table() {
        let never = [
            "execve",
            "execveat",
            "fork",
            "vfork",
            "clone",
            "clone3",
            "ptrace",
            "kill",
            "tkill",
            "tgkill",
            "socket",
            "socketpair",
            "bind",
            "listen",
            "connect",
            "prctl",
            "arch_prctl",
            "seccomp",
            "bpf",
            "ioctl",
            "io_uring_setup",
            "pkey_mprotect",
            "personality",
            "shmat",
            "mremap",
            "munmap",
            "remap_file_pages",
            "memfd_create",
            "process_vm_writev",
            "prlimit64",
            "setrlimit",
            "unshare",
            "setns",
            "mount",
            "chdir",
            "fchdir",
            "chmod",
            "fchmod",
            "fchmodat",
            "fchown",
            "fchownat",
            "setxattr",
            "mknod",
            "mknodat",
            "open_by_handle_at",
            "userfaultfd",
            "keyctl",
            "perf_event_open",
            "rt_sigaction",
            "rt_sigprocmask",
        ];
        let guests = FUNCTIONS
            .iter()
            .fold(ALWAYS.union(GROWABLE).union(SHARED).union(RESULTS).union(RECORDS).union(DUMP), |all, function| {
                all.union(function.rules)
            })
            .union(CONNECTS);
        for rule in guests.union(RESOLVER_KERNEL).union(RESOLVER_MANUAL).iter() {
            assert!(!never.contains(&rule.call), "{}", rule.id);
        }
        // A compiler makes threads, and keeps them; everything else is out of its reach as well.
        let threads = ["clone", "munmap", "rt_sigaction", "rt_sigprocmask"];
        for rule in COMPILER.iter() {
            assert!(threads.contains(&rule.call) || !never.contains(&rule.call), "{}", rule.id);
        }
        // A broker makes sockets and connects one, each under conditions.
        for rule in BROKER.iter().filter(|rule| never.contains(&rule.call)) {
            assert!(["socket", "connect"].contains(&rule.call) && !rule.conditions.is_empty(), "{}", rule.id);
        }
    }

    #[test]
    fn memory_rules_never_permit_execution() {
        for rule in all_rules().iter().filter(|rule| matches!(rule.call, "mmap" | "mprotect")) {
            let prot = rule.args.iter().position(|arg| *arg == "prot").expect("an argument named prot");
            let pinned = [Test::Equal(Operand::Value(0x3)), Test::AtMost(Operand::Value(0x3))];
            let holds = |c: &Condition| usize::from(c.arg) == prot && pinned.contains(&c.test);
            assert!(rule.conditions.iter().any(holds), "{}", rule.id);
        }
    }

    #[test]
    fn every_rule_says_why_and_what_for() {
        for rule in all_rules() {
            assert!(!rule.reason.is_empty() && !rule.effect.is_empty(), "{}", rule.id);
            assert!(rule.abuse.ends_with('.') && !rule.abuse.contains("  "), "{}", rule.id);
            assert!(rule.args.len() <= 6, "{}", rule.id);
        }
    }

    #[test]
    fn a_call_names_the_functions_that_lead_to_it() {
        let names: Vec<_> = functions_using("mkdirat").map(|function| function.name).collect();
        assert_eq!(names, ["path_create_directory"]);
        assert_eq!(functions_using("execve").count(), 0);
    }
}
