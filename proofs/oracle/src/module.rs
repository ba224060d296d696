//! The module whose code is imagined: it has each kind of object that code reaches in some way.

use wave_contract::context::{Addressing, FixedAddresses};
use wave_contract::image::{CodeImage, CodeRange, EntryThunk, TEXT_PADDING};
use wave_contract::module::ModuleInfo;
use wave_contract::object;
use wave_contract::offsets::OffsetTable;
use wave_contract::types::{
    CompositeType, FieldType, FuncType, GlobalType, MemoryType, SignatureId, StorageType, SubType, TableType, TypeIds,
    ValType,
};
use wave_verifier::{Terms, Unit, UnitName};

/// Its bytes, for what reads declarations from a module.
pub const TEXT_OF_MODULE: &str = r#"(module
  (type (func (param i32) (result i32)))
  (type (func))
  (type (func (param i64 i64 i64 i64 i64 i64 i64 i64)))
  (type (struct (field (mut i32))))
  (import "host" "call" (func (type 0)))
  (import "other" "function" (func (type 1)))
  (import "host" "wide" (func (type 2)))
  (import "other" "mutable" (global (mut i64)))
  (import "other" "constant" (global i64))
  (memory 1 10)
  (memory 1 2)
  (table 4 10 funcref)
  (table 2 3 funcref)
  (table 1 externref)
  (global (mut i64) (i64.const 1))
  (global i64 (i64.const 2))
  (global (mut v128) (v128.const i64x2 3 4))
  (func (type 0) (i32.const 0))
  (func (type 1))
  (func (type 2)))"#;

/// How many integers each type of a function that is tested has as parameters.
pub const INTEGERS: [usize; 3] = [1, 0, 8];

/// Of the imported functions: whether the host implements it, and its type.
pub const IMPORTS: [(bool, usize); 3] = [(true, 0), (false, 1), (true, 2)];

/// Bytes of text.
pub const TEXT_BYTES: u32 = 0x10000;

/// Bytes of each unit that is tested, the first of them at this offset: functions of the three types, then entry thunks.
pub const UNIT_BYTES: u32 = 0x1000;
const FUNCTIONS: u32 = 0x1000;
const THUNKS: u32 = 0x9000;
const IMPORT_THUNKS: u32 = 0x8000;
/// The collector's functions.
const COLLECTOR: u32 = 0xd000;
const OTHER_THUNKS: u32 = 0xe000;
/// Bytes of what is called and not tested.
const OTHER_BYTES: u32 = 0x40;

/// The declarations, as the verifier reads them. There is a type of objects, so there is a heap: the last of the memories.
#[must_use]
pub fn declarations() -> ModuleInfo {
    let i64_ = |mutable| GlobalType { content: ValType::I64, mutable };
    let table = |element, min, max| TableType { element, min, max, wide: false };
    let field = FieldType { storage: StorageType::Value(ValType::I32), mutable: true };
    let composite = CompositeType::Struct([field].into());
    let mut info = ModuleInfo {
        types: vec![
            FuncType::new([ValType::I32], [ValType::I32]).into(),
            FuncType::new([], []).into(),
            FuncType::new([ValType::I64; 8], []).into(),
            SubType { is_final: true, supertype: None, composite },
        ],
        functions: vec![0, 1, 2, 0, 1, 2],
        imported_functions: 3,
        tables: vec![
            table(ValType::FuncRef, 4, Some(10)),
            table(ValType::FuncRef, 2, Some(3)),
            table(ValType::ExternRef, 1, None),
        ],
        memories: vec![MemoryType::new(1, Some(10)), MemoryType::new(1, Some(2))],
        globals: vec![
            i64_(true),
            i64_(false),
            i64_(true),
            i64_(false),
            GlobalType { content: ValType::V128, mutable: true },
        ],
        imported_globals: 2,
        ..ModuleInfo::default()
    };
    object::complete(&mut info).expect("it has a type of objects");
    info
}

/// Identity of each type.
#[must_use]
pub fn signature(ty: usize) -> SignatureId {
    SignatureId(ty as u32 + 1)
}

/// The number of the function table, which follows all others.
pub const FUNCTION_TABLE: usize = 3;

/// The tables whose entries code reads.
pub const WITH_ENTRIES: [u8; 3] = [0, 1, FUNCTION_TABLE as u8];

/// What the entries of a table have for functions of a type. Those of the function table have the ids of shapes.
#[must_use]
pub fn id_in(table: u8, ty: usize) -> SignatureId {
    if usize::from(table) == FUNCTION_TABLE {
        SignatureId(signature(ty).0 + INTEGERS.len() as u32)
    } else {
        signature(ty)
    }
}

/// The type behind an id that [`id_in`] gave.
#[must_use]
pub fn type_of(id: u32) -> Option<usize> {
    let number = (id as usize).checked_sub(1).filter(|number| *number < 2 * INTEGERS.len())?;
    Some(number % INTEGERS.len())
}

/// The ids of a type. No table has functions of those behind the types that are tested.
fn ids(ty: usize) -> TypeIds {
    match ty {
        ty if ty < INTEGERS.len() => TypeIds { exact: signature(ty), shape: id_in(FUNCTION_TABLE as u8, ty) },
        ty => TypeIds { exact: signature(INTEGERS.len() + ty), shape: signature(INTEGERS.len() + ty) },
    }
}

/// What the verifier is told besides the module.
#[must_use]
pub fn terms(info: &ModuleInfo, is_fixed: bool) -> Terms {
    let addresses = FixedAddresses::imagined(info).expect("a small module");
    Terms {
        addressing: if is_fixed { Addressing::Fixed(addresses) } else { Addressing::Arg },
        signatures: (0..info.types.len()).map(ids).collect(),
        host_imports: IMPORTS.iter().map(|(is_host, _)| *is_host).collect(),
    }
}

/// Where the functions begin: imports, those that are tested, the collector's.
#[must_use]
pub fn starts() -> Vec<u32> {
    let region = |start: u32, bytes: u32, count: usize| (start..).step_by(bytes as usize).take(count);
    region(IMPORT_THUNKS, OTHER_BYTES, IMPORTS.len())
        .chain(region(FUNCTIONS, UNIT_BYTES, INTEGERS.len()))
        .chain(region(COLLECTOR, OTHER_BYTES, wave_collector::FUNCTIONS.len()))
        .collect()
}

/// A unit that is tested: a function, or the entry thunk of a type.
#[derive(Clone, Copy, Debug)]
pub struct Tested {
    /// The function's type, or that of the functions that the thunk enters.
    pub ty: usize,
    pub is_thunk: bool,
}

impl Tested {
    /// Offset of its first byte.
    #[must_use]
    pub const fn start(self) -> u32 {
        (if self.is_thunk { THUNKS } else { FUNCTIONS }) + UNIT_BYTES * self.ty as u32
    }

    /// As the verifier takes it, with this code.
    #[must_use]
    pub fn unit<'a>(self, info: &'a ModuleInfo, code: &'a [u8]) -> Unit<'a> {
        let Self { ty, is_thunk } = self;
        Unit {
            name: if is_thunk { UnitName::Entry(ty as u32) } else { UnitName::Function(ty as u32 + 3) },
            range: CodeRange { start: self.start(), len: UNIT_BYTES },
            code,
            ty: info.types[ty].function().expect("all of them are of functions"),
            traps: &[],
            sources: &[],
        }
    }

    /// The type that a thunk enters.
    #[must_use]
    pub const fn entered(self) -> Option<usize> {
        if self.is_thunk { Some(self.ty) } else { None }
    }
}

/// An image without instructions, in the place of whose units code is verified.
#[must_use]
pub fn image(terms: &Terms) -> CodeImage {
    let len = |start| if start < IMPORT_THUNKS { UNIT_BYTES } else { OTHER_BYTES };
    let thunk = |ty| EntryThunk {
        signature: signature(ty),
        code: CodeRange { start: Tested { ty, is_thunk: true }.start(), len: UNIT_BYTES },
    };
    // The types of the collector's functions come behind that of objects.
    let other = |number| EntryThunk {
        signature: ids(INTEGERS.len() + 1 + number).exact,
        code: CodeRange { start: OTHER_THUNKS + OTHER_BYTES * number as u32, len: OTHER_BYTES },
    };
    let others = (0..wave_collector::FUNCTIONS.len()).map(other);
    CodeImage {
        addressing: terms.addressing.clone(),
        text: vec![TEXT_PADDING; TEXT_BYTES as usize],
        functions: starts().iter().map(|start| CodeRange { start: *start, len: len(*start) }).collect(),
        entries: (0..INTEGERS.len()).map(thunk).chain(others).collect(),
        traps: OffsetTable::default(),
        sources: OffsetTable::default(),
        processor: String::new(),
    }
}
