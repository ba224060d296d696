//! `wave why`: which layers and which rule of a policy allow or deny an operation, and which change would allow it.
//!
//! Nothing is run. The answer comes from the monitor itself, from the rules of the filter and from the Landlock rights
//! of the grants. A change of the policy is offered only if the same question under the changed policy is answered with
//! yes.

mod answer;
mod calls;
pub(crate) mod files;
mod kernel;
pub(crate) mod object;
mod operation;
mod others;

pub use answer::Answer;
pub use operation::Operation;

use answer::Reply;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use wave_engine::policy::PolicyDocument;
use wave_engine::{DirectoryGrant, Failure, overlaps_as_written, refuse_overlap};
use wave_policy::HostGrant;
use wave_policy::file::Edit;

/// Maximum changes of the policy that are tried.
const MAX_EDITS: usize = 16;

/// A question.
#[derive(Clone, Debug)]
pub enum Question {
    /// An operation on a path of the program.
    Path(String, Operation),
    /// An operation on a path of the host.
    HostPath(PathBuf, Operation),
    /// Opening a connection.
    Connect(SocketAddr),
    /// Opening a connection to one port of a host that is named.
    ConnectHost(HostGrant),
    /// Listening for connections.
    Listen(SocketAddr),
    /// Accepting a connection from an address.
    AcceptFrom(IpAddr),
    /// Making a system call.
    SystemCall(String),
    /// Importing and calling a WASI function.
    Function(String),
    /// Reading an environment variable.
    Variable(String),
}

impl Question {
    /// The question in words.
    pub fn words(&self) -> String {
        match self {
            Self::Path(path, op) => format!("{} {path}", op.name()),
            Self::HostPath(path, op) => format!("{} {} of the host", op.name(), path.display()),
            Self::Connect(address) => format!("connect to {address}"),
            Self::ConnectHost(HostGrant { name, ports }) => format!("connect to {name}:{}", ports.first),
            Self::Listen(address) => format!("listen on {address}"),
            Self::AcceptFrom(address) => format!("accept a connection from {address}"),
            Self::SystemCall(name) => format!("system call {name}"),
            Self::Function(name) => format!("function {name}"),
            Self::Variable(name) => format!("environment variable {name}"),
        }
    }
}

/// Answers a question about a policy. If it denies the operation, the answer has the changes that would allow it.
///
/// # Errors
/// 125 for a policy that a run would refuse, 2 for an invalid question.
pub fn answer(policy: &PolicyDocument, question: &Question) -> Result<Answer, Failure> {
    refuse_overlap(&policy.grants()?)?;
    with_edits(policy_clone(policy)?, question)
}

fn policy_clone(policy: &PolicyDocument) -> Result<PolicyDocument, Failure> {
    PolicyDocument::parse(policy.path(), policy.file.source())
}

fn answer_once(policy: &PolicyDocument, question: &Question) -> Result<Reply, Failure> {
    Ok(match question {
        Question::Path(path, op) => files::answer_path(policy, &files::from_start(policy, path), *op),
        Question::HostPath(path, op) => files::answer_host_path(policy, path, *op)?,
        Question::Connect(remote) => others::connect(policy, *remote),
        Question::ConnectHost(host) => others::connect_host(policy, host),
        Question::Listen(address) => others::listen(policy, *address),
        Question::AcceptFrom(address) => others::accept_from(policy, *address),
        Question::SystemCall(name) => calls::system_call(policy, name)?,
        Question::Function(name) => calls::function(policy, name),
        Question::Variable(name) => others::variable(policy, name),
    })
}

/// Answers a question and adds changes of the policy. They were tried: with all of them the answer is yes, and a run
/// would start.
fn with_edits(policy: PolicyDocument, question: &Question) -> Result<Answer, Failure> {
    let Reply { mut answer, edit } = answer_once(&policy, question)?;
    let (mut policy, mut next, mut edits) = (policy, edit, Vec::new());
    while let Some(edit) = next.take().filter(|_| edits.len() < MAX_EDITS) {
        policy = PolicyDocument::parse(policy.path(), &edit.source)?;
        edits.push(edit);
        let grants: Vec<_> = policy.directories().collect();
        let found = overlaps_as_written(&grants);
        next = match found.first() {
            // Each overlap needs a change.
            Some(_) if edits.len() + found.len() > MAX_EDITS => None,
            Some(overlap) => widen_inner(&policy, &grants, overlap.inner, overlap.outer),
            None => {
                let reply = answer_once(&policy, question)?;
                if reply.answer.is_allowed() {
                    answer.notes.extend(missing(&grants));
                    answer.edits = in_original_lines(edits);
                    return Ok(answer);
                }
                reply.edit
            }
        };
    }
    Ok(answer)
}

/// The change that gives an inner directory the access of the outer one. The outer grant allows the same operations anyway.
fn widen_inner(policy: &PolicyDocument, grants: &[DirectoryGrant], inner: usize, outer: usize) -> Option<Edit> {
    let access = grants.get(outer)?.access;
    policy.file.replace(&format!("fs[{inner}].access"), &format!("\"{access}\""))
}

fn missing(grants: &[DirectoryGrant]) -> Vec<String> {
    let missing = grants.iter().filter(|grant| !grant.host.exists());
    missing
        .map(|grant| format!("there is no directory `{}`: create it, or name another", grant.host.display()))
        .collect()
}

/// Converts line numbers to those of the unchanged file. Each change was made to a file that had the changes before it.
fn in_original_lines(edits: Vec<Edit>) -> Vec<Edit> {
    let mut done: Vec<(usize, usize, usize)> = Vec::new();
    let place = |edit: Edit| {
        let mut line = edit.line;
        for (start, replaced, made) in done.iter().rev() {
            if line >= start + made {
                line = line + replaced - made;
            }
        }
        done.push((edit.line, edit.replaces, edit.lines.len()));
        Edit { line, ..edit }
    };
    edits.into_iter().map(place).collect()
}
