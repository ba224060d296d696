//! The declarations of a module that its code depends on. They are read from the module's bytes, not taken from the compiler.

use wasmparser::{CompositeInnerType, Parser, Payload, TypeRef};
use wave_contract::module::{Import, ImportType, ModuleInfo};
use wave_contract::object;
use wave_contract::types::{
    CompositeType, FieldType, FuncType, GlobalType, HeapType, MemoryType, RefType, StorageType, SubType, TableType,
    ValType,
};

/// Why a module's code cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// The bytes are not a module.
    #[error("the module cannot be read")]
    Malformed(#[from] wasmparser::BinaryReaderError),
    /// The module declares something for which the contract has no rule.
    #[error("the module declares {0}, for which there is no rule")]
    Unsupported(String),
    /// Another parser read other declarations.
    #[error("the compiler read other {0} in the module")]
    Disagreement(&'static str),
}

/// Reads types, imports, functions, tables, memories and globals. Does not read bodies, segments and names.
///
/// # Errors
/// [`DeclarationError::Malformed`], [`DeclarationError::Unsupported`].
pub fn read(module: &[u8]) -> Result<ModuleInfo, DeclarationError> {
    let mut info = ModuleInfo::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    let start = type_index(info.types.len())?;
                    for ty in group?.types() {
                        info.types.push(sub_type(ty)?);
                    }
                    let end = type_index(info.types.len())?;
                    if end - start > 1 {
                        info.groups.push(start..end);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let ty = import_type(&mut info, import.ty)?;
                    info.imports.push(Import { module: import.module.to_owned(), name: import.name.to_owned(), ty });
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    info.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    info.tables.push(table_type(&table?.ty)?);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    info.memories.push(memory_type(&memory?)?);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    info.globals.push(global_type(&global?.ty)?);
                }
            }
            // Nothing that code depends on comes later.
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    // What the module has besides, if it has objects, is not for it to say.
    drop(object::complete(&mut info));
    Ok(info)
}

/// The declarations that [`read`] returns.
pub fn copy(info: &ModuleInfo) -> ModuleInfo {
    ModuleInfo {
        types: info.types.clone(),
        groups: info.groups.clone(),
        imports: info.imports.clone(),
        functions: info.functions.clone(),
        imported_functions: info.imported_functions,
        tables: info.tables.clone(),
        imported_tables: info.imported_tables,
        memories: info.memories.clone(),
        imported_memories: info.imported_memories,
        heap: info.heap,
        globals: info.globals.clone(),
        imported_globals: info.imported_globals,
        ..ModuleInfo::default()
    }
}

/// Checks that another parser read the same declarations.
///
/// # Errors
/// [`DeclarationError::Disagreement`].
pub fn agree(own: &ModuleInfo, other: &ModuleInfo) -> Result<(), DeclarationError> {
    let same = [
        ("types", own.types == other.types && own.groups == other.groups),
        ("imports", own.imports == other.imports),
        ("functions", own.functions == other.functions && own.imported_functions == other.imported_functions),
        ("tables", own.tables == other.tables && own.imported_tables == other.imported_tables),
        ("memories", own.memories == other.memories && own.imported_memories == other.imported_memories),
        ("heap", own.heap == other.heap),
        ("globals", own.globals == other.globals && own.imported_globals == other.imported_globals),
    ];
    match same.into_iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(DeclarationError::Disagreement(what)),
        None => Ok(()),
    }
}

fn import_type(info: &mut ModuleInfo, ty: TypeRef) -> Result<ImportType, DeclarationError> {
    Ok(match ty {
        TypeRef::Func(ty) => {
            info.functions.push(ty);
            info.imported_functions += 1;
            ImportType::Function(ty)
        }
        TypeRef::Table(ty) => {
            let ty = table_type(&ty)?;
            info.tables.push(ty);
            info.imported_tables += 1;
            ImportType::Table(ty)
        }
        TypeRef::Memory(ty) => {
            let ty = memory_type(&ty)?;
            info.memories.push(ty);
            info.imported_memories += 1;
            ImportType::Memory(ty)
        }
        TypeRef::Global(ty) => {
            let ty = global_type(&ty)?;
            info.globals.push(ty);
            info.imported_globals += 1;
            ImportType::Global(ty)
        }
        // Code knows tags only by their number, which the runtime checks.
        TypeRef::Tag(ty) => ImportType::Tag(ty.func_type_idx),
        TypeRef::FuncExact(_) => return Err(unsupported("an import of another kind")),
    })
}

fn unsupported(what: impl Into<String>) -> DeclarationError {
    DeclarationError::Unsupported(what.into())
}

fn val_type(ty: &wasmparser::ValType) -> Result<ValType, DeclarationError> {
    Ok(match *ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(ty) => ref_type(ty)?,
    })
}

fn ref_type(ty: wasmparser::RefType) -> Result<ValType, DeclarationError> {
    use wasmparser::AbstractHeapType as Abstract;
    let other = || unsupported(format!("references of type {ty}"));
    let heap = match ty.heap_type() {
        wasmparser::HeapType::Concrete(index) => HeapType::Concrete(index.as_module_index().ok_or_else(other)?),
        wasmparser::HeapType::Abstract { shared: false, ty } => match ty {
            Abstract::Func => HeapType::Func,
            Abstract::NoFunc => HeapType::NoFunc,
            Abstract::Extern => HeapType::Extern,
            Abstract::NoExtern => HeapType::NoExtern,
            Abstract::Any => HeapType::Any,
            Abstract::Eq => HeapType::Eq,
            Abstract::I31 => HeapType::I31,
            Abstract::Struct => HeapType::Struct,
            Abstract::Array => HeapType::Array,
            Abstract::None => HeapType::None,
            Abstract::Exn => HeapType::Exn,
            Abstract::NoExn => HeapType::NoExn,
            Abstract::Cont | Abstract::NoCont => return Err(other()),
        },
        wasmparser::HeapType::Abstract { shared: true, .. } | wasmparser::HeapType::Exact(_) => return Err(other()),
    };
    Ok(ValType::reference(RefType { nullable: ty.is_nullable(), heap }))
}

fn sub_type(ty: &wasmparser::SubType) -> Result<SubType, DeclarationError> {
    let field = |field: &wasmparser::FieldType| {
        let storage = match &field.element_type {
            wasmparser::StorageType::I8 => StorageType::I8,
            wasmparser::StorageType::I16 => StorageType::I16,
            wasmparser::StorageType::Val(ty) => StorageType::Value(val_type(ty)?),
        };
        Ok(FieldType { storage, mutable: field.mutable })
    };
    let list = |types: &[wasmparser::ValType]| types.iter().map(val_type).collect::<Result<Vec<_>, _>>();
    let composite = match &ty.composite_type.inner {
        CompositeInnerType::Func(ty) => CompositeType::Func(FuncType::new(list(ty.params())?, list(ty.results())?)),
        CompositeInnerType::Struct(ty) => {
            CompositeType::Struct(ty.fields.iter().map(field).collect::<Result<_, DeclarationError>>()?)
        }
        CompositeInnerType::Array(ty) => CompositeType::Array(field(&ty.0)?),
        CompositeInnerType::Cont(_) => return Err(unsupported("a type of continuations")),
    };
    let supertype = match ty.supertype_idxs.as_slice() {
        [] => None,
        [index] => index.unpack().as_module_index(),
        _ => return Err(unsupported("a type with several supertypes")),
    };
    Ok(SubType { is_final: ty.is_final, supertype, composite })
}

fn type_index(index: usize) -> Result<u32, DeclarationError> {
    u32::try_from(index).map_err(|_| unsupported("more than 2^32 types"))
}

fn table_type(ty: &wasmparser::TableType) -> Result<TableType, DeclarationError> {
    let min = u32::try_from(ty.initial).map_err(|_| unsupported(format!("a table of {} entries", ty.initial)))?;
    Ok(TableType { element: ref_type(ty.element_type)?, min, max: ty.maximum, wide: ty.table64 })
}

fn memory_type(ty: &wasmparser::MemoryType) -> Result<MemoryType, DeclarationError> {
    let page_log2 = match ty.page_size_log2 {
        None | Some(16) => 16,
        Some(0) => 0,
        Some(other) => return Err(unsupported(format!("a memory with pages of 2^{other} bytes"))),
    };
    Ok(MemoryType { min_pages: ty.initial, max_pages: ty.maximum, page_log2, wide: ty.memory64, shared: ty.shared })
}

fn global_type(ty: &wasmparser::GlobalType) -> Result<GlobalType, DeclarationError> {
    Ok(GlobalType { content: val_type(&ty.content_type)?, mutable: ty.mutable })
}
