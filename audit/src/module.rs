//! Reads what a module declares, section by section. Function bodies and segment contents are skipped, and nothing is
//! validated, so this is fast for any module and works for invalid ones too.

use serde::{Serialize, Serializer};
use std::sync::Arc;
use wasmparser::{
    BinaryReader, Chunk, CompositeInnerType, Encoding, ExternalKind, FuncType, KnownCustom, MemoryType, Name, Parser,
    Payload, ProducersSectionReader, TableType, TypeRef, WasmFeatures,
};

/// Maximum parameters and results of a function type that are listed. Longer types are only counted, because every
/// import can refer to the same long type.
const MAX_LISTED_TYPES: usize = 16;

/// Maximum entries of the producers and target features sections that are read.
const MAX_CLAIMS: usize = 64;

/// What a file declares.
#[derive(Debug, Default, Serialize)]
pub struct Declarations {
    /// The kind of file.
    pub kind: Kind,
    /// The module's own name, from its name section.
    pub name: Option<String>,
    /// What it claims to be built by.
    pub producers: Vec<Producer>,
    /// The WebAssembly extensions that it claims to use.
    pub target_features: Vec<String>,
    /// Number of functions, without imports.
    pub functions: u32,
    /// Size of their bodies in bytes.
    pub code_bytes: u64,
    /// Linear memories, imported ones first.
    pub memories: Vec<Memory>,
    /// Tables, imported ones first.
    pub tables: Vec<Table>,
    /// Number of globals, without imports.
    pub globals: u32,
    /// Number of exception tags.
    pub tags: u32,
    /// Number of data segments.
    pub data_segments: u32,
    /// Number of element segments.
    pub element_segments: u32,
    /// Whether it has a start function, which runs when the module is instantiated.
    pub start: bool,
    /// Whether it has debug information.
    pub debug_info: bool,
    /// Number of custom sections.
    pub custom_sections: u32,
    /// Why a component cannot run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Number of modules inside a component.
    pub nested_modules: u32,
    /// Number of components inside a component.
    pub nested_components: u32,
    /// Imports in their order.
    pub imports: Vec<Import>,
    /// Exports in their order.
    pub exports: Vec<Export>,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A core module.
    #[default]
    Module,
    /// A component that `wave` cannot run. Of one that it can, these are the declarations of the module that it becomes.
    Component,
}

/// One line of the producers section.
#[derive(Debug, Serialize)]
pub struct Producer {
    /// `language`, `sdk` or `processed-by`.
    pub role: String,
    /// The name of the tool.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A linear memory.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Initial size in pages. A page has 64 KiB unless `custom_pages` is set.
    pub min_pages: u64,
    /// Maximum size in pages.
    pub max_pages: Option<u64>,
    /// Whether it is imported.
    pub imported: bool,
    /// Whether threads share it.
    pub shared: bool,
    /// Whether its addresses have 64 bits.
    pub wide: bool,
    /// Whether it declares its own page size.
    pub custom_pages: bool,
    /// Binary logarithm of the size of its pages in bytes.
    #[serde(skip)]
    pub page_log2: u32,
}

/// A table.
#[derive(Debug, Serialize)]
pub struct Table {
    /// The type of its elements.
    pub element: String,
    /// Initial number of elements.
    pub min: u64,
    /// Maximum number of elements.
    pub max: Option<u64>,
}

/// The kind of an import or export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Item {
    Function,
    Table,
    Memory,
    Global,
    Tag,
    /// An instance of an interface.
    Interface,
    /// A type, value, module or component.
    Other,
}

/// The type of an imported memory that is shared. Of others it is empty.
const SHARED: &str = "shared";

/// An import.
#[derive(Debug, Serialize)]
pub struct Import {
    /// The first of its two names. Imports of components have only one name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub item: Item,
    /// Its type. Empty if it was not read.
    #[serde(rename = "type", serialize_with = "as_text", skip_serializing_if = "str::is_empty")]
    pub ty: Arc<str>,
}

/// An export.
#[derive(Debug, Serialize)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub item: Item,
    /// The type of a function.
    #[serde(rename = "type", serialize_with = "as_text", skip_serializing_if = "str::is_empty")]
    pub ty: Arc<str>,
}

/// An error in the binary format of a file.
#[derive(Debug)]
pub struct ParseError {
    what: String,
    offset: u64,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "broken module: {} (at offset {:#x})", self.what, self.offset)
    }
}

impl From<wasmparser::BinaryReaderError> for ParseError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::new(error.message(), error.offset())
    }
}

impl ParseError {
    /// An error at an offset.
    pub fn new(what: impl Into<String>, offset: u64) -> Self {
        Self { what: what.into(), offset }
    }
}

/// Reads the declarations of a module.
///
/// # Errors
/// If it is truncated, or a section that is read is invalid.
pub fn read(bytes: &[u8]) -> Result<Declarations, ParseError> {
    let mut reader = Reader::default();
    let mut parser = Parser::new(0);
    // Accept all features, so that the report can name those that `wave` lacks. Compact imports are excluded: they
    // share a name among many imports, so the memory for them would not be bounded by the size of the file.
    parser.set_features(WasmFeatures::all().difference(WasmFeatures::COMPACT_IMPORTS));
    let mut rest = bytes;
    loop {
        let at = (bytes.len() - rest.len()) as u64;
        let truncated = || ParseError::new("unexpected end", at);
        let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else { return Err(truncated()) };
        rest = rest.get(consumed..).ok_or_else(truncated)?;
        match payload {
            Payload::CodeSectionStart { size, .. } => {
                parser.skip_section();
                rest = rest.get(size as usize..).ok_or_else(truncated)?;
                reader.out.code_bytes += u64::from(size);
            }
            Payload::End(_) => break,
            payload => reader.section(payload)?,
        }
    }
    reader.finish()
}

/// The state of reading a module.
#[derive(Default)]
struct Reader {
    out: Declarations,
    /// Function types by index. Other types are empty strings.
    types: Vec<Arc<str>>,
    /// Type indices of functions, imported ones first.
    functions: Vec<u32>,
    /// Exported functions: the index among the exports, and the function index. Types are looked up at the end, because
    /// in an invalid module the functions may come later.
    exported: Vec<(usize, u32)>,
}

impl Reader {
    // Long, because it is a match over all sections.
    fn section(&mut self, payload: Payload<'_>) -> Result<(), ParseError> {
        let out = &mut self.out;
        match payload {
            Payload::Version { encoding, range, .. } if encoding != Encoding::Module => {
                return Err(ParseError::new("neither a module nor a component", range.start));
            }
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.into_types() {
                        self.types.push(match ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => type_text(&ty).into(),
                            _ => "".into(),
                        });
                    }
                }
            }
            Payload::ImportSection(section) => {
                let offset = section.range().start;
                for import in section.into_imports() {
                    let import = import?;
                    self.import(import, offset)?;
                }
            }
            Payload::FunctionSection(section) => {
                out.functions = out.functions.saturating_add(section.count());
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    out.tables.push(Table::new(&table?.ty));
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    out.memories.push(Memory::new(&memory?, false));
                }
            }
            Payload::GlobalSection(section) => out.globals = out.globals.saturating_add(section.count()),
            Payload::TagSection(section) => out.tags = out.tags.saturating_add(section.count()),
            Payload::ElementSection(section) => {
                out.element_segments = out.element_segments.saturating_add(section.count());
            }
            Payload::DataSection(section) => out.data_segments = out.data_segments.saturating_add(section.count()),
            Payload::StartSection { .. } => out.start = true,
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let item = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => Item::Function,
                        ExternalKind::Table => Item::Table,
                        ExternalKind::Memory => Item::Memory,
                        ExternalKind::Global => Item::Global,
                        ExternalKind::Tag => Item::Tag,
                    };
                    if item == Item::Function {
                        self.exported.push((out.exports.len(), export.index));
                    }
                    out.exports.push(Export { name: export.name.to_owned(), item, ty: "".into() });
                }
            }
            Payload::CustomSection(section) => out.custom(section.name(), section.data(), &section.as_known()),
            Payload::UnknownSection { id, range, .. } => {
                return Err(ParseError::new(format!("unknown section {id}"), range.start));
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'_>, offset: u64) -> Result<(), ParseError> {
        let (item, ty) = match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(ty);
                (Item::Function, self.type_at(ty, offset)?)
            }
            TypeRef::Table(ty) => {
                let table = Table::new(&ty);
                let spelled = table.element.as_str().into();
                self.out.tables.push(table);
                (Item::Table, spelled)
            }
            TypeRef::Memory(ty) => {
                self.out.memories.push(Memory::new(&ty, true));
                (Item::Memory, if ty.shared { SHARED } else { "" }.into())
            }
            TypeRef::Global(ty) => (Item::Global, ty.content_type.to_string().into()),
            TypeRef::Tag(_) => (Item::Tag, "".into()),
        };
        let (module, name) = (Some(import.module.to_owned()), import.name.to_owned());
        self.out.imports.push(Import { module, name, item, ty });
        Ok(())
    }

    fn type_at(&self, index: u32, offset: u64) -> Result<Arc<str>, ParseError> {
        let ty = self.types.get(index as usize).filter(|ty| !ty.is_empty());
        ty.cloned().ok_or_else(|| ParseError::new(format!("type {index} is not the type of a function"), offset))
    }

    fn finish(mut self) -> Result<Declarations, ParseError> {
        for (place, function) in std::mem::take(&mut self.exported) {
            let ty = self.functions.get(function as usize);
            let ty = ty.ok_or_else(|| {
                ParseError::new(format!("an export names function {function}, which does not exist"), 0)
            })?;
            let ty = self.type_at(*ty, 0)?;
            if let Some(export) = self.out.exports.get_mut(place) {
                export.ty = ty;
            }
        }
        Ok(self.out)
    }
}

impl Declarations {
    /// Reads a custom section. Custom sections are only claims, so what cannot be read is skipped.
    pub fn custom(&mut self, name: &str, data: &[u8], known: &KnownCustom<'_>) {
        self.custom_sections = self.custom_sections.saturating_add(1);
        match known {
            KnownCustom::Producers(section) => self.producers(section.clone()),
            KnownCustom::Name(section) => {
                let first = section.clone().map_while(Result::ok).take(1).find_map(|name| match name {
                    Name::Module { name, .. } => Some(name.to_owned()),
                    _ => None,
                });
                self.name = self.name.take().or(first);
            }
            _ if name == "target_features" => self.features(data),
            _ if name.starts_with(".debug_") || name == "sourceMappingURL" => self.debug_info = true,
            _ => {}
        }
    }

    fn producers(&mut self, section: ProducersSectionReader<'_>) {
        for field in section.into_iter().map_while(Result::ok).take(MAX_CLAIMS) {
            for value in field.values.into_iter().map_while(Result::ok) {
                if self.producers.len() < MAX_CLAIMS {
                    let (name, version) = (value.name.to_owned(), value.version.to_owned());
                    self.producers.push(Producer { role: field.name.to_owned(), name, version });
                }
            }
        }
    }

    fn features(&mut self, data: &[u8]) {
        let mut reader = BinaryReader::new(data, 0);
        let count = reader.read_var_u32().unwrap_or(0) as usize;
        for _ in 0..count.min(MAX_CLAIMS) {
            // The first byte says whether the feature is used, disallowed or required.
            let (Ok(sign), Ok(name)) = (reader.read_u8(), reader.read_string()) else { return };
            if sign != b'-' {
                self.target_features.push(name.to_owned());
            }
        }
    }
}

impl Import {
    /// Whether it is a shared memory, which a run creates.
    pub fn is_shared_memory(&self) -> bool {
        self.item == Item::Memory && &*self.ty == SHARED
    }
}

impl Memory {
    fn new(ty: &MemoryType, imported: bool) -> Self {
        Self {
            min_pages: ty.initial,
            max_pages: ty.maximum,
            imported,
            shared: ty.shared,
            wide: ty.memory64,
            custom_pages: ty.page_size_log2.is_some(),
            page_log2: ty.page_size_log2.unwrap_or(16),
        }
    }

    /// Whether it can grow beyond its initial size.
    pub fn can_grow(&self) -> bool {
        self.max_pages.is_none_or(|max| max > self.min_pages)
    }
}

impl Table {
    fn new(ty: &TableType) -> Self {
        Self { element: ty.element_type.to_string(), min: ty.initial, max: ty.maximum }
    }
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn type_text(ty: &FuncType) -> String {
    if ty.params().len() + ty.results().len() > MAX_LISTED_TYPES {
        return format!("({} parameters) -> ({} results)", ty.params().len(), ty.results().len());
    }
    let list = |types: &[wasmparser::ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", list(ty.params()), list(ty.results()))
}
