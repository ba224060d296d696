//! Records of hostcalls: arguments, decision and result.
//!
//! The hostcalls themselves do not record anything. A traced run links another instance of each, which reads the
//! arguments before the call and the results after it.

use crate::{Failure, Wasi, net};
use std::fmt;
use std::net::SocketAddr;
use wave_monitor::{GuestRange, PATH_MAX_BYTES, Rule};

/// One hostcall that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name of the function.
    pub function: &'static str,
    /// The arguments, with their names in the specification. Pointer and length of a path are replaced by the path, a pointer to an
    /// address by the address. Pointers to results are left out.
    pub arguments: Vec<(&'static str, Argument)>,
    /// What the monitor decided.
    pub decision: Decision,
    /// The preopen that the first descriptor goes back to, or that the path under it names, by its index in the configuration.
    pub grant: Option<usize>,
    /// The same for the second descriptor, if there is one.
    pub new_grant: Option<usize>,
    /// Success, or why it failed.
    pub result: Result<(), Failure>,
    /// The numbers that were stored in linear memory: a descriptor, a count, a time.
    pub results: Vec<(&'static str, u64)>,
    /// The length of linear memory.
    pub memory_bytes: usize,
}

impl Record {
    /// A number among the arguments, by its name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.arguments.iter().find_map(|(other, argument)| match argument {
            Argument::Number(number) if *other == name => Some(*number),
            _ => None,
        })
    }

    /// A path among the arguments, by its name.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&[u8]> {
        self.arguments.iter().find_map(|(other, argument)| match argument {
            Argument::Path(path) if *other == name => Some(path.as_slice()),
            _ => None,
        })
    }

    /// The address among the arguments.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.arguments.iter().find_map(|(_, argument)| match argument {
            Argument::Address(address) => Some(*address),
            _ => None,
        })
    }

    /// A number that was stored in linear memory, by the name of the parameter that points to it.
    #[must_use]
    pub fn stored(&self, name: &str) -> Option<u64> {
        self.results.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }
}

/// An argument of a hostcall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A number.
    Number(u64),
    /// A path, as bytes.
    Path(Vec<u8>),
    /// An address with a port.
    Address(SocketAddr),
}

/// What the monitor decided about a hostcall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Allowed. An error of the host is in the result.
    Admitted,
    /// No policy could allow it: unknown bits, a descriptor that is not open, a range outside memory.
    Malformed,
    /// Denied by this rule.
    Denied(Rule),
}

/// Receives the records of a run.
pub(crate) struct Tracer(pub(crate) Box<dyn FnMut(&Record) + Send>);

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

/// Makes a hostcall and passes a record of it to the tracer.
pub(crate) fn call(
    wasi: &mut Wasi,
    memory: &mut [u8],
    function: &'static str,
    arguments: &[(&'static str, u64)],
    hostcall: impl FnOnce(&mut Wasi, &mut [u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // Before the call, because it may close the descriptor and overwrite the path.
    let named = named(memory, arguments);
    let grant_of = |is_it: fn(&str) -> bool, is_path: fn(&str) -> bool| {
        let (_, fd) = arguments.iter().find(|(name, _)| is_it(name))?;
        let path = named.iter().find_map(|(name, argument)| match argument {
            Argument::Path(path) if is_path(name) => Some(path.as_slice()),
            _ => None,
        });
        let number = wasi.monitor.grant_at(u32::try_from(*fd).ok()?, path.unwrap_or_default())?;
        wasi.numbers.get(number).copied().flatten()
    };
    let grant = grant_of(is_descriptor, |name| matches!(name, "path" | "old_path"));
    let new_grant = grant_of(|name| name == "new_fd", |name| name == "new_path");
    let result = hostcall(wasi, memory);
    if let Some(Tracer(receive)) = &mut wasi.tracer {
        let results = if result.is_ok() { results(memory, arguments) } else { Vec::new() };
        let (decision, memory_bytes) = (decision(result), memory.len());
        receive(&Record { function, arguments: named, decision, grant, new_grant, result, results, memory_bytes });
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

/// How many bytes of result a parameter points to. `None` if it points to none.
fn result_size(name: &str) -> Option<u32> {
    match name {
        "opened_fd" | "nread" | "nwritten" | "bufused" | "nevents" | "count" | "received" | "sent" | "argc"
        | "environc" | "argv_buf_size" | "environ_buf_size" => Some(4),
        "newoffset" | "time" | "resolution" => Some(8),
        _ => None,
    }
}

fn named(memory: &[u8], arguments: &[(&'static str, u64)]) -> Vec<(&'static str, Argument)> {
    let path = |name: &str, pointer: u64| {
        let (_, len) = arguments.iter().find(|(other, _)| other.strip_suffix("_len") == Some(name))?;
        let range = GuestRange::check(memory.len(), u32::try_from(pointer).ok()?, u32::try_from(*len).ok()?).ok()?;
        (name.ends_with("path") || name == "name")
            .then(|| range.shortened(PATH_MAX_BYTES).bytes(memory).ok().map(<[u8]>::to_vec))?
    };
    let address = |name: &str, pointer: u64| {
        let range = GuestRange::check(memory.len(), u32::try_from(pointer).ok()?, net::ADDRESS_BYTES).ok()?;
        (name == "remote").then(|| net::decode(range.bytes(memory).ok()?).ok())?
    };
    let is_shown = |name: &str| {
        result_size(name).is_none() && !(name.ends_with("path_len") || name == "name_len") && name != "out"
    };
    let shown = arguments.iter().filter(|(name, _)| is_shown(name));
    let value = |name, value| {
        let path = path(name, value).map(Argument::Path);
        path.or_else(|| address(name, value).map(Argument::Address)).unwrap_or(Argument::Number(value))
    };
    shown.map(|(name, number)| (*name, value(name, *number))).collect()
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
        let (sender, records) = mpsc::channel();
        let mut wasi = Wasi::new(Config::default()).unwrap();
        wasi.trace(move |record| sender.send(record.clone()).unwrap());
        assert_eq!(call(&mut wasi, memory, "test", arguments, |_, _| result), result);
        records.try_recv().expect("one record")
    }

    #[test]
    fn paths_are_read_and_result_pointers_are_left_out() {
        let mut memory = *b"..etc/passwd\x07\0\0\0";
        let arguments = [("fd", 3), ("path", 2), ("path_len", 10), ("oflags", 1), ("opened_fd", 12)];
        let record = traced(&arguments, Ok(()), &mut memory);
        let path = Argument::Path(b"etc/passwd".to_vec());
        assert_eq!(record.arguments, [("fd", Argument::Number(3)), ("path", path), ("oflags", Argument::Number(1))]);
        assert_eq!((record.decision, &*record.results), (Decision::Admitted, &[("opened_fd", 7)][..]));
    }

    #[test]
    fn an_address_is_read_if_it_is_one() {
        let mut memory = [0; 40];
        memory[8..20].copy_from_slice(&[4, 0, 80, 0, 0, 0, 0, 0, 127, 0, 0, 1]);
        let record = traced(&[("remote", 8), ("opened_fd", 0)], Ok(()), &mut memory);
        assert_eq!(record.arguments, [("remote", Argument::Address(([127, 0, 0, 1], 80).into()))]);
        assert_eq!(record.address(), Some(([127, 0, 0, 1], 80).into()));
        for wrong in [9, 16, 17, 1 << 32] {
            let record = traced(&[("remote", wrong), ("opened_fd", 0)], Ok(()), &mut memory);
            assert_eq!(
                (record.arguments.as_slice(), record.address()),
                (&[("remote", Argument::Number(wrong))][..], None)
            );
        }
    }

    #[test]
    fn ranges_outside_of_memory_are_numbers() {
        let record = traced(&[("path", 9), ("path_len", 9), ("nread", 13)], Ok(()), &mut [0; 16]);
        assert_eq!(record.arguments, [("path", Argument::Number(9))]);
        assert_eq!(record.results, []);
    }

    #[test]
    fn a_decision_and_an_error_of_the_host_are_told_apart() {
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
