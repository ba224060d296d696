//! What a component imports and exports. `wave` cannot run it, so its names are all that is read: each section is framed by
//! its length, and those that define something are skipped.
//!
//! Source: the component model's `Binary.md`; `wasmparser` reads it as well, with a parser for types that is not needed here.

use super::module::{Broken, Declarations, Export, Import, Item, Kind};
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
/// When it is cut off, or a section that is read makes no sense.
pub fn read(bytes: &[u8]) -> Result<Declarations, Broken> {
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
                    let name = name(&mut section)?;
                    let item = declared(&mut section)?;
                    out.imports.push(Import { module: None, name, item, ty: "".into() });
                }
                ended(&section)?;
            }
            EXPORT => {
                for _ in 0..section.read_var_u32()? {
                    let name = name(&mut section)?;
                    let item = exported(&mut section)?;
                    out.exports.push(Export { name, item, ty: "".into() });
                }
                ended(&section)?;
            }
            _ if id > LAST => return Err(Broken::new(format!("unknown section {id} of a component"), at)),
            _ => {}
        }
    }
    Ok(out)
}

fn ended(section: &BinaryReader<'_>) -> Result<(), Broken> {
    if section.eof() {
        Ok(())
    } else {
        Err(Broken::new("a section is longer than its items", section.original_position()))
    }
}

/// `importname'` and `exportname'`: plain, with an older mark for interfaces, or followed by options.
fn name(reader: &mut BinaryReader<'_>) -> Result<String, Broken> {
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
        _ => return Err(Broken::new(format!("unknown form of a name: {form}"), at)),
    }
    Ok(name)
}

/// `externdesc`: what is imported, or what an export is declared to be.
fn declared(reader: &mut BinaryReader<'_>) -> Result<Item, Broken> {
    let at = reader.original_position();
    let item = match reader.read_u8()? {
        0 => {
            // A module: one kind of core item is there.
            reader.read_u8()?;
            Item::Other
        }
        1 => Item::Function,
        // A bound, and what it compares with: an index, or the negative number of a primitive type, each in as many bytes as an
        // index takes.
        2 => {
            reader.read_u8()?;
            Item::Other
        }
        3 => {
            if reader.read_u8()? == 1 {
                // A resource, which has no index.
                return Ok(Item::Other);
            }
            Item::Other
        }
        4 => Item::Other,
        5 => Item::Interface,
        other => return Err(Broken::new(format!("unknown kind of item: {other}"), at)),
    };
    reader.read_var_u32()?;
    Ok(item)
}

/// `sortidx` and the type it is declared to have.
fn exported(reader: &mut BinaryReader<'_>) -> Result<Item, Broken> {
    let at = reader.original_position();
    let item = match reader.read_u8()? {
        0 => {
            reader.read_u8()?;
            Item::Other
        }
        1 => Item::Function,
        2..=4 => Item::Other,
        5 => Item::Interface,
        other => return Err(Broken::new(format!("unknown sort of item: {other}"), at)),
    };
    reader.read_var_u32()?;
    let at = reader.original_position();
    match reader.read_u8()? {
        0 => {}
        1 => drop(declared(reader)?),
        other => return Err(Broken::new(format!("unknown form of a type: {other}"), at)),
    }
    Ok(item)
}
