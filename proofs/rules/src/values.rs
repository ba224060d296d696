//! The values that questions are asked about: each kind, and numbers at the bounds where rules change.

use crate::bench::{MADE, MEMORY, TABLE_OF_JUMPS};
use wave_contract::types::SignatureId;
use wave_verifier::rules::{Entry, Gpr, Object, Value};

const fn range(low: u64, span: u32) -> Value {
    Value::Number { low, span }
}

/// Numbers, exact ones first.
pub fn numbers() -> Vec<Value> {
    let exact = [
        0,
        1,
        2,
        4,
        8,
        15,
        16,
        31,
        32,
        63,
        64,
        0x7f,
        0x80,
        0xff,
        0x100,
        0x7fff,
        0x8000,
        0xffff,
        0x1_0000,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        0x1_0000_0000,
        1 << 40,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX - 15,
        u64::MAX,
        MEMORY,
    ];
    let spans = [
        range(0, 1),
        range(0, 0x7f),
        range(0, 0xff),
        range(0, 0xffff),
        range(0, 0x7fff_ffff),
        range(0, 0x8000_0000),
        range(0, u32::MAX),
        range(1, u32::MAX),
        range(5, 10),
        range(0x7f, 1),
        range(0x7fff_ffff, 1),
        range(0xffff_fffe, 1),
        range(0xffff_ffff, 1),
        range(1 << 40, 100),
        range((1 << 63) - 1, 1),
        range(u64::MAX - u32::MAX as u64, u32::MAX),
        range(u64::MAX - 1, 1),
        range(MEMORY, u32::MAX),
    ];
    exact.into_iter().map(Value::exactly).chain(spans).chain(drawn()).collect()
}

/// Numbers with bounds drawn from all magnitudes, always the same.
fn drawn() -> impl Iterator<Item = Value> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        seed ^ seed >> 29
    };
    std::iter::repeat_with(move || {
        let (low, span, shifts) = (next(), next(), next());
        let span = u32::try_from(span >> 32).unwrap_or(0) >> (shifts >> 8 & 31);
        range((low >> (shifts & 63)).min(u64::MAX - u64::from(span)), span)
    })
    .take(12)
}

/// One or more of each other kind.
pub fn others() -> Vec<Value> {
    let (made, constant) = (Entry::Made(MADE), Entry::Constant { table: 0, index: 1 });
    let into = |object, low, span| Value::Into { object, low, span };
    vec![
        Value::Any,
        Value::Frame(-64),
        Value::Frame(-24),
        Value::Saved(Gpr::RBX),
        Value::Return,
        into(Object::Memory(0), 0, 0),
        into(Object::Memory(0), 8, u32::MAX),
        into(Object::Memory(0), u64::MAX - 7, 7),
        into(Object::Descriptor(0), 0, 0),
        into(Object::Table(0), 0, 0),
        into(Object::Table(1), 0, 0),
        into(Object::Table(0), 64, 0),
        into(Object::Global { mutable: true }, 0, 0),
        into(Object::Results, 0, 16),
        into(Object::Slots, 0, 0),
        into(Object::Context, 0, 0),
        Value::Arena,
        Value::StackLimit,
        Value::Length(0),
        Value::Length(1),
        Value::Index(0),
        Value::Index(1),
        Value::LowIndex(0),
        Value::EntryOffset { table: 0, entry: made },
        Value::EntryField { table: 0, entry: made, field: 72 },
        Value::EntryField { table: 0, entry: made, field: u32::MAX },
        Value::Signature { table: 0, entry: made },
        Value::Signature { table: 0, entry: constant },
        Value::Code { signature: SignatureId(1), entry: made },
        Value::CalleeOffset(made),
        Value::CalleeContext(made),
        Value::Import(0),
        Value::ImportContext(0),
        Value::Libcall(0),
        Value::Status,
        Value::EnteredCode,
        Value::EnteredContext { field: 16 },
        Value::Text { low: TABLE_OF_JUMPS, span: 0 },
        Value::Text { low: TABLE_OF_JUMPS, span: 12 },
        Value::JumpOffset { at: TABLE_OF_JUMPS, count: 4 },
        Value::JumpTarget { at: TABLE_OF_JUMPS, count: 4 },
    ]
}

/// All of them.
pub fn all() -> Vec<Value> {
    [numbers(), others()].concat()
}

/// A few that stand for the rest.
pub fn few() -> [Value; 7] {
    [
        Value::Any,
        Value::U32,
        Value::exactly(0),
        Value::exactly(16),
        range(u64::MAX - 1, 1),
        Value::Index(0),
        Value::Frame(-24),
    ]
}
