//! Types of values in components: their size in memory and their flat form.
//!
//! Source: the component model's `CanonicalABI.md`, "Alignment", "Element Size" and "Flattening".

use crate::error::{LowerError, Result};
use std::collections::{BTreeSet, HashSet};
use wasm_encoder::ValType;

/// The most parameters that are passed flat.
pub const MAX_FLAT_PARAMS: usize = 16;
/// The most results that are returned flat.
const MAX_FLAT_RESULTS: usize = 1;
/// How deep types may be nested. Far more than the types of an interface are, and little enough for recursion.
const MAX_DEPTH: u32 = 100;

/// A type of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(u32);

/// A resource type. Two are the same if their numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// Its number.
    pub number: usize,
    /// Whether the host has it.
    pub is_host: bool,
}

/// What a type is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `bool`.
    Bool,
    /// An integer of 1, 2, 4 or 8 bytes.
    Integer {
        /// Its size.
        bytes: u32,
        /// Whether it has a sign.
        signed: bool,
    },
    /// `f32` or `f64`.
    Float {
        /// Its size.
        bytes: u32,
    },
    /// `char`.
    Char,
    /// `string`.
    String,
    /// `list`.
    List(TypeId),
    /// `record` and `tuple`.
    Record(Vec<TypeId>),
    /// `variant`, `enum`, `option` and `result`.
    Variant(Vec<Option<TypeId>>),
    /// `flags`, so many.
    Flags(u32),
    /// `own`.
    Own(ResourceId),
    /// `borrow`.
    Borrow(ResourceId),
}

/// A type and what follows from it.
#[derive(Clone, Debug)]
pub struct Type {
    /// What it is made of.
    pub kind: Kind,
    /// Bytes in memory.
    pub size: u32,
    /// Alignment in memory.
    pub align: u32,
    /// The flat form. `None` if it has more values than any function passes flat.
    pub flat: Option<Vec<ValType>>,
    /// Whether a value has contents elsewhere in memory: it has a string or a list.
    pub has_list: bool,
    /// Whether it has a string.
    pub has_string: bool,
    /// Whether it has a handle of the host.
    pub has_host_handle: bool,
    /// Whether it has a handle of a component.
    pub has_own_handle: bool,
    /// Whether it has a handle that is lent.
    pub has_borrow: bool,
    depth: u32,
}

/// The type of a function of a component.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    /// Types of the parameters.
    pub params: Vec<TypeId>,
    /// Type of the result.
    pub result: Option<TypeId>,
    /// Whether it is asynchronous.
    pub is_async: bool,
}

/// Which side of a call a flat signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The caller: `canon lower`.
    Lower,
    /// The callee: `canon lift`.
    Lift,
}

/// A flat signature.
#[derive(Clone, Debug)]
pub struct Flat {
    /// The core type.
    pub ty: wasm_encoder::FuncType,
    /// Whether the parameters are in memory.
    pub params_in_memory: bool,
    /// Whether the result is in memory.
    pub result_in_memory: bool,
}

/// All types of a component and of those in it.
#[derive(Default, Debug)]
pub struct Types(Vec<Type>);

/// The size of the number of a case.
pub fn discriminant_bytes(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// The next multiple of an alignment.
pub fn align_to(offset: u32, align: u32) -> Result<u32> {
    offset.checked_next_multiple_of(align).ok_or(LowerError::TooLarge("a type does not fit into memory"))
}

fn add(offset: u32, size: u32) -> Result<u32> {
    offset.checked_add(size).ok_or(LowerError::TooLarge("a type does not fit into memory"))
}

impl Types {
    /// The type of this number.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.0[id.0 as usize]
    }

    /// Adds a type.
    pub fn add(&mut self, kind: Kind) -> Result<TypeId> {
        let ty = self.describe(kind)?;
        let id = u32::try_from(self.0.len()).map_err(|_| LowerError::TooLarge("too many types"))?;
        self.0.push(ty);
        Ok(TypeId(id))
    }

    fn describe(&self, kind: Kind) -> Result<Type> {
        let parts: Vec<&Type> = match &kind {
            Kind::List(element) => vec![self.get(*element)],
            Kind::Record(fields) => fields.iter().map(|field| self.get(*field)).collect(),
            Kind::Variant(cases) => cases.iter().flatten().map(|case| self.get(*case)).collect(),
            _ => Vec::new(),
        };
        let depth = parts.iter().map(|part| part.depth).max().map_or(0, |depth| depth + 1);
        if depth > MAX_DEPTH {
            return Err(LowerError::TooLarge("its types are nested too deep"));
        }
        let has_string = kind == Kind::String || parts.iter().any(|part| part.has_string);
        let has_list = matches!(kind, Kind::String | Kind::List(_)) || parts.iter().any(|part| part.has_list);
        let handle = match &kind {
            Kind::Own(resource) | Kind::Borrow(resource) => Some(resource.is_host),
            _ => None,
        };
        let has_host_handle = handle == Some(true) || parts.iter().any(|part| part.has_host_handle);
        let has_own_handle = handle == Some(false) || parts.iter().any(|part| part.has_own_handle);
        let has_borrow = matches!(kind, Kind::Borrow(_)) || parts.iter().any(|part| part.has_borrow);
        let (size, align) = self.layout(&kind)?;
        let flat = self.flatten(&kind);
        Ok(Type { kind, size, align, flat, has_list, has_string, has_host_handle, has_own_handle, has_borrow, depth })
    }

    fn layout(&self, kind: &Kind) -> Result<(u32, u32)> {
        Ok(match kind {
            Kind::Bool => (1, 1),
            Kind::Integer { bytes, .. } | Kind::Float { bytes } => (*bytes, *bytes),
            Kind::Char | Kind::Own(_) | Kind::Borrow(_) => (4, 4),
            Kind::String | Kind::List(_) => (8, 4),
            Kind::Record(fields) => self.record(fields)?,
            Kind::Variant(cases) => {
                let (payload, align) = self.payload(cases)?;
                let size = cases.iter().flatten().map(|case| self.get(*case).size).max().unwrap_or(0);
                (align_to(add(payload, size)?, align)?, align)
            }
            Kind::Flags(count) => match count {
                0..=8 => (1, 1),
                9..=16 => (2, 2),
                _ => (4, 4),
            },
        })
    }

    /// Size and alignment of a record of these fields.
    pub fn record(&self, fields: &[TypeId]) -> Result<(u32, u32)> {
        let (mut size, mut align) = (0, 1);
        for field in fields {
            let field = self.get(*field);
            size = add(align_to(size, field.align)?, field.size)?;
            align = align.max(field.align);
        }
        Ok((align_to(size, align)?, align))
    }

    /// Whether any bytes are a value, and all bytes belong to it: it can be copied without a look at it.
    pub fn is_plain(&self, id: TypeId) -> bool {
        let ty = self.get(id);
        match &ty.kind {
            Kind::Integer { .. } | Kind::Float { .. } => true,
            Kind::Record(fields) => {
                let sizes = fields.iter().map(|field| u64::from(self.get(*field).size)).sum::<u64>();
                sizes == u64::from(ty.size) && fields.iter().all(|field| self.is_plain(*field))
            }
            _ => false,
        }
    }

    /// Whether a type of a parameter or the result is like this.
    pub fn any(&self, signature: &Signature, is: impl Fn(&Type) -> bool) -> bool {
        signature.params.iter().chain(&signature.result).any(|id| is(self.get(*id)))
    }

    /// Whether parameters are passed in memory, or the result.
    pub fn uses_memory(&self, signature: &Signature) -> bool {
        let flat = self.flat(signature, Side::Lower);
        let lists = |id: &TypeId| self.get(*id).has_list;
        flat.params_in_memory || flat.result_in_memory || signature.params.iter().any(lists)
    }

    /// The resources of the host of which a function is passed handles or passes them, and how many types were looked at.
    pub fn host_resources(&self, signature: &Signature) -> (BTreeSet<ResourceId>, usize) {
        let (mut found, mut seen) = (BTreeSet::new(), HashSet::new());
        let mut open: Vec<TypeId> = signature.params.iter().chain(&signature.result).copied().collect();
        while let Some(id) = open.pop() {
            if !self.get(id).has_host_handle || !seen.insert(id) {
                continue;
            }
            match &self.get(id).kind {
                Kind::Own(resource) | Kind::Borrow(resource) => drop(found.insert(*resource)),
                Kind::List(element) => open.push(*element),
                Kind::Record(fields) => open.extend(fields),
                Kind::Variant(cases) => open.extend(cases.iter().flatten()),
                _ => {}
            }
        }
        (found, seen.len())
    }

    /// Where the payload of a variant starts, and the alignment of the whole.
    pub fn payload(&self, cases: &[Option<TypeId>]) -> Result<(u32, u32)> {
        let discriminant = discriminant_bytes(cases.len());
        let align = cases.iter().flatten().map(|case| self.get(*case).align).max().unwrap_or(1);
        Ok((align_to(discriminant, align)?, align.max(discriminant)))
    }

    fn flatten(&self, kind: &Kind) -> Option<Vec<ValType>> {
        let flat = match kind {
            Kind::Integer { bytes: 8, .. } => vec![ValType::I64],
            Kind::Float { bytes: 4 } => vec![ValType::F32],
            Kind::Float { .. } => vec![ValType::F64],
            Kind::Bool | Kind::Integer { .. } | Kind::Char | Kind::Flags(_) | Kind::Own(_) | Kind::Borrow(_) => {
                vec![ValType::I32]
            }
            Kind::String | Kind::List(_) => vec![ValType::I32, ValType::I32],
            Kind::Record(fields) => {
                let mut all = Vec::new();
                for field in fields {
                    all.extend(self.get(*field).flat.as_ref()?);
                    if all.len() > MAX_FLAT_PARAMS {
                        return None;
                    }
                }
                all
            }
            Kind::Variant(cases) => {
                let mut all = vec![ValType::I32];
                for case in cases.iter().flatten() {
                    for (index, value) in self.get(*case).flat.as_ref()?.iter().enumerate() {
                        match all.get_mut(index + 1) {
                            Some(joined) => *joined = join(*joined, *value),
                            None => all.push(*value),
                        }
                    }
                }
                all
            }
        };
        (flat.len() <= MAX_FLAT_PARAMS).then_some(flat)
    }

    /// The flat signature of a function, for one side of its calls.
    pub fn flat(&self, signature: &Signature, side: Side) -> Flat {
        let mut params = Some(Vec::new());
        for param in &signature.params {
            let more = self.get(*param).flat.as_ref();
            params = params.zip(more).map(|(mut params, more)| {
                params.extend(more);
                params
            });
        }
        let params = params.filter(|params| params.len() <= MAX_FLAT_PARAMS);
        let params_in_memory = params.is_none();
        let mut params = params.unwrap_or_else(|| vec![ValType::I32]);
        let result = match signature.result {
            None => Some(Vec::new()),
            Some(result) => self.get(result).flat.clone().filter(|flat| flat.len() <= MAX_FLAT_RESULTS),
        };
        let result_in_memory = result.is_none();
        let results = match (result, side) {
            (Some(flat), _) => flat,
            (None, Side::Lift) => vec![ValType::I32],
            (None, Side::Lower) => {
                params.push(ValType::I32);
                Vec::new()
            }
        };
        Flat { ty: wasm_encoder::FuncType::new(params, results), params_in_memory, result_in_memory }
    }
}

fn join(a: ValType, b: ValType) -> ValType {
    match (a, b) {
        _ if a == b => a,
        (ValType::I32, ValType::F32) | (ValType::F32, ValType::I32) => ValType::I32,
        _ => ValType::I64,
    }
}
