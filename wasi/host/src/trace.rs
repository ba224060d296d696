//! What a hostcall was asked, what was decided and what came of it, told to whoever wants to know.
//!
//! The functions themselves know nothing of it: a traced run links another instance of each, which looks at the
//! arguments before the call and at the results after it.

use crate::{Failure, Wasi};
use std::fmt;
use wave_monitor::{GuestRange, PATH_MAX_BYTES, Rule};

/// One hostcall that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name of the function.
    pub function: &'static str,
    /// The arguments, under the names the specification gives them. A pointer and a length that are a path are that
    /// path; places for results are left out.
    pub arguments: Vec<(&'static str, Argument)>,
    /// What the monitor said.
    pub decision: Decision,
    /// The preopen that the (first) descriptor was reached through, in the order of the configuration.
    pub grant: Option<usize>,
    /// Likewise of the second descriptor, where there is one.
    pub new_grant: Option<usize>,
    /// Success, or why not.
    pub result: Result<(), Failure>,
    /// The numbers that were stored in linear memory: a descriptor, a count, a time.
    pub results: Vec<(&'static str, u64)>,
    /// The length of linear memory.
    pub memory_bytes: usize,
}

/// An argument of a hostcall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A number.
    Number(u64),
    /// A path, as bytes.
    Path(Vec<u8>),
}

/// What the monitor said to a hostcall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Go ahead. What the host then said is in the result.
    Admitted,
    /// No policy could allow this: unknown bits, a descriptor that is not open, memory that is not there.
    Malformed,
    /// Not under this policy, because of this rule.
    Denied(Rule),
}

/// Receives the records of a run.
pub(crate) struct Tracer(pub(crate) Box<dyn FnMut(&Record) + Send>);

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

/// Makes a hostcall and tells the tracer about it.
pub(crate) fn call(
    wasi: &mut Wasi,
    memory: &mut [u8],
    function: &'static str,
    arguments: &[(&'static str, u64)],
    perform: impl FnOnce(&mut Wasi, &mut [u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // Before the call: it may close the descriptor, and it may write over the path.
    let named = named(memory, arguments);
    let grant_of = |is_it: fn(&str) -> bool| {
        let (_, fd) = arguments.iter().find(|(name, _)| is_it(name))?;
        wasi.monitor.grant_of(u32::try_from(*fd).ok()?)
    };
    let (grant, new_grant) = (grant_of(is_descriptor), grant_of(|name| name == "new_fd"));
    let result = perform(wasi, memory);
    if let Some(Tracer(tell)) = &mut wasi.tracer {
        let results = if result.is_ok() { results(memory, arguments) } else { Vec::new() };
        let (decision, memory_bytes) = (decision(result), memory.len());
        tell(&Record { function, arguments: named, decision, grant, new_grant, result, results, memory_bytes });
    }
    result
}

fn decision(result: Result<(), Failure>) -> Decision {
    match result {
        Err(Failure::Errno(errno)) => match errno.rule() {
            Rule::None => Decision::Malformed,
            Rule::Host => Decision::Admitted,
            rule => Decision::Denied(rule),
        },
        Ok(()) | Err(Failure::Stop(_)) => Decision::Admitted,
    }
}

fn is_descriptor(name: &str) -> bool {
    matches!(name, "fd" | "old_fd")
}

/// How many bytes of result a parameter points to, if it does.
fn result_size(name: &str) -> Option<u32> {
    match name {
        "opened_fd" | "nread" | "nwritten" | "bufused" | "nevents" | "received" | "sent" | "argc" | "environc"
        | "argv_buf_size" | "environ_buf_size" => Some(4),
        "newoffset" | "time" | "resolution" => Some(8),
        _ => None,
    }
}

fn named(memory: &[u8], arguments: &[(&'static str, u64)]) -> Vec<(&'static str, Argument)> {
    let path = |name: &str, pointer: u64| {
        let (_, len) = arguments.iter().find(|(other, _)| other.strip_suffix("_len") == Some(name))?;
        let range = GuestRange::check(memory.len(), u32::try_from(pointer).ok()?, u32::try_from(*len).ok()?).ok()?;
        name.ends_with("path").then(|| range.shortened(PATH_MAX_BYTES).bytes(memory).ok().map(<[u8]>::to_vec))?
    };
    let shown = arguments.iter().filter(|(name, _)| result_size(name).is_none() && !name.ends_with("path_len"));
    shown.map(|(name, value)| (*name, path(name, *value).map_or(Argument::Number(*value), Argument::Path))).collect()
}

fn results(memory: &[u8], arguments: &[(&'static str, u64)]) -> Vec<(&'static str, u64)> {
    let stored = |pointer: u64, size: u32| {
        let range = GuestRange::check(memory.len(), u32::try_from(pointer).ok()?, size).ok()?;
        let mut value = [0; 8];
        value.get_mut(..range.len())?.copy_from_slice(range.bytes(memory).ok()?);
        Some(u64::from_le_bytes(value))
    };
    let sized = arguments.iter().filter_map(|(name, pointer)| Some((*name, *pointer, result_size(name)?)));
    sized.filter_map(|(name, pointer, size)| Some((name, stored(pointer, size)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Stop, preview1};
    use std::sync::mpsc;
    use wave_monitor::Errno;

    fn traced(arguments: &[(&'static str, u64)], result: Result<(), Failure>, memory: &mut [u8]) -> Record {
        let (tell, told) = mpsc::channel();
        let mut wasi = Wasi::new(Config::default()).unwrap();
        wasi.trace(move |record| tell.send(record.clone()).unwrap());
        assert_eq!(call(&mut wasi, memory, "test", arguments, |_, _| result), result);
        told.try_recv().expect("one record")
    }

    #[test]
    fn paths_are_read_and_places_for_results_are_not_shown() {
        let mut memory = *b"..etc/passwd\x07\0\0\0";
        let arguments = [("fd", 3), ("path", 2), ("path_len", 10), ("oflags", 1), ("opened_fd", 12)];
        let record = traced(&arguments, Ok(()), &mut memory);
        let path = Argument::Path(b"etc/passwd".to_vec());
        assert_eq!(record.arguments, [("fd", Argument::Number(3)), ("path", path), ("oflags", Argument::Number(1))]);
        assert_eq!((record.decision, &*record.results), (Decision::Admitted, &[("opened_fd", 7)][..]));
    }

    #[test]
    fn ranges_outside_of_memory_are_numbers() {
        let record = traced(&[("path", 9), ("path_len", 9), ("nread", 13)], Ok(()), &mut [0; 16]);
        assert_eq!(record.arguments, [("path", Argument::Number(9))]);
        assert_eq!(record.results, []);
    }

    #[test]
    fn the_decision_is_told_from_what_the_host_said() {
        let decision = |failure| traced(&[], Err(failure), &mut []).decision;
        assert_eq!(decision(Errno::NOTCAPABLE.because(Rule::Beneath).into()), Decision::Denied(Rule::Beneath));
        assert_eq!(decision(Errno::INVAL.into()), Decision::Malformed);
        assert_eq!(decision(rustix::io::Errno::NOENT.into()), Decision::Admitted);
        assert_eq!(decision(Stop::Exit(0).into()), Decision::Admitted);
    }

    #[test]
    fn an_untraced_call_is_the_same_call() {
        let mut wasi = Wasi::new(Config::default()).unwrap();
        let result =
            call(&mut wasi, &mut [], "fd_close", &[("fd", 99)], |wasi, memory| preview1::fd_close(wasi, memory, 99));
        assert_eq!(result, Err(Errno::BADF.into()));
    }
}
