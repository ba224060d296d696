//! WebAssembly types and their process-wide identity.

use crate::PAGE_BYTES;
use crate::module::ModuleInfo;
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
    /// Every other reference: a handle. Made by [`ValType::reference`], so that each type has one form.
    Ref(RefType),
}

impl ValType {
    /// The type of references to a heap type.
    #[must_use]
    pub const fn reference(ty: RefType) -> Self {
        match ty {
            RefType { nullable: true, heap: HeapType::Func } => Self::FuncRef,
            RefType { nullable: true, heap: HeapType::Extern } => Self::ExternRef,
            other => Self::Ref(other),
        }
    }

    /// The reference type that it is, if it is one.
    #[must_use]
    pub const fn as_reference(self) -> Option<RefType> {
        match self {
            Self::FuncRef => Some(RefType { nullable: true, heap: HeapType::Func }),
            Self::ExternRef => Some(RefType { nullable: true, heap: HeapType::Extern }),
            Self::Ref(ty) => Some(ty),
            Self::I32 | Self::I64 | Self::F32 | Self::F64 | Self::V128 => None,
        }
    }

    /// Whether values are references.
    #[must_use]
    pub const fn is_reference(self) -> bool {
        self.as_reference().is_some()
    }

    /// Whether values are references to exceptions.
    #[must_use]
    pub fn is_exception(self) -> bool {
        matches!(self.as_reference(), Some(RefType { heap: HeapType::Exn | HeapType::NoExn, .. }))
    }

    /// The type with another number for each type that it names.
    #[must_use]
    pub fn renumbered(self, number: &impl Fn(u32) -> u32) -> Self {
        match self {
            Self::Ref(RefType { nullable, heap: HeapType::Concrete(index) }) => {
                Self::Ref(RefType { nullable, heap: HeapType::Concrete(number(index)) })
            }
            other => other,
        }
    }

    /// The type of values that code treats the same: integers stand for references.
    #[must_use]
    pub const fn shape(self) -> Self {
        if self.is_reference() { Self::I32 } else { self }
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
            Self::Ref(ty) => return write!(f, "{ty}"),
        })
    }
}

/// A reference type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct RefType {
    /// Whether null is one of its values.
    pub nullable: bool,
    /// What it refers to.
    pub heap: HeapType,
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let null = if self.nullable { "null " } else { "" };
        write!(f, "(ref {null}{})", self.heap)
    }
}

/// What a reference refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum HeapType {
    /// Any function.
    Func,
    /// No function: the type of its null.
    NoFunc,
    /// Anything of the host.
    Extern,
    /// Nothing of the host.
    NoExtern,
    /// Any object of the guest.
    Any,
    /// Any object that can be compared.
    Eq,
    /// A number of 31 bits.
    I31,
    /// Any structure.
    Struct,
    /// Any array.
    Array,
    /// No object.
    None,
    /// Any exception.
    Exn,
    /// No exception.
    NoExn,
    /// What this type describes: by its index in the module, or where types of several modules meet, by its [`SignatureId`].
    Concrete(u32),
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Func => "func",
            Self::NoFunc => "nofunc",
            Self::Extern => "extern",
            Self::NoExtern => "noextern",
            Self::Any => "any",
            Self::Eq => "eq",
            Self::I31 => "i31",
            Self::Struct => "struct",
            Self::Array => "array",
            Self::None => "none",
            Self::Exn => "exn",
            Self::NoExn => "noexn",
            Self::Concrete(index) => return write!(f, "{index}"),
        })
    }
}

/// The four kinds of references. One of a kind is never one of another, not even null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hierarchy {
    /// Functions.
    Func,
    /// Things of the host.
    Extern,
    /// Objects of the guest.
    Any,
    /// Exceptions.
    Exn,
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

    /// The signature with integers for references: functions of one shape are called the same way.
    #[must_use]
    pub fn shape(&self) -> Self {
        let shapes = |types: &[ValType]| types.iter().map(|ty| ty.shape()).collect();
        Self { params: shapes(&self.params), results: shapes(&self.results) }
    }

    fn renumbered(&self, number: &impl Fn(u32) -> u32) -> Self {
        let list = |types: &[ValType]| types.iter().map(|ty| ty.renumbered(number)).collect();
        Self { params: list(&self.params), results: list(&self.results) }
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "({}) -> ({})", list(&self.params), list(&self.results))
    }
}

/// What a module's type section declares under one index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct SubType {
    /// Whether it has no subtypes.
    pub is_final: bool,
    /// The type that it is a direct subtype of: numbered as in [`HeapType::Concrete`].
    pub supertype: Option<u32>,
    /// The type itself.
    pub composite: CompositeType,
}

impl SubType {
    /// The type of functions, if it is one.
    #[must_use]
    pub const fn function(&self) -> Option<&FuncType> {
        match &self.composite {
            CompositeType::Func(ty) => Some(ty),
            CompositeType::Struct(_) | CompositeType::Array(_) => None,
        }
    }

    /// What its references are.
    #[must_use]
    pub const fn hierarchy(&self) -> Hierarchy {
        match self.composite {
            CompositeType::Func(_) => Hierarchy::Func,
            CompositeType::Struct(_) | CompositeType::Array(_) => Hierarchy::Any,
        }
    }

    /// Every value type in it.
    pub fn values(&self) -> impl Iterator<Item = ValType> {
        let (one, two, fields) = match &self.composite {
            CompositeType::Func(ty) => (&*ty.params, &*ty.results, &[][..]),
            CompositeType::Struct(fields) => (&[][..], &[][..], &**fields),
            CompositeType::Array(field) => (&[][..], &[][..], std::slice::from_ref(field)),
        };
        let fields = fields.iter().filter_map(|field| match field.storage {
            StorageType::Value(ty) => Some(ty),
            StorageType::I8 | StorageType::I16 => None,
        });
        one.iter().chain(two).copied().chain(fields)
    }

    fn renumbered(&self, number: &impl Fn(u32) -> u32) -> Self {
        let field = |field: &FieldType| FieldType { storage: field.storage.renumbered(number), ..*field };
        Self {
            is_final: self.is_final,
            supertype: self.supertype.map(number),
            composite: match &self.composite {
                CompositeType::Func(ty) => CompositeType::Func(ty.renumbered(number)),
                CompositeType::Struct(fields) => CompositeType::Struct(fields.iter().map(field).collect()),
                CompositeType::Array(of) => CompositeType::Array(field(of)),
            },
        }
    }
}

impl From<FuncType> for SubType {
    /// A type without supertype and without subtypes.
    fn from(ty: FuncType) -> Self {
        Self { is_final: true, supertype: None, composite: CompositeType::Func(ty) }
    }
}

impl fmt::Display for SubType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.composite {
            CompositeType::Func(ty) => write!(f, "{ty}"),
            CompositeType::Struct(fields) => {
                let fields = fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                write!(f, "struct {{{fields}}}")
            }
            CompositeType::Array(field) => write!(f, "array [{field}]"),
        }
    }
}

/// The types that can be declared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum CompositeType {
    /// Of functions.
    Func(FuncType),
    /// Of structures, by their fields.
    Struct(Box<[FieldType]>),
    /// Of arrays, by their elements.
    Array(FieldType),
}

/// A field of structures, or the elements of arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct FieldType {
    /// What it holds.
    pub storage: StorageType,
    /// Whether it can be written.
    pub mutable: bool,
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mutable = if self.mutable { "mutable " } else { "" };
        match self.storage {
            StorageType::I8 => write!(f, "{mutable}i8"),
            StorageType::I16 => write!(f, "{mutable}i16"),
            StorageType::Value(ty) => write!(f, "{mutable}{ty}"),
        }
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum StorageType {
    /// 8 bits.
    I8,
    /// 16 bits.
    I16,
    /// A value.
    Value(ValType),
}

impl StorageType {
    fn renumbered(self, number: &impl Fn(u32) -> u32) -> Self {
        match self {
            Self::Value(ty) => Self::Value(ty.renumbered(number)),
            other => other,
        }
    }
}

/// A table's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TableType {
    /// A reference type.
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

/// Identity of a type across all modules of one process: equal if and only if the types are, with all that they name.
///
/// 0 identifies no type. It marks the null table entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct SignatureId(pub u32);

impl SignatureId {
    /// The id in a null table entry.
    pub const NULL: Self = Self(0);
}

/// The ids of one of a module's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct TypeIds {
    /// Its own: what the entries of a module's tables hold.
    pub exact: SignatureId,
    /// That of its [shape](FuncType::shape): what entries of the function table hold. Null for a type of objects.
    pub shape: SignatureId,
}

/// In a key of the registry, marks a number that counts from the first type of the group.
const IN_GROUP: u32 = 1 << 31;

/// Hands out [`SignatureId`]s in order of first use.
#[derive(Debug, Default)]
pub struct SignatureRegistry {
    /// The id of the first type of each group of types that refer to each other. Types of a group are numbered from
    /// [`IN_GROUP`] on, all others by their ids. So equal groups have equal keys, whatever module they come from.
    groups: HashMap<Box<[SubType]>, u32>,
    /// The type behind each id. What it names is numbered by ids.
    types: Vec<SubType>,
}

impl SignatureRegistry {
    /// The id of a type of functions that stands alone and has no subtypes, a new one if it has none yet.
    pub fn intern(&mut self, ty: &FuncType) -> SignatureId {
        SignatureId(self.intern_group(Box::new([ty.clone().into()])))
    }

    /// The ids of a module's types, by type index. Those of their shapes follow all others.
    pub fn intern_module(&mut self, info: &ModuleInfo) -> Vec<TypeIds> {
        let mut ids: Vec<TypeIds> = Vec::with_capacity(info.types.len());
        let mut groups = info.groups.iter().peekable();
        while ids.len() < info.types.len() {
            let start = ids.len();
            let end =
                groups.next_if(|group| group.start as usize == start).map_or(start + 1, |group| group.end as usize);
            let number = |index: u32| match ids.get(index as usize) {
                Some(ids) => ids.exact.0,
                None => IN_GROUP | index.saturating_sub(small(start)),
            };
            let end = end.clamp(start + 1, info.types.len());
            let group =
                info.types.get(start..end).unwrap_or_default().iter().map(|ty| ty.renumbered(&number)).collect();
            let first = self.intern_group(group);
            let exact = (first..).take(end - start).map(SignatureId);
            ids.extend(exact.map(|exact| TypeIds { exact, shape: SignatureId::NULL }));
        }
        for (ids, ty) in ids.iter_mut().zip(&info.types) {
            if let Some(ty) = ty.function() {
                ids.shape = self.intern(&ty.shape());
            }
        }
        ids
    }

    fn intern_group(&mut self, group: Box<[SubType]>) -> u32 {
        if let Some(first) = self.groups.get(&group) {
            return *first;
        }
        // A module declares at most a million types and a process loads few modules.
        let first = small(self.types.len() + 1);
        let number = |index: u32| if index & IN_GROUP == 0 { index } else { first.wrapping_add(index ^ IN_GROUP) };
        self.types.extend(group.iter().map(|ty| ty.renumbered(&number)));
        self.groups.insert(group, first);
        first
    }

    /// The id of a type of functions that stands alone, if it has one.
    #[must_use]
    pub fn find(&self, ty: &FuncType) -> Option<SignatureId> {
        self.groups.get(&[ty.clone().into()][..]).copied().map(SignatureId)
    }

    /// The signature with an id from this registry.
    #[must_use]
    pub fn get(&self, id: SignatureId) -> Option<&FuncType> {
        self.ty(id)?.function()
    }

    /// The type with an id from this registry. What it names is numbered by ids.
    #[must_use]
    pub fn ty(&self, id: SignatureId) -> Option<&SubType> {
        self.types.get((id.0 as usize).checked_sub(1)?)
    }

    /// Whether a type is another or was declared as a subtype of it, directly or not.
    #[must_use]
    pub fn is_subtype(&self, id: SignatureId, of: SignatureId) -> bool {
        let supertype = |id: &SignatureId| self.ty(*id)?.supertype.map(SignatureId).filter(|above| above < id);
        std::iter::successors(Some(id), supertype).any(|id| id == of)
    }

    /// Whether every value of a type is one of another. Both name types by their ids.
    ///
    /// Source: WebAssembly Core 3.0, matching.
    #[must_use]
    pub fn matches(&self, ty: ValType, of: ValType) -> bool {
        let (Some(ty), Some(of)) = (ty.as_reference(), of.as_reference()) else { return ty == of };
        (of.nullable || !ty.nullable) && self.heap_matches(ty.heap, of.heap)
    }

    fn heap_matches(&self, ty: HeapType, of: HeapType) -> bool {
        use HeapType::{Any, Array, Concrete, Eq, Exn, Extern, Func, I31, NoExn, NoExtern, NoFunc, None, Struct};
        let concrete = |id: u32| self.ty(SignatureId(id)).map(|ty| &ty.composite);
        match (ty, of) {
            (one, same) if one == same => true,
            (Concrete(ty), Concrete(of)) => self.is_subtype(SignatureId(ty), SignatureId(of)),
            (NoFunc, Concrete(of)) => matches!(concrete(of), Some(CompositeType::Func(_))),
            (None, Concrete(of)) => matches!(concrete(of), Some(CompositeType::Struct(_) | CompositeType::Array(_))),
            (Concrete(ty), of) => match concrete(ty) {
                Some(CompositeType::Func(_)) => of == Func,
                Some(CompositeType::Struct(_)) => matches!(of, Struct | Eq | Any),
                Some(CompositeType::Array(_)) => matches!(of, Array | Eq | Any),
                Option::None => false,
            },
            (NoFunc, Func) | (NoExtern, Extern) | (NoExn, Exn) | (Eq, Any) | (I31 | Struct | Array, Eq | Any) => true,
            (None, of) => matches!(of, I31 | Struct | Array | Eq | Any),
            _ => false,
        }
    }

    /// What references to a heap type are. `None` for one that names no type.
    #[must_use]
    pub fn hierarchy(&self, heap: HeapType) -> Option<Hierarchy> {
        heap.hierarchy(|id| self.ty(SignatureId(id)))
    }
}

impl HeapType {
    /// What references to it are, given how to find the types that it names.
    pub fn hierarchy<'a>(self, ty: impl FnOnce(u32) -> Option<&'a SubType>) -> Option<Hierarchy> {
        Some(match self {
            Self::Func | Self::NoFunc => Hierarchy::Func,
            Self::Extern | Self::NoExtern => Hierarchy::Extern,
            Self::Any | Self::Eq | Self::I31 | Self::Struct | Self::Array | Self::None => Hierarchy::Any,
            Self::Exn | Self::NoExn => Hierarchy::Exn,
            Self::Concrete(index) => ty(index)?.hierarchy(),
        })
    }
}

/// A number of types: below [`IN_GROUP`].
fn small(count: usize) -> u32 {
    u32::try_from(count).ok().filter(|count| *count < IN_GROUP).expect("fewer than 2^31 types")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concrete(index: u32) -> ValType {
        ValType::reference(RefType { nullable: true, heap: HeapType::Concrete(index) })
    }

    fn function(params: impl Into<Box<[ValType]>>) -> SubType {
        FuncType::new(params, []).into()
    }

    fn open(mut ty: SubType, supertype: Option<u32>) -> SubType {
        (ty.is_final, ty.supertype) = (false, supertype);
        ty
    }

    /// Groups as their first type and the one behind the last.
    fn module(types: Vec<SubType>, groups: &[(u32, u32)]) -> ModuleInfo {
        let groups = groups.iter().map(|(start, end)| *start..*end).collect();
        ModuleInfo { types, groups, ..ModuleInfo::default() }
    }

    fn exact(ids: &[TypeIds]) -> Vec<u32> {
        ids.iter().map(|ids| ids.exact.0).collect()
    }

    #[test]
    fn types_are_numbered_in_order_and_equal_ones_once() {
        let mut registry = SignatureRegistry::default();
        let plain = module(vec![function([]), function([ValType::I64]), function([])], &[]);
        let ids = registry.intern_module(&plain);
        assert_eq!(exact(&ids), [1, 2, 1]);
        assert!(ids.iter().all(|ids| ids.exact == ids.shape), "{ids:?}");
        assert_eq!(registry.find(&FuncType::new([ValType::I64], [])), Some(SignatureId(2)));
        assert_eq!(registry.find(&FuncType::new([ValType::I32], [])), None);
    }

    #[test]
    fn groups_are_equal_where_their_structure_is() {
        let mut registry = SignatureRegistry::default();
        let pair = |at: u32| [function([concrete(at + 1)]), function([concrete(at)])];
        let one = registry.intern_module(&module(pair(0).to_vec(), &[(0, 2)]));
        assert_eq!(exact(&one), [1, 2]);
        // The same group behind another type, and that type alone.
        let types = [vec![function([])], pair(1).to_vec(), vec![function([concrete(1)])]].concat();
        let two = registry.intern_module(&module(types, &[(1, 3)]));
        assert_eq!((two[1].exact, two[2].exact), (one[0].exact, one[1].exact));
        assert_ne!(two[3].exact, one[1].exact);
        assert_eq!(registry.get(one[0].exact), Some(&FuncType::new([concrete(2)], [])));
        // All take one handle.
        assert!(two[1..].iter().chain(&one).all(|ids| ids.shape == one[0].shape), "{one:?} {two:?}");
        assert_eq!(registry.get(one[0].shape), Some(&FuncType::new([ValType::I32], [])));
    }

    #[test]
    fn a_subtype_is_declared() {
        let mut registry = SignatureRegistry::default();
        let types =
            vec![open(function([]), None), open(function([]), Some(0)), open(function([]), Some(1)), function([])];
        let ids = registry.intern_module(&module(types, &[]));
        let [base, sub, lowest, alone] = [0, 1, 2, 3].map(|at: usize| ids[at].exact);
        assert!(registry.is_subtype(lowest, base) && registry.is_subtype(sub, base) && registry.is_subtype(base, base));
        assert!(
            !registry.is_subtype(base, sub) && !registry.is_subtype(alone, base) && !registry.is_subtype(base, alone)
        );
        let matches = |ty: SignatureId, of| registry.matches(concrete(ty.0), of);
        assert!(matches(sub, concrete(base.0)) && matches(sub, ValType::FuncRef));
        assert!(!matches(sub, ValType::ExternRef) && !matches(base, concrete(sub.0)));
        let reference = |nullable, heap| ValType::reference(RefType { nullable, heap });
        let bottom = reference(true, HeapType::NoFunc);
        assert!(registry.matches(bottom, concrete(sub.0)) && !registry.matches(concrete(sub.0), bottom));
        assert!(registry.matches(reference(false, HeapType::Func), ValType::FuncRef));
        assert!(!registry.matches(ValType::FuncRef, reference(false, HeapType::Func)));
        assert!(!registry.matches(ValType::I32, ValType::FuncRef) && registry.matches(ValType::I32, ValType::I32));
    }

    /// T62: numbers that no module has.
    #[test]
    fn t62_forged_numbers_name_nothing() {
        let mut registry = SignatureRegistry::default();
        let types = vec![open(function([concrete(7)]), Some(0)), open(function([concrete(u32::MAX)]), Some(9))];
        for groups in [&[][..], &[(0, 2)], &[(0, 9)], &[(1, 0)], &[(1, 1)], &[(0, 0), (1, 2)]] {
            let ids = registry.intern_module(&module(types.clone(), groups));
            assert_eq!(ids.len(), 2);
            assert!(!registry.is_subtype(ids[0].exact, SignatureId(u32::MAX)));
            assert!(!registry.matches(concrete(ids[0].exact.0), concrete(u32::MAX)));
        }
    }
}
