//! `wave why`: which rule of a policy decides on an operation, at which layers, and what would allow it.
//!
//! Nothing is run. The monitor is asked by itself, the filter by the rules it is made of, Landlock by the rights it is given;
//! a change of the policy is offered only after the same question under the changed policy was answered with yes.

mod answer;
mod calls;
mod files;
mod operation;
mod others;
mod sealed;

pub use answer::Answer;
pub use operation::Operation;

use answer::Reply;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use wave_engine::policy::PolicyDocument;
use wave_engine::{DirectoryGrant, Failure, overlaps_as_written, refuse_overlap};
use wave_policy::file::Edit;

/// Changes that are tried one after the other before it is given up.
const MOST_EDITS: usize = 16;

/// What is asked.
#[derive(Clone, Debug)]
pub enum Question {
    /// An operation on a path as the program names it.
    Path(String, Operation),
    /// An operation on a path of the host.
    HostPath(PathBuf, Operation),
    /// Opening a connection.
    Connect(String),
    /// Listening for connections.
    Listen(SocketAddr),
    /// Accepting a connection from there.
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
            Self::Listen(address) => format!("listen on {address}"),
            Self::AcceptFrom(address) => format!("accept a connection from {address}"),
            Self::SystemCall(name) => format!("system call {name}"),
            Self::Function(name) => format!("function {name}"),
            Self::Variable(name) => format!("environment variable {name}"),
        }
    }
}

/// What a policy says to a question, with changes of the policy that would allow what it denies.
///
/// # Errors
/// 125 for a policy that a run would refuse, 2 for a question that makes no sense.
pub fn answer(policy: &PolicyDocument, question: &Question) -> Result<Answer, Failure> {
    refuse_overlap(&policy.grants()?)?;
    with_edits(policy_clone(policy)?, question)
}

fn policy_clone(policy: &PolicyDocument) -> Result<PolicyDocument, Failure> {
    PolicyDocument::parse(policy.path(), policy.file.source())
}

fn ask(policy: &PolicyDocument, question: &Question) -> Result<Reply, Failure> {
    Ok(match question {
        Question::Path(path, op) => files::ask(policy, path, *op),
        Question::HostPath(path, op) => files::ask_host(policy, path, *op)?,
        Question::Connect(_) => others::connect(policy),
        Question::Listen(address) => others::listen(policy, *address),
        Question::AcceptFrom(address) => others::accept_from(policy, *address),
        Question::SystemCall(name) => calls::system_call(policy, name)?,
        Question::Function(name) => calls::function(policy, name),
        Question::Variable(name) => others::variable(policy, name),
    })
}

/// The answer, with changes that were tried: under a policy with all of them the answer is yes, and a run would start.
fn with_edits(policy: PolicyDocument, question: &Question) -> Result<Answer, Failure> {
    let Reply { mut answer, edit } = ask(&policy, question)?;
    let (mut policy, mut next, mut edits) = (policy, edit, Vec::new());
    while let Some(edit) = next.take().filter(|_| edits.len() < MOST_EDITS) {
        policy = PolicyDocument::parse(policy.path(), &edit.source)?;
        edits.push(edit);
        let grants: Vec<_> = policy.directories().collect();
        let found = overlaps_as_written(&grants);
        next = match found.first() {
            // Each of them takes a change of its own.
            Some(_) if edits.len() + found.len() > MOST_EDITS => None,
            Some(overlap) => widen_inner(&policy, &grants, overlap.inner, overlap.outer),
            None => {
                let reply = ask(&policy, question)?;
                if reply.answer.is_allowed() {
                    answer.notes.extend(missing(&grants));
                    answer.edits = in_lines_of_the_first(edits);
                    return Ok(answer);
                }
                reply.edit
            }
        };
    }
    Ok(answer)
}

/// A directory inside of one that may now do more has to allow the same: it could be done through the outer one anyway.
fn widen_inner(policy: &PolicyDocument, grants: &[DirectoryGrant], inner: usize, outer: usize) -> Option<Edit> {
    let access = grants.get(outer)?.access;
    policy.file.replace(&format!("fs[{inner}].access"), &format!("\"{access}\""))
}

fn missing(grants: &[DirectoryGrant]) -> Vec<String> {
    let missing = grants.iter().filter(|grant| !grant.host.is_dir());
    missing.map(|grant| format!("there is no directory `{}`: make it, or name another", grant.host.display())).collect()
}

/// Each change was made to the file with those before it; the lines are those of the file as it is.
fn in_lines_of_the_first(edits: Vec<Edit>) -> Vec<Edit> {
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
