//! Powers over the host that a run has or lacks, derived from the system calls that each power needs.

use super::grants;
use serde::Serialize;
use wave_policy::{Operand, Surface, SyscallRule, Test};

/// Bit of a memory protection that permits execution.
const PROT_EXEC: u64 = 4;

/// A power over the host.
struct Power {
    what: &'static str,
    needs: Needs,
}

/// The system calls that a power needs.
enum Needs {
    /// One of these system calls, with any arguments.
    AnyOf(&'static [&'static str]),
    /// One of these mapping calls, with a protection that may include execution.
    Executable(&'static [&'static str]),
}

/// All powers, the worst first. Reading a clock is not listed, because native code can do that without a system call.
const POWERS: [Power; 17] = [
    any("run another program", &["execve", "execveat"]),
    any("start a process or a thread", &["fork", "vfork", "clone", "clone3"]),
    Power {
        what: "make memory executable, or map a file as code",
        needs: Needs::Executable(&[
            "mmap",
            "mprotect",
            "pkey_mprotect",
            "mremap",
            "remap_file_pages",
            "shmat",
            "uselib",
        ]),
    },
    any("make a socket, connect, bind or listen", &["socket", "socketpair", "connect", "bind", "listen"]),
    any(
        "trace or signal another process, or reach into its memory",
        &[
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "process_madvise",
            "kill",
            "tkill",
            "tgkill",
            "rt_sigqueueinfo",
            "rt_tgsigqueueinfo",
            "pidfd_open",
            "pidfd_getfd",
            "pidfd_send_signal",
            "kcmp",
        ],
    ),
    any(
        "change its user, groups or capabilities",
        &[
            "setuid",
            "setgid",
            "setreuid",
            "setregid",
            "setresuid",
            "setresgid",
            "setfsuid",
            "setfsgid",
            "setgroups",
            "capset",
            "prctl",
        ],
    ),
    any(
        "mount, change its root or enter namespaces",
        &[
            "mount",
            "umount2",
            "pivot_root",
            "chroot",
            "unshare",
            "setns",
            "open_tree",
            "move_mount",
            "fsopen",
            "fsmount",
            "fsconfig",
            "fspick",
            "mount_setattr",
        ],
    ),
    any(
        "load code into the kernel, or program it",
        &["init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf", "perf_event_open"],
    ),
    any(
        "queue calls past the filter (io_uring, aio)",
        &["io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup", "io_submit"],
    ),
    any("control a device", &["ioctl"]),
    any(
        "share memory or queues with other processes",
        &[
            "shmget",
            "shmat",
            "memfd_create",
            "memfd_secret",
            "msgget",
            "semget",
            "mq_open",
            "pipe",
            "pipe2",
            "userfaultfd",
        ],
    ),
    any(
        "change owners, modes or attributes of files",
        &[
            "chmod",
            "fchmod",
            "fchmodat",
            "fchmodat2",
            "chown",
            "fchown",
            "lchown",
            "fchownat",
            "setxattr",
            "lsetxattr",
            "fsetxattr",
            "setxattrat",
            "file_setattr",
        ],
    ),
    any("make devices, sockets or named pipes", &["mknod", "mknodat"]),
    any("open a file", &["open", "openat", "openat2", "creat", "open_by_handle_at"]),
    any(
        "make, remove or rename a directory entry, except by opening a file",
        &[
            "mkdir",
            "mkdirat",
            "unlink",
            "unlinkat",
            "rmdir",
            "rename",
            "renameat",
            "renameat2",
            "link",
            "linkat",
            "symlink",
            "symlinkat",
        ],
    ),
    any("list a directory", &["getdents", "getdents64"]),
    any("accept a connection", &["accept", "accept4"]),
];

const fn any(what: &'static str, calls: &'static [&'static str]) -> Power {
    Power { what, needs: Needs::AnyOf(calls) }
}

/// Whether a run can do something.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The power.
    pub what: &'static str,
    /// Whether a run has it.
    pub answer: Answer,
    /// The kinds of grant that give it, unless a run has it always or never.
    pub with: Vec<&'static str>,
    /// The system calls of which it needs one.
    pub calls: &'static [&'static str],
}

/// When a run has a power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// With no grant.
    Never,
    /// Only with some grants.
    Granted,
    /// Even without a grant.
    Always,
}

impl Power {
    fn is_given_by(&self, rule: &SyscallRule) -> bool {
        match self.needs {
            Needs::AnyOf(calls) => calls.contains(&rule.call),
            Needs::Executable(calls) => calls.contains(&rule.call) && !refuses_execution(rule),
        }
    }

    const fn calls(&self) -> &'static [&'static str] {
        match self.needs {
            Needs::AnyOf(calls) | Needs::Executable(calls) => calls,
        }
    }
}

/// Whether a condition of the rule excludes execution from the protection.
fn refuses_execution(rule: &SyscallRule) -> bool {
    let Some(prot) = rule.args.iter().position(|arg| *arg == "prot") else { return false };
    rule.conditions.iter().filter(|condition| usize::from(condition.arg) == prot).any(|condition| {
        match condition.test {
            Test::Equal(Operand::Value(value)) => value & PROT_EXEC == 0,
            Test::AtMost(Operand::Value(value)) => value < PROT_EXEC,
            Test::Masked { mask, value } => mask & PROT_EXEC != 0 && value & PROT_EXEC == 0,
            Test::Equal(_) | Test::AtMost(_) => false,
        }
    })
}

/// The verdict on each power for a module with this surface.
pub fn verdicts(surface: &Surface, growable: bool) -> Vec<Verdict> {
    let granted = grants::rules(surface, growable);
    let verdict = |power: &'static Power| {
        let given = granted.iter().map(|(grant, rules)| (*grant, rules.iter().any(|rule| power.is_given_by(rule))));
        let with: Vec<_> = given.filter(|(_, given)| *given).map(|(grant, _)| grant).collect();
        let answer = match *with {
            [] => Answer::Never,
            _ if with.len() == granted.len() => Answer::Always,
            _ => Answer::Granted,
        };
        let with = if answer == Answer::Granted { with } else { Vec::new() };
        Verdict { what: power.what, answer, with, calls: power.calls() }
    };
    POWERS.iter().map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wave_policy::{all_functions, all_rules};

    fn answer(surface: &Surface, what: &str) -> Answer {
        verdicts(surface, true).iter().find(|verdict| verdict.what.starts_with(what)).expect("a power").answer
    }

    #[test]
    fn a_module_that_imports_everything_opens_files_with_a_grant_and_sockets_never() {
        let names = all_functions().iter().map(|function| ("wasi_snapshot_preview1", function.name));
        let all = Surface::from_imports(names);
        for (what, expected) in [
            ("run another program", Answer::Never),
            ("make memory executable", Answer::Never),
            ("make a socket", Answer::Never),
            ("open a file", Answer::Granted),
            ("accept", Answer::Granted),
        ] {
            assert_eq!(answer(&all, what), expected, "{what}");
        }
        assert_eq!(answer(&Surface::default(), "open a file"), Answer::Never);
    }

    #[test]
    fn every_name_is_a_system_call() {
        let known: Vec<_> = (0..1024).filter_map(wave_sandbox::call_name).collect();
        for call in POWERS.iter().flat_map(Power::calls) {
            assert!(known.contains(call), "{call}");
        }
    }

    #[test]
    fn rules_that_would_permit_execution_are_told_from_those_that_do_not() {
        let mapping = |call: &'static str| all_rules().iter().filter(move |rule| rule.call == call);
        assert!(mapping("mmap").chain(mapping("mprotect")).all(refuses_execution));
        assert!(!mapping("writev").any(refuses_execution), "no argument is a protection");
    }
}
