//! Reads and validates a component, with all modules and components in it.

use crate::error::{LowerError, Result, unsupported};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentImport, ComponentInstance, ComponentType,
    DataSectionReader, ElementSectionReader, Encoding, Export, FromReader, FuncValidatorAllocations, FunctionBody,
    GlobalSectionReader, Import, Instance, KnownCustom, MemoryType, Name, NameSectionReader, Parser, Payload, RecGroup,
    SectionLimited, TableSectionReader, TagType, ValidPayload, Validator, WasmFeatures,
};

/// One definition of a component, in their order.
#[derive(Debug)]
pub enum Definition<'a> {
    /// A core module: its number.
    Module(usize),
    /// A component: its number.
    Component(usize),
    /// An instance of a core module.
    CoreInstance(Instance<'a>),
    /// A type.
    Type(ComponentType<'a>),
    /// An alias.
    Alias(ComponentAlias<'a>),
    /// An import.
    Import(ComponentImport<'a>),
    /// A function made by the canonical ABI.
    Canon(CanonicalFunction),
    /// An instance of a component.
    Instance(ComponentInstance<'a>),
    /// An export.
    Export(ComponentExport<'a>),
}

/// A core module.
#[derive(Debug, Default)]
pub struct Module<'a> {
    /// Its length.
    pub bytes: usize,
    /// Its types, in groups.
    pub types: Vec<RecGroup>,
    /// Its imports.
    pub imports: Vec<Import<'a>>,
    /// Types of its functions.
    pub functions: Vec<u32>,
    /// Its tables.
    pub tables: Option<TableSectionReader<'a>>,
    /// Its memories.
    pub memories: Vec<MemoryType>,
    /// Its globals.
    pub globals: Option<GlobalSectionReader<'a>>,
    /// Its tags.
    pub tags: Vec<TagType>,
    /// Its exports.
    pub exports: Vec<Export<'a>>,
    /// Its start function.
    pub start: Option<u32>,
    /// Its element segments.
    pub elements: Option<ElementSectionReader<'a>>,
    /// Its data segments.
    pub data: Option<DataSectionReader<'a>>,
    /// Bodies of its functions.
    pub code: Vec<FunctionBody<'a>>,
    /// Its name.
    pub name: Option<&'a str>,
    /// Names of its functions.
    pub function_names: Vec<(u32, &'a str)>,
}

/// All that a component is made of. Modules and components refer to each other by number; component 0 is the whole.
#[derive(Debug, Default)]
pub struct Parts<'a> {
    /// The core modules.
    pub modules: Vec<Module<'a>>,
    /// The components.
    pub components: Vec<Vec<Definition<'a>>>,
}

/// What the validator accepts. What is asynchronous is valid and refused later, by its name.
const COMPONENTS: WasmFeatures = WasmFeatures::COMPONENT_MODEL
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_THREADING)
    .union(WasmFeatures::CM_ERROR_CONTEXT);

/// What core modules may use. Whether `wave` has code for it is the compiler's question.
fn core_features() -> WasmFeatures {
    WasmFeatures::WASM3
        .union(WasmFeatures::THREADS)
        .union(WasmFeatures::LEGACY_EXCEPTIONS)
        .union(WasmFeatures::WIDE_ARITHMETIC)
        .union(WasmFeatures::CUSTOM_PAGE_SIZES)
        .difference(COMPONENTS)
}

/// Validates a core module, which a lowering made.
///
/// # Errors
/// [`LowerError::Mistake`] if it is not valid.
pub fn check(module: &[u8]) -> Result<()> {
    let mistake = |error: wasmparser::Error| LowerError::Mistake(format!("the module is not valid: {error}"));
    let mut validator = Validator::new_with_features(core_features());
    validator.validate_all(module).map(drop).map_err(mistake)
}

/// Reads and validates a component.
///
/// # Errors
/// If it is none, or not valid.
pub fn read(bytes: &[u8]) -> Result<Parts<'_>> {
    if !Parser::is_component(bytes) {
        return Err(LowerError::NoComponent);
    }
    let features = core_features().union(COMPONENTS);
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut allocations = FuncValidatorAllocations::default();
    let mut parts = Parts::default();
    let mut open: Vec<Open> = Vec::new();
    for payload in parser.parse_all(bytes) {
        let payload = payload?;
        if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
            let mut function = function.into_validator(allocations);
            function.validate(&body)?;
            allocations = function.into_allocations();
        }
        parts.take(&mut open, payload)?;
    }
    Ok(parts)
}

/// What is being read.
enum Open {
    Component(usize),
    Module(usize),
}

impl<'a> Parts<'a> {
    fn take(&mut self, open: &mut Vec<Open>, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::Version { encoding: Encoding::Component, .. } => {
                open.push(Open::Component(self.components.len()));
                self.components.push(Vec::new());
            }
            // It was added when its section began.
            Payload::Version { encoding: Encoding::Module, .. } => {
                open.push(Open::Module(self.modules.len().saturating_sub(1)))
            }
            Payload::End(_) => drop(open.pop()),
            payload => match open.last() {
                Some(Open::Module(module)) => {
                    if let Some(module) = self.modules.get_mut(*module) {
                        module.section(payload)?;
                    }
                }
                Some(Open::Component(component)) => self.section(*component, payload)?,
                None => {}
            },
        }
        Ok(())
    }

    /// A section of a component.
    fn section(&mut self, component: usize, payload: Payload<'a>) -> Result<()> {
        let (modules, components) = (self.modules.len(), self.components.len());
        let Some(list) = self.components.get_mut(component) else { return Ok(()) };
        match payload {
            Payload::ModuleSection { unchecked_range: range, .. } => {
                list.push(Definition::Module(modules));
                let bytes = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
                self.modules.push(Module { bytes, ..Module::default() });
            }
            Payload::ComponentSection { .. } => list.push(Definition::Component(components)),
            Payload::InstanceSection(section) => add(list, section, Definition::CoreInstance)?,
            Payload::ComponentInstanceSection(section) => add(list, section, Definition::Instance)?,
            Payload::ComponentAliasSection(section) => add(list, section, Definition::Alias)?,
            Payload::ComponentTypeSection(section) => add(list, section, Definition::Type)?,
            Payload::ComponentCanonicalSection(section) => add(list, section, Definition::Canon)?,
            Payload::ComponentImportSection(section) => add(list, section, Definition::Import)?,
            Payload::ComponentExportSection(section) => add(list, section, Definition::Export)?,
            Payload::ComponentStartSection { .. } => return unsupported("a start function with values"),
            // Core types are for declarations of modules, which are refused where they are needed.
            _ => {}
        }
        Ok(())
    }
}

fn add<'a, T: FromReader<'a>>(
    list: &mut Vec<Definition<'a>>,
    section: SectionLimited<'a, T>,
    define: impl Fn(T) -> Definition<'a>,
) -> Result<()> {
    for each in section {
        list.push(define(each?));
    }
    Ok(())
}

impl<'a> Module<'a> {
    /// Takes a section of the module.
    pub fn section(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::TypeSection(section) => self.types = section.into_iter().collect::<wasmparser::Result<_>>()?,
            Payload::ImportSection(section) => {
                self.imports = section.into_imports().collect::<wasmparser::Result<_>>()?
            }
            Payload::FunctionSection(section) => {
                self.functions = section.into_iter().collect::<wasmparser::Result<_>>()?
            }
            Payload::TableSection(section) => self.tables = Some(section),
            Payload::MemorySection(section) => {
                self.memories = section.into_iter().collect::<wasmparser::Result<_>>()?
            }
            Payload::GlobalSection(section) => self.globals = Some(section),
            Payload::TagSection(section) => self.tags = section.into_iter().collect::<wasmparser::Result<_>>()?,
            Payload::ExportSection(section) => self.exports = section.into_iter().collect::<wasmparser::Result<_>>()?,
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(section) => self.elements = Some(section),
            Payload::DataSection(section) => self.data = Some(section),
            Payload::CodeSectionEntry(body) => self.code.push(body),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.names(names);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Names are for people. Wrong ones are left out.
    fn names(&mut self, names: NameSectionReader<'a>) {
        for part in names.into_iter().map_while(wasmparser::Result::ok) {
            match part {
                Name::Module { name, .. } => self.name = Some(name),
                Name::Function(map) => {
                    self.function_names
                        .extend(map.into_iter().map_while(wasmparser::Result::ok).map(|each| (each.index, each.name)));
                }
                _ => {}
            }
        }
    }
}
