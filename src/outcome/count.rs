//! Counts hostcalls, in the process of the run.

use super::area::{self, OfCall, REASONS, Stage, Total};
use crate::trace::Tracer;
use crate::words::{add, raise, store};
use std::collections::BTreeSet;
use wave_engine::{Observer, Used};
use wave_policy::all_functions;
use wave_runtime::Stop;
use wave_wasi::{Decision, Record, Rights, Rule};

/// The rights of a descriptor that can change what is behind it.
const WRITES: u64 = Rights::MUTATING.bits();

/// Counts every hostcall, and prints the calls that are traced.
pub struct Counter {
    area: &'static mut [u8],
    tracer: Tracer,
    /// The descriptors that are standard streams.
    streams: BTreeSet<u64>,
    /// Reasons of denials, in the order in which they came up.
    reasons: Vec<Rule>,
}

impl Counter {
    /// Counts in this memory.
    pub fn new(area: &'static mut [u8], tracer: Tracer) -> Self {
        Self { area, tracer, streams: BTreeSet::from([0, 1, 2]), reasons: Vec::new() }
    }

    fn add(&mut self, total: Total, more: u64) {
        add(self.area, area::total(total), more);
    }

    fn count_call(&mut self, record: &Record) {
        let Ok(function) = all_functions().binary_search_by_key(&record.function, |function| function.name) else {
            return;
        };
        let is_denied = matches!(record.decision, Decision::Denied(_));
        let counts = [(OfCall::Calls, true), (OfCall::Failed, record.result.is_err()), (OfCall::Denied, is_denied)];
        for (what, _) in counts.into_iter().filter(|(_, counts)| *counts) {
            add(self.area, area::call(function, what), 1);
        }
    }

    fn count_denial(&mut self, rule: Rule) {
        let index = self.reasons.iter().position(|other| *other == rule).unwrap_or(self.reasons.len());
        if index == REASONS {
            return self.add(Total::OtherDenials, 1);
        }
        if index == self.reasons.len() {
            self.reasons.push(rule);
            if let Some(place) = self.area.get_mut(area::reason_text(index)) {
                area::store_text(place, rule.text());
            }
        }
        add(self.area, area::reason(index), 1);
    }

    fn count_bytes(&mut self, record: &Record) {
        let is_stream = record.number("fd").is_some_and(|fd| self.streams.contains(&fd));
        let (read, written) = match is_stream {
            true => (Total::StreamsRead, Total::StreamsWritten),
            false => (Total::Read, Total::Written),
        };
        for (total, result) in [(read, "nread"), (read, "received"), (written, "nwritten"), (written, "sent")] {
            self.add(total, record.stored(result).unwrap_or(0));
        }
    }

    /// Keeps up with the program's descriptors, after a call that succeeded.
    fn note_descriptors(&mut self, record: &Record) {
        let Some(fd) = record.number("fd") else { return };
        match record.function {
            "path_open" => {
                self.add(Total::Opened, 1);
                let writes = record.number("rights_base").unwrap_or(0) & WRITES != 0;
                self.add(Total::OpenedToWrite, u64::from(writes));
            }
            "fd_close" => drop(self.streams.remove(&fd)),
            "fd_renumber" => {
                let to = record.number("to").unwrap_or(fd);
                if self.streams.remove(&fd) {
                    self.streams.insert(to);
                } else {
                    self.streams.remove(&to);
                }
            }
            _ => {}
        }
        // What is opened at the number of a stream that was closed is no stream.
        if let Some(opened) = record.stored("opened_fd") {
            self.streams.remove(&opened);
        }
    }
}

impl Observer for Counter {
    fn observes(&self, _function: &str) -> bool {
        true
    }

    fn hostcall(&mut self, record: &Record) {
        self.count_call(record);
        if let Decision::Denied(rule) = record.decision {
            self.count_denial(rule);
        }
        raise(self.area, area::total(Total::Memory), record.memory_bytes as u64);
        if record.result.is_ok() {
            self.count_bytes(record);
            self.note_descriptors(record);
        }
        if self.tracer.observes(record.function) {
            self.tracer.hostcall(record);
        }
    }

    fn begins(&mut self) {
        store(self.area, area::total(Total::Stage), Stage::Running as u64);
    }

    fn ends(&mut self, _stop: Option<&Stop>, used: Used) {
        raise(self.area, area::total(Total::Memory), used.memory_bytes);
        store(self.area, area::total(Total::Fuel), used.fuel.map_or(0, |units| units.saturating_add(1)));
        store(self.area, area::total(Total::Stage), Stage::Over as u64);
    }
}
