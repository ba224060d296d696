//! An instance: a module's declarations bound to objects of the store.

use crate::debug::Debug;
use crate::function::Function;
use std::ops::Range;
use wave_contract::module::ModuleInfo;
use wave_contract::types::TypeIds;

/// One instance.
pub struct Instance {
    /// Its declarations.
    pub info: ModuleInfo,
    /// Number of its image.
    pub image: usize,
    /// Bytes of its module, zeroed outside of the data segments and the source lines.
    pub bytes: Vec<u8>,
    /// The ids of its types.
    pub types: Vec<TypeIds>,
    /// Its functions.
    pub functions: Vec<Function>,
    /// Its tables, by number in the store.
    pub tables: Vec<usize>,
    /// Its memories, by number in the store.
    pub memories: Vec<usize>,
    /// Its globals, by number in the store.
    pub globals: Vec<usize>,
    /// Its tags, by number in the store.
    pub tags: Vec<usize>,
    /// References of the element segments. Empty for dropped ones.
    pub elements: Vec<Vec<u32>>,
    /// Where functions begin, and source lines.
    pub debug: Debug,
    /// Ranges of the data segments in `bytes`. Empty for dropped ones.
    pub data: Vec<Range<usize>>,
    /// Imported functions that nobody has, by their indices.
    pub stubs: Vec<u32>,
}

impl Instance {
    /// A function by its index.
    pub fn function(&self, index: u32) -> Option<Function> {
        self.functions.get(index as usize).copied()
    }

    /// The bytes of a data segment.
    pub fn segment(&self, index: u32) -> &[u8] {
        self.data.get(index as usize).and_then(|range| self.bytes.get(range.clone())).unwrap_or(&[])
    }
}
