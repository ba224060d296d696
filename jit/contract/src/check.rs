//! Whether declarations and code from another process are consistent.
//!
//! The runtime relies on what validation guarantees: indexes exist, constant expressions find their operands, segments
//! lie inside the module. A compiler that a module has taken over could send anything, so all of this is checked here.
//! The machine code is not: that is the verifier's part.

use crate::abi::{EXCEPTION, SLOT_BYTES};
use crate::image::{CodeImage, CodeRange};
use crate::module::{
    ConstExpr, ConstOp, DataSegment, ElementItems, Export, ExportKind, ImportType, ModuleInfo, SegmentMode,
};
use crate::object::HEAP;
use crate::trap::TrapCode;
use crate::types::{
    CompositeType, FieldType, FuncType, HeapType, Hierarchy, MemoryType, RefType, StorageType, TableType, TypeIds,
    ValType,
};
use std::collections::HashSet;

/// Maximum parameters, and maximum results, of a function. The result area has room for as many.
const MAX_VALUES: usize = 1000;

const _: () = assert!(MAX_VALUES <= (EXCEPTION / SLOT_BYTES) as usize, "results do not reach what follows them");

/// Maximum fields of a structure.
const MAX_FIELDS: usize = 10_000;

/// Maximum supertypes of a type, one above the other: so much does an object's descriptor hold.
const MAX_DEPTH: u32 = 63;

/// Maximum linear memories that a module can name.
const MAX_MEMORIES: usize = 100;

/// What is inconsistent in declarations or code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Inconsistent(pub &'static str);

type Check = Result<(), Inconsistent>;

fn ensure(holds: bool, what: &'static str) -> Check {
    if holds { Ok(()) } else { Err(Inconsistent(what)) }
}

fn exists<T>(list: &[T], index: u32) -> bool {
    (index as usize) < list.len()
}

impl ModuleInfo {
    /// Checks that these can be the declarations of a valid module of `module_len` bytes.
    ///
    /// # Errors
    /// The first inconsistency.
    pub fn check(&self, module_len: usize) -> Check {
        self.check_types()?;
        ensure(self.functions.iter().all(|ty| self.signature(*ty).is_some()), "a function has no type")?;
        ensure(self.tables.iter().all(|ty| self.is_table(ty)), "a table type is invalid")?;
        ensure(self.globals.iter().all(|ty| self.is_value(ty.content)), "a global's type is invalid")?;
        ensure(self.memories.len() <= MAX_MEMORIES + usize::from(self.heap.is_some()), "there are too many memories")?;
        ensure(self.memories.iter().all(is_memory), "a memory type is invalid")?;
        self.check_heap()?;
        let is_tag = |ty: &u32| self.signature(*ty).is_some_and(|ty| ty.results.is_empty());
        ensure(self.tags.iter().all(is_tag), "a tag has no type")?;
        self.check_imports()?;
        self.check_globals()?;
        ensure(self.exports.iter().all(|export| self.has(export.kind, export.index)), "an export does not exist")?;
        if let Some(start) = self.start {
            let ty = self.function_type(start);
            ensure(ty.is_some_and(|ty| *ty == FuncType::default()), "the start function has arguments or results")?;
        }
        self.check_tables()?;
        self.check_elements()?;
        self.check_data(module_len)?;
        ensure(self.names.is_consistent() && self.tag_names.is_consistent(), "names overlap")
    }

    /// The heap is the last memory, not the first, which hostcalls see, and nothing names it.
    fn check_heap(&self) -> Check {
        let Some(heap) = self.heap else { return Ok(()) };
        let last = heap > 0 && heap as usize + 1 == self.memories.len() && heap >= self.imported_memories;
        ensure(last, "the heap is not the last memory")?;
        ensure(self.memories[heap as usize] == HEAP, "the heap's type is another one")?;
        let exported = |export: &Export| export.kind == ExportKind::Memory && export.index == heap;
        ensure(!self.exports.iter().any(exported), "the heap is exported")?;
        let copied = |segment: &DataSegment| matches!(segment.mode, SegmentMode::Active { index, .. } if index == heap);
        ensure(!self.data.iter().any(copied), "a data segment is copied to the heap")
    }

    /// Types refer to earlier ones and to those of their own group, and their supertypes are earlier.
    fn check_types(&self) -> Check {
        let mut groups = self.groups.iter().peekable();
        let mut depths = Vec::with_capacity(self.types.len());
        let mut end = 0;
        for (index, ty) in (0..).zip(&self.types) {
            if let Some(group) = groups.next_if(|group| group.start == index && index >= end && group.start < group.end)
            {
                end = group.end;
            }
            let known = end.max(index + 1);
            let is_known = |ty: ValType| match ty.as_reference().map(|ty| ty.heap) {
                Some(HeapType::Concrete(index)) => index < known,
                _ => true,
            };
            ensure(ty.values().all(is_known), "a type refers to a later one")?;
            ensure(ty.supertype.is_none_or(|above| above < index), "a type is a subtype of a later one")?;
            let above = ty.supertype.and_then(|above| depths.get(above as usize));
            let depth = above.map_or(0, |depth: &u32| depth + 1);
            ensure(depth <= MAX_DEPTH, "a type has too many supertypes")?;
            depths.push(depth);
            let few = |count: usize| count <= MAX_VALUES;
            let is_small = match &ty.composite {
                CompositeType::Func(ty) => few(ty.params.len()) && few(ty.results.len()),
                CompositeType::Struct(fields) => fields.len() <= MAX_FIELDS,
                CompositeType::Array(_) => true,
            };
            ensure(is_small, "a type has too many values")?;
        }
        ensure(groups.next().is_none() && end as usize <= self.types.len(), "a group of types is not there")
    }

    /// Whether a type names only types of this module.
    fn is_value(&self, ty: ValType) -> bool {
        !ty.is_reference() || self.hierarchy(ty).is_some()
    }

    fn is_table(&self, ty: &TableType) -> bool {
        self.hierarchy(ty.element).is_some()
            && ty.max.is_none_or(|max| u64::from(ty.min) <= max && (ty.wide || max <= u64::from(u32::MAX)))
    }

    fn has(&self, kind: ExportKind, index: u32) -> bool {
        match kind {
            ExportKind::Function => exists(&self.functions, index),
            ExportKind::Table => exists(&self.tables, index),
            ExportKind::Memory => exists(&self.memories, index),
            ExportKind::Global => exists(&self.globals, index),
            ExportKind::Tag => exists(&self.tags, index),
        }
    }

    /// Imports come first in each index space, and in order.
    fn check_imports(&self) -> Check {
        let (mut functions, mut tables, mut memories, mut globals, mut tags) = (0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
        for import in &self.imports {
            let (same, next) = match import.ty {
                ImportType::Function(ty) => (self.functions.get(functions as usize) == Some(&ty), &mut functions),
                ImportType::Table(ty) => (self.tables.get(tables as usize) == Some(&ty), &mut tables),
                ImportType::Memory(ty) => (self.memories.get(memories as usize) == Some(&ty), &mut memories),
                ImportType::Global(ty) => (self.globals.get(globals as usize) == Some(&ty), &mut globals),
                ImportType::Tag(ty) => (self.tags.get(tags as usize) == Some(&ty), &mut tags),
            };
            ensure(same, "an import is not what its index space says")?;
            // The item exists, so the count stays below 2^32.
            *next += 1;
        }
        let counted = [functions, tables, memories, globals, tags];
        let declared = [
            self.imported_functions,
            self.imported_tables,
            self.imported_memories,
            self.imported_globals,
            self.imported_tags,
        ];
        ensure(counted == declared, "the number of imports is wrong")
    }

    fn check_globals(&self) -> Check {
        // Every imported global exists: `check_imports` has counted them.
        let defined = self.globals.get(self.imported_globals as usize..).unwrap_or_default();
        ensure(defined.len() == self.global_inits.len(), "a global has no value")?;
        for ((index, ty), init) in (self.imported_globals as usize..).zip(defined).zip(&self.global_inits) {
            ensure(self.gives(init, ty.content, index), "a global's value is invalid")?;
        }
        Ok(())
    }

    fn check_tables(&self) -> Check {
        let defined = self.tables.get(self.imported_tables as usize..).unwrap_or_default();
        ensure(defined.len() == self.table_inits.len(), "there is another number of values of tables")?;
        let is_value = |(table, init): (&TableType, &Option<ConstExpr>)| match init {
            Some(init) => self.gives(init, table.element, self.globals.len()),
            None => true,
        };
        ensure(defined.iter().zip(&self.table_inits).all(is_value), "a table's value is invalid")
    }

    fn check_elements(&self) -> Check {
        for segment in &self.elements {
            let hierarchy = self.hierarchy(segment.element);
            ensure(hierarchy.is_some(), "elements are no references")?;
            if let SegmentMode::Active { index, offset } = &segment.mode {
                let table = self.tables.get(*index as usize);
                let fits = |table: &TableType| self.hierarchy(table.element) == hierarchy;
                ensure(table.is_some_and(fits), "an element segment has no table")?;
                let index = index_type(table.is_some_and(|table| table.wide));
                ensure(self.gives(offset, index, self.globals.len()), "an element segment's offset is invalid")?;
            }
            let valid = match &segment.items {
                ElementItems::Functions(functions) => {
                    hierarchy == Some(Hierarchy::Func) && functions.iter().all(|index| exists(&self.functions, *index))
                }
                ElementItems::Expressions(expressions) => {
                    expressions.iter().all(|item| self.gives(item, segment.element, self.globals.len()))
                }
            };
            ensure(valid, "an element is invalid")?;
        }
        Ok(())
    }

    fn check_data(&self, module_len: usize) -> Check {
        for segment in &self.data {
            match &segment.mode {
                SegmentMode::Active { index, offset } => {
                    let memory = self.memories.get(*index as usize);
                    let index = index_type(memory.is_some_and(|memory| memory.wide));
                    ensure(memory.is_some(), "a data segment has no memory")?;
                    ensure(self.gives(offset, index, self.globals.len()), "a data segment's offset is invalid")?;
                }
                SegmentMode::Passive => {}
                SegmentMode::Declared => return Err(Inconsistent("a data segment is only declared")),
            }
            let bytes = &segment.bytes;
            ensure(bytes.start <= bytes.end && bytes.end <= module_len, "a data segment lies outside the module")?;
        }
        Ok(())
    }

    /// Whether a constant expression has one value, of this type, and reads only constants among the first `globals`.
    fn gives(&self, expression: &[ConstOp], ty: ValType, globals: usize) -> bool {
        use ValType::{F32, F64, FuncRef, I32, I64, V128};
        // A module can have hundreds of thousands, most of them a single constant.
        let mut stack: Vec<Option<ValType>> = Vec::new();
        for op in expression {
            let mut takes =
                |ty: ValType, count: u32| (0..count).all(|_| stack.pop().is_some_and(|found| self.accepts(found, ty)));
            let value = match *op {
                ConstOp::I32Const(_) => Some(I32),
                ConstOp::I64Const(_) => Some(I64),
                ConstOp::F32Const(_) => Some(F32),
                ConstOp::F64Const(_) => Some(F64),
                ConstOp::V128Const(_) => Some(V128),
                // A null reference has any type.
                ConstOp::RefNull => None,
                ConstOp::RefFunc(function) if exists(&self.functions, function) => Some(FuncRef),
                ConstOp::RefFunc(_) => return false,
                ConstOp::GlobalGet(index) => {
                    match self.globals.get(index as usize).filter(|_| (index as usize) < globals) {
                        Some(global) if !global.mutable => Some(global.content),
                        _ => return false,
                    }
                }
                ConstOp::I32Add | ConstOp::I32Sub | ConstOp::I32Mul if takes(I32, 2) => Some(I32),
                ConstOp::I64Add | ConstOp::I64Sub | ConstOp::I64Mul if takes(I64, 2) => Some(I64),
                ConstOp::RefI31 if takes(I32, 1) => Some(object(HeapType::I31)),
                ConstOp::Descriptor(ty) if self.fields(ty).is_some() => Some(I32),
                ConstOp::StructNew(ty) => match self.fields(ty) {
                    Some(Fields::Struct(fields)) if fields.iter().rev().all(|field| takes(unpacked(field), 1)) => {
                        Some(object(HeapType::Concrete(ty)))
                    }
                    _ => return false,
                },
                ConstOp::StructNewDefault(ty) if matches!(self.fields(ty), Some(Fields::Struct(_))) => {
                    Some(object(HeapType::Concrete(ty)))
                }
                ConstOp::ArrayNew(ty) | ConstOp::ArrayNewDefault(ty) | ConstOp::ArrayNewFixed(ty, _) => {
                    let Some(Fields::Array(element)) = self.fields(ty) else { return false };
                    let fits = match *op {
                        ConstOp::ArrayNewFixed(_, count) => takes(unpacked(element), count),
                        ConstOp::ArrayNew(_) => takes(I32, 1) && takes(unpacked(element), 1),
                        _ => takes(I32, 1),
                    };
                    if !fits {
                        return false;
                    }
                    Some(object(HeapType::Concrete(ty)))
                }
                _ => return false,
            };
            stack.push(value);
        }
        matches!(stack[..], [found] if self.accepts(found, ty))
    }

    /// Whether a value of one type may be one of another. `None` is a null reference.
    fn accepts(&self, found: Option<ValType>, ty: ValType) -> bool {
        // What is of the host is converted to what is the guest's, and back, without an instruction.
        let kind = |ty| match self.hierarchy(ty) {
            Some(Hierarchy::Extern) => Some(Hierarchy::Any),
            other => other,
        };
        match found {
            // Which type of its kind a reference has is validated; the host relies on the kind alone.
            Some(found) if ty.is_reference() => kind(found).is_some_and(|of| Some(of) == kind(ty)),
            Some(found) => found == ty,
            None => kind(ty).is_some(),
        }
    }

    /// What objects of a type consist of, if there is a heap for them.
    fn fields(&self, ty: u32) -> Option<Fields<'_>> {
        match &self.types.get(ty as usize)?.composite {
            _ if self.heap.is_none() => None,
            CompositeType::Struct(fields) => Some(Fields::Struct(fields)),
            CompositeType::Array(element) => Some(Fields::Array(element)),
            CompositeType::Func(_) => None,
        }
    }
}

/// What objects of a type consist of.
enum Fields<'a> {
    Struct(&'a [FieldType]),
    Array(&'a FieldType),
}

/// Type of references to objects that exist.
fn object(heap: HeapType) -> ValType {
    ValType::reference(RefType { nullable: false, heap })
}

/// Type of what is stored in a field.
fn unpacked(field: &FieldType) -> ValType {
    match field.storage {
        StorageType::I8 | StorageType::I16 => ValType::I32,
        StorageType::Value(ty) => ty,
    }
}

/// Type of the indexes of a memory or table.
fn index_type(wide: bool) -> ValType {
    if wide { ValType::I64 } else { ValType::I32 }
}

fn is_memory(ty: &MemoryType) -> bool {
    // Bytes that indexes reach. Of one-byte pages the specification allows one less with 32-bit indexes.
    let log2_bytes = if ty.wide { 64 } else { 32 };
    let most = match ty.page_log2 {
        0 if ty.wide => u64::MAX,
        0 => u64::from(u32::MAX),
        16 => 1 << (log2_bytes - 16),
        _ => return false,
    };
    ty.min_pages <= ty.max_pages.unwrap_or(most) && ty.max_pages.unwrap_or(0) <= most
}

impl CodeImage {
    /// Checks that this can be the code of a module with these declarations, whose types have these ids.
    ///
    /// # Errors
    /// The first inconsistency.
    pub fn check(&self, info: &ModuleInfo, signatures: &[TypeIds], module_len: usize) -> Check {
        ensure(signatures.len() == info.types.len(), "there is another number of signatures")?;
        ensure(self.functions.len() == info.functions.len(), "there is another number of functions")?;
        let inside =
            |code: &CodeRange| code.start.checked_add(code.len).is_some_and(|end| end as usize <= self.text.len());
        ensure(self.functions.iter().all(inside), "a function lies outside the text")?;

        let mut entered = HashSet::with_capacity(self.entries.len());
        for entry in &self.entries {
            ensure(inside(&entry.code), "an entry lies outside the text")?;
            ensure(entered.insert(entry.signature), "a signature has two entries")?;
        }
        let used: HashSet<_> =
            info.functions.iter().filter_map(|ty| signatures.get(*ty as usize)).map(|ids| ids.exact).collect();
        ensure(used.len() == entered.len() && used.iter().all(|id| entered.contains(id)), "an entry is missing")?;

        let in_text = |last: Option<u32>| last.is_none_or(|last| (last as usize) < self.text.len());
        let is_code = |code| TrapCode::from_u8(code).is_some();
        ensure(in_text(self.traps.last()), "the table of traps speaks of what is not in the text")?;
        ensure(self.traps.is_whole(is_code), "the table of traps makes no sense")?;
        let is_position = |at: u32| (at as usize) < module_len;
        ensure(in_text(self.sources.last()), "the table of positions speaks of what is not in the text")?;
        ensure(self.sources.is_whole(is_position), "the table of positions makes no sense")
    }
}
