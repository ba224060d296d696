//! The seccomp profile of a container: `linux.seccomp` of an OCI bundle's `config.json`.
//!
//! Source: `config-linux.md` of the OCI runtime specification. What it leaves open is as in runc and libseccomp.

use std::collections::{BTreeMap, BTreeSet};

use super::outer::{OuterFilter, Rule, TRAP, program};
use crate::syscalls;

/// `linux.seccomp`: which system calls a container may make.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeccompProfile {
    /// What happens to a call that no rule matches.
    pub default_action: SeccompAction,
    /// The errno of `default_action`.
    pub default_errno_ret: Option<u32>,
    /// Architectures with a filter of their own. Calls of another one end the process.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// How the filter is installed.
    #[serde(default)]
    pub flags: Vec<SeccompFlag>,
    /// The socket of a program that decides on calls.
    pub listener_path: Option<String>,
    /// What that program is told.
    pub listener_metadata: Option<String>,
    /// The rules.
    #[serde(default)]
    pub syscalls: Vec<SeccompRule>,
}

/// A rule of a [`SeccompProfile`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeccompRule {
    /// The calls. Names that x86-64 does not have are ignored.
    pub names: Vec<String>,
    /// What happens to the calls.
    pub action: SeccompAction,
    /// The errno of `action`.
    pub errno_ret: Option<u32>,
    /// Conditions. All of them must hold; if two are about the same argument, one must hold, as in runc and crun.
    #[serde(default)]
    pub args: Vec<SeccompArgument>,
}

/// A condition on one argument, all 64 bits of it, unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeccompArgument {
    /// Which argument, from 0.
    pub index: u32,
    /// What it is compared with; for [`SeccompOperator::MaskedEq`], the mask.
    pub value: u64,
    /// For [`SeccompOperator::MaskedEq`], what the bits under the mask are compared with.
    #[serde(default)]
    pub value_two: u64,
    /// How it is compared.
    pub op: SeccompOperator,
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum SeccompOperator {
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub enum SeccompAction {
    /// It is made, if the filter of `wave` permits it, too.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    /// As [`Allow`](Self::Allow), and the kernel logs it.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// It fails with an errno, by default `EPERM`.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// It ends the process with a message, as a call that `wave` denies.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// It ends the thread, which is all of the process.
    #[serde(rename = "SCMP_ACT_KILL", alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    /// It ends the process.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// A tracer decides: refused.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// A listener decides: refused.
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

/// How a filter is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub enum SeccompFlag {
    /// On all threads, as every filter here.
    #[serde(rename = "SECCOMP_FILTER_FLAG_TSYNC")]
    Tsync,
    /// The kernel logs every action but [`SeccompAction::Allow`].
    #[serde(rename = "SECCOMP_FILTER_FLAG_LOG")]
    Log,
    /// Without a mitigation of speculation. The filter of `wave` still has it.
    #[serde(rename = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow,
    /// How the process waits for a listener: refused.
    #[serde(rename = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")]
    WaitKillable,
}

/// Why a profile is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{property}: {problem}")]
pub struct SeccompProfileError {
    /// The property, as `linux.seccomp.syscalls[3].action`.
    pub property: String,
    /// What is wrong with it.
    pub problem: SeccompProblem,
}

/// What is wrong with a property of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeccompProblem {
    /// Another process would decide on the calls.
    #[error("no tracer and no listener decides on the calls of a sealed process")]
    Listener,
    /// An errno for another action than [`SeccompAction::Errno`].
    #[error("only SCMP_ACT_ERRNO has an errno")]
    NoErrno,
    /// No errno has this number. A call that fails with 0 would seem to have been made.
    #[error("{0} is no errno, which is a number from 1 to 4095")]
    Errno(u32),
    /// The list lacks the architecture of every process here.
    #[error("the list lacks SCMP_ARCH_X86_64, the only architecture whose calls a sealed process can make")]
    Architecture,
    /// A rule names no call, or a call has an empty name.
    #[error("a rule names at least one system call, and none by an empty name")]
    Names,
    /// No call has this argument.
    #[error("there is no argument {0}: they are 0 to 5")]
    Index(u32),
    /// The kernel accepts no filter of so many instructions.
    #[error("the filter has {0} instructions, and the kernel accepts 4096")]
    TooLong(usize),
}

impl SeccompProblem {
    /// What the user can do.
    #[must_use]
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Listener => "leave it out, or let SCMP_ACT_ERRNO or SCMP_ACT_KILL_PROCESS deny the calls",
            Self::NoErrno => "leave out the errno, or use SCMP_ACT_ERRNO",
            Self::Errno(_) => "use the errno of a failed call, as 1 for EPERM",
            Self::Architecture => "add SCMP_ARCH_X86_64, or leave out the list",
            Self::Names => "name the system calls, or leave out the rule",
            Self::Index(_) => "use an argument from 0 to 5",
            Self::TooLong(_) => "use fewer conditions on arguments",
        }
    }
}

type Result<T> = std::result::Result<T, SeccompProfileError>;

fn refuse<T>(property: &str, problem: SeccompProblem) -> Result<T> {
    Err(SeccompProfileError { property: format!("linux.seccomp.{property}"), problem })
}

impl SeccompProfile {
    /// The filter of the profile.
    ///
    /// The first rule of a call that has no conditions decides, as in libseccomp. Without one, the strictest action of the rules that
    /// match applies, or the default action. A rule whose action is the default one has no effect, as in runc and crun. In one place this
    /// is stricter than libseccomp: where `rt_sigreturn` would fail, it ends the process, which cannot go on.
    ///
    /// # Errors
    /// [`SeccompProfileError`] with the first property that cannot be applied.
    pub fn compile(&self) -> Result<OuterFilter> {
        self.refuse_listener()?;
        if !self.architectures.is_empty() && !self.architectures.iter().any(|name| name == "SCMP_ARCH_X86_64") {
            return refuse("architectures", SeccompProblem::Architecture);
        }
        let default = answer(self.default_action, self.default_errno_ret, "defaultAction", "defaultErrnoRet")?;
        let program = program(&self.rules(default)?, default);
        let len = program.len();
        match OuterFilter::new(program, self.flag_bits()?) {
            Some(filter) => Ok(filter),
            None => refuse("syscalls", SeccompProblem::TooLong(len)),
        }
    }

    fn refuse_listener(&self) -> Result<()> {
        let properties = [("listenerPath", &self.listener_path), ("listenerMetadata", &self.listener_metadata)];
        match properties.into_iter().find(|(_, value)| value.as_ref().is_some_and(|text| !text.is_empty())) {
            Some((property, _)) => refuse(property, SeccompProblem::Listener),
            None => Ok(()),
        }
    }

    fn flag_bits(&self) -> Result<libc::c_ulong> {
        self.flags.iter().enumerate().try_fold(0, |bits, (index, flag)| match flag {
            SeccompFlag::Tsync => Ok(bits | libc::SECCOMP_FILTER_FLAG_TSYNC),
            SeccompFlag::Log => Ok(bits | libc::SECCOMP_FILTER_FLAG_LOG),
            SeccompFlag::SpecAllow => Ok(bits | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW),
            SeccompFlag::WaitKillable => refuse(&format!("flags[{index}]"), SeccompProblem::Listener),
        })
    }

    /// The rules of each call, by its number.
    fn rules(&self, default: u32) -> Result<BTreeMap<u32, Vec<Rule>>> {
        let numbers = syscalls::by_name();
        let mut calls: BTreeMap<u32, Vec<Rule>> = BTreeMap::new();
        for (index, rule) in self.syscalls.iter().enumerate() {
            let at = format!("syscalls[{index}]");
            let rules = rule.compile(&at)?;
            for number in rule.names.iter().filter_map(|name| numbers.get(name.as_str())) {
                calls.entry(*number).or_default().extend(rules.iter().filter(|rule| rule.answer != default).cloned());
            }
        }
        Ok(calls)
    }
}

impl SeccompRule {
    fn compile(&self, at: &str) -> Result<Vec<Rule>> {
        if self.names.is_empty() || self.names.iter().any(String::is_empty) {
            return refuse(&format!("{at}.names"), SeccompProblem::Names);
        }
        if let Some((number, arg)) = self.args.iter().enumerate().find(|(_, arg)| arg.index > 5) {
            return refuse(&format!("{at}.args[{number}].index"), SeccompProblem::Index(arg.index));
        }
        let answer = answer(self.action, self.errno_ret, &format!("{at}.action"), &format!("{at}.errnoRet"))?;
        let indices: BTreeSet<u32> = self.args.iter().map(|arg| arg.index).collect();
        let alternatives = if indices.len() < self.args.len() {
            self.args.iter().map(|arg| vec![*arg]).collect()
        } else {
            vec![self.args.clone()]
        };
        Ok(alternatives.into_iter().map(|conditions| Rule { answer, conditions }).collect())
    }
}

/// What the filter returns for an action.
fn answer(action: SeccompAction, errno: Option<u32>, property: &str, errno_property: &str) -> Result<u32> {
    match (action, errno) {
        (SeccompAction::Trace | SeccompAction::Notify, _) => refuse(property, SeccompProblem::Listener),
        (SeccompAction::Errno, Some(errno @ 1..=4095)) => Ok(libc::SECCOMP_RET_ERRNO | errno),
        (SeccompAction::Errno, Some(errno)) => refuse(errno_property, SeccompProblem::Errno(errno)),
        (SeccompAction::Errno, None) => Ok(libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned()),
        (_, Some(_)) => refuse(errno_property, SeccompProblem::NoErrno),
        (SeccompAction::Allow, None) => Ok(libc::SECCOMP_RET_ALLOW),
        (SeccompAction::Log, None) => Ok(libc::SECCOMP_RET_LOG),
        (SeccompAction::Trap, None) => Ok(TRAP),
        (SeccompAction::KillThread, None) => Ok(libc::SECCOMP_RET_KILL_THREAD),
        (SeccompAction::KillProcess, None) => Ok(libc::SECCOMP_RET_KILL_PROCESS),
    }
}
