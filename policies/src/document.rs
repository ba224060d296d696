//! `docs/syscalls.md`: the table in words, for review. The committed file is compared with this by a test.

use std::fmt::{self, Write as _};

use crate::table::RUNTIME;
use crate::{Function, Need, Needed, RuleSet, Start, SyscallRule, all_functions, all_rules, all_shapes, all_starts};

const INTRODUCTION: &str = "\
# System calls

<!-- Made from policies/syscalls.toml and policies/shapes.toml: `WAVE_BLESS=1 cargo test --workspace --test cli documents` -->

After the seal, a run can make the calls listed here and no others: those of the WASI functions that
its module imports and to which its grants give an effect, and those of every run. Any other call, a
listed one with other arguments, and under `strict` any call from the pages of the guest's own code
ends the process with status 159 before the kernel acts on it. (The filter answers one call itself,
so that the seal can see that it is enforced: `getppid`, with an error.)

The text on abuse assumes the worst: *native code*, that is, a program that left its WebAssembly
behind and makes system calls with arguments of its choice, while the monitor no longer checks
anything. `tests/escapes/unmonitored.rs` shows what Landlock then stops;
[CAVEATS](../CAVEATS.md) lists what it does not. Three things hold for every call. The process has no
capability, and the identity of the user who started it or, started as root, one that owns nothing
except perhaps its writable grants. It cannot gain privileges by running a program. Descriptors that
were not granted are closed. A hole in the kernel behind a call that is listed here is a way out;
that is why the lists are short.

A condition compares all 64 bits of an argument. A filter cannot follow pointers: paths, buffers and
structures are out of its sight.
";

/// The table of system calls as a document in Markdown.
pub fn syscalls_markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    write_all(&mut out).expect("strings grow");
    out
}

fn write_all(out: &mut String) -> fmt::Result {
    write_runtime(out)?;
    write_functions(out)?;
    write_shapes(out)?;
    write_calls(out)?;
    write_starts(out)
}

fn write_runtime(out: &mut String) -> fmt::Result {
    writeln!(out, "\n## Rules that do not depend on the imports\n\n| row | applies when | rules |\n|---|---|---|")?;
    RUNTIME.iter().try_for_each(|row| writeln!(out, "| {} | {} | {} |", row.name, row.applies, ids(row.rules)))
}

fn write_functions(out: &mut String) -> fmt::Result {
    writeln!(out, "\n## From WASI functions to rules\n")?;
    writeln!(
        out,
        "A function counts only with the grant it needs: without one the monitor refuses it before any call,"
    )?;
    writeln!(out, "and its rules are not in the filter. *Paths* marks those that also add the resolver of the run.")?;
    writeln!(out, "\n| function | needs | rules |\n|---|---|---|")?;
    for Function { name, need, rules, resolves } in all_functions() {
        let need = match need {
            Need::Nothing => "nothing",
            Need::Grant => "a grant",
            Need::WritableGrant => "a writable grant",
            Need::Listener => "a listener",
            Need::Socket => "a listener or connections",
        };
        let paths = if *resolves { "; *paths*" } else { "" };
        let rules = if rules.iter().next().is_none() { "none".to_owned() } else { ids(*rules) };
        writeln!(out, "| `{name}` | {need} | {rules}{paths} |")?;
    }
    Ok(())
}

fn write_shapes(out: &mut String) -> fmt::Result {
    writeln!(out, "\n## Five kinds of module\n")?;
    writeln!(
        out,
        "[policies/shapes.toml](../policies/shapes.toml) has their allow-lists. Tests compare them with what is"
    )?;
    writeln!(
        out,
        "derived, with the compiled filter for every number, and with what sealed processes can really call."
    )?;
    for shape in all_shapes() {
        writeln!(out, "\n### {}\n\nA module that {}.\n", shape.name, shape.about)?;
        let grant = shape.grant.map_or_else(|| "none".to_owned(), |access| format!("one directory, {access}"));
        let functions = if shape.functions.is_empty() { "none".to_owned() } else { code(shape.functions) };
        writeln!(out, "- imports: {functions}")?;
        writeln!(out, "- grant: {grant}; listener: {}", yes(shape.listener))?;
        writeln!(out, "- memory can grow: {}", yes(shape.growable))?;
        let calls = calls(shape.policy().rules(shape.growable));
        writeln!(out, "- {} rules: {}", shape.rules.len(), code(shape.rules))?;
        writeln!(out, "- {} calls: {}", calls.len(), code(&calls))?;
    }
    Ok(())
}

fn write_calls(out: &mut String) -> fmt::Result {
    writeln!(out, "\n## What each call could do\n")?;
    writeln!(out, "{} calls, {} rules.", calls(all_rules().iter()).len(), all_rules().len())?;
    for call in calls(all_rules().iter()) {
        writeln!(out, "\n### {call}")?;
        all_rules().iter().filter(|rule| rule.call == call).try_for_each(|rule| write_rule(out, rule))?;
    }
    Ok(())
}

fn write_starts(out: &mut String) -> fmt::Result {
    writeln!(out, "\n## Before the seal\n")?;
    writeln!(
        out,
        "What `wave` calls from `execve` on, including its compile worker. No filter of `wave` allows these:"
    )?;
    writeln!(
        out,
        "they are for a filter around it, as `wave policy export --format systemd` writes it. All of the above\nholds under such a filter."
    )?;
    writeln!(out, "\n| for | needed by | calls |\n|---|---|---|")?;
    all_starts().iter().try_for_each(|Start { needed, reason, calls, .. }| {
        let needed = match needed {
            Needed::Every => "every run",
            Needed::Listener => "a listener",
            Needed::Late => "none; a run works without it",
        };
        writeln!(out, "| {reason} | {needed} | {} |", code(calls))
    })
}

fn write_rule(out: &mut String, rule: &SyscallRule) -> fmt::Result {
    let SyscallRule { id, call, args, when, reason, abuse, elsewhere, .. } = rule;
    let condition = if when.is_empty() { "with any arguments".to_owned() } else { format!("if `{when}`") };
    writeln!(out, "\n`{id}`: `{call}({})` {condition}. For: {reason}.", args.join(", "))?;
    let functions: Vec<_> = all_functions().iter().filter(|f| holds(f.rules, rule)).map(|f| f.name).collect();
    let rows: Vec<_> = RUNTIME.iter().filter(|row| holds(row.rules, rule)).map(|row| row.name).collect();
    let functions = if functions.is_empty() { String::new() } else { format!(" Functions: {}.", code(&functions)) };
    let rows = if rows.is_empty() { String::new() } else { format!(" Rows: {}.", rows.join(", ")) };
    let elsewhere = elsewhere.map_or_else(String::new, |place| format!(" Needed elsewhere: {place}."));
    writeln!(out, "{}\n\n{abuse}", [functions, rows, elsewhere].concat().trim_start())
}

fn holds(rules: RuleSet, rule: &SyscallRule) -> bool {
    rules.iter().any(|other| other.id == rule.id)
}

/// The calls of some rules, each once, by name.
fn calls<'r>(rules: impl Iterator<Item = &'r SyscallRule>) -> Vec<&'static str> {
    let mut calls: Vec<_> = rules.map(|rule| rule.call).collect();
    calls.sort_unstable();
    calls.dedup();
    calls
}

fn ids(rules: RuleSet) -> String {
    code(&rules.iter().map(|rule| rule.id).collect::<Vec<_>>())
}

fn code(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

const fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_and_every_function_is_described_once() {
        let text = syscalls_markdown();
        for rule in all_rules() {
            assert_eq!(text.matches(&format!("\n`{}`: `{}(", rule.id, rule.call)).count(), 1, "{}", rule.id);
            assert!(text.contains(rule.abuse), "{}", rule.id);
        }
        for function in all_functions() {
            assert_eq!(text.matches(&format!("\n| `{}` |", function.name)).count(), 1, "{}", function.name);
        }
    }
}
