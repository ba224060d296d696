//! What was executed, and how much of what there is that was.

use crate::generate::allowed;
use iced_x86::Code;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use wave_verifier::rules::{Flags, Kind, NO_ROOM, State, Value, kind};

/// Names of the kinds of values, in the order of [`value_kind`].
pub const VALUES: [&str; 25] = [
    "Any",
    "Number",
    "Frame",
    "Saved",
    "Return",
    "Into",
    "Arena",
    "StackLimit",
    "Length",
    "Index",
    "LowIndex",
    "EntryOffset",
    "EntryField",
    "Signature",
    "Code",
    "CalleeOffset",
    "CalleeContext",
    "Import",
    "ImportContext",
    "Libcall",
    "Status",
    "EnteredCode",
    "EnteredContext",
    "Text",
    "JumpOffset/Target",
];

/// The place of a value's kind among them.
const fn value_kind(value: Value) -> usize {
    match value {
        Value::Any => 0,
        Value::Number { .. } => 1,
        Value::Frame(_) => 2,
        Value::Saved(_) => 3,
        Value::Return => 4,
        Value::Into { .. } => 5,
        Value::Arena => 6,
        Value::StackLimit => 7,
        Value::Length(_) => 8,
        Value::Index(_) => 9,
        Value::LowIndex(_) => 10,
        Value::EntryOffset { .. } => 11,
        Value::EntryField { .. } => 12,
        Value::Signature { .. } => 13,
        Value::Code { .. } => 14,
        Value::CalleeOffset(_) => 15,
        Value::CalleeContext(_) => 16,
        Value::Import(_) => 17,
        Value::ImportContext(_) => 18,
        Value::Libcall(_) => 19,
        Value::Status => 20,
        Value::EnteredCode => 21,
        Value::EnteredContext { .. } => 22,
        Value::Text { .. } => 23,
        Value::JumpOffset { .. } | Value::JumpTarget { .. } => 24,
    }
}

/// How often an encoding was tried, accepted and executed.
#[derive(Clone, Copy, Default)]
struct Tally {
    tried: u64,
    executed: u64,
    with_memory: u64,
    faults: u64,
}

/// Everything that was counted.
pub struct Report {
    encodings: Vec<Tally>,
    /// Results by the kind of the instruction and of the value in the first operand's register.
    rules: BTreeMap<(&'static str, usize), u64>,
    /// How often a value of each kind was known, in registers and in words, and what else was known.
    known: BTreeMap<String, u64>,
    values: [[u64; 2]; VALUES.len()],
    /// Named events: calls, joins, what followed from conditions.
    events: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<String, u64>,
    /// Instructions executed and compared.
    pub steps: u64,
    pub paths: u64,
    pub problems: Vec<String>,
}

impl Default for Report {
    fn default() -> Self {
        let count = Code::values().count();
        Self {
            encodings: vec![Tally::default(); count],
            rules: BTreeMap::new(),
            known: BTreeMap::new(),
            values: [[0; 2]; VALUES.len()],
            events: BTreeMap::new(),
            refusals: BTreeMap::new(),
            steps: 0,
            paths: 0,
            problems: Vec::new(),
        }
    }
}

/// Every so many steps, what is known is counted.
const SAMPLE: u64 = 16;

impl Report {
    pub fn tried(&mut self, code: Code) {
        self.encodings[code as usize].tried += 1;
    }

    pub fn refused(&mut self, why: &str) {
        let rule = why.split(':').next().unwrap_or_default();
        match self.refusals.get_mut(rule) {
            Some(count) => *count += 1,
            None => drop(self.refusals.insert(rule.to_owned(), 1)),
        }
    }

    pub fn executed(&mut self, code: Code, has_memory: bool) {
        let tally = &mut self.encodings[code as usize];
        tally.executed += 1;
        tally.with_memory += u64::from(has_memory);
        self.steps += 1;
    }

    pub fn fault(&mut self, code: Code) {
        self.encodings[code as usize].faults += 1;
    }

    pub fn event(&mut self, what: &'static str) {
        *self.events.entry(what).or_default() += 1;
    }

    pub fn result(&mut self, kind: Kind, value: Value) {
        *self.rules.entry((kind_name(kind), value_kind(value))).or_default() += 1;
    }

    /// Counts what is known, now and then.
    pub fn look_at(&mut self, state: &State) {
        if !self.steps.is_multiple_of(SAMPLE) {
            return;
        }
        for number in 0..16 {
            self.values[value_kind(state.get(wave_verifier::rules::Gpr(number)))][0] += 1;
            if let Some(home) = state.copy_of(wave_verifier::rules::Gpr(number)) {
                let what = if home.as_register().is_some() { "a copy of a register" } else { "a copy of a word" };
                *self.known.entry(what.to_owned()).or_default() += 1;
            }
        }
        for (_, value) in state.words() {
            self.values[value_kind(value)][1] += 1;
        }
        let facts = [
            ("a checked signature", state.checked.is_some()),
            ("a table longer than a constant", state.longer.is_some()),
            ("room for the host", state.room != NO_ROOM),
            ("a status not looked at", state.pending),
            ("flags of a comparison", matches!(state.flags, Flags::Compared { .. })),
            ("flags of a tested status", matches!(state.flags, Flags::Tested)),
        ];
        for (what, _) in facts.iter().filter(|(_, is_known)| *is_known) {
            *self.known.entry((*what).to_owned()).or_default() += 1;
        }
    }

    /// Adds what another run has counted.
    pub fn add(&mut self, other: Self) {
        for (own, other) in self.encodings.iter_mut().zip(other.encodings) {
            own.tried += other.tried;
            own.executed += other.executed;
            own.with_memory += other.with_memory;
            own.faults += other.faults;
        }
        other.rules.into_iter().for_each(|(key, count)| *self.rules.entry(key).or_default() += count);
        other.known.into_iter().for_each(|(key, count)| *self.known.entry(key).or_default() += count);
        other.events.into_iter().for_each(|(key, count)| *self.events.entry(key).or_default() += count);
        other.refusals.into_iter().for_each(|(key, count)| *self.refusals.entry(key).or_default() += count);
        for (own, other) in self.values.iter_mut().zip(other.values) {
            own[0] += other[0];
            own[1] += other[1];
        }
        self.steps += other.steps;
        self.paths += other.paths;
        self.problems.extend(other.problems);
    }

    /// Allowed encodings that were never executed.
    #[must_use]
    pub fn never(&self) -> Vec<Code> {
        allowed().map(|(code, _)| code).filter(|code| self.encodings[*code as usize].executed == 0).collect()
    }

    /// How often something happened.
    #[must_use]
    pub fn events(&self, what: &str) -> u64 {
        self.events.get(what).copied().unwrap_or(0)
    }

    /// How many kinds of values were known at some time.
    #[must_use]
    pub fn kinds_of_values(&self) -> usize {
        self.values.iter().filter(|counts| counts[0] + counts[1] > 0).count()
    }

    /// As JSON, for programs.
    #[must_use]
    pub fn json(&self, seconds: Duration) -> serde_json::Value {
        let encodings: Vec<_> = allowed()
            .map(|(code, _)| {
                let Tally { tried, executed, with_memory, faults } = self.encodings[code as usize];
                json!({"encoding": format!("{code:?}"), "tried": tried, "executed": executed, "memory": with_memory, "faults": faults})
            })
            .collect();
        let rules: Vec<_> = self
            .rules
            .iter()
            .map(|((kind, value), count)| json!({"kind": kind, "value": VALUES[*value], "count": count}))
            .collect();
        let values: Vec<_> = VALUES
            .iter()
            .zip(self.values)
            .map(|(name, [registers, words])| json!({"value": name, "registers": registers, "words": words}))
            .collect();
        json!({
            "steps": self.steps, "paths": self.paths, "seconds": seconds.as_secs_f64(), "problems": self.problems,
            "encodings": encodings, "rules": rules, "values": values, "known": self.known, "events": self.events,
            "refusals": self.refusals,
        })
    }

    /// For people, in Markdown.
    #[must_use]
    pub fn text(&self, seconds: Duration) -> String {
        let mut text = String::new();
        let mut line = |what: String| {
            text += &what;
            text.push('\n');
        };
        let all = allowed().count();
        let never = self.never();
        line(format!(
            "{} instructions executed and compared in {} paths, {:.0} s. {} of {all} encodings were executed.",
            self.steps,
            self.paths,
            seconds.as_secs_f64(),
            all - never.len()
        ));
        line(match self.problems.len() {
            0 => "No difference.".to_owned(),
            count => format!("**{count} differences.**"),
        });
        if !never.is_empty() {
            line(format!("\nNever executed: {never:?}"));
        }
        line("\n| kind of instruction | encodings | executed | of these with memory | faults |".to_owned());
        line("|---|---|---|---|---|".to_owned());
        let mut kinds: BTreeMap<&str, (u64, Tally)> = BTreeMap::new();
        for (code, kind) in allowed() {
            let (count, sum) = kinds.entry(kind_name(kind)).or_default();
            let tally = self.encodings[code as usize];
            *count += 1;
            sum.executed += tally.executed;
            sum.with_memory += tally.with_memory;
            sum.faults += tally.faults;
        }
        for (name, (count, sum)) in kinds {
            line(format!("| {name} | {count} | {} | {} | {} |", sum.executed, sum.with_memory, sum.faults));
        }
        line("\n| value | in registers | in words |".to_owned());
        line("|---|---|---|".to_owned());
        for (name, [registers, words]) in VALUES.iter().zip(self.values) {
            line(format!("| {name} | {registers} | {words} |"));
        }
        line(format!("\nCounted after every {SAMPLE}th step. Other facts known then, and events:\n"));
        line("| what | how often |".to_owned());
        line("|---|---|".to_owned());
        for (what, count) in &self.known {
            line(format!("| {what} | {count} |"));
        }
        for (what, count) in &self.events {
            line(format!("| {what} | {count} |"));
        }
        line("\n| result of | values left in the first operand's register |".to_owned());
        line("|---|---|".to_owned());
        let mut results: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((kind, value), count) in &self.rules {
            results.entry(kind).or_default().push(format!("{} {count}", VALUES[*value]));
        }
        for (kind, values) in results {
            line(format!("| {kind} | {} |", values.join(", ")));
        }
        line("\n| refused by rule | proposals |".to_owned());
        line("|---|---|".to_owned());
        for (rule, count) in &self.refusals {
            line(format!("| {rule} | {count} |"));
        }
        text
    }
}

/// A kind's name.
fn kind_name(of: Kind) -> &'static str {
    use Kind::{
        Add, Address, And, BitTest, Call, CallIndirect, Compare, Compute, Divide, Jump, JumpIf, JumpIndirect, Move,
        MoveIf, MoveSign, MoveZero, Multiply, Multiply2, Nothing, Pop, Produce, Push, Return, Search, SetIf, ShiftLeft,
        ShiftRight, SignToRdx, Subtract, Test, Undefined, Vector, VectorCompare,
    };
    match of {
        Move => "Move",
        MoveZero => "MoveZero",
        MoveSign => "MoveSign",
        Address => "Address",
        Add => "Add",
        Subtract => "Subtract",
        And => "And",
        ShiftLeft => "ShiftLeft",
        ShiftRight => "ShiftRight",
        Compute => "Compute",
        Produce => "Produce",
        Search => "Search",
        Multiply2 => "Multiply2",
        Multiply => "Multiply",
        Divide => "Divide",
        SignToRdx => "SignToRdx",
        Compare => "Compare",
        Test => "Test",
        BitTest => "BitTest",
        MoveIf => "MoveIf",
        SetIf => "SetIf",
        VectorCompare => "VectorCompare",
        Vector => "Vector",
        Push => "Push",
        Pop => "Pop",
        Call => "Call",
        CallIndirect => "CallIndirect",
        Jump => "Jump",
        JumpIndirect => "JumpIndirect",
        JumpIf => "JumpIf",
        Return => "Return",
        Nothing => "Nothing",
        Undefined => "Undefined",
    }
}

/// The kind of an allowed encoding.
#[must_use]
pub fn kind_of(code: Code) -> Kind {
    kind(code).unwrap_or(Kind::Undefined)
}
