//! `wave inspect`: what a module is and asks for.

use crate::args::{Format, Inspect, Sandbox};
use crate::image;
use crate::text::{chain, clean, json};
use crate::worker::{self, Output};
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;
use wave_contract::module::{ExportKind, ImportType, ModuleInfo};
use wave_engine::Failure;
use wave_engine::compile;
use wave_engine::input;

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
    module.validate(threads).map_err(|error| Failure::not_runnable(chain(&error)).at(path.display().to_string()))?;
    let summary = Summary::new(module.info(), bytes.len());
    Ok(Output::new(match format {
        Format::Text => summary.text(),
        Format::Json => json(&summary)?,
    }))
}

#[derive(Serialize)]
struct Summary {
    name: Option<String>,
    size_bytes: usize,
    functions: usize,
    memory_pages: Vec<(u32, Option<u32>)>,
    tables: Vec<u32>,
    globals: usize,
    data_segments: usize,
    element_segments: usize,
    start: bool,
    imports: Vec<Item>,
    exports: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    name: String,
    ty: String,
}

impl Summary {
    fn new(info: &ModuleInfo, size_bytes: usize) -> Self {
        let imports = info.imports.iter().map(|import| Item {
            module: Some(import.module.clone()),
            name: import.name.clone(),
            ty: match import.ty {
                ImportType::Function(ty) => info.types.get(ty as usize).map_or_else(String::new, ToString::to_string),
                ImportType::Table(ty) => format!("table of {}, at least {}", ty.element, ty.min),
                ImportType::Memory(ty) => format!("memory, at least {} pages", ty.min_pages),
                ImportType::Tag(ty) => {
                    format!("tag {}", info.types.get(ty as usize).map_or_else(String::new, ToString::to_string))
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
            size_bytes,
            functions: info.functions.len(),
            memory_pages: info.memories.iter().map(|memory| (memory.min_pages, memory.max_pages)).collect(),
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
        writeln!(out, "functions: {}", self.functions)?;
        if self.memory_pages.is_empty() {
            writeln!(out, "memory:    none")?;
        }
        for (min, max) in &self.memory_pages {
            match max {
                Some(max) => writeln!(out, "memory:    {min} to {max} pages")?,
                None => writeln!(out, "memory:    {min} pages, no maximum")?,
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
