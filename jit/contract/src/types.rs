//! WebAssembly types and the process-wide identity of a signature.

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
    pub max: Option<u32>,
}

/// A linear memory's type, in pages of 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MemoryType {
    /// Initial pages.
    pub min_pages: u32,
    /// Maximum pages that it may grow to.
    pub max_pages: Option<u32>,
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
