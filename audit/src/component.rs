//! Reads the imports and exports of a component. `wave` cannot run components, so only names are read. Each section
//! starts with its length, and sections of definitions are skipped.
//!
//! Source: the component model's `Binary.md`. `wasmparser` reads components too, but with a parser for types that is
//! not needed here.

use super::module::{Declarations, Export, Import, Item, Kind, ParseError};
use wasmparser::{BinaryReader, CustomSectionReader};

/// Magic, version and layer.
const HEADER_BYTES: usize = 8;

/// Section numbers.
const CUSTOM: u8 = 0;
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;
const IMPORT: u8 = 10;
const EXPORT: u8 = 11;
const LAST: u8 = 12;

/// Reads imports and exports of a component.
///
/// # Errors
/// If it is truncated, or a section that is read is invalid.
pub fn read(bytes: &[u8]) -> Result<Declarations, ParseError> {
    let mut out = Declarations { kind: Kind::Component, ..Declarations::default() };
    let mut reader = BinaryReader::new(bytes, 0);
    reader.read_bytes(HEADER_BYTES)?;
    while !reader.eof() {
        let at = reader.original_position();
        let id = reader.read_u8()?;
        let len = reader.read_var_u32()? as usize;
        let start = reader.original_position();
        let contents = reader.read_bytes(len)?;
        let mut section = BinaryReader::new(contents, start);
        match id {
            CUSTOM => {
                let section = CustomSectionReader::new(section)?;
                out.custom(section.name(), section.data(), &section.as_known());
            }
            CORE_MODULE => out.nested_modules = out.nested_modules.saturating_add(1),
            COMPONENT => out.nested_components = out.nested_components.saturating_add(1),
            IMPORT => {
                for _ in 0..section.read_var_u32()? {
                    let name = read_name(&mut section)?;
                    let item = read_extern_desc(&mut section)?;
                    out.imports.push(Import { module: None, name, item, ty: "".into() });
                }
                expect_end(&section)?;
            }
            EXPORT => {
                for _ in 0..section.read_var_u32()? {
                    let name = read_name(&mut section)?;
                    let item = read_export(&mut section)?;
                    out.exports.push(Export { name, item, ty: "".into() });
                }
                expect_end(&section)?;
            }
            _ if id > LAST => return Err(ParseError::new(format!("unknown section {id} of a component"), at)),
            _ => {}
        }
    }
    Ok(out)
}

fn expect_end(section: &BinaryReader<'_>) -> Result<(), ParseError> {
    if section.eof() {
        Ok(())
    } else {
        Err(ParseError::new("a section is longer than its items", section.original_position()))
    }
}

/// Reads `importname'` or `exportname'`: plain, with an older mark for interfaces, or followed by options.
fn read_name(reader: &mut BinaryReader<'_>) -> Result<String, ParseError> {
    let at = reader.original_position();
    let form = reader.read_u8()?;
    let name = reader.read_string()?.to_owned();
    match form {
        0 | 1 => {}
        2 => {
            for _ in 0..reader.read_var_u32()? {
                reader.read_u8()?;
                reader.skip_string()?;
            }
        }
        _ => return Err(ParseError::new(format!("unknown form of a name: {form}"), at)),
    }
    Ok(name)
}

/// Reads `externdesc`: the kind of an import, or the declared kind of an export.
fn read_extern_desc(reader: &mut BinaryReader<'_>) -> Result<Item, ParseError> {
    let at = reader.original_position();
    let item = match reader.read_u8()? {
        0 => {
            // A core module. The next byte is the kind of the core item.
            reader.read_u8()?;
            Item::Other
        }
        1 => Item::Function,
        // A bound and its operand: an index, or the negative number of a primitive type, which has the same encoded length.
        2 => {
            reader.read_u8()?;
            Item::Other
        }
        3 => {
            if reader.read_u8()? == 1 {
                // A resource has no index.
                return Ok(Item::Other);
            }
            Item::Other
        }
        4 => Item::Other,
        5 => Item::Interface,
        other => return Err(ParseError::new(format!("unknown kind of item: {other}"), at)),
    };
    reader.read_var_u32()?;
    Ok(item)
}

/// Reads `sortidx` and the optional declared type.
fn read_export(reader: &mut BinaryReader<'_>) -> Result<Item, ParseError> {
    let at = reader.original_position();
    let item = match reader.read_u8()? {
        0 => {
            reader.read_u8()?;
            Item::Other
        }
        1 => Item::Function,
        2..=4 => Item::Other,
        5 => Item::Interface,
        other => return Err(ParseError::new(format!("unknown sort of item: {other}"), at)),
    };
    reader.read_var_u32()?;
    let at = reader.original_position();
    match reader.read_u8()? {
        0 => {}
        1 => drop(read_extern_desc(reader)?),
        other => return Err(ParseError::new(format!("unknown form of a type: {other}"), at)),
    }
    Ok(item)
}
