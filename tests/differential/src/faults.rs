//! Deliberate mistakes in what is compiled: one operator is taken for another everywhere, as a wrong line in the translation
//! would.

use wasmparser::{Parser, Payload};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Addition of 32 bits subtracts.
    AddSubtracts,
    /// Multiplication of 64 bits adds.
    MultiplyAdds,
    /// A signed comparison is unsigned.
    CompareUnsigned,
    /// A shift of the sign shifts in zeros.
    ShiftUnsigned,
    /// Division is unsigned.
    DivideUnsigned,
    /// Bits that two numbers have in common are those that one of them has.
    AndIsOr,
    /// What is equal is not.
    EqualIsDifferent,
    /// A conversion to 64 bits loses the sign.
    ExtendUnsigned,
    /// The smaller float is the larger one.
    MinIsMax,
    /// A conditional branch is never taken.
    BranchNotTaken,
    /// Vectors of 32-bit lanes are subtracted.
    VectorAddSubtracts,
    /// Floats are subtracted instead of added.
    FloatAddSubtracts,
    /// A field or an element is not set.
    SetNothing,
    /// A test of a type takes null for the contrary, and a cast refuses it.
    TestNull,
    /// Exceptions are not caught.
    CatchNothing,
}

/// First byte of operators on objects, and two operators.
const OBJECT: u8 = 0xfb;
const DROP: u8 = 0x1a;
const NOP: u8 = 0x01;

/// How a mistake changes the bytes of an operator.
type Change = fn(&mut [u8]) -> bool;

impl Fault {
    /// Those in code of every module.
    pub const ALL: [Self; 12] = [
        Self::AddSubtracts,
        Self::MultiplyAdds,
        Self::CompareUnsigned,
        Self::ShiftUnsigned,
        Self::DivideUnsigned,
        Self::AndIsOr,
        Self::EqualIsDifferent,
        Self::ExtendUnsigned,
        Self::MinIsMax,
        Self::BranchNotTaken,
        Self::VectorAddSubtracts,
        Self::FloatAddSubtracts,
    ];

    /// Those in code of modules with objects and exceptions.
    pub const WITH_OBJECTS: [Self; 3] = [Self::SetNothing, Self::TestNull, Self::CatchNothing];

    /// The fault with a name as in `{:?}`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain(Self::WITH_OBJECTS).find(|fault| format!("{fault:?}") == name)
    }

    fn change(self) -> Change {
        // Opcodes as in the binary format; each pair has the same types and immediates.
        match self {
            Self::AddSubtracts => |bytes| replace(bytes, &[0x6a], &[0x6b]),
            Self::MultiplyAdds => |bytes| replace(bytes, &[0x7e], &[0x7c]),
            Self::CompareUnsigned => |bytes| replace(bytes, &[0x48], &[0x49]) || replace(bytes, &[0x53], &[0x54]),
            Self::ShiftUnsigned => |bytes| replace(bytes, &[0x75], &[0x76]) || replace(bytes, &[0x87], &[0x88]),
            Self::DivideUnsigned => |bytes| pairs(bytes, &[(0x6d, 0x6e), (0x6f, 0x70), (0x7f, 0x80), (0x81, 0x82)]),
            Self::AndIsOr => |bytes| pairs(bytes, &[(0x71, 0x72), (0x83, 0x84)]),
            Self::EqualIsDifferent => |bytes| pairs(bytes, &[(0x46, 0x47), (0x51, 0x52)]),
            Self::ExtendUnsigned => |bytes| replace(bytes, &[0xac], &[0xad]),
            Self::MinIsMax => |bytes| replace(bytes, &[0x96], &[0x97]) || replace(bytes, &[0xa4], &[0xa5]),
            Self::BranchNotTaken => |bytes| matches!(bytes, [0x0d, 0..0x80]) && replace(bytes, &[0x0d], &[DROP, NOP]),
            Self::VectorAddSubtracts => |bytes| replace(bytes, &[0xfd, 0xae, 0x01], &[0xfd, 0xb1, 0x01]),
            Self::FloatAddSubtracts => |bytes| replace(bytes, &[0xa0], &[0xa1]) || replace(bytes, &[0x92], &[0x93]),
            // `struct.set` and `array.set`.
            Self::SetNothing => |bytes| match *bytes {
                [OBJECT, 0x05, _, _, ..] => become_drops(bytes, 2),
                [OBJECT, 0x0e, _, ..] => become_drops(bytes, 3),
                _ => false,
            },
            // `ref.test`, with and without null, and `ref.cast`, whose result without null is a subtype of the one with it.
            Self::TestNull => |bytes| match bytes {
                [OBJECT, operator @ (0x14 | 0x15), ..] => {
                    *operator ^= 1;
                    true
                }
                _ => replace(bytes, &[OBJECT, 0x17], &[OBJECT, 0x16]),
            },
            Self::CatchNothing => forget_catches,
        }
    }

    /// The module with the mistake wherever it can be made. `None` if it has no such operator.
    #[must_use]
    pub fn inject(self, module: &[u8]) -> Option<Vec<u8>> {
        let mut changed = module.to_vec();
        let mut any = false;
        for payload in Parser::new(0).parse_all(module) {
            let Ok(Payload::CodeSectionEntry(body)) = payload else { continue };
            let mut reader = body.get_operators_reader().ok()?;
            while !reader.eof() {
                let start = usize::try_from(reader.original_position()).ok()?;
                reader.read().ok()?;
                let end = usize::try_from(reader.original_position()).ok()?;
                any |= self.change()(changed.get_mut(start..end)?);
            }
        }
        any.then_some(changed)
    }
}

/// Makes a `block` of a `try_table`, with as many `nop` as it has bytes that say what is caught.
fn forget_catches(bytes: &mut [u8]) -> bool {
    const TRY_TABLE: u8 = 0x1f;
    const BLOCK: u8 = 0x02;
    const REF_OR_NULL: [u8; 2] = [0x63, 0x64];
    let [opcode @ TRY_TABLE, rest @ ..] = bytes else { return false };
    let start = rest.first().is_some_and(|byte| REF_OR_NULL.contains(byte)).into();
    let Some(last) = rest[start..].iter().position(|byte| byte & 0x80 == 0) else { return false };
    *opcode = BLOCK;
    rest[start + last + 1..].fill(NOP);
    true
}

/// Replaces the first byte, if it is the first of a pair.
fn pairs(bytes: &mut [u8], pairs: &[(u8, u8)]) -> bool {
    pairs.iter().any(|&(from, to)| replace(bytes, &[from], &[to]))
}

/// Drops the operands instead of what was to be done.
fn become_drops(bytes: &mut [u8], operands: usize) -> bool {
    bytes.fill(NOP);
    bytes[..operands].fill(DROP);
    true
}

/// Replaces the first bytes, if they are these.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) -> bool {
    match bytes.get_mut(..to.len()) {
        Some(place) if place.starts_with(from) => {
            place.copy_from_slice(to);
            true
        }
        _ => false,
    }
}
