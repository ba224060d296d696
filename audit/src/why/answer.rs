//! An answer: the verdict of each layer, the rule that decides, and the change that would allow the operation.

use serde_json::{Value, json};
use std::fmt::Write;
use wave_engine::Failure;
use wave_engine::json::json as document;
use wave_engine::policy::PolicyDocument;
use wave_policy::clean;
use wave_policy::file::Edit;

/// A layer that can deny an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The check of imports against the policy, before the program runs.
    Policy,
    /// The monitor, which decides on each hostcall.
    Monitor,
    /// The Landlock rules of the kernel on files and ports.
    Landlock,
    /// The system call filter of the kernel.
    Seccomp,
}

impl Layer {
    const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Monitor => "monitor",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Policy => "the policy",
            Self::Monitor => "the monitor",
            Self::Landlock => "Landlock",
            Self::Seccomp => "the filter of system calls",
        }
    }
}

/// The verdict of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allows,
    Denies,
    /// The layer is off, or it does not decide on this operation.
    Silent,
}

impl Verdict {
    pub const fn of(allowed: bool) -> Self {
        if allowed { Self::Allows } else { Self::Denies }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Allows => "allows",
            Self::Denies => "denies",
            Self::Silent => "silent",
        }
    }
}

/// The verdict of one layer, and the rule of the policy behind it.
#[derive(Clone, Debug)]
pub struct Finding {
    pub layer: Layer,
    pub verdict: Verdict,
    pub rule: Option<String>,
    pub what: String,
}

/// The answer to a question about an operation under a policy.
#[derive(Debug, Default)]
pub struct Answer {
    /// The verdicts of the layers.
    pub findings: Vec<Finding>,
    /// Changes of the policy that allow it. Line numbers refer to the unchanged file.
    pub edits: Vec<Edit>,
    /// What to do if no change of the policy allows it.
    pub advice: Option<String>,
    /// Further notes.
    pub notes: Vec<String>,
}

impl Answer {
    /// Adds the verdict of a layer.
    pub fn add(&mut self, layer: Layer, verdict: Verdict, rule: Option<String>, what: impl Into<String>) {
        self.findings.push(Finding { layer, verdict, rule, what: what.into() });
    }

    /// Whether no layer denies it.
    pub fn is_allowed(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Denies)
    }

    /// The finding that decides: the first that denies, or the last that allows by a rule.
    fn deciding(&self) -> Option<&Finding> {
        let denies = self.findings.iter().find(|finding| finding.verdict == Verdict::Denies);
        denies.or_else(|| self.findings.iter().rev().find(|finding| finding.rule.is_some()))
    }

    /// The answer as text.
    pub fn in_text(&self, question: &str, policy: &PolicyDocument) -> String {
        let mut out = String::new();
        self.write(&mut out, question, policy).unwrap_or_default();
        out
    }

    fn write(&self, out: &mut String, question: &str, policy: &PolicyDocument) -> std::fmt::Result {
        let verdict = if self.is_allowed() { "allowed" } else { "denied" };
        write!(out, "{}: {verdict}", clean(question))?;
        match self.deciding() {
            Some(Finding { rule: Some(rule), .. }) => writeln!(out, " by {}", clean(rule))?,
            Some(Finding { layer, .. }) if !self.is_allowed() => writeln!(out, " by {}", layer.title())?,
            _ => writeln!(out)?,
        }
        for Finding { layer, verdict, what, .. } in &self.findings {
            writeln!(out, "  {:9} {:6}  {}", layer.name(), verdict.word(), clean(what))?;
        }
        for edit in &self.edits {
            writeln!(out, "  to allow, {}:", clean(&place(edit, policy)))?;
            let lines = edit.lines.iter().map(|line| line.replace('\t', "    "));
            lines.filter(|line| !line.is_empty()).try_for_each(|line| writeln!(out, "    {}", clean(&line)))?;
        }
        if let Some(advice) = &self.advice {
            writeln!(out, "  to allow: {}", clean(advice))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(out, "  note: {}", clean(note)))
    }

    /// The answer as JSON.
    ///
    /// # Errors
    /// If it cannot be serialized.
    pub fn in_json(&self, question: &str, policy: &PolicyDocument) -> Result<String, Failure> {
        let layer = |finding: &Finding| {
            json!({
                "layer": finding.layer.name(),
                "verdict": finding.verdict.word(),
                "rule": finding.rule,
                "what": finding.what,
            })
        };
        let edit = |edit: &Edit| {
            json!({
                "file": policy.path().to_string_lossy(),
                "line": edit.line,
                "replaces": edit.replaces,
                "lines": edit.lines,
            })
        };
        let decides = self.deciding().map(|finding| json!({"layer": finding.layer.name(), "rule": finding.rule}));
        let answer = json!({
            "question": question,
            "allowed": self.is_allowed(),
            "decides": decides.unwrap_or(Value::Null),
            "layers": self.findings.iter().map(layer).collect::<Vec<_>>(),
            "to_allow": self.edits.iter().map(edit).collect::<Vec<_>>(),
            "advice": self.advice,
            "notes": self.notes,
        });
        document(&answer)
    }
}

/// The place of a change in words: `in app.toml:7`, or the line that it follows.
pub fn place(edit: &Edit, policy: &PolicyDocument) -> String {
    let path = policy.path().display();
    match edit.replaces {
        0 => format!("in {path} after line {}", edit.line - 1),
        _ => format!("in {path}:{}", edit.line),
    }
}

/// An answer, and the next change of the policy on the way to allow the operation.
pub struct Reply {
    pub answer: Answer,
    pub edit: Option<Edit>,
}
