//! Objects: structures and arrays, in the *heap*.
//!
//! The heap is a linear memory that only instructions for objects access, and the collector. [`wave_collector`] says how it is laid out, and what
//! references are. Nothing in the heap is an address, so code that misuses it reaches the guest's own objects and nothing else: each access is
//! one of a linear memory, and is proved as such.

use crate::module::{ConstExpr, ConstOp, ModuleInfo};
use crate::types::{
    CompositeType, FieldType, FuncType, GlobalType, Hierarchy, MemoryType, StorageType, SubType, ValType,
};

use wave_collector::{Descriptor, ELEMENTS, FIELDS, FIRST_PAGES, Kind};

/// The type of the heap.
pub const HEAP: MemoryType = MemoryType::new(FIRST_PAGES as u64, None);

/// The first memory of a module that has a heap and no memory of its own. No toolchain declares one like it.
const PLACEHOLDER: MemoryType = MemoryType { page_log2: 0, ..MemoryType::new(0, Some(0)) };

/// What objects are aligned to, in bytes.
pub const OBJECT_ALIGNMENT: u32 = 8;
/// Bit that a reference to an `i31` has.
pub const I31_BIT: u32 = 1;
/// Bits of which a reference to an object has none.
pub const NO_OBJECT_BITS: u32 = 3;
/// What [`NO_OBJECT_BITS`] are of something of the host.
pub const HOST_BITS: u32 = 2;
/// Most bytes of an object, header included.
pub const MAX_OBJECT_BYTES: u32 = u32::MAX - 0xffff;

/// What [`complete`] has added to a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The memory that is the heap.
    pub heap: u32,
    /// The first of the collector's functions, which are in the order of [`wave_collector::FUNCTIONS`].
    pub functions: u32,
    /// Of each type of the module that is one of objects, the global with the offset of its descriptor.
    pub descriptors: Vec<Option<u32>>,
}

/// Adds to the declarations of a module what it needs for objects, behind what it declares itself, where its code cannot name it: the heap,
/// the collector's functions, and a global for each type of objects. `None`, and no change, if it names no type of objects. An `externref`
/// could be an object of another module: such a module does not look into it.
#[must_use]
pub fn complete(info: &mut ModuleInfo) -> Option<Added> {
    let of_objects = |ty: &SubType| !matches!(ty.composite, CompositeType::Func(_));
    let holds = |ty: ValType| info.hierarchy(ty) == Some(Hierarchy::Any);
    let needed = info.types.iter().any(|ty| of_objects(ty) || ty.values().any(holds))
        || info.globals.iter().any(|global| holds(global.content))
        || info.tables.iter().any(|table| holds(table.element));
    if !needed {
        return None;
    }
    let number = |count: usize| u32::try_from(count).ok();
    let mut descriptors = Vec::with_capacity(info.types.len());
    for (index, ty) in (0..).zip(&info.types) {
        let global = number(info.globals.len())?;
        descriptors.push(of_objects(ty).then_some(global));
        if of_objects(ty) {
            info.globals.push(GlobalType { content: ValType::I32, mutable: false });
            info.global_inits.push(vec![ConstOp::Descriptor(index)]);
        }
    }
    let functions = number(info.functions.len())?;
    for (params, results) in wave_collector::FUNCTIONS {
        let words = |count: &usize| vec![ValType::I32; *count];
        info.functions.push(number(info.types.len())?);
        info.types.push(FuncType::new(words(params), words(results)).into());
    }
    // Hostcalls see the first memory.
    if info.memories.is_empty() {
        info.memories.push(PLACEHOLDER);
    }
    let heap = number(info.memories.len())?;
    info.memories.push(HEAP);
    info.heap = Some(heap);
    Some(Added { heap, functions, descriptors })
}

/// Takes away what [`complete`] has added: the declarations that a module has by itself.
#[must_use]
pub fn without(mut info: ModuleInfo) -> ModuleInfo {
    if let Some(heap) = info.heap.take() {
        let own = if info.memories.first() == Some(&PLACEHOLDER) { 0 } else { heap as usize };
        info.memories.truncate(own);
        info.functions.truncate(info.functions.len().saturating_sub(wave_collector::FUNCTIONS.len()));
        info.types.truncate(info.types.len().saturating_sub(wave_collector::FUNCTIONS.len()));
        let added = |init: &&ConstExpr| matches!(init[..], [ConstOp::Descriptor(_)]);
        let descriptors = info.global_inits.iter().rev().take_while(added).count();
        info.globals.truncate(info.globals.len().saturating_sub(descriptors));
        info.global_inits.truncate(info.global_inits.len() - descriptors);
    }
    info
}

/// How the structures of a type lie in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructLayout {
    /// Offset of each field. Those of a supertype are the same.
    pub fields: Box<[u32]>,
    /// Size with the header.
    pub size: u32,
}

impl StructLayout {
    /// The layout of structures with these fields: in order, each aligned to its size, and to 8 at most.
    #[must_use]
    pub fn new(fields: &[FieldType]) -> Self {
        let mut end = FIELDS;
        let offsets = fields.iter().map(|field| {
            let size = size(field.storage);
            let start = end.next_multiple_of(size.min(OBJECT_ALIGNMENT));
            end = start + size;
            start
        });
        let fields = offsets.collect();
        Self { fields, size: end.next_multiple_of(OBJECT_ALIGNMENT) }
    }
}

/// How the arrays of a type lie in memory: their length, and their elements one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayLayout {
    /// Binary logarithm of an element's size.
    pub log2: u32,
}

impl ArrayLayout {
    /// The layout of arrays with these elements.
    #[must_use]
    pub const fn new(element: FieldType) -> Self {
        Self { log2: size(element.storage).trailing_zeros() }
    }

    /// Most elements that an array can have.
    #[must_use]
    pub const fn max_len(self) -> u32 {
        (MAX_OBJECT_BYTES - ELEMENTS) >> self.log2
    }

    /// Size of an array with so many elements. `None` if none can have them.
    #[must_use]
    pub fn size(self, len: u32) -> Option<u32> {
        (len <= self.max_len()).then(|| (ELEMENTS + (len << self.log2)).next_multiple_of(OBJECT_ALIGNMENT))
    }
}

/// Size of a field or an element.
#[must_use]
pub const fn size(storage: StorageType) -> u32 {
    match storage {
        StorageType::I8 => 1,
        StorageType::I16 => 2,
        StorageType::Value(ValType::I64 | ValType::F64) => 8,
        StorageType::Value(ValType::V128) => 16,
        StorageType::Value(_) => 4,
    }
}

/// Whether a field holds what may be a reference to an object.
fn refers(info: &ModuleInfo, field: &FieldType) -> bool {
    match field.storage {
        StorageType::Value(ty) => matches!(info.hierarchy(ty), Some(Hierarchy::Any | Hierarchy::Extern)),
        StorageType::I8 | StorageType::I16 => false,
    }
}

/// The descriptor of one of a module's types, given those of its supertypes. `None` for a type of functions.
#[must_use]
pub fn describe(info: &ModuleInfo, ty: &SubType, supertypes: Vec<u32>) -> Option<Descriptor> {
    let kind = match &ty.composite {
        CompositeType::Func(_) => return None,
        CompositeType::Struct(fields) => {
            let layout = StructLayout::new(fields);
            let all = fields.iter().zip(&layout.fields);
            let references = all.filter(|(field, _)| refers(info, field)).map(|(_, offset)| *offset).collect();
            Kind::Struct { bytes: layout.size, references }
        }
        CompositeType::Array(element) if refers(info, element) => Kind::References,
        CompositeType::Array(element) => Kind::Array { log2: ArrayLayout::new(*element).log2 },
    };
    Some(Descriptor { kind, supertypes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{HeapType, RefType};

    fn field(storage: StorageType) -> FieldType {
        FieldType { storage, mutable: true }
    }

    fn value(ty: ValType) -> FieldType {
        field(StorageType::Value(ty))
    }

    fn reference(heap: HeapType) -> FieldType {
        value(ValType::reference(RefType { nullable: true, heap }))
    }

    #[test]
    fn fields_are_aligned_and_a_subtype_continues_its_supertype() {
        let base = [field(StorageType::I8), value(ValType::I64), field(StorageType::I16), value(ValType::V128)];
        let layout = StructLayout::new(&base);
        assert_eq!(*layout.fields, [4, 8, 16, 24]);
        assert_eq!(layout.size, 40);
        let longer = [&base[..], &[value(ValType::I32)]].concat();
        let sub = StructLayout::new(&longer);
        assert_eq!((&sub.fields[..4], sub.fields[4], sub.size), (&*layout.fields, 40, 48));
        assert_eq!(StructLayout::new(&[]), StructLayout { fields: Box::new([]), size: 8 });
    }

    #[test]
    fn the_longest_array_fits_and_one_more_element_does_not() {
        for ty in
            [StorageType::I8, StorageType::I16, StorageType::Value(ValType::V128), StorageType::Value(ValType::I64)]
        {
            let layout = ArrayLayout::new(field(ty));
            let len = layout.max_len();
            assert!(layout.size(len).is_some_and(|size| size >= ELEMENTS + (len << layout.log2)), "{ty:?}");
            assert_eq!((layout.size(len + 1), layout.size(u32::MAX)), (None, None), "{ty:?}");
        }
        assert_eq!(ArrayLayout::new(field(StorageType::I16)).size(3), Some(16));
    }

    #[test]
    fn a_descriptor_says_what_refers_to_objects() {
        let info = ModuleInfo::default();
        let describe = |composite| {
            let ty = SubType { is_final: true, supertype: None, composite };
            super::describe(&info, &ty, vec![72, 80])
        };
        let fields =
            [value(ValType::I32), reference(HeapType::Any), reference(HeapType::Func), value(ValType::ExternRef)];
        let kind = Kind::Struct { bytes: 24, references: vec![8, 16] };
        let expected = Some(Descriptor { kind, supertypes: vec![72, 80] });
        assert_eq!(describe(CompositeType::Struct(fields.into())), expected);
        let kind = |element| describe(CompositeType::Array(element)).map(|descriptor| descriptor.kind);
        assert_eq!(kind(reference(HeapType::Eq)), Some(Kind::References));
        assert_eq!(kind(reference(HeapType::Exn)), Some(Kind::Array { log2: 2 }));
        assert_eq!(kind(field(StorageType::I8)), Some(Kind::Array { log2: 0 }));
        assert_eq!(describe(CompositeType::Func(FuncType::default())), None);
    }

    #[test]
    fn only_modules_with_objects_get_a_heap() {
        let plain = ModuleInfo { types: vec![FuncType::new([ValType::FuncRef], []).into()], ..ModuleInfo::default() };
        let mut info = plain.clone();
        assert_eq!(complete(&mut info), None);
        assert_eq!((info.types.len(), info.functions.len(), info.memories.len(), info.heap), (1, 0, 0, None));

        let array = CompositeType::Array(field(StorageType::I8));
        info.types.push(SubType { is_final: true, supertype: None, composite: array });
        let added = complete(&mut info);
        assert_eq!(added, Some(Added { heap: 1, functions: 0, descriptors: vec![None, Some(0)] }));
        assert_eq!(info.memories, [PLACEHOLDER, HEAP]);
        assert_eq!(info.functions.len(), wave_collector::FUNCTIONS.len());
        assert_eq!(info.global_inits, [vec![ConstOp::Descriptor(1)]]);
        assert_eq!(info.check(0), Ok(()));
        let own = without(info);
        assert_eq!((own.types.len(), own.functions.len(), own.memories.len(), own.globals.len()), (2, 0, 0, 0));
        assert_eq!((own.global_inits.len(), own.heap), (0, None));

        let of = |content| ModuleInfo {
            globals: vec![GlobalType { content, mutable: true }],
            global_inits: vec![vec![ConstOp::RefNull]],
            memories: vec![MemoryType::new(1, None)],
            ..plain.clone()
        };
        let i31 = ValType::reference(RefType { nullable: true, heap: HeapType::I31 });
        assert_eq!(complete(&mut of(i31)), Some(Added { heap: 1, functions: 0, descriptors: vec![None] }));
        assert_eq!(complete(&mut of(ValType::ExternRef)), None);
    }
}
