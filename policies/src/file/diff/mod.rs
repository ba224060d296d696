//! What one policy permits and another does not.
//!
//! The comparison is one of meaning: order, spaces and names that lead to the same place are no difference. Each area is
//! compared by itself, so a directory counts also where no function is listed that could use it.
//!
//! ```
//! use wave_policy::file::{Effect, PolicyFile, diff};
//!
//! let values = |access: &str| {
//!     let source = format!("version = 1\n[[fs]]\nhost = \"data\"\naccess = \"{access}\"\n");
//!     PolicyFile::parse(&source).unwrap().values
//! };
//! let changes = diff(&values("ro"), &values("rw"));
//! assert_eq!((changes.len(), changes[0].effect), (1, Effect::Widens));
//! assert_eq!(changes[0].text, "may write under data");
//! assert!(diff(&values("ro"), &values("ro")).is_empty());
//! ```

mod directories;
mod network;
mod os;
#[cfg(test)]
mod tests;

use super::{KEYS, Values};
use crate::limits::LIMITS;
use crate::{Level, Stub};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Something became possible.
    Widens,
    /// Something is no longer possible.
    Narrows,
    /// Neither, or the policies do not tell.
    Neutral,
}

impl Effect {
    /// The mark at the start of a line: `+`, `-` or `~`.
    pub const fn mark(self) -> char {
        match self {
            Self::Widens => '+',
            Self::Narrows => '-',
            Self::Neutral => '~',
        }
    }

    /// The effect on what is ordered from narrow to wide.
    fn of<T: Ord>(old: T, new: T) -> Option<Self> {
        match new.cmp(&old) {
            Ordering::Greater => Some(Self::Widens),
            Ordering::Less => Some(Self::Narrows),
            Ordering::Equal => None,
        }
    }
}

/// One difference between two policies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What it means.
    pub effect: Effect,
    /// The key it is about, `fs` or `limits.timeout` for example.
    pub key: String,
    /// The item, for a key with several items: a directory, a function. Otherwise empty.
    pub subject: String,
    /// How it was.
    pub old: Side,
    /// How it is.
    pub new: Side,
    /// The change in words.
    pub text: String,
}

/// One policy's part in a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Side {
    /// The value. `None` if there is none.
    pub value: Option<String>,
    /// The id of the rule that sets it. `None` if no rule does.
    pub id: Option<String>,
}

impl Side {
    fn new(value: impl Into<String>, id: impl Into<String>) -> Self {
        Self { value: Some(value.into()), id: Some(id.into()) }
    }

    fn unsaid(value: impl Into<String>) -> Self {
        Self { value: Some(value.into()), id: None }
    }

    fn said(value: impl Into<String>, id: &str, said: bool) -> Self {
        if said { Self::new(value, id) } else { Self::unsaid(value) }
    }

    fn value(&self) -> &str {
        self.value.as_deref().unwrap_or("none")
    }
}

/// What is possible under `new` and not under `old`, and the other way round. Both are to be resolved with their profiles.
///
/// Hosts of directories are compared as they are written: neither links nor the places of the two files matter.
pub fn diff(old: &Values, new: &Values) -> Vec<Change> {
    let mut diff = Diff { old, new, changes: Vec::new() };
    diff.sandbox();
    diff.args();
    diff.cwd();
    diff.deterministic();
    diff.unknown_imports();
    diff.module();
    diff.functions();
    directories::compare(&mut diff);
    diff.environment();
    network::compare(&mut diff);
    diff.clock();
    diff.random();
    diff.others();
    diff.limits();
    os::compare(&mut diff);
    diff.changes
}

/// The keys whose meaning is compared.
const COMPARED: [&str; 14] = [
    "sandbox",
    "args",
    "cwd",
    "deterministic",
    "unknown_imports",
    "module.blake3",
    "wasi.functions",
    "env.pass",
    "env.set",
    "net.listen",
    "net.accept_from",
    "net.connect",
    "clock.resolution",
    "random.seed",
];

/// A comparison under way.
struct Diff<'v> {
    old: &'v Values,
    new: &'v Values,
    changes: Vec<Change>,
}

impl Diff<'_> {
    fn add(&mut self, effect: Effect, key: &str, subject: &str, old: Side, new: Side, text: String) {
        self.changes.push(Change { effect, key: key.to_owned(), subject: subject.to_owned(), old, new, text });
    }

    fn sandbox(&mut self) {
        let side = |values: &Values| {
            Side::said(values.sandbox.unwrap_or_default().as_str(), "sandbox", values.sandbox.is_some())
        };
        let (old, new) = (self.old.sandbox.unwrap_or_default(), self.new.sandbox.unwrap_or_default());
        if let Some(effect) = Effect::of(rank(old), rank(new)) {
            let text = format!("the sandbox is {new}, was {old}");
            self.add(effect, "sandbox", "", side(self.old), side(self.new), text);
        }
    }

    fn args(&mut self) {
        let args = |values: &Values| values.args.clone().unwrap_or_default();
        let (old, new) = (args(self.old), args(self.new));
        if old != new {
            let side = |args: &[String], values: &Values| Side::said(in_order(args), "args", values.args.is_some());
            let text = format!("the first arguments are {}, were {}", in_order(&new), in_order(&old));
            self.add(Effect::Neutral, "args", "", side(&old, self.old), side(&new, self.new), text);
        }
    }

    fn cwd(&mut self) {
        let [old, new] = [self.old, self.new].map(|values| values.cwd.as_deref().unwrap_or("/"));
        if old != new {
            let side = |cwd: &str, values: &Values| Side::said(cwd, "cwd", values.cwd.is_some());
            let text = format!("the program starts at {new}, was {old}");
            self.add(Effect::Neutral, "cwd", "", side(old, self.old), side(new, self.new), text);
        }
    }

    fn deterministic(&mut self) {
        let is = |values: &Values| values.deterministic.unwrap_or(false);
        if let Some(effect) = Effect::of(!is(self.old), !is(self.new)) {
            let side =
                |values: &Values| Side::said(is(values).to_string(), "deterministic", values.deterministic.is_some());
            let text = match effect {
                Effect::Widens if self.new.random_seed.is_some() => "sees real clocks",
                Effect::Widens => "sees real clocks and random numbers",
                _ => "sees the same clocks and random numbers in every run",
            };
            self.add(effect, "deterministic", "", side(self.old), side(self.new), text.to_owned());
        }
    }

    /// A stub grants nothing, but it lets programs run that would be refused, with answers that nobody gave.
    fn unknown_imports(&mut self) {
        let (old, new) = (self.old.unknown_imports, self.new.unknown_imports);
        let Some(effect) = Effect::of(old, new) else { return };
        let side = |stub: Option<Stub>| match stub {
            Some(stub) => Side::new(stub.as_str(), "unknown_imports"),
            None => Side::unsaid("refused"),
        };
        let text = match new {
            Some(Stub::Trap) => "functions that nobody provides may be imported, and trap if they are called",
            Some(Stub::Zero) => "functions that nobody provides may be imported, and return zeros",
            None => "functions that nobody provides may no longer be imported",
        };
        self.add(effect, "unknown_imports", "", side(old), side(new), text.to_owned());
    }

    fn module(&mut self) {
        let (old, new) = (&self.old.blake3, &self.new.blake3);
        if old == new {
            return;
        }
        let (effect, text) = match (old, new) {
            (Some(_), None) => (Effect::Widens, "any module may be run".to_owned()),
            (None, Some(hash)) => (Effect::Narrows, format!("only the module {hash} may be run")),
            // Which module it is for is not what the policy permits; that it changed is for people to judge.
            (Some(old), Some(new)) => (Effect::Neutral, format!("it is for the module {new}, was for {old}")),
            (None, None) => return,
        };
        let side = |hash: &Option<String>| match hash {
            Some(hash) => Side::new(hash, "module.blake3"),
            None => Side::unsaid("any"),
        };
        self.add(effect, "module.blake3", "", side(old), side(new), text);
    }

    fn functions(&mut self) {
        let (old, new) = (functions(self.old), functions(self.new));
        self.members("wasi.functions", &old, &new, |name, effect| match effect {
            Effect::Widens => format!("may import {name}"),
            _ => format!("may no longer import {name}"),
        });
    }

    /// What is in one set and not in the other.
    fn members(
        &mut self,
        key: &str,
        old: &BTreeMap<&str, Side>,
        new: &BTreeMap<&str, Side>,
        text: impl Fn(&str, Effect) -> String,
    ) {
        let names: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
        for name in names {
            let [was, is] = [old, new].map(|set| set.get(name).cloned());
            if let Some(effect) = Effect::of(was.is_some(), is.is_some()) {
                let text = text(name, effect);
                self.add(effect, key, name, was.unwrap_or_default(), is.unwrap_or_default(), text);
            }
        }
    }

    fn environment(&mut self) {
        let (old, new) = (variables(self.old), variables(self.new));
        let names: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
        for name in names {
            let [was, is] = [&old, &new].map(|set| set.get(name).cloned().unwrap_or_default());
            let side = |variable: &Variable<'_>| match variable {
                Variable::None => Side::default(),
                Variable::Set(value) => Side::new(*value, format!("env.set.{name}")),
                Variable::Passed(index) => Side::new("passed on", format!("env.pass[{index}]")),
            };
            let effect = match Effect::of(was.reach(), is.reach()) {
                Some(effect) => effect,
                // Two texts of the operator's choice. Which one reveals more is not known.
                None if matches!((&was, &is), (Variable::Set(a), Variable::Set(b)) if a != b) => Effect::Neutral,
                None => continue,
            };
            let text = match (&is, effect) {
                (Variable::None, _) => format!("is no longer told the variable {name}"),
                (Variable::Set(_), Effect::Narrows) => {
                    format!("is told {name} by the policy, no longer the operator's")
                }
                (Variable::Set(_), Effect::Neutral) => format!("is told another {name}"),
                (Variable::Set(_), Effect::Widens) => format!("is told the variable {name}"),
                (Variable::Passed(_), _) => format!("is told the operator's variable {name}"),
            };
            self.add(effect, "env", name, side(&was), side(&is), text);
        }
    }

    fn clock(&mut self) {
        // A deterministic run has no clock to coarsen. That the run is or was deterministic is listed already.
        if [self.old, self.new].iter().any(|values| values.deterministic == Some(true)) {
            return;
        }
        let nanos = |values: &Values| values.clock_resolution.map_or(1, |step| step.as_nanos());
        let Some(effect) = Effect::of(nanos(self.new), nanos(self.old)) else { return };
        let side = |values: &Values| {
            let step = values.clock_resolution.unwrap_or(Duration::from_nanos(1));
            Side::said(format!("{step:?}"), "clock.resolution", values.clock_resolution.is_some())
        };
        let (old, new) = (side(self.old), side(self.new));
        let text = format!("clocks move in steps of {}, was {}", new.value(), old.value());
        self.add(effect, "clock.resolution", "", old, new, text);
    }

    /// What the program can see of the host does not change. That the seed reveals the program's secrets is for people to judge.
    fn random(&mut self) {
        let (old, new) = (self.old.random_seed, self.new.random_seed);
        let text = match (old, new) {
            (_, Some(new)) if old.is_none() => format!("random numbers are those of the seed {new}"),
            (Some(old), Some(new)) if old != new => {
                format!("random numbers are those of the seed {new}, were of {old}")
            }
            (Some(old), None) => format!("random numbers are no longer those of the seed {old}"),
            _ => return,
        };
        let side =
            |seed: Option<u64>| seed.map_or_else(Side::default, |seed| Side::new(seed.to_string(), "random.seed"));
        self.add(Effect::Neutral, "random.seed", "", side(old), side(new), text);
    }

    /// Keys without a comparison of their own. That they changed is for people to judge.
    fn others(&mut self) {
        let (old, new) = (self.old, self.new);
        let others = KEYS.iter().filter(|key| !COMPARED.contains(&key.id().as_str()));
        for key in others.filter(|key| !key.is_same(old, new)) {
            let side = |values: &Values| if key.is_said(values) { Side::new("set", key.id()) } else { Side::default() };
            self.add(Effect::Neutral, &key.id(), "", side(old), side(new), format!("{} is another", key.id()));
        }
    }

    fn limits(&mut self) {
        let in_force = [self.old, self.new].map(|values| values.limits.in_force());
        for limit in LIMITS {
            let [was, is] = in_force.each_ref().map(|limits| limit.get(limits));
            let size = |limit: Option<u128>| limit.unwrap_or(u128::MAX);
            let Some(effect) = Effect::of(size(was), size(is)) else { continue };
            let key = format!("limits.{}", limit.name);
            let side = |value: Option<u128>, values: &Values| Side {
                value: value.map(|value| limit.kind.text(value)),
                id: limit.get(&values.limits).map(|_| key.clone()),
            };
            let (name, old, new) = (limit.name, side(was, self.old), side(is, self.new));
            let text = match (was, is) {
                (Some(_), None) => format!("the limit {name} is dropped, was {}", old.value()),
                (None, Some(_)) => format!("the limit {name} is {}, there was none", new.value()),
                _ if effect == Effect::Widens => {
                    format!("the limit {name} is raised to {}, was {}", new.value(), old.value())
                }
                _ => format!("the limit {name} is lowered to {}, was {}", new.value(), old.value()),
            };
            self.add(effect, &key, "", old, new, text);
        }
    }
}

const fn rank(level: Level) -> u8 {
    match level {
        Level::Strict => 0,
        Level::Standard => 1,
        Level::Off => 2,
    }
}

/// The functions that may be imported, with the rule of each.
fn functions(values: &Values) -> BTreeMap<&str, Side> {
    match &values.functions {
        None => crate::all_functions().iter().map(|function| (function.name, Side::unsaid("allowed"))).collect(),
        Some(list) => {
            let side = |index: usize| Side::new("allowed", format!("wasi.functions[{index}]"));
            list.iter().enumerate().map(|(index, name)| (name.as_str(), side(index))).collect()
        }
    }
}

/// What a program is told under a name, from the least on.
#[derive(Clone, Default)]
enum Variable<'v> {
    #[default]
    None,
    /// What the policy says.
    Set(&'v str),
    /// What the operator's environment has.
    Passed(usize),
}

impl Variable<'_> {
    const fn reach(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Set(_) => 1,
            Self::Passed(_) => 2,
        }
    }
}

fn variables(values: &Values) -> BTreeMap<&str, Variable<'_>> {
    let passed = values.env_pass.iter().flatten().enumerate();
    let mut variables: BTreeMap<_, _> = passed.map(|(index, name)| (name.as_str(), Variable::Passed(index))).collect();
    // A value in the policy replaces one that is passed on.
    let set = values.env_set.iter().flatten();
    variables.extend(set.map(|(name, value)| (name.as_str(), Variable::Set(value))));
    variables
}

fn in_order(args: &[String]) -> String {
    args.iter().map(|arg| format!("{arg:?}")).collect::<Vec<_>>().join(" ")
}
