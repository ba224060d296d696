//! Types of the functions that a component exports, and how values of scripts are passed to them.
//!
//! Source: the component model's `CanonicalABI.md`, "Flattening" and "Storing".

use super::linked::top;
use std::collections::BTreeMap;
use wasmparser::component_types::{ComponentDefinedType, ComponentEntityType, ComponentValType};
use wasmparser::types::TypesRef;
use wasmparser::{Payload, PrimitiveValType, Validator, WasmFeatures};
use wast::component::WastVal;
use wave_runtime::Value;

/// A type.
#[derive(Clone, Debug)]
pub enum Ty {
    Primitive(PrimitiveValType),
    List(Box<Ty>),
    Record(Vec<(String, Ty)>),
    Variant(Vec<(String, Option<Ty>)>),
    Flags(Vec<String>),
    /// One that no script passes.
    Other,
}

/// Types of parameters of the functions that a component exports.
pub type Functions = BTreeMap<String, Vec<Ty>>;

/// What the functions of a component take.
pub fn functions(component: &[u8]) -> Functions {
    let mut functions = Functions::new();
    let Ok(types) = Validator::new_with_features(WasmFeatures::all()).validate_all(component) else { return functions };
    let types = types.as_ref();
    for name in exported_names(component) {
        if let Some(item) = types.component_item_for_export(&name)
            && let ComponentEntityType::Func(id) = item.ty
        {
            let params = types[id].params.iter().map(|(_, ty)| read(types, ty)).collect();
            functions.insert(name, params);
        }
    }
    functions
}

fn exported_names(component: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    top(component, |payload| {
        if let Payload::ComponentExportSection(section) = payload {
            names.extend(section.into_iter().map_while(Result::ok).map(|export| export.name.name.to_owned()));
        }
    });
    names
}

fn read(types: TypesRef<'_>, ty: &ComponentValType) -> Ty {
    let id = match ty {
        ComponentValType::Primitive(ty) => return Ty::Primitive(*ty),
        ComponentValType::Type(id) => *id,
    };
    let case = |name: &str, ty: &Option<ComponentValType>| (name.to_owned(), ty.as_ref().map(|ty| read(types, ty)));
    match &types[id] {
        ComponentDefinedType::Primitive(ty) => Ty::Primitive(*ty),
        ComponentDefinedType::List { element, .. } => Ty::List(Box::new(read(types, element))),
        ComponentDefinedType::Record(record) => {
            Ty::Record(record.fields.iter().map(|(name, ty)| (name.to_string(), read(types, ty))).collect())
        }
        ComponentDefinedType::Tuple(tuple) => {
            Ty::Record(tuple.types.iter().map(|ty| (String::new(), read(types, ty))).collect())
        }
        ComponentDefinedType::Variant(variant) => {
            Ty::Variant(variant.cases.iter().map(|(name, each)| case(name, &each.ty)).collect())
        }
        ComponentDefinedType::Enum(names) => Ty::Variant(names.iter().map(|name| (name.to_string(), None)).collect()),
        ComponentDefinedType::Option { ty, .. } => Ty::Variant(vec![case("none", &None), case("some", &Some(*ty))]),
        ComponentDefinedType::Result { ok, err, .. } => Ty::Variant(vec![case("ok", ok), case("error", err)]),
        ComponentDefinedType::Flags(names) => Ty::Flags(names.iter().map(ToString::to_string).collect()),
        _ => Ty::Other,
    }
}

impl Ty {
    /// Size and alignment. `None`: no script passes it.
    fn layout(&self) -> Option<(usize, usize)> {
        Some(match self {
            Self::Primitive(ty) => match ty {
                PrimitiveValType::Bool | PrimitiveValType::S8 | PrimitiveValType::U8 => (1, 1),
                PrimitiveValType::S16 | PrimitiveValType::U16 => (2, 2),
                PrimitiveValType::S64 | PrimitiveValType::U64 | PrimitiveValType::F64 => (8, 8),
                PrimitiveValType::String => (8, 4),
                _ => (4, 4),
            },
            Self::List(_) => (8, 4),
            Self::Record(fields) => {
                let (mut size, mut align) = (0_usize, 1);
                for (_, ty) in fields {
                    let (more, its) = ty.layout()?;
                    (size, align) = (size.next_multiple_of(its) + more, align.max(its));
                }
                (size.next_multiple_of(align), align)
            }
            Self::Variant(cases) => {
                let (payload, align) = payload(cases)?;
                let sizes = cases.iter().flat_map(|(_, ty)| ty).map(|ty| ty.layout().map(|(size, _)| size));
                let size = sizes.collect::<Option<Vec<usize>>>()?.into_iter().max().unwrap_or(0);
                ((payload + size).next_multiple_of(align), align)
            }
            Self::Flags(names) => match names.len() {
                0..=8 => (1, 1),
                9..=16 => (2, 2),
                _ => (4, 4),
            },
            Self::Other => return None,
        })
    }

    /// Zeros of its flat types.
    pub fn flat(&self) -> Vec<Value> {
        match self {
            Self::Primitive(PrimitiveValType::S64 | PrimitiveValType::U64) => vec![Value::I64(0)],
            Self::Primitive(PrimitiveValType::F32) => vec![Value::F32(0)],
            Self::Primitive(PrimitiveValType::F64) => vec![Value::F64(0)],
            Self::Primitive(PrimitiveValType::String) | Self::List(_) => vec![Value::I32(0), Value::I32(0)],
            Self::Record(fields) => fields.iter().flat_map(|(_, ty)| ty.flat()).collect(),
            Self::Variant(cases) => {
                let mut all = vec![Value::I32(0)];
                for (_, ty) in cases {
                    for (at, value) in ty.iter().flat_map(Ty::flat).enumerate() {
                        match all.get(at + 1).map(|joined| (*joined, value)) {
                            None => all.push(value),
                            Some((a, b)) if std::mem::discriminant(&a) == std::mem::discriminant(&b) => {}
                            Some((Value::I32(_), Value::F32(_)) | (Value::F32(_), Value::I32(_))) => {
                                all[at + 1] = Value::I32(0)
                            }
                            Some(_) => all[at + 1] = Value::I64(0),
                        }
                    }
                }
                all
            }
            _ => vec![Value::I32(0)],
        }
    }
}

/// Where the payload of a variant starts, and its alignment.
fn payload(cases: &[(String, Option<Ty>)]) -> Option<(usize, usize)> {
    let number = discriminant(cases);
    let aligns = cases.iter().flat_map(|(_, ty)| ty).map(|ty| ty.layout().map(|(_, align)| align));
    let align = aligns.collect::<Option<Vec<usize>>>()?.into_iter().max().unwrap_or(1);
    Some((number.next_multiple_of(align), align.max(number)))
}

fn discriminant(cases: &[(String, Option<Ty>)]) -> usize {
    match cases.len() {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// The memory of a component.
pub trait Memory {
    /// Allocates so many bytes. `None`: it cannot.
    fn allocate(&mut self, align: usize, bytes: usize) -> Option<usize>;
    /// Writes bytes.
    fn write(&mut self, at: usize, bytes: &[u8]) -> Option<()>;
    /// The bytes of a text and its length.
    fn encode(&self, text: &str) -> (Vec<u8>, usize, u32);
}

/// The case and the payload of a value.
fn case<'v, 'a>(value: &'v WastVal<'a>) -> Option<(&'v str, Option<&'v WastVal<'a>>)> {
    Some(match value {
        WastVal::Variant(name, payload) => (name, payload.as_deref()),
        WastVal::Enum(name) => (name, None),
        WastVal::Option(None) => ("none", None),
        WastVal::Option(Some(payload)) => ("some", Some(payload)),
        WastVal::Result(Ok(payload)) => ("ok", payload.as_deref()),
        WastVal::Result(Err(payload)) => ("error", payload.as_deref()),
        _ => return None,
    })
}

fn fields<'v, 'a>(value: &'v WastVal<'a>) -> Option<Vec<&'v WastVal<'a>>> {
    Some(match value {
        WastVal::Record(fields) => fields.iter().map(|(_, value)| value).collect(),
        WastVal::Tuple(fields) => fields.iter().collect(),
        _ => return None,
    })
}

fn bits(names: &[String], set: &[&str]) -> u32 {
    names.iter().enumerate().filter(|(_, name)| set.contains(&name.as_str())).map(|(bit, _)| 1 << bit).sum()
}

fn number(value: &WastVal<'_>) -> Option<Value> {
    Some(match value {
        WastVal::Bool(value) => Value::I32(i32::from(*value)),
        WastVal::U8(value) => Value::I32(i32::from(*value)),
        WastVal::S8(value) => Value::I32(i32::from(*value)),
        WastVal::U16(value) => Value::I32(i32::from(*value)),
        WastVal::S16(value) => Value::I32(i32::from(*value)),
        WastVal::U32(value) => Value::I32(value.cast_signed()),
        WastVal::S32(value) => Value::I32(*value),
        WastVal::U64(value) => Value::I64(value.cast_signed()),
        WastVal::S64(value) => Value::I64(*value),
        WastVal::F32(value) => Value::F32(value.bits),
        WastVal::F64(value) => Value::F64(value.bits),
        WastVal::Char(value) => Value::I32(u32::from(*value).cast_signed()),
        _ => return None,
    })
}

/// Stores what a string or list points to; returns where it is, and its length.
fn contents(memory: &mut dyn Memory, ty: &Ty, value: &WastVal<'_>) -> Option<[u32; 2]> {
    match (ty, value) {
        (_, WastVal::String(text)) => {
            let (bytes, align, len) = memory.encode(text);
            let at = memory.allocate(align, bytes.len())?;
            memory.write(at, &bytes)?;
            Some([u32::try_from(at).ok()?, len])
        }
        (Ty::List(element), WastVal::List(values)) => {
            let (size, align) = element.layout()?;
            let at = memory.allocate(align, size * values.len())?;
            for (index, value) in values.iter().enumerate() {
                store(memory, element, value, at + index * size)?;
            }
            Some([u32::try_from(at).ok()?, u32::try_from(values.len()).ok()?])
        }
        _ => None,
    }
}

fn store(memory: &mut dyn Memory, ty: &Ty, value: &WastVal<'_>, at: usize) -> Option<()> {
    let (size, _) = ty.layout()?;
    match ty {
        Ty::Primitive(PrimitiveValType::String) | Ty::List(_) => {
            let parts = contents(memory, ty, value)?;
            memory.write(at, &parts.map(u32::to_le_bytes).concat())
        }
        Ty::Record(types) => {
            let mut offset = 0_usize;
            for ((_, ty), value) in types.iter().zip(fields(value)?) {
                let (size, align) = ty.layout()?;
                offset = offset.next_multiple_of(align);
                store(memory, ty, value, at + offset)?;
                offset += size;
            }
            Some(())
        }
        Ty::Variant(cases) => {
            let (name, inner) = case(value)?;
            let index = cases.iter().position(|(each, _)| each == name)?;
            memory.write(at, &index.to_le_bytes()[..discriminant(cases)])?;
            match (&cases[index].1, inner) {
                (Some(ty), Some(value)) => store(memory, ty, value, at + payload(cases)?.0),
                _ => Some(()),
            }
        }
        Ty::Flags(names) => {
            let WastVal::Flags(set) = value else { return None };
            memory.write(at, &bits(names, set).to_le_bytes()[..size])
        }
        _ => {
            let bytes = match number(value)? {
                Value::I32(value) => i64::from(value),
                Value::I64(value) => value,
                Value::F32(bits) => i64::from(bits),
                Value::F64(bits) => bits.cast_signed(),
                _ => return None,
            };
            memory.write(at, &bytes.to_le_bytes()[..size])
        }
    }
}

/// The flat form of a value. `None`: this does not pass it.
pub fn lower(memory: &mut dyn Memory, ty: &Ty, value: &WastVal<'_>) -> Option<Vec<Value>> {
    Some(match ty {
        Ty::Primitive(PrimitiveValType::String) | Ty::List(_) => {
            contents(memory, ty, value)?.map(|part| Value::I32(part.cast_signed())).to_vec()
        }
        Ty::Record(types) => {
            let mut all = Vec::new();
            for ((_, ty), value) in types.iter().zip(fields(value)?) {
                all.extend(lower(memory, ty, value)?);
            }
            all
        }
        Ty::Variant(cases) => {
            let (name, inner) = case(value)?;
            let index = cases.iter().position(|(each, _)| each == name)?;
            let mut all = ty.flat();
            all[0] = Value::I32(i32::try_from(index).ok()?);
            if let (Some(ty), Some(value)) = (&cases[index].1, inner) {
                for (place, value) in all[1..].iter_mut().zip(lower(memory, ty, value)?) {
                    *place = match (&*place, value) {
                        (Value::I64(_), Value::I32(value)) => Value::I64(i64::from(value.cast_unsigned())),
                        (Value::I64(_), Value::F32(bits)) => Value::I64(i64::from(bits)),
                        (Value::I64(_), Value::F64(bits)) => Value::I64(bits.cast_signed()),
                        (Value::I32(_), Value::F32(bits)) => Value::I32(bits.cast_signed()),
                        (_, value) => value,
                    };
                }
            }
            all
        }
        Ty::Flags(names) => {
            let WastVal::Flags(set) = value else { return None };
            vec![Value::I32(bits(names, set).cast_signed())]
        }
        Ty::Other => return None,
        Ty::Primitive(_) => vec![number(value)?],
    })
}
