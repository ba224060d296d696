//! The reviewed table of `syscalls.toml`, as static data.

use std::iter;

include!(concat!(env!("OUT_DIR"), "/tables.rs"));

/// One permission for one system call.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rule {
    /// Its name in the table and in messages.
    pub id: &'static str,
    /// The system call it permits.
    pub call: &'static str,
    /// The call's argument names, as in its man page.
    pub args: &'static [&'static str],
    /// What must all hold. Empty: any arguments.
    pub conditions: &'static [Condition],
    /// Why an honest run needs it.
    pub reason: &'static str,
    /// What an attacker who owns the process gets from it.
    pub effect: &'static str,
}

/// A test of one argument register, all 64 bits of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Condition {
    /// Which argument, from 0.
    pub arg: u8,
    /// What must hold of it.
    pub test: Test,
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
    /// Start address of a linear memory that can grow. A rule with it stands once per such memory.
    GrowableBase,
    /// Largest length of that same memory in bytes.
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
    pub fn iter(self) -> impl Iterator<Item = &'static Rule> {
        let mut rest = self.0;
        iter::from_fn(move || {
            let rule = RULES.get(rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(rule)
        })
    }
}

/// Every rule of the table, in the order of their ids.
pub const fn all_rules() -> &'static [Rule] {
    &RULES
}

/// Every WASI function of the table, in the order of their names.
pub const fn all_functions() -> &'static [Function] {
    &FUNCTIONS
}

/// The WASI functions whose row holds a rule for this system call. Allocates nothing, so a signal handler may ask.
pub fn functions_using(call: &str) -> impl Iterator<Item = &'static Function> {
    let holds = move |rules: RuleSet| rules.iter().any(|rule| rule.call == call);
    let resolving = holds(RESOLVER_KERNEL.union(RESOLVER_MANUAL));
    FUNCTIONS.iter().filter(move |function| holds(function.rules) || (resolving && function.resolves))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str) -> &'static Rule {
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
        for rule in all_rules() {
            assert!(!never.contains(&rule.call), "{}", rule.id);
        }
    }

    #[test]
    fn memory_rules_never_permit_execution() {
        for rule in all_rules().iter().filter(|rule| matches!(rule.call, "mmap" | "mprotect")) {
            let prot = rule.args.iter().position(|arg| *arg == "prot").expect("an argument named prot");
            let pinned = Test::Equal(Operand::Value(0x3));
            assert!(rule.conditions.iter().any(|c| usize::from(c.arg) == prot && c.test == pinned), "{}", rule.id);
        }
    }

    #[test]
    fn every_rule_says_why_and_what_for() {
        for rule in all_rules() {
            assert!(!rule.reason.is_empty() && !rule.effect.is_empty(), "{}", rule.id);
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
