//! Turns `syscalls.toml` into static Rust tables, so that no run parses TOML.
//!
//! Any doubt about the table stops the build: an unknown name or key, a condition that does not parse, a rule
//! that no function uses, a field that is missing or empty, an unknown name in `shapes.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::{env, fs, path::Path};

type Failure = Box<dyn std::error::Error>;

const SOURCE: &str = "syscalls.toml";
const SHAPES: &str = "shapes.toml";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    constants: BTreeMap<String, toml::Value>,
    runtime: BTreeMap<String, Vec<String>>,
    applies: BTreeMap<String, String>,
    groups: BTreeMap<String, Vec<String>>,
    needs: BTreeMap<String, Vec<String>>,
    wasi: BTreeMap<String, Vec<String>>,
    start: BTreeMap<String, Start>,
    rule: BTreeMap<String, SyscallRule>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    r#for: String,
    reason: String,
    calls: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SyscallRule {
    call: Option<String>,
    args: Vec<String>,
    when: Option<String>,
    reason: String,
    effect: String,
    abuse: String,
    elsewhere: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Shapes {
    shape: Vec<Shape>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    name: String,
    about: String,
    functions: Vec<String>,
    grant: Option<String>,
    listener: bool,
    growable: bool,
    rules: Vec<String>,
}

fn main() -> Result<(), Failure> {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SHAPES}");
    let source: Source = read(SOURCE)?;
    let shapes: Shapes = read(SHAPES)?;
    let target = Path::new(&env::var("OUT_DIR")?).join("tables.rs");
    fs::write(target, source.tables()? + &source.starts()? + &source.shapes(&shapes.shape)?)?;
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(path: &str) -> Result<T, Failure> {
    // The error shows the lines at fault; a rule without one of its fields is one.
    toml::from_str(&fs::read_to_string(path)?).map_err(|error| format!("{path}: {error}").into())
}

impl Source {
    fn tables(&self) -> Result<String, Failure> {
        self.check()?;
        let mut out = format!("pub(crate) static RULES: [SyscallRule; {}] = [\n", self.rule.len());
        for (id, rule) in &self.rule {
            let call = rule.call.as_deref().unwrap_or(id);
            let conditions = self.conditions(rule).map_err(|e| format!("rule {id}: {e}"))?;
            let SyscallRule { args, reason, effect, .. } = rule;
            let abuse = rule.abuse.split_whitespace().collect::<Vec<_>>().join(" ");
            let elsewhere = rule.elsewhere.as_deref();
            if [reason, effect, &abuse].iter().any(|text| text.is_empty()) || elsewhere == Some("") {
                return Err(format!("rule {id}: `reason`, `effect`, `abuse` and `elsewhere` say something").into());
            }
            let when = rule.when.as_deref().unwrap_or_default();
            writeln!(
                out,
                "    SyscallRule {{ id: {id:?}, call: {call:?}, args: &{args:?}, when: {when:?}, conditions: &[{conditions}], \
                 reason: {reason:?}, effect: {effect:?}, abuse: {abuse:?}, elsewhere: {elsewhere:?} }},"
            )?;
        }
        writeln!(out, "];\npub(crate) static FUNCTIONS: [Function; {}] = [", self.wasi.len())?;
        for (name, row) in &self.wasi {
            let rules = self.bits(row).map_err(|e| format!("function {name}: {e}"))?;
            let need = self.need(name);
            let resolves = row.iter().any(|entry| entry == "@resolve");
            writeln!(
                out,
                "    Function {{ name: {name:?}, need: Need::{need}, rules: RuleSet({rules:#x}), resolves: {resolves} }},"
            )?;
        }
        writeln!(out, "];")?;
        for (name, row) in &self.runtime {
            let rules = self.bits(row)?;
            let name = name.to_uppercase();
            writeln!(out, "pub(crate) const {name}: RuleSet = RuleSet({rules:#x});")?;
        }
        writeln!(out, "pub(crate) static RUNTIME: [RuntimeRow; {}] = [", self.runtime.len())?;
        for name in self.runtime.keys() {
            let applies = self.applies.get(name).ok_or(format!("[applies] does not say when {name} does"))?;
            let rules = name.to_uppercase();
            writeln!(out, "    RuntimeRow {{ name: {name:?}, applies: {applies:?}, rules: {rules} }},")?;
        }
        writeln!(out, "];")?;
        Ok(out)
    }

    /// The calls of `wave` before the seal. Whether a name is one of the kernel's is not known here: a test asks.
    fn starts(&self) -> Result<String, Failure> {
        let mut out = format!("pub(crate) static STARTS: [Start; {}] = [\n", self.start.len());
        let mut seen = BTreeMap::new();
        for (name, Start { r#for, reason, calls }) in &self.start {
            let needed = match r#for.as_str() {
                "every" => "Every",
                "listener" => "Listener",
                "late" => "Late",
                other => return Err(format!("start {name}: unknown `for` {other}").into()),
            };
            let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
            if reason.is_empty() || calls.is_empty() {
                return Err(format!("start {name}: `reason` and `calls` say something").into());
            }
            for call in calls {
                if let Some(other) = seen.insert(call, name) {
                    return Err(format!("start {name}: {call} stands in {other} already").into());
                }
            }
            writeln!(
                out,
                "    Start {{ name: {name:?}, needed: Needed::{needed}, reason: {reason:?}, calls: &{calls:?} }},"
            )?;
        }
        writeln!(out, "];")?;
        Ok(out)
    }

    /// The published shapes. Which rules they list is not looked at: a test compares them with what is derived.
    fn shapes(&self, shapes: &[Shape]) -> Result<String, Failure> {
        let mut out = format!("pub(crate) static SHAPES: [Shape; {}] = [\n", shapes.len());
        for Shape { name, about, functions, grant, listener, growable, rules } in shapes {
            if let Some(unknown) = functions.iter().find(|name| !self.wasi.contains_key(*name)) {
                return Err(format!("shape {name}: unknown function {unknown}").into());
            }
            let access = match grant.as_deref() {
                None => "None",
                Some("ro") => "Some(Access::ReadOnly)",
                Some("rw") => "Some(Access::ReadWrite)",
                Some("append") => "Some(Access::Append)",
                Some(other) => return Err(format!("shape {name}: unknown access {other}").into()),
            };
            writeln!(
                out,
                "    Shape {{ name: {name:?}, about: {about:?}, functions: &{functions:?}, grant: {access}, \
                 listener: {listener}, growable: {growable}, rules: &{rules:?} }},"
            )?;
        }
        writeln!(out, "];")?;
        Ok(out)
    }

    /// What no single row shows: sizes of the bit sets, rules nobody uses, needs of functions that do not exist.
    fn check(&self) -> Result<(), Failure> {
        if self.wasi.len() > 62 || self.rule.len() > 128 {
            return Err("widen the bit sets in table.rs and surface.rs: 62 functions, 128 rules".into());
        }
        let mut used = 0;
        for row in self.wasi.values().chain(self.runtime.values()).chain(self.groups.values()) {
            used |= self.bits(row)?;
        }
        for (index, id) in self.rule.keys().enumerate() {
            if used & (1 << index) == 0 {
                return Err(format!("rule {id} is used by no function: remove it").into());
            }
        }
        if let Some(unknown) = self.applies.keys().find(|name| !self.runtime.contains_key(*name)) {
            return Err(format!("[applies] names {unknown}, which is no row of [runtime]").into());
        }
        for name in self.needs.values().flatten() {
            if !self.wasi.contains_key(name) {
                return Err(format!("[needs] names the unknown function {name}").into());
            }
        }
        Ok(())
    }

    fn need(&self, function: &str) -> &'static str {
        let in_list = |list: &str| self.needs.get(list).is_some_and(|l| l.iter().any(|f| f == function));
        match () {
            () if in_list("grant") => "Grant",
            () if in_list("writable_grant") => "WritableGrant",
            () if in_list("listener") => "Listener",
            () if in_list("socket") => "Socket",
            () => "Nothing",
        }
    }

    /// The rules of a row as a bit set over the sorted rule ids; `@name` is a group.
    fn bits(&self, row: &[String]) -> Result<u128, Failure> {
        let mut bits = 0;
        for entry in row {
            bits |= match entry.strip_prefix('@') {
                Some(group) => self.bits(self.groups.get(group).ok_or(format!("unknown group {group}"))?)?,
                None => 1 << self.rule.keys().position(|id| id == entry).ok_or(format!("unknown rule {entry}"))?,
            };
        }
        Ok(bits)
    }

    fn conditions(&self, rule: &SyscallRule) -> Result<String, Failure> {
        let Some(when) = &rule.when else { return Ok(String::new()) };
        when.split(',').map(|text| self.condition(rule, text.trim())).collect()
    }

    /// One of `arg == V`, `arg <= V`, `arg & MASK == V`.
    fn condition(&self, rule: &SyscallRule, text: &str) -> Result<String, Failure> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (arg, test) = match words[..] {
            [arg, "==", value] => (arg, format!("Test::Equal({})", self.operand(value)?)),
            [arg, "<=", value] => (arg, format!("Test::AtMost({})", self.operand(value)?)),
            [arg, "&", mask, "==", value] => {
                let (mask, value) = (self.number(mask)?, self.number(value)?);
                (arg, format!("Test::Masked {{ mask: {mask:#x}, value: {value:#x} }}"))
            }
            _ => return Err(format!("cannot read the condition `{text}`").into()),
        };
        let index = rule.args.iter().position(|a| a == arg).ok_or(format!("no argument `{arg}`"))?;
        Ok(format!("Condition {{ arg: {index}, test: {test} }}, "))
    }

    fn operand(&self, text: &str) -> Result<String, Failure> {
        Ok(match text {
            "growable.base" => "Operand::GrowableBase".into(),
            "growable.length" => "Operand::GrowableLength".into(),
            _ => format!("Operand::Value({:#x})", self.number(text)?),
        })
    }

    fn number(&self, text: &str) -> Result<u64, Failure> {
        text.split('|').try_fold(0, |sum, word| Ok(sum | self.word(word)?))
    }

    fn word(&self, word: &str) -> Result<u64, Failure> {
        match self.constants.get(word) {
            Some(value) => Ok(u64::try_from(value.as_integer().ok_or(format!("{word} is no integer"))?)?),
            None => Ok(word.parse().map_err(|_| format!("unknown constant `{word}`"))?),
        }
    }
}
