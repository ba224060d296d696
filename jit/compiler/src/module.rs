//! Parses module bytes to declarations: everything but function bodies.

use crate::compile::{self, CompileOptions};
use crate::error::CompileError;
use crate::features;
use crate::hints::BranchHints;
use crate::objects::Objects;
use wasmparser::{
    CompositeInnerType, DataKind, ElementItems as WasmElementItems, ElementKind, ExternalKind, FunctionBody,
    KnownCustom, Name, Operator, Parser, Payload, TableInit, TypeRef, ValidPayload, Validator, ValidatorResources,
    WasmFeatures,
};
use wave_contract::image::CodeImage;
use wave_contract::module::{
    ConstExpr, ConstOp, DataSegment, ElementItems, ElementSegment, Export, ExportKind, FunctionNames, Import,
    ImportType, ModuleInfo, SegmentMode,
};
use wave_contract::object;
use wave_contract::types::{
    CompositeType, FieldType, FuncType, GlobalType, HeapType, MemoryType, RefType, StorageType, SubType, TableType,
    ValType,
};

/// Largest module in bytes: positions are 32 bits, and text is a few times larger.
pub(crate) const MAX_MODULE_BYTES: usize = 1 << 30;

/// A parsed module: declarations are valid, bodies are located but not validated yet.
pub struct Module<'a> {
    bytes: &'a [u8],
    pub(crate) info: ModuleInfo,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    pub(crate) hints: BranchHints,
    /// What it got for its objects, if it has any.
    pub(crate) objects: Option<Objects>,
    /// Whether instances of other modules may call it and be called by it.
    pub(crate) linked: bool,
    /// What the module may use.
    pub(crate) features: WasmFeatures,
    /// What the validator of each body asks; absent exactly when there are no bodies.
    pub(crate) resources: Option<ValidatorResources>,
}

impl<'a> Module<'a> {
    /// Reads and validates everything but function bodies.
    ///
    /// # Errors
    /// [`CompileError::Component`] for a component, [`CompileError::Invalid`] with the place of the first mistake.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CompileError> {
        if bytes.len() > MAX_MODULE_BYTES {
            return Err(CompileError::TooLarge {
                what: "module",
                len_bytes: bytes.len() as u64,
                max_bytes: MAX_MODULE_BYTES as u64,
            });
        }
        // Magic, version 0xd, layer 1. The parser would only say that the version is unknown.
        if let [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] = bytes {
            return Err(CompileError::Component);
        }
        let features = features::supported();
        let mut declarations = Declarations::default();
        let mut validator = Validator::new_with_features(features);
        let mut parser = Parser::new(0);
        parser.set_features(features);
        for payload in parser.parse_all(bytes) {
            let payload = payload?;
            // The validator comes first, so that the rest can rely on valid input.
            if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
                declarations.bodies.push(body);
                declarations.resources.get_or_insert(function.resources);
            }
            declarations.payload(payload)?;
        }
        let Declarations { mut info, bodies, hints, resources } = declarations;
        let hints = hints.unwrap_or_default();
        let objects = object::complete(&mut info).map(|added| Objects::new(added, &info)).transpose()?;
        Ok(Self { bytes, info, bodies, hints, objects, linked: false, features, resources })
    }

    /// The bytes that it was read from.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What the module declares.
    #[must_use]
    pub fn info(&self) -> &ModuleInfo {
        &self.info
    }

    /// What the module declares, without the rest.
    #[must_use]
    pub fn into_info(self) -> ModuleInfo {
        self.info
    }

    /// What the module declares, without the functions of the collector and what else it gets for its objects.
    #[must_use]
    pub fn into_own_info(self) -> ModuleInfo {
        object::without(self.info)
    }

    /// The same module, to be linked to instances of other modules: their functions, which may throw, can get into its
    /// tables.
    #[must_use]
    pub fn linked(self) -> Self {
        Self { linked: true, ..self }
    }

    /// All bodies that are compiled: its own, and the collector's.
    pub(crate) fn all_bodies(&self) -> impl Iterator<Item = &FunctionBody<'_>> {
        self.bodies.iter().chain(self.objects.iter().flat_map(|objects| &objects.bodies))
    }

    /// Validates every function body with up to `threads` threads and compiles nothing.
    ///
    /// # Errors
    /// [`CompileError::Invalid`] for the invalid body with the smallest index.
    pub fn validate(&self, threads: usize) -> Result<(), CompileError> {
        compile::validate(self, threads)
    }

    /// Validates and compiles every function.
    ///
    /// # Errors
    /// Any [`CompileError`]; of several bad functions, the one with the smallest index.
    pub fn compile(&self, options: &CompileOptions<'_>) -> Result<CodeImage, CompileError> {
        self.compile_watched(options, &|_| {})
    }

    /// As [`compile`](Self::compile). Each time a function is compiled, `each` is called with the number of all, on any of the threads.
    ///
    /// # Errors
    /// As [`compile`](Self::compile).
    pub fn compile_watched(
        &self,
        options: &CompileOptions<'_>,
        each: &(dyn Fn(usize) + Sync),
    ) -> Result<CodeImage, CompileError> {
        compile::compile(self, options, each)
    }
}

#[derive(Default)]
struct Declarations<'a> {
    info: ModuleInfo,
    bodies: Vec<FunctionBody<'a>>,
    /// Those of the first section that has any.
    hints: Option<BranchHints>,
    resources: Option<ValidatorResources>,
}

impl<'a> Declarations<'a> {
    fn payload(&mut self, payload: Payload<'a>) -> Result<(), CompileError> {
        let info = &mut self.info;
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    let start = info.types.len();
                    for ty in group?.types() {
                        info.types.push(sub_type(ty)?);
                    }
                    if info.types.len() > start + 1 {
                        info.groups.push(type_index(start)?..type_index(info.types.len())?);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let ty = self.import(import.ty)?;
                    self.info.imports.push(Import {
                        module: import.module.to_owned(),
                        name: import.name.to_owned(),
                        ty,
                    });
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    info.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    info.tables.push(table_type(&table.ty)?);
                    info.table_inits.push(match &table.init {
                        TableInit::RefNull => None,
                        TableInit::Expr(init) => Some(const_expr(init)?),
                    });
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    info.memories.push(memory_type(&memory?)?);
                }
            }
            Payload::TagSection(section) => {
                for tag in section {
                    info.tags.push(tag?.func_type_idx);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    info.globals.push(global_type(&global.ty)?);
                    info.global_inits.push(const_expr(&global.init_expr)?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let kind = match export.kind {
                        ExternalKind::Func => ExportKind::Function,
                        ExternalKind::Table => ExportKind::Table,
                        ExternalKind::Memory => ExportKind::Memory,
                        ExternalKind::Global => ExportKind::Global,
                        ExternalKind::Tag => ExportKind::Tag,
                        other => return Err(unsupported(format!("export of kind {other:?}"), 0)),
                    };
                    info.exports.push(Export { name: export.name.to_owned(), kind, index: export.index });
                }
            }
            Payload::StartSection { func, .. } => info.start = Some(func),
            Payload::ElementSection(section) => {
                for element in section {
                    info.elements.push(element_segment(element?)?);
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    let mode = match data.kind {
                        DataKind::Passive => SegmentMode::Passive,
                        DataKind::Active { memory_index, offset_expr } => {
                            SegmentMode::Active { index: memory_index, offset: const_expr(&offset_expr)? }
                        }
                    };
                    // The bytes are the last thing in their segment.
                    let end = usize::try_from(data.range.end).unwrap_or(usize::MAX);
                    info.data.push(DataSegment { mode, bytes: end.saturating_sub(data.data.len())..end });
                }
            }
            Payload::CustomSection(section) => match section.as_known() {
                // They come before the code, or they are not for it.
                KnownCustom::BranchHints(hints) if self.bodies.is_empty() => {
                    self.hints.get_or_insert_with(|| BranchHints::read(hints));
                }
                KnownCustom::Name(names) => {
                    // Names are for messages only: those that cannot be parsed are left out (T75).
                    for name in names {
                        match name {
                            Ok(Name::Module { name, .. }) => info.name = Some(name.to_owned()),
                            Ok(Name::Function(map)) => index_names(&mut info.names, map.into_iter()),
                            Ok(Name::Tag(map)) => index_names(&mut info.tag_names, map.into_iter()),
                            Ok(_) => {}
                            Err(_) => break,
                        }
                    }
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, ty: TypeRef) -> Result<ImportType, CompileError> {
        let info = &mut self.info;
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
            TypeRef::Tag(ty) => {
                info.tags.push(ty.func_type_idx);
                info.imported_tags += 1;
                ImportType::Tag(ty.func_type_idx)
            }
            TypeRef::FuncExact(_) => {
                return Err(unsupported("import of an unknown kind".to_owned(), 0));
            }
        })
    }
}

fn unsupported(what: String, offset: u64) -> CompileError {
    CompileError::Unsupported { what, offset }
}

pub(crate) fn val_type(ty: wasmparser::ValType) -> Result<ValType, CompileError> {
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(ty) => ref_type(ty)?,
    })
}

fn ref_type(ty: wasmparser::RefType) -> Result<ValType, CompileError> {
    let heap = heap_type(ty.heap_type()).ok_or_else(|| unsupported(format!("reference type {ty}"), 0))?;
    Ok(ValType::reference(RefType { nullable: ty.is_nullable(), heap }))
}

/// `None` for a type of a proposal that is not supported.
pub(crate) fn heap_type(ty: wasmparser::HeapType) -> Option<HeapType> {
    use wasmparser::AbstractHeapType as Abstract;
    Some(match ty {
        wasmparser::HeapType::Concrete(index) => HeapType::Concrete(index.as_module_index()?),
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
            Abstract::Cont | Abstract::NoCont => return None,
        },
        wasmparser::HeapType::Abstract { shared: true, .. } | wasmparser::HeapType::Exact(_) => return None,
    })
}

pub(crate) fn sub_type(ty: &wasmparser::SubType) -> Result<SubType, CompileError> {
    let field = |field: &wasmparser::FieldType| {
        let storage = match field.element_type {
            wasmparser::StorageType::I8 => StorageType::I8,
            wasmparser::StorageType::I16 => StorageType::I16,
            wasmparser::StorageType::Val(ty) => StorageType::Value(val_type(ty)?),
        };
        Ok(FieldType { storage, mutable: field.mutable })
    };
    let list = |types: &[wasmparser::ValType]| types.iter().map(|&ty| val_type(ty)).collect::<Result<Vec<_>, _>>();
    let composite = match &ty.composite_type.inner {
        CompositeInnerType::Func(ty) => CompositeType::Func(FuncType::new(list(ty.params())?, list(ty.results())?)),
        CompositeInnerType::Struct(ty) => {
            CompositeType::Struct(ty.fields.iter().map(field).collect::<Result<_, CompileError>>()?)
        }
        CompositeInnerType::Array(ty) => CompositeType::Array(field(&ty.0)?),
        CompositeInnerType::Cont(_) => return Err(unsupported("a type of continuations".to_owned(), 0)),
    };
    let supertype = match ty.supertype_idxs.as_slice() {
        [] => None,
        [index] => index.unpack().as_module_index(),
        _ => return Err(unsupported("a type with several supertypes".to_owned(), 0)),
    };
    Ok(SubType { is_final: ty.is_final, supertype, composite })
}

fn type_index(index: usize) -> Result<u32, CompileError> {
    u32::try_from(index).map_err(|_| unsupported("more than 2^32 types".to_owned(), 0))
}

fn table_type(ty: &wasmparser::TableType) -> Result<TableType, CompileError> {
    let wasmparser::TableType { initial, maximum: max, table64: wide, .. } = *ty;
    let min = u32::try_from(initial).map_err(|_| unsupported(format!("table of {initial} entries"), 0))?;
    Ok(TableType { element: ref_type(ty.element_type)?, min, max, wide })
}

fn memory_type(ty: &wasmparser::MemoryType) -> Result<MemoryType, CompileError> {
    let usual = MemoryType::new(ty.initial, ty.maximum);
    let page_log2 = match ty.page_size_log2 {
        None => usual.page_log2,
        Some(0) => 0,
        Some(16) => 16,
        Some(other) => return Err(unsupported(format!("memory with pages of 2^{other} bytes"), 0)),
    };
    Ok(MemoryType { page_log2, wide: ty.memory64, shared: ty.shared, ..usual })
}

fn global_type(ty: &wasmparser::GlobalType) -> Result<GlobalType, CompileError> {
    Ok(GlobalType { content: val_type(ty.content_type)?, mutable: ty.mutable })
}

fn element_segment(element: wasmparser::Element<'_>) -> Result<ElementSegment, CompileError> {
    let mode = match element.kind {
        ElementKind::Passive => SegmentMode::Passive,
        ElementKind::Declared => SegmentMode::Declared,
        ElementKind::Active { table_index, offset_expr } => {
            SegmentMode::Active { index: table_index.unwrap_or(0), offset: const_expr(&offset_expr)? }
        }
    };
    let (element, items) = match element.items {
        WasmElementItems::Functions(functions) => {
            (ValType::FuncRef, ElementItems::Functions(functions.into_iter().collect::<Result<_, _>>()?))
        }
        WasmElementItems::Expressions(ty, expressions) => {
            let expressions =
                expressions.into_iter().map(|expression| const_expr(&expression?)).collect::<Result<_, _>>()?;
            (ref_type(ty)?, ElementItems::Expressions(expressions))
        }
    };
    Ok(ElementSegment { element, mode, items })
}

fn const_expr(expression: &wasmparser::ConstExpr<'_>) -> Result<ConstExpr, CompileError> {
    let mut operators = Vec::with_capacity(1);
    for operator in expression.get_operators_reader().into_iter_with_offsets() {
        let (operator, offset) = operator?;
        operators.push(match operator {
            Operator::I32Const { value } => ConstOp::I32Const(value),
            Operator::I64Const { value } => ConstOp::I64Const(value),
            Operator::F32Const { value } => ConstOp::F32Const(value.bits()),
            Operator::F64Const { value } => ConstOp::F64Const(value.bits()),
            Operator::V128Const { value } => ConstOp::V128Const(value.into()),
            Operator::GlobalGet { global_index } => ConstOp::GlobalGet(global_index),
            Operator::RefNull { .. } => ConstOp::RefNull,
            Operator::RefI31 => ConstOp::RefI31,
            Operator::StructNew { struct_type_index } => ConstOp::StructNew(struct_type_index),
            Operator::StructNewDefault { struct_type_index } => ConstOp::StructNewDefault(struct_type_index),
            Operator::ArrayNew { array_type_index } => ConstOp::ArrayNew(array_type_index),
            Operator::ArrayNewDefault { array_type_index } => ConstOp::ArrayNewDefault(array_type_index),
            Operator::ArrayNewFixed { array_type_index, array_size } => {
                ConstOp::ArrayNewFixed(array_type_index, array_size)
            }
            // One form for both.
            Operator::AnyConvertExtern | Operator::ExternConvertAny => continue,
            Operator::RefFunc { function_index } => ConstOp::RefFunc(function_index),
            Operator::I32Add => ConstOp::I32Add,
            Operator::I32Sub => ConstOp::I32Sub,
            Operator::I32Mul => ConstOp::I32Mul,
            Operator::I64Add => ConstOp::I64Add,
            Operator::I64Sub => ConstOp::I64Sub,
            Operator::I64Mul => ConstOp::I64Mul,
            Operator::End => continue,
            other => return Err(unsupported(format!("constant expression with {other:?}"), offset)),
        });
    }
    Ok(operators)
}

fn index_names<'a>(names: &mut FunctionNames, map: impl Iterator<Item = wasmparser::Result<wasmparser::Naming<'a>>>) {
    for naming in map {
        match naming {
            Ok(naming) => names.push(naming.index, naming.name),
            Err(_) => return,
        }
    }
}
