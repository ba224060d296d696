//! Lowers a component to one core module.
//!
//! A component is a graph of core modules with typed functions between them. All of the graph is known before anything runs, so
//! [`lower`] puts the modules into one, whose imports are functions of the host's interfaces, and generates code for what the canonical
//! ABI demands between them. The result is a core module like any other: what comes after knows nothing of components.
//!
//! Nothing here is trusted. A wrong lowering mixes up the guest's own memories and functions.
//!
//! | file | what it holds |
//! |---|---|
//! | `read` | from bytes to definitions, validated |
//! | `types` | types of values: size, alignment, flat form |
//! | `elaborate` | instantiates the component: which module gets what from where |
//! | `graph` | the result of that |
//! | `adapter` | functions of the host's interfaces that a module has |
//! | `rewrite` | from the index spaces of a module to those of the whole |
//! | `emit`, `fuse` | generated code: calls of and by the host, calls between components |
//! | `text`, `handles` | generated code: strings in other encodings, tables of handles |
//! | `merge` | writes the module |
//!
//! `docs/lowering.md` describes the result for those who write host functions.

#![forbid(unsafe_code)]

// For the host of the tests, which unit tests use as well.
#[cfg(test)]
extern crate self as wave_lower;

mod adapter;
mod elaborate;
mod emit;
mod error;
mod fuse;
mod graph;
mod handles;
mod merge;
mod names;
mod read;
mod rewrite;
mod text;
mod types;

pub use error::LowerError;

/// Whether bytes are those of a component.
#[must_use]
pub fn is_component(bytes: &[u8]) -> bool {
    wasmparser::Parser::is_component(bytes)
}

/// Lowers a component to a core module, which is valid. The same component gives the same bytes.
///
/// # Errors
/// [`LowerError`]: if it is not valid, uses what is not supported, or is too large.
pub fn lower(component: &[u8]) -> Result<Vec<u8>, LowerError> {
    lower_with(component, None)
}

/// As [`lower`], but interfaces of which `adapter` has functions are no imports: the functions that the component uses become part of the
/// module. `docs/lowering.md` says what an adapter is.
///
/// # Errors
/// As [`lower`]; also if the adapter lacks a function of such an interface, or has it with another type.
pub fn lower_with(component: &[u8], adapter: Option<&[u8]>) -> Result<Vec<u8>, LowerError> {
    let parts = read::read(component)?;
    let adapter = adapter.map(adapter::Adapter::read).transpose()?;
    let graph = elaborate::elaborate(&parts, component.len(), adapter)?;
    let module = merge::write(graph)?;
    read::check(&module)?;
    Ok(module)
}
