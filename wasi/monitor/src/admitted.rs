//! The proof that an effect was decided on.

use std::ops::Deref;

/// An effect the monitor has admitted.
///
/// The field is private and the constructor is private to this crate: the only way to get one is
/// to ask the [`Monitor`](crate::Monitor). Not `Clone`, so that one decision is one effect.
#[derive(Debug)]
pub struct Admitted<E>(E);

impl<E> Admitted<E> {
    pub(crate) const fn new(effect: E) -> Self {
        Self(effect)
    }

    pub(crate) fn into_effect(self) -> E {
        self.0
    }
}

impl<E> Deref for Admitted<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.0
    }
}
