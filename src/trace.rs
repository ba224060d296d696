//! `--trace`: each hostcall as a line of text or a JSON object, and what would allow a denied one.

use crate::args::{Area, Format};
use crate::grants::DirGrant;
use crate::text::{clean, note};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use wave_wasi::{Argument, Decision, Errno, Failure, Record, Rule, Stop};

/// What is traced, and how.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    areas: Vec<Area>,
    json: bool,
    /// Somebody else looks at every call.
    observed: bool,
}

impl Trace {
    /// What was asked for.
    pub fn new(areas: Vec<Area>, format: Format) -> Self {
        Self { areas, json: format == Format::Json, observed: false }
    }

    /// The same, where somebody else looks at every call.
    pub fn observed(self) -> Self {
        Self { observed: true, ..self }
    }

    /// Whether a function is traced.
    pub fn covers(&self, function: &str) -> bool {
        self.observed || self.prints(function)
    }

    /// Whether its calls are printed.
    pub fn prints(&self, function: &str) -> bool {
        self.areas.iter().any(|area| *area == Area::All || Some(*area) == area_of(function))
    }

    /// Whether anything is printed.
    pub const fn is_on(&self) -> bool {
        !self.areas.is_empty()
    }

    /// Prints records as they come.
    pub fn printer(&self, grants: &[DirGrant]) -> impl FnMut(&Record) + Send + use<> {
        let (json, grants) = (self.json, grants.to_vec());
        move |record| note(&if json { in_json(record, &grants) } else { in_text(record, &grants) })
    }
}

/// The area a WASI function belongs to, by its name.
pub fn area_of(function: &str) -> Option<Area> {
    match function.split('_').next()? {
        "fd" | "path" => Some(Area::Fs),
        "sock" => Some(Area::Net),
        "clock" => Some(Area::Clock),
        "random" => Some(Area::Random),
        "args" | "environ" => Some(Area::Env),
        "poll" => Some(Area::Poll),
        "proc" | "sched" => Some(Area::Proc),
        _ => None,
    }
}

fn in_text(record: &Record, grants: &[DirGrant]) -> String {
    let mut line = format!("wave: {}(", record.function);
    for (index, (name, argument)) in record.arguments.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let written = match argument {
            Argument::Path(path) => write!(line, "{comma}{name}=\"{}\"", clean(&String::from_utf8_lossy(path))),
            Argument::Number(bits) if is_set(name) => write!(line, "{comma}{name}={bits:#x}"),
            Argument::Number(number) => write!(line, "{comma}{name}={number}"),
        };
        written.expect("a string takes everything");
    }
    line += ") = ";
    line += &result(record.result);
    for (name, number) in &record.results {
        line += &format!(", {name}={number}");
    }
    match record.decision {
        Decision::Admitted => line += "\n",
        Decision::Malformed => line += ", refused: the call itself is at fault\n",
        Decision::Denied(rule) => {
            line += &format!(", denied: {}\n", rule.text());
            if let Some(way) = way(rule, record, grants) {
                line += &format!("  to allow: {}\n", clean(&way));
            }
        }
    }
    line
}

fn in_json(record: &Record, grants: &[DirGrant]) -> String {
    let arguments = record.arguments.iter().map(|(name, argument)| {
        let value = match argument {
            Argument::Number(number) => json!(number),
            Argument::Path(path) => json!(String::from_utf8_lossy(path)),
        };
        ((*name).to_owned(), value)
    });
    let (decision, rule) = match record.decision {
        Decision::Admitted => ("admitted", None),
        Decision::Malformed => ("malformed", None),
        Decision::Denied(rule) => ("denied", Some(rule)),
    };
    let mut object = json!({
        "call": record.function,
        "arguments": arguments.collect::<Map<_, _>>(),
        "decision": decision,
        "result": result(record.result),
        "results": record.results.iter().map(|(name, number)| ((*name).to_owned(), json!(number))).collect::<Map<_, _>>(),
    });
    if let Some(map) = object.as_object_mut() {
        let grant = record.grant.map(|index| format!("fs[{index}]"));
        map.extend(grant.map(|grant| ("grant".to_owned(), Value::from(grant))));
        map.extend(rule.map(|rule| ("rule".to_owned(), Value::from(rule.text()))));
        let way = rule.and_then(|rule| way(rule, record, grants));
        map.extend(way.map(|way| ("to_allow".to_owned(), Value::from(way))));
    }
    object.to_string() + "\n"
}

/// Whether the bits of a number are what it says.
fn is_set(name: &str) -> bool {
    name.contains("flags") || name.contains("rights")
}

fn result(result: Result<(), Failure>) -> String {
    match result {
        Ok(()) => Errno::SUCCESS.name().to_owned(),
        Err(Failure::Errno(errno)) => errno.name().to_owned(),
        Err(Failure::Stop(Stop::Exit(code))) => format!("exit {code}"),
        Err(Failure::Stop(Stop::Signal(number))) => format!("signal {number}"),
        Err(Failure::Stop(Stop::Deadline)) => "time limit".to_owned(),
    }
}

/// What the operator could type to allow a call that a rule denied; `None` if nothing would.
fn way(rule: Rule, record: &Record, grants: &[DirGrant]) -> Option<String> {
    let grant = record.grant.and_then(|index| grants.get(index));
    let way = match rule {
        Rule::ReadOnly | Rule::AppendOnly => {
            let DirGrant { host, guest, .. } = grant?;
            format!("--dir {}::{guest}::rw", host.display())
        }
        Rule::Beneath => "grant the directory it leads to: --dir HOST::GUEST::ro".to_owned(),
        Rule::Device => "--device with the path of the node on the host".to_owned(),
        Rule::OpenFiles => "a larger --max-open-files".to_owned(),
        Rule::FileSize => "a larger --max-file-size".to_owned(),
        Rule::Written => "a larger --max-writes".to_owned(),
        Rule::Output => "a larger --max-output".to_owned(),
        Rule::CallBytes => "a larger --max-call-bytes".to_owned(),
        Rule::Subscriptions => "a larger --max-subscriptions".to_owned(),
        _ => return None,
    };
    Some(way)
}
