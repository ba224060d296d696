//! Why a component was not lowered.

/// Why a component was not lowered.
#[derive(Debug, thiserror::Error)]
pub enum LowerError {
    /// The bytes are a core module, which needs no lowering, or nothing that is known.
    #[error("this is no component")]
    NoComponent,
    /// The component is not valid.
    #[error("invalid component: {}", .0.message())]
    Invalid(wasmparser::Error),
    /// It is valid and uses what is not supported.
    #[error("the component uses {0}, which wave does not lower")]
    Unsupported(String),
    /// It is valid, and lowering it would take more than its size justifies.
    #[error("the component is too large: {0}")]
    TooLarge(&'static str),
    /// A mistake in this crate: the validator accepted what the lowering does not find, or refused its result.
    #[error("the lowering made a mistake: {0}")]
    Mistake(String),
}

impl LowerError {
    /// Where in the component, if it is not valid.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Invalid(error) => Some(error.offset()),
            _ => None,
        }
    }
}

// It is no source: its text is in the message.
impl From<wasmparser::Error> for LowerError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Invalid(error)
    }
}

/// The result of a step of the lowering.
pub type Result<T> = std::result::Result<T, LowerError>;

/// What is valid and refused.
pub fn unsupported<T>(what: impl Into<String>) -> Result<T> {
    Err(LowerError::Unsupported(what.into()))
}

/// The item of an index space. The validator has checked the index.
pub fn item<T: Clone>(space: &[T], index: u32) -> Result<T> {
    space.get(index as usize).cloned().ok_or_else(|| LowerError::Mistake(format!("no item {index}")))
}
