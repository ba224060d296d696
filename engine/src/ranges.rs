//! The address ranges of a store that its seal protects.

use wave_policy::Policy;
use wave_runtime::Store;
use wave_sandbox::{AddressRange, Grant, GrowableRange, SealPlan};

/// The address ranges of a loaded program: linear memories, which may grow after the seal, and code, which never changes.
#[derive(Debug)]
pub struct ProgramRanges {
    growable: Vec<GrowableRange>,
    code: AddressRange,
}

impl ProgramRanges {
    /// The ranges of a store whose instances are loaded.
    pub fn of<T>(store: &Store<T>) -> Self {
        let growable = store.growable().into_iter();
        let growable = growable.map(|(base, len_bytes)| GrowableRange { base, len_bytes }).collect();
        Self { growable, code: store.code_range().into() }
    }

    /// The plan of a seal that enforces `policy`, with the grants opened.
    pub fn seal_plan<'a>(&'a self, policy: &'a Policy, grants: &'a [Grant<'a>]) -> SealPlan<'a> {
        SealPlan {
            grants,
            growable: &self.growable,
            guest_code: Some(self.code),
            final_pages: std::slice::from_ref(&self.code),
            ..SealPlan::new(policy)
        }
    }
}
