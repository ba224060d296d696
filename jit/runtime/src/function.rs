//! Functions as handles.

use std::num::NonZeroU32;
use wave_contract::types::SignatureId;

/// A function of a store. Guests see it as a 32-bit handle. Handles count from 1; 0 is the null reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Function(NonZeroU32);

impl Function {
    pub(crate) const fn from_handle(handle: u32) -> Option<Self> {
        match NonZeroU32::new(handle) {
            Some(handle) => Some(Self(handle)),
            None => None,
        }
    }

    pub(crate) const fn handle(self) -> u32 {
        self.0.get()
    }

    pub(crate) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What the runtime knows of a function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionEntry {
    /// Address of its code, which has the calling convention of guest functions.
    pub code: u64,
    /// Its signature.
    pub signature: SignatureId,
    /// The shape of its signature.
    pub shape: SignatureId,
    /// Its context, as an offset in the arena.
    pub context: u32,
    /// The loaded image it belongs to.
    pub image: u32,
}
