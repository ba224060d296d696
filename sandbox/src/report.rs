//! Which layers a seal applied.

use std::fmt;

use wave_policy::Level;

/// What [`seal`](crate::seal()) applied: one entry for each layer, in the order of the seal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The level the policy asked for.
    pub level: Level,
    /// Every layer, applied or not.
    pub layers: Vec<Layer>,
}

/// One layer of a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Layer {
    /// Which layer.
    pub name: LayerName,
    /// Whether it is applied.
    #[serde(flatten)]
    pub state: State,
    /// Whether the level refuses to run without it.
    pub required: bool,
}

impl Layer {
    /// A layer of a report at this level.
    pub(crate) fn new(level: Level, name: LayerName, state: State) -> Self {
        Self { name, state, required: name.demand().at(level) }
    }
}

/// Whether a layer is applied.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// It is applied, and the kernel confirmed it.
    Applied {
        /// Version, extent, and what it does not cover.
        detail: String,
    },
    /// It is missing, though the policy asked for it. No level requires it on this host.
    Unavailable {
        /// Why it is missing.
        reason: String,
    },
    /// It is missing, and `strict` would have refused to run.
    Waived {
        /// Why it is missing.
        reason: String,
    },
    /// The policy did not ask for it.
    NotRequested,
}

/// The layers, in the order of the seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerName {
    /// A sealed process of its own read and compiled the module.
    Compiler,
    /// The machine code was proved to stay within its own code and memory.
    Verifier,
    /// The process has one thread, so that every layer covers all of it.
    SingleThread,
    /// The allocator gets memory from `brk` alone.
    Allocator,
    /// The descriptors that are not in the plan are closed.
    Descriptors,
    /// Environment and arguments of the process are wiped.
    Wiped,
    /// Resource limits.
    Limits,
    /// Namespaces of its own.
    Namespaces,
    /// Bounding set and securebits: no way to regain a capability.
    Bounding,
    /// User, group and supplementary groups.
    Identity,
    /// Capability sets.
    Capabilities,
    /// `no_new_privs`.
    NoNewPrivs,
    /// No core dump, no tracer of the same user.
    NotDumpable,
    /// The kernel refuses new executable memory.
    NoNewCode,
    /// Pages of code and of its tables cannot be changed, moved or replaced.
    FinalPages,
    /// File system, TCP, signal and abstract-socket rules.
    Landlock,
    /// The system-call filter.
    Seccomp,
    /// Only in runs with connections: another sealed process makes them.
    Broker,
    /// macOS only: the profile that replaces Landlock and the filter.
    Seatbelt,
}

/// Which levels refuse to run without a layer. `off` requires none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// `strict` and `standard`.
    EveryLevel,
    /// `strict`; `standard` runs without it.
    Strict,
    /// None: every level runs without it, and the report says so.
    Nobody,
}

impl Demand {
    /// Whether a level refuses to run without the layer.
    #[must_use]
    pub fn at(self, level: Level) -> bool {
        match (level, self) {
            (Level::Off, _) | (_, Self::Nobody) => false,
            (Level::Standard, Self::Strict) => false,
            (Level::Standard, Self::EveryLevel) | (Level::Strict, Self::Strict | Self::EveryLevel) => true,
        }
    }
}

impl LayerName {
    /// Every layer of Linux that all runs have, in the order of the seal.
    pub const ALL: [Self; 17] = [
        Self::Compiler,
        Self::Verifier,
        Self::SingleThread,
        Self::Allocator,
        Self::Descriptors,
        Self::Wiped,
        Self::Limits,
        Self::Namespaces,
        Self::Bounding,
        Self::Identity,
        Self::Capabilities,
        Self::NoNewPrivs,
        Self::NotDumpable,
        Self::NoNewCode,
        Self::FinalPages,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// Which levels refuse to run without it.
    #[must_use]
    pub const fn demand(self) -> Demand {
        match self {
            Self::Verifier | Self::SingleThread | Self::Descriptors | Self::Seccomp | Self::Seatbelt => {
                Demand::EveryLevel
            }
            Self::Compiler
            | Self::Bounding
            | Self::Identity
            | Self::Capabilities
            | Self::NoNewPrivs
            | Self::NotDumpable
            | Self::Landlock
            | Self::Broker => Demand::Strict,
            Self::Allocator | Self::Wiped | Self::Limits | Self::Namespaces | Self::NoNewCode | Self::FinalPages => {
                Demand::Nobody
            }
        }
    }

    /// The word in messages and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compiler => "compiler",
            Self::Verifier => "verifier",
            Self::SingleThread => "single_thread",
            Self::Allocator => "allocator",
            Self::Descriptors => "descriptors",
            Self::Wiped => "wiped",
            Self::Limits => "limits",
            Self::Namespaces => "namespaces",
            Self::Bounding => "bounding",
            Self::Identity => "identity",
            Self::Capabilities => "capabilities",
            Self::NoNewPrivs => "no_new_privs",
            Self::NotDumpable => "not_dumpable",
            Self::NoNewCode => "no_new_code",
            Self::FinalPages => "final_pages",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Broker => "broker",
            Self::Seatbelt => "seatbelt",
        }
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Report {
    /// The report of a run without any layer.
    pub(crate) fn nothing(level: Level) -> Self {
        let layers = LayerName::ALL.map(|name| Layer::new(level, name, State::NotRequested));
        Self { level, layers: layers.into() }
    }

    /// The same report with another state of one layer, or with one more. For layers that the caller applies before the seal.
    #[must_use]
    pub fn with(mut self, name: LayerName, state: State) -> Self {
        match self.layers.iter_mut().find(|layer| layer.name == name) {
            Some(layer) => layer.state = state,
            None => self.layers.push(Layer::new(self.level, name, state)),
        }
        self
    }

    /// The state of one layer.
    pub fn state(&self, name: LayerName) -> &State {
        const ABSENT: State = State::NotRequested;
        self.layers.iter().find(|layer| layer.name == name).map_or(&ABSENT, |layer| &layer.state)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sandbox: {}", self.level)?;
        for Layer { name, state, required } in &self.layers {
            let required = if *required { "required" } else { "optional" };
            match state {
                State::Applied { detail } => writeln!(f, "  {name:<13}  {required}  applied        {detail}")?,
                State::Unavailable { reason } => writeln!(f, "  {name:<13}  {required}  UNAVAILABLE    {reason}")?,
                State::Waived { reason } => writeln!(f, "  {name:<13}  {required}  WAIVED         {reason}")?,
                State::NotRequested => writeln!(f, "  {name:<13}  {required}  not requested")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_names_every_layer_as_not_requested() {
        let report = Report::nothing(Level::Off);
        assert_eq!(report.layers.len(), LayerName::ALL.len());
        assert!(report.layers.iter().all(|layer| layer.state == State::NotRequested));
    }

    #[test]
    fn a_layer_that_few_runs_have_comes_last() {
        let report = Report::nothing(Level::Strict).with(LayerName::Broker, State::Applied { detail: "here".into() });
        assert_eq!(report.layers.len(), LayerName::ALL.len() + 1);
        assert!(report.to_string().ends_with("\n  broker         required  applied        here\n"), "{report}");
        assert_eq!(report.state(LayerName::Broker), &State::Applied { detail: "here".into() });
    }

    #[test]
    fn text_has_a_line_per_layer() {
        let text = Report::nothing(Level::Off).to_string();
        assert!(text.starts_with("sandbox: off\n  compiler       optional  not requested\n"), "{text}");
        assert_eq!(text.lines().count(), 1 + LayerName::ALL.len());
    }
}
