//! WebAssembly types and the process-wide identity of a signature.

use crate::PAGE_BYTES;
use std::collections::HashMap;
use std::fmt;

/// A value type. References are 32-bit handles that only the runtime can resolve. 0 is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// Function reference: a handle.
    FuncRef,
    /// Host reference: a handle.
    ExternRef,
    /// Reference to an exception: a handle.
    ExnRef,
}

impl ValType {
    /// Whether values of this type are references.
    #[must_use]
    pub const fn is_reference(self) -> bool {
        matches!(self, Self::FuncRef | Self::ExternRef | Self::ExnRef)
    }

    /// Whether values of this type are held in vector registers.
    #[must_use]
    pub const fn is_vector_class(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::V128)
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::FuncRef => "funcref",
            Self::ExternRef => "externref",
            Self::ExnRef => "exnref",
        })
    }
}

/// A function signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct FuncType {
    /// Parameter types.
    pub params: Box<[ValType]>,
    /// Result types.
    pub results: Box<[ValType]>,
}

impl FuncType {
    /// A signature from its parts.
    pub fn new(params: impl Into<Box<[ValType]>>, results: impl Into<Box<[ValType]>>) -> Self {
        Self { params: params.into(), results: results.into() }
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "({}) -> ({})", list(&self.params), list(&self.results))
    }
}

/// A table's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TableType {
    /// The type of the references.
    pub element: ValType,
    /// Initial entries.
    pub min: u32,
    /// Maximum entries that it may grow to.
    pub max: Option<u64>,
    /// Whether its indexes are 64-bit.
    pub wide: bool,
}

/// Binary logarithm of the size of usual pages.
const PAGE_LOG2: u8 = 16;

const _: () = assert!(1 << PAGE_LOG2 == PAGE_BYTES);

/// A linear memory's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MemoryType {
    /// Initial pages.
    pub min_pages: u64,
    /// Maximum pages that it may grow to.
    pub max_pages: Option<u64>,
    /// Binary logarithm of the size of its pages in bytes: 16, or 0.
    pub page_log2: u8,
    /// Whether its indexes are 64-bit.
    pub wide: bool,
    /// Whether it is declared as shared. It is this thread's alone all the same: nothing here starts another one.
    pub shared: bool,
}

impl MemoryType {
    /// A memory with pages of 64 KiB and indexes of 32 bits, not shared.
    #[must_use]
    pub const fn new(min_pages: u64, max_pages: Option<u64>) -> Self {
        Self { min_pages, max_pages, page_log2: PAGE_LOG2, wide: false, shared: false }
    }

    /// The initial size in bytes; `u64::MAX` if it is larger than that.
    #[must_use]
    pub const fn min_bytes(&self) -> u64 {
        self.min_pages.saturating_mul(1 << self.page_log2)
    }

    /// Pages that it can have at most, whatever it declares. One with 64-bit indexes is no larger than one with 32-bit indexes,
    /// so that its accesses stay in the same reservation. Except for the usual kind, sizes in bytes are below 2^32 - 1.
    #[must_use]
    pub const fn most_pages(&self) -> u64 {
        let any = match (self.page_log2, self.wide) {
            (16, false) => 1 << 16,
            (page_log2, _) => (u32::MAX as u64 - 1) >> page_log2,
        };
        match self.max_pages {
            Some(max) if max < any => max,
            _ => any,
        }
    }

    /// Whether it can grow by a page if all memories together may have so many bytes more.
    #[must_use]
    pub const fn can_grow(&self, room_bytes: u64) -> bool {
        self.most_pages() > self.min_pages && room_bytes >> self.page_log2 > 0
    }
}

/// A global's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GlobalType {
    /// Type of the value.
    pub content: ValType,
    /// Whether `global.set` is allowed.
    pub mutable: bool,
}

/// Identity of a signature across all modules of one process: equal if and only if the signatures are.
///
/// 0 identifies no signature. It marks the null table entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct SignatureId(pub u32);

impl SignatureId {
    /// The id in a null table entry.
    pub const NULL: Self = Self(0);
}

/// Hands out [`SignatureId`]s in order of first use.
#[derive(Debug, Default)]
pub struct SignatureRegistry {
    ids: HashMap<FuncType, SignatureId>,
    types: Vec<FuncType>,
}

impl SignatureRegistry {
    /// The id of `ty`, a new one if it has none yet.
    pub fn intern(&mut self, ty: &FuncType) -> SignatureId {
        if let Some(id) = self.ids.get(ty) {
            return *id;
        }
        self.types.push(ty.clone());
        // A module declares at most a million types and a process loads few modules.
        let id = SignatureId(u32::try_from(self.types.len()).expect("fewer than 2^32 signatures"));
        self.ids.insert(ty.clone(), id);
        id
    }

    /// The signature with an id from this registry.
    #[must_use]
    pub fn get(&self, id: SignatureId) -> Option<&FuncType> {
        self.types.get((id.0 as usize).checked_sub(1)?)
    }
}
