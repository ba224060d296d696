//! Values as scripts write them: arguments, and what results must look like.

use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Const, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};
use wave_contract::collector::Word;
use wave_runtime::{ObjectKind, Value};

/// The value of an argument.
///
/// # Errors
/// Says which one is not supported.
pub fn argument(arg: &WastArg) -> Result<Value, String> {
    Ok(match arg {
        WastArg::Core(WastArgCore::I32(value)) => Value::I32(*value),
        WastArg::Core(WastArgCore::I64(value)) => Value::I64(*value),
        WastArg::Core(WastArgCore::F32(value)) => Value::F32(value.bits),
        WastArg::Core(WastArgCore::F64(value)) => Value::F64(value.bits),
        WastArg::Core(WastArgCore::V128(value)) => Value::V128(vector(value)),
        WastArg::Core(WastArgCore::RefNull(HeapType::Abstract { ty, .. })) => {
            null(ty).ok_or_else(|| format!("argument of a proposal that is not supported: {arg:?}"))?
        }
        WastArg::Core(WastArgCore::RefExtern(number)) => Value::ExternRef(Some(*number)),
        // A thing of the host as the guest sees it: of all references to objects, the one that a script can make.
        WastArg::Core(WastArgCore::RefHost(number)) => Value::AnyRef(Word::Host(*number).to_bits()),
        other => return Err(format!("argument of a proposal that is not supported: {other:?}")),
    })
}

/// The null of a type.
fn null(ty: &AbstractHeapType) -> Option<Value> {
    Some(match ty {
        AbstractHeapType::Func | AbstractHeapType::NoFunc => Value::FuncRef(None),
        AbstractHeapType::Extern | AbstractHeapType::NoExtern => Value::ExternRef(None),
        AbstractHeapType::Any
        | AbstractHeapType::Eq
        | AbstractHeapType::I31
        | AbstractHeapType::Struct
        | AbstractHeapType::Array
        | AbstractHeapType::None => Value::AnyRef(0),
        AbstractHeapType::Exn | AbstractHeapType::NoExn => Value::ExnRef(None),
        AbstractHeapType::Cont | AbstractHeapType::NoCont => return None,
    })
}

fn vector(value: &V128Const) -> u128 {
    u128::from_le_bytes(value.to_le_bytes())
}

/// Whether a value is what the script expects. `kind` is what its reference to an object is, if it is one.
pub fn matches(value: Value, kind: Option<ObjectKind>, want: &WastRet) -> bool {
    let WastRet::Core(want) = want else { return false };
    match (value, want) {
        (_, WastRetCore::Either(wants)) => wants.iter().any(|want| matches_core(value, kind, want)),
        (value, want) => matches_core(value, kind, want),
    }
}

fn matches_core(value: Value, kind: Option<ObjectKind>, want: &WastRetCore) -> bool {
    match (value, want) {
        (Value::AnyRef(_), WastRetCore::RefAny) => kind.is_some(),
        (Value::AnyRef(_), WastRetCore::RefEq) => kind.is_some_and(|kind| kind != ObjectKind::Host),
        (Value::AnyRef(_), WastRetCore::RefStruct) => kind == Some(ObjectKind::Struct),
        (Value::AnyRef(_), WastRetCore::RefArray) => kind == Some(ObjectKind::Array),
        (Value::AnyRef(_), WastRetCore::RefI31) => kind == Some(ObjectKind::I31),
        (Value::AnyRef(word), WastRetCore::RefHost(want)) => Word::from_bits(word) == Some(Word::Host(*want)),
        (Value::AnyRef(_), WastRetCore::RefExtern(None)) => kind.is_some(),
        (Value::I32(value), WastRetCore::I32(want)) => value == *want,
        (Value::I64(value), WastRetCore::I64(want)) => value == *want,
        (Value::F32(bits), WastRetCore::F32(want)) => matches_f32(bits, want),
        (Value::F64(bits), WastRetCore::F64(want)) => matches_f64(bits, want),
        (Value::V128(bits), WastRetCore::V128(want)) => matches_v128(bits, want),
        (
            Value::FuncRef(None) | Value::ExternRef(None) | Value::AnyRef(0) | Value::ExnRef(None),
            WastRetCore::RefNull(None),
        ) => true,
        (value, WastRetCore::RefNull(Some(HeapType::Abstract { ty, .. }))) => null(ty) == Some(value),
        (Value::ExternRef(Some(number)), WastRetCore::RefExtern(want)) => want.is_none_or(|want| want == number),
        (Value::FuncRef(Some(_)), WastRetCore::RefFunc(None)) => true,
        _ => false,
    }
}

/// Canonical: the quiet bit alone. Arithmetic: at least the quiet bit. The sign is free in both.
fn matches_f32(bits: u32, want: &NanPattern<F32>) -> bool {
    match want {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(want) => bits == want.bits,
    }
}

fn matches_f64(bits: u64, want: &NanPattern<F64>) -> bool {
    match want {
        NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(want) => bits == want.bits,
    }
}

fn matches_v128(bits: u128, want: &V128Pattern) -> bool {
    let bytes = bits.to_le_bytes();
    let lanes32 = || bytes.chunks_exact(4).map(|lane| u32::from_le_bytes([lane[0], lane[1], lane[2], lane[3]]));
    let lanes64 = || [(bits & u128::from(u64::MAX)), bits >> 64].map(|lane| u64::try_from(lane).unwrap_or_default());
    match want {
        V128Pattern::I8x16(want) => bytes.iter().zip(want).all(|(byte, want)| *byte == want.cast_unsigned()),
        V128Pattern::I16x8(want) => {
            let lanes = bytes.chunks_exact(2).map(|lane| i16::from_le_bytes([lane[0], lane[1]]));
            lanes.zip(want).all(|(lane, want)| lane == *want)
        }
        V128Pattern::I32x4(want) => lanes32().zip(want).all(|(lane, want)| lane.cast_signed() == *want),
        V128Pattern::I64x2(want) => lanes64().into_iter().zip(want).all(|(lane, want)| lane.cast_signed() == *want),
        V128Pattern::F32x4(want) => lanes32().zip(want).all(|(lane, want)| matches_f32(lane, want)),
        V128Pattern::F64x2(want) => lanes64().into_iter().zip(want).all(|(lane, want)| matches_f64(lane, want)),
    }
}
