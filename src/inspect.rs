//! `wave inspect`: what a module is and asks for.

use crate::args::{Format, Inspect, Sandbox};
use crate::image;
use crate::text::{clean, json};
use crate::worker::{self, Output};
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;
use wave_contract::module::{ExportKind, ImportType, ModuleInfo};
use wave_contract::types::MemoryType;
use wave_engine::Failure;
use wave_engine::{compile, features, input};

/// Prints a module's declarations after validating all of it, which a sealed process does.
///
/// # Errors
/// When there is no module, or it is invalid.
pub fn inspect(sandbox: Option<Sandbox>, arguments: &Inspect) -> Result<u8, Failure> {
    let Inspect { module, format } = arguments;
    let limits = worker::limits(sandbox, module);
    let bytes = image::read(&limits)?;
    worker::announce(module, &bytes);
    let threads = compile::threads(bytes.len());
    worker::run(&limits, threads, |_| summarize(module, &bytes, *format, threads))
}

fn summarize(path: &Path, bytes: &[u8], format: Format, threads: usize) -> Result<Output, Failure> {
    let bytes = input::module(path, bytes)?;
    let module = compile::parse(path, &bytes)?;
    compile::validate(path, &module, threads)?;
    let summary = Summary::new(&module.into_own_info(), &bytes);
    Ok(Output::new(match format {
        Format::Text => summary.text(),
        Format::Json => json(&summary)?,
    }))
}

#[derive(Serialize)]
struct Summary {
    name: Option<String>,
    size_bytes: usize,
    uses: Vec<&'static str>,
    functions: usize,
    memory_pages: Vec<(u64, Option<u64>)>,
    memories: Vec<Memory>,
    tables: Vec<u32>,
    globals: usize,
    data_segments: usize,
    element_segments: usize,
    start: bool,
    imports: Vec<Item>,
    exports: Vec<Item>,
}

#[derive(Serialize)]
struct Memory {
    min_pages: u64,
    max_pages: Option<u64>,
    page_bytes: u64,
    index_bits: u8,
}

impl Memory {
    fn new(ty: &MemoryType) -> Self {
        let MemoryType { min_pages, max_pages, page_log2, wide, .. } = *ty;
        Self { min_pages, max_pages, page_bytes: 1 << page_log2, index_bits: index_bits(wide) }
    }

    /// What is not as usual.
    fn remark(&self) -> String {
        let pages = if self.page_bytes == 1 { " of 1 byte" } else { "" };
        pages.to_owned() + remark(self.index_bits)
    }
}

const fn index_bits(wide: bool) -> u8 {
    if wide { 64 } else { 32 }
}

const fn remark(index_bits: u8) -> &'static str {
    if index_bits == 64 { ", 64-bit indexes" } else { "" }
}

#[derive(Serialize)]
struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    name: String,
    ty: String,
}

impl Summary {
    fn new(info: &ModuleInfo, bytes: &[u8]) -> Self {
        let imports = info.imports.iter().map(|import| Item {
            module: Some(import.module.clone()),
            name: import.name.clone(),
            ty: match import.ty {
                ImportType::Function(ty) => info.types.get(ty as usize).map_or_else(String::new, ToString::to_string),
                ImportType::Tag(ty) => {
                    format!("tag {}", info.signature(ty).map_or_else(String::new, ToString::to_string))
                }
                ImportType::Table(ty) => {
                    format!("table of {}, at least {}{}", ty.element, ty.min, remark(index_bits(ty.wide)))
                }
                ImportType::Memory(ty) => {
                    format!("memory, at least {} pages{}", ty.min_pages, Memory::new(&ty).remark())
                }
                ImportType::Global(ty) => format!("{}global {}", if ty.mutable { "mutable " } else { "" }, ty.content),
            },
        });
        let exports = info.exports.iter().map(|export| Item {
            module: None,
            name: export.name.clone(),
            ty: match export.kind {
                ExportKind::Function => info.function_type(export.index).map_or_else(String::new, ToString::to_string),
                ExportKind::Table => "table".to_owned(),
                ExportKind::Memory => "memory".to_owned(),
                ExportKind::Global => "global".to_owned(),
                ExportKind::Tag => "tag".to_owned(),
            },
        });
        Self {
            name: info.name.clone(),
            size_bytes: bytes.len(),
            uses: features::used(bytes).unwrap_or_default().iter().map(|feature| feature.name).collect(),
            functions: info.functions.len(),
            memory_pages: info.memories.iter().map(|memory| (memory.min_pages, memory.max_pages)).collect(),
            memories: info.memories.iter().map(Memory::new).collect(),
            tables: info.tables.iter().map(|table| table.min).collect(),
            globals: info.globals.len(),
            data_segments: info.data.len(),
            element_segments: info.elements.len(),
            start: info.start.is_some(),
            imports: imports.collect(),
            exports: exports.collect(),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        self.write_text(&mut out).expect("writing to a string cannot fail");
        out
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "name:      {}", self.name.as_deref().map_or("none".into(), clean))?;
        writeln!(out, "size:      {} bytes", self.size_bytes)?;
        let uses = self.uses.join(", ");
        writeln!(out, "uses:      {}", if uses.is_empty() { "nothing beyond WebAssembly 1.0" } else { &uses })?;
        writeln!(out, "functions: {}", self.functions)?;
        if self.memories.is_empty() {
            writeln!(out, "memory:    none")?;
        }
        for memory in &self.memories {
            let (min, remark) = (memory.min_pages, memory.remark());
            match memory.max_pages {
                Some(max) => writeln!(out, "memory:    {min} to {max} pages{remark}")?,
                None => writeln!(out, "memory:    {min} pages{remark}, no maximum")?,
            }
        }
        writeln!(out, "tables:    {:?}", self.tables)?;
        writeln!(out, "globals:   {}", self.globals)?;
        writeln!(out, "segments:  {} data, {} element", self.data_segments, self.element_segments)?;
        writeln!(out, "start:     {}", if self.start { "yes" } else { "no" })?;
        for (title, items) in [("imports:", &self.imports), ("exports:", &self.exports)] {
            writeln!(out, "{title}")?;
            for Item { module, name, ty } in items {
                let module = module.as_deref().map_or_else(String::new, |module| format!("{} ", clean(module)));
                writeln!(out, "  {module}{} {ty}", clean(name))?;
            }
        }
        Ok(())
    }
}
