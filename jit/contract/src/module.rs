//! What a validated module declares: everything but its code.

use crate::types::{FuncType, GlobalType, Hierarchy, MemoryType, SubType, TableType, ValType};
use std::ops::Range;

/// The declarations of one module. Index spaces begin with the imports, as in the specification.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct ModuleInfo {
    /// Name of the module from its name section.
    pub name: Option<String>,
    /// Types, by type index.
    pub types: Vec<SubType>,
    /// The groups of two or more types that may refer to each other, in order. Any other type is a group of its own.
    pub groups: Vec<Range<u32>>,
    /// Imports, in order.
    pub imports: Vec<Import>,
    /// Type index of every function.
    pub functions: Vec<u32>,
    /// How many of `functions` are imported.
    pub imported_functions: u32,
    /// Every table.
    pub tables: Vec<TableType>,
    /// How many of `tables` are imported.
    pub imported_tables: u32,
    /// First value of all entries of each table that is not imported, if it is not null.
    pub table_inits: Vec<Option<ConstExpr>>,
    /// Every linear memory. WebAssembly 2.0 allows one.
    pub memories: Vec<MemoryType>,
    /// How many of `memories` are imported.
    pub imported_memories: u32,
    /// Which of `memories` is the heap, see [`crate::object`]. It is the last one, not the first, and the module cannot name it.
    /// The instances of a store share it.
    pub heap: Option<u32>,
    /// Every global.
    pub globals: Vec<GlobalType>,
    /// How many of `globals` are imported.
    pub imported_globals: u32,
    /// Initial values of the globals that are not imported.
    pub global_inits: Vec<ConstExpr>,
    /// Type index of every tag: the parameters are what an exception with this tag carries.
    pub tags: Vec<u32>,
    /// How many of `tags` are imported.
    pub imported_tags: u32,
    /// Exports, in order.
    pub exports: Vec<Export>,
    /// Start function.
    pub start: Option<u32>,
    /// Element segments.
    pub elements: Vec<ElementSegment>,
    /// Data segments.
    pub data: Vec<DataSegment>,
    /// Function names from the name section.
    pub names: FunctionNames,
    /// Tag names from the name section.
    pub tag_names: FunctionNames,
}

impl ModuleInfo {
    /// Signature of a function by its index.
    #[must_use]
    pub fn function_type(&self, function: u32) -> Option<&FuncType> {
        self.signature(*self.functions.get(function as usize)?)
    }

    /// Signature with a type index.
    #[must_use]
    pub fn signature(&self, index: u32) -> Option<&FuncType> {
        self.types.get(index as usize)?.function()
    }

    /// What the references of a type are. `None` if it is no reference type of this module.
    #[must_use]
    pub fn hierarchy(&self, ty: ValType) -> Option<Hierarchy> {
        ty.as_reference()?.heap.hierarchy(|index| self.types.get(index as usize))
    }

    /// Finds an export by name.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.name == name)
    }
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Import {
    /// Name of the module that it is imported from.
    pub module: String,
    /// Name of the item.
    pub name: String,
    /// Type it must have.
    pub ty: ImportType,
}

/// Type of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ImportType {
    /// A function, by type index.
    Function(u32),
    /// A table.
    Table(TableType),
    /// A linear memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
    /// A tag, by type index.
    Tag(u32),
}

/// One export.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Which index space `index` counts in.
    pub kind: ExportKind,
    /// Index of the item.
    pub index: u32,
}

/// Kind of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ExportKind {
    /// A function.
    Function,
    /// A table.
    Table,
    /// A linear memory.
    Memory,
    /// A global.
    Global,
    /// A tag.
    Tag,
}

/// A constant expression in stack order. It is validated, so evaluation finds its operands.
pub type ConstExpr = Vec<ConstOp>;

/// One instruction of a constant expression.
///
/// `any.convert_extern` and `extern.convert_any` change no bits and are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ConstOp {
    /// `i32.const`
    I32Const(i32),
    /// `i64.const`
    I64Const(i64),
    /// `f32.const`, as bits.
    F32Const(u32),
    /// `f64.const`, as bits.
    F64Const(u64),
    /// `v128.const`
    V128Const(u128),
    /// `global.get`
    GlobalGet(u32),
    /// `ref.null`
    RefNull,
    /// `ref.func`
    RefFunc(u32),
    /// `ref.i31`
    RefI31,
    /// `struct.new`, of this type.
    StructNew(u32),
    /// `struct.new_default`
    StructNewDefault(u32),
    /// `array.new`
    ArrayNew(u32),
    /// `array.new_default`
    ArrayNewDefault(u32),
    /// `array.new_fixed`: the type, and how many elements.
    ArrayNewFixed(u32, u32),
    /// The offset in the heap of a type's descriptor, for code that makes or tests objects (i32). The compiler adds such globals.
    Descriptor(u32),
    /// `i32.add`
    I32Add,
    /// `i32.sub`
    I32Sub,
    /// `i32.mul`
    I32Mul,
    /// `i64.add`
    I64Add,
    /// `i64.sub`
    I64Sub,
    /// `i64.mul`
    I64Mul,
}

/// When a segment is copied.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SegmentMode {
    /// At instantiation, to `offset` of the table or memory `index`.
    Active {
        /// Table or memory index.
        index: u32,
        /// Offset that it is copied to.
        offset: ConstExpr,
    },
    /// By `memory.init` or `table.init`.
    Passive,
    /// Never: it only declares functions for `ref.func`.
    Declared,
}

/// An element segment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ElementSegment {
    /// Type of its elements.
    pub element: ValType,
    /// When it is copied.
    pub mode: SegmentMode,
    /// Its elements.
    pub items: ElementItems,
}

/// Elements of a segment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ElementItems {
    /// Function indexes.
    Functions(Vec<u32>),
    /// Expressions whose values are references.
    Expressions(Vec<ConstExpr>),
}

impl ElementItems {
    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Functions(functions) => functions.len(),
            Self::Expressions(expressions) => expressions.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A data segment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DataSegment {
    /// When it is copied.
    pub mode: SegmentMode,
    /// Range of its bytes in the module.
    pub bytes: Range<usize>,
}

/// Names of functions or tags, as sorted ranges of one text. A large module has tens of thousands.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct FunctionNames {
    text: String,
    /// (function index, end in `text`). A name starts where the previous one ends.
    ends: Vec<(u32, u32)>,
}

impl FunctionNames {
    /// Adds a name. Indexes must ascend; others, and text past 4 GiB, are ignored.
    pub fn push(&mut self, function: u32, name: &str) {
        if self.ends.last().is_some_and(|&(last, _)| last >= function) {
            return;
        }
        if let Ok(end) = u32::try_from(self.text.len() + name.len()) {
            self.text.push_str(name);
            self.ends.push((function, end));
        }
    }

    /// Whether each name is a range of the text, after those of lower indexes.
    pub(crate) fn is_consistent(&self) -> bool {
        let ordered = |pair: &[(u32, u32)]| matches!(pair, [a, b] if a.0 < b.0 && a.1 <= b.1);
        self.ends.windows(2).all(ordered) && self.ends.iter().all(|&(_, end)| self.text.is_char_boundary(end as usize))
    }

    /// The name of a function, if it has one.
    #[must_use]
    pub fn get(&self, function: u32) -> Option<&str> {
        let at = self.ends.binary_search_by_key(&function, |&(index, _)| index).ok()?;
        let start = at.checked_sub(1).map_or(0, |previous| self.ends[previous].1);
        self.text.get(start as usize..self.ends[at].1 as usize)
    }
}
