//! What is wrong with a layout.

/// Whose fault a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for is not clear.
    Usage,
    /// What was asked for is not there.
    Missing,
    /// It is there, and damaged, hostile or of a kind that is not supported.
    Invalid,
    /// It could not be written.
    Unwritten,
}

/// A problem: what it is, where in the layout, and what to do about it. Text of the layout in it is not cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whose fault it is.
    pub kind: Kind,
    /// What it is.
    pub what: String,
    /// A file of the layout or of the image. Empty for the layout itself.
    pub place: String,
    /// What to do about it. Empty if there is nothing to say.
    pub fix: String,
}

impl Problem {
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), place: String::new(), fix: String::new() }
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, what)
    }

    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        self.place = place.into();
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}
