//! An answer: what each layer says, what decides, and what would allow it.

use serde_json::{Value, json};
use std::fmt::Write;
use wave_engine::Failure;
use wave_engine::json::json as document;
use wave_engine::policy::PolicyDocument;
use wave_policy::clean;
use wave_policy::file::Edit;

/// Who has a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// What is checked before the program runs: imports against the policy.
    Policy,
    /// What decides on each hostcall.
    Monitor,
    /// The kernel's rules on files and ports.
    Landlock,
    /// The kernel's filter of system calls.
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

/// What a layer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allows,
    Denies,
    /// It is not in force, or has no say in this.
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

/// What one layer says, and by which rule of the policy.
#[derive(Clone, Debug)]
pub struct Finding {
    pub layer: Layer,
    pub verdict: Verdict,
    pub rule: Option<String>,
    pub what: String,
}

/// What stands behind an operation under a policy.
#[derive(Debug, Default)]
pub struct Answer {
    /// What each layer says.
    pub findings: Vec<Finding>,
    /// Changes of the policy that allow it, each with a line number of the file as it is.
    pub edits: Vec<Edit>,
    /// What to do where no line does it.
    pub advice: Option<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

impl Answer {
    /// Adds what a layer says.
    pub fn add(&mut self, layer: Layer, verdict: Verdict, rule: Option<String>, what: impl Into<String>) {
        self.findings.push(Finding { layer, verdict, rule, what: what.into() });
    }

    /// Whether no layer denies it.
    pub fn is_allowed(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Denies)
    }

    /// What decides: the first that denies, or the last that allows by a rule.
    fn decides(&self) -> Option<&Finding> {
        let denies = self.findings.iter().find(|finding| finding.verdict == Verdict::Denies);
        denies.or_else(|| self.findings.iter().rev().find(|finding| finding.rule.is_some()))
    }

    /// The answer for people.
    pub fn in_text(&self, question: &str, policy: &PolicyDocument) -> String {
        let mut out = String::new();
        self.write(&mut out, question, policy).unwrap_or_default();
        out
    }

    fn write(&self, out: &mut String, question: &str, policy: &PolicyDocument) -> std::fmt::Result {
        let verdict = if self.is_allowed() { "allowed" } else { "denied" };
        write!(out, "{}: {verdict}", clean(question))?;
        match self.decides() {
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

    /// The answer for programs.
    ///
    /// # Errors
    /// When it cannot be written.
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
        let decides = self.decides().map(|finding| json!({"layer": finding.layer.name(), "rule": finding.rule}));
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

/// Where a change goes, in words: `app.toml:7`, or which line it follows.
pub fn place(edit: &Edit, policy: &PolicyDocument) -> String {
    let path = policy.path().display();
    match edit.replaces {
        0 => format!("in {path} after line {}", edit.line - 1),
        _ => format!("in {path}:{}", edit.line),
    }
}

/// An answer with the change, if there is one, that would turn it into yes.
pub struct Reply {
    pub answer: Answer,
    pub edit: Option<Edit>,
}
