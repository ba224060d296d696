//! What a probe of this host says of each facility, for `wave doctor`.

/// One facility of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LayerProbe {
    /// Its name, as a manual page would give it.
    pub name: &'static str,
    /// Whether it is there.
    #[serde(flatten)]
    pub presence: Presence,
    /// What `wave` uses it for.
    pub needed_for: &'static str,
    /// What a run lacks if it is missing.
    pub without: &'static str,
    /// Whether the level strict refuses to run without it.
    pub required: bool,
}

impl LayerProbe {
    /// Whether strict refuses to run on this kernel because the facility is missing.
    #[must_use]
    pub fn blocks_strict(&self) -> bool {
        self.required && matches!(self.presence, Presence::Missing(_))
    }

    pub(crate) fn new(name: &'static str, presence: Presence, needed_for: &'static str, without: &'static str) -> Self {
        Self { name, presence, needed_for, without, required: false }
    }

    pub(crate) fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

/// Whether a facility is there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "presence", content = "detail")]
pub enum Presence {
    /// It is there, in this version or form.
    Present(String),
    /// It is missing, for this reason.
    Missing(String),
}
