//! `--trace`: each hostcall as a line of text or a JSON object, and what would allow a denied one.

use crate::args::{Format, Run, Traced};
use crate::flag;
use crate::record::RecordFile;
use crate::text::{clean, for_program, json_line, note, short};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::io::ErrorKind;
use wave_engine::{DirectoryGrant, Observer, Plan};
use wave_policy::{Access, HostName};
use wave_wasi::{Argument, Decision, Errno, Failure, Record, Rule, Stop};

/// Prints hostcalls as they end.
pub struct Tracer {
    areas: Vec<Traced>,
    json: bool,
    ways: Ways,
    /// Where the lines go, if not to standard error.
    file: Option<RecordFile>,
    /// Whether the file took no more.
    is_full: bool,
}

impl Tracer {
    /// Prints the calls of the areas that a run names.
    pub fn new(run: &Run, plan: &Plan, file: Option<RecordFile>) -> Self {
        let json = run.trace_format == Format::Json;
        Self { areas: run.traced(), json, ways: Ways::of(plan), file, is_full: false }
    }

    /// Whether anything is printed.
    pub const fn is_on(&self) -> bool {
        !self.areas.is_empty()
    }

    /// Writes to the file. The first error ends the trace, and not the program.
    fn write(&mut self, file: RecordFile, text: &str) {
        let Err(error) = file.write(text) else { return };
        self.is_full = true;
        // A deadline that has passed says itself why the run ended.
        if error.kind() != ErrorKind::Interrupted {
            note(&format!("wave: cannot write the trace, the rest is left out: {error}\n"));
        }
    }
}

impl Observer for Tracer {
    fn observes(&self, function: &str) -> bool {
        self.areas.iter().any(|area| area.covers(function))
    }

    fn hostcall(&mut self, record: &Record) {
        let text = if self.json { in_json(record, &self.ways) } else { in_text(record, &self.ways) };
        match self.file {
            None => for_program(note, &text),
            Some(_) if self.is_full => {}
            Some(file) => for_program(|text| self.write(file, text), &text),
        }
    }
}

fn in_text(record: &Record, ways: &Ways) -> String {
    let mut line = format!("wave: {}(", record.function);
    for (index, (name, argument)) in record.arguments.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let written = match argument {
            Argument::Path(path) => write!(line, "{comma}{name}=\"{}\"", short(&String::from_utf8_lossy(path))),
            Argument::Address(address) => write!(line, "{comma}{name}={address}"),
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
            if let Some(way) = ways.of_rule(rule, record) {
                line += &format!("  to allow: {}\n", clean(&way));
            }
        }
    }
    line
}

fn in_json(record: &Record, ways: &Ways) -> String {
    let arguments = record.arguments.iter().map(|(name, argument)| {
        let value = match argument {
            Argument::Number(number) => json!(number),
            Argument::Path(path) => json!(String::from_utf8_lossy(path)),
            Argument::Address(address) => json!(address.to_string()),
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
        let way = rule.and_then(|rule| ways.of_rule(rule, record));
        map.extend(way.map(|way| ("to_allow".to_owned(), Value::from(way))));
    }
    json_line(&object).unwrap_or_default()
}

/// Whether an argument is a set of bits.
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

/// What the operator can write to allow what a rule denied: a line of the policy if it decides, otherwise a flag.
struct Ways {
    /// By the number of the directory.
    access: Vec<String>,
    /// The policy file, if there is one.
    policy: Option<String>,
    /// The lines of the policy that set limits, by the name of the limit.
    limits: Vec<(String, String)>,
}

impl Ways {
    fn of(plan: &Plan) -> Self {
        let access = |(index, grant): (usize, &DirectoryGrant)| {
            let line = plan.policy.as_ref().and_then(|policy| policy.line(&format!("fs[{index}].access")));
            let host = grant.host.to_str().and_then(|host| flag::write(host, &grant.guest, Access::ReadWrite));
            let flag = || host.unwrap_or_else(|| format!("the same --dir with ::rw for fs[{index}]"));
            line.map_or_else(flag, |line| format!("access = \"rw\" in {line}"))
        };
        let limits = plan
            .origins
            .iter()
            .filter_map(|(id, _)| Some((id.strip_prefix("limits.")?.to_owned(), plan.line_of_policy(id)?.to_owned())));
        Self {
            access: plan.grants.iter().enumerate().map(access).collect(),
            policy: plan.policy.as_ref().map(|policy| policy.path().display().to_string()),
            limits: limits.collect(),
        }
    }

    /// `None` if nothing would allow it.
    fn of_rule(&self, rule: Rule, record: &Record) -> Option<String> {
        Some(match rule {
            Rule::ReadOnly | Rule::AppendOnly => self.access.get(record.grant?)?.clone(),
            Rule::Beneath => match &self.policy {
                Some(policy) => format!("grant the directory it leads to: an [[fs]] in {policy}"),
                None => "grant the directory it leads to: --dir HOST::GUEST::ro".to_owned(),
            },
            Rule::Connect => {
                let remote = record.address()?;
                match &self.policy {
                    Some(policy) => format!("connect = [\"{remote}\"] under [net] in {policy}"),
                    None => format!("--connect {remote}"),
                }
            }
            Rule::Name => {
                let name = String::from_utf8_lossy(record.path("name")?).into_owned();
                let name = HostName::parse(&name).ok()?;
                match &self.policy {
                    Some(policy) => format!("connect = [\"{name}:PORT\"] under [net] in {policy}"),
                    None => format!("--connect {name}:PORT"),
                }
            }
            Rule::Device => "--device with the path of the node on the host".to_owned(),
            rule => self.larger(rule.limit()?),
        })
    }

    fn larger(&self, limit: &str) -> String {
        match self.limits.iter().find(|(name, _)| name == limit) {
            Some((_, line)) => format!("a larger {limit} in {line}"),
            None => format!("a larger --{limit}"),
        }
    }
}
