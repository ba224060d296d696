//! `wave why`: which rule of a policy decides on an operation, at which layers, and what would allow it.

use crate::args::{Format, Remote, Why};
use crate::text::out;
use wave_audit::why::{Question, answer};
use wave_engine::Failure;
use wave_engine::policy::PolicyDocument;

/// `wave why`; the result is the exit code.
///
/// # Errors
/// 125 for a policy that a run would refuse, 2 for a question that makes no sense.
pub fn why(arguments: &Why) -> Result<u8, Failure> {
    let question = question(arguments)?;
    let policy = PolicyDocument::read(&arguments.policy)?;
    let answer = answer(&policy, &question)?;
    let words = question.words();
    out(&match arguments.format {
        Format::Text => answer.in_text(&words, &policy),
        Format::Json => answer.in_json(&words, &policy)?,
    });
    Ok(u8::from(!answer.is_allowed()))
}

fn question(asked: &Why) -> Result<Question, Failure> {
    let Why { path, host_path, op, connect, listen, accept_from, syscall, function, env, .. } = asked.clone();
    let path = path.zip(op).map(|(path, op)| Question::Path(path, op));
    let host_path = host_path.zip(op).map(|(path, op)| Question::HostPath(path, op));
    path.or(host_path)
        .or(connect.map(|remote| match remote {
            Remote::Address(address) => Question::Connect(address),
            Remote::Host(host) => Question::ConnectHost(host),
        }))
        .or(listen.map(Question::Listen))
        .or(accept_from.map(Question::AcceptFrom))
        .or(syscall.map(Question::SystemCall))
        .or(function.map(Question::Function))
        .or(env.map(Question::Variable))
        .ok_or_else(|| Failure::usage("no question is given").fix("`wave why --help` lists the questions"))
}
