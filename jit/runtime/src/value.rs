//! Values that cross between host and guest.

use crate::function::Function;
use wave_contract::collector::Word;
use wave_contract::types::{HeapType, Hierarchy, RefType, SignatureRegistry, ValType};

/// A WebAssembly value. Floats are bit patterns, so that NaN payloads survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// `i32`
    I32(i32),
    /// `i64`
    I64(i64),
    /// `f32` bits
    F32(u32),
    /// `f64` bits
    F64(u64),
    /// `v128`, lane 0 in the lowest bits
    V128(u128),
    /// `funcref`; `None` is null
    FuncRef(Option<Function>),
    /// `externref`: a number of the embedder's choice below 2^30; `None` is null
    ExternRef(Option<u32>),
    /// `anyref`, or an `externref` that was one: see [`wave_contract::object`]; 0 is null. A reference to an object is good until code
    /// of the guest runs again, which may drop the object.
    AnyRef(u32),
    /// `exnref`: a handle; `None` is null. The host can only look at it.
    ExnRef(Option<u32>),
}

impl Value {
    /// Its type.
    #[must_use]
    pub const fn ty(self) -> ValType {
        match self {
            Self::I32(_) => ValType::I32,
            Self::I64(_) => ValType::I64,
            Self::F32(_) => ValType::F32,
            Self::F64(_) => ValType::F64,
            Self::V128(_) => ValType::V128,
            Self::FuncRef(_) => ValType::FuncRef,
            Self::ExternRef(_) => ValType::ExternRef,
            Self::AnyRef(0) => ValType::Ref(RefType { nullable: true, heap: HeapType::None }),
            Self::AnyRef(_) => ValType::Ref(RefType { nullable: false, heap: HeapType::Any }),
            Self::ExnRef(None) => ValType::Ref(RefType { nullable: true, heap: HeapType::NoExn }),
            Self::ExnRef(Some(_)) => ValType::Ref(RefType { nullable: false, heap: HeapType::Exn }),
        }
    }

    /// Its bits in a slot or cell, zero-extended.
    pub(crate) fn to_bits(self) -> u128 {
        match self {
            Self::I32(value) => u128::from(value.cast_unsigned()),
            Self::I64(value) => u128::from(value.cast_unsigned()),
            Self::F32(bits) => u128::from(bits),
            Self::F64(bits) => u128::from(bits),
            Self::V128(bits) => bits,
            Self::FuncRef(function) => function.map_or(0, |function| u128::from(function.handle())),
            Self::ExnRef(handle) => u128::from(handle.unwrap_or(0)),
            // No call takes a higher number.
            Self::ExternRef(number) => {
                number.map_or(0, |number| u128::from(Word::Host(number & Word::MOST_HANDLE).to_bits()))
            }
            Self::AnyRef(word) => u128::from(word),
        }
    }

    /// The value of type `ty` in a slot's lowest bits. Bits above the type's width are ignored. `types` knows what `ty` names.
    pub(crate) fn from_bits(types: &SignatureRegistry, ty: ValType, bits: u128) -> Self {
        match ty {
            ValType::I32 => Self::I32(bits as i32),
            ValType::I64 => Self::I64(bits as i64),
            ValType::F32 => Self::F32(bits as u32),
            ValType::F64 => Self::F64(bits as u64),
            ValType::V128 => Self::V128(bits),
            ValType::FuncRef => Self::FuncRef(Function::from_handle(bits as u32)),
            ValType::ExternRef => match Word::from_bits(bits as u32) {
                Some(Word::Null) => Self::ExternRef(None),
                Some(Word::Host(number)) => Self::ExternRef(Some(number)),
                _ => Self::AnyRef(bits as u32),
            },
            ValType::Ref(RefType { heap, .. }) => match types.hierarchy(heap) {
                Some(Hierarchy::Func) => Self::from_bits(types, ValType::FuncRef, bits),
                Some(Hierarchy::Extern) => Self::from_bits(types, ValType::ExternRef, bits),
                Some(Hierarchy::Any) | None => Self::AnyRef(bits as u32),
                Some(Hierarchy::Exn) => Self::ExnRef(Some(bits as u32).filter(|handle| *handle != 0)),
            },
        }
    }
}
