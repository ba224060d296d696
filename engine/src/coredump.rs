//! Core dumps: what a program had in memory when it trapped, as a module that debuggers read.
//!
//! Written in the sealed process, piece by piece. Locals and operands are not in it, because compiled code does not say where they are;
//! neither are tables, for which the format has no place. A global that holds a reference has a null.
//!
//! Source: tool-conventions, `Coredump.md`.

use crate::program::Program;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use wave_contract::types::MemoryType;
use wave_runtime::{DebugInfo, Frame, Value};

/// Memory is looked at and written in pieces of this length. Zeros at both ends of a piece are left out.
const PIECE_BYTES: usize = 64 << 10;

/// The most bytes of memory that a dump has: the length of a section is a number of 32 bits.
const MOST_DATA_BYTES: u64 = 0xf000_0000;

/// A part of a memory that is not zero.
struct Segment {
    memory: u32,
    offset: u64,
    len: usize,
}

/// Writes the state of a program, which has stopped with this backtrace.
///
/// # Errors
/// Those of `to`, and [`ErrorKind::FileTooLarge`] if it has more memory in use than a dump can have: the rest of it is missing.
pub fn write(program: &mut Program, name: &Path, frames: &[Frame], to: &mut dyn Write) -> io::Result<()> {
    let name = name.to_string_lossy();
    let named = |text: &str| [&[0][..], &string(text)].concat();
    to.write_all(b"\0asm\x01\0\0\0")?;
    custom(to, "core", &named(&name))?;
    custom(to, "coremodules", &[&leb(1)[..], &named(&name)].concat())?;

    let memories = program.store.memories(program.instance);
    let types: Vec<_> = memories.iter().filter_map(|memory| program.store.memory_type(*memory)).collect();
    section(to, MEMORY_SECTION, &list(types.iter().map(memory)))?;
    let globals = program.store.globals(program.instance);
    let values: Vec<_> = globals.iter().filter_map(|global| program.store.global(*global)).collect();
    section(to, GLOBAL_SECTION, &list(values.iter().map(|value| global(*value))))?;

    let all = |count: usize| list((0..count as u64).map(leb));
    let instance = [&[0][..], &leb(0), &all(types.len()), &all(values.len())].concat();
    custom(to, "coreinstances", &list([instance]))?;
    let info = program.store.debug_info(program.instance).unwrap_or_default();
    let imported = program.store.info(program.instance).map_or(0, |info| info.imported_functions);
    let stack = list(frames.iter().filter_map(|of| frame(of, &info, imported)));
    custom(to, "corestack", &[named("main"), stack].concat())?;

    let mut segments = Vec::new();
    let (mut left, mut is_whole) = (MOST_DATA_BYTES, true);
    for (number, memory) in (0..).zip(&memories) {
        let bytes = program.store.memory_mut(*memory).unwrap_or_default();
        is_whole &= find_segments(bytes, number, &mut left, &mut segments);
    }
    let head = |segment: &Segment| {
        let wide = types.get(segment.memory as usize).is_some_and(|ty| ty.wide);
        segment_head(segment, wide)
    };
    let count = leb(segments.len() as u64);
    let len: usize = segments.iter().map(|segment| head(segment).len() + segment.len).sum();
    to.write_all(&[&[DATA_SECTION][..], &leb((count.len() + len) as u64), &count].concat())?;
    for segment in &segments {
        let memory = memories.get(segment.memory as usize).and_then(|memory| program.store.memory_mut(*memory));
        let start = usize::try_from(segment.offset).unwrap_or(usize::MAX);
        let bytes = memory.and_then(|memory| memory.get(start..)?.get(..segment.len)).unwrap_or_default();
        // One call for both, where many segments are short.
        to.write_all(&[&head(segment), bytes].concat())?;
    }
    if !is_whole {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it can have 3.75 GiB of memory, and there is more"));
    }
    Ok(())
}

const MEMORY_SECTION: u8 = 5;
const GLOBAL_SECTION: u8 = 6;
const DATA_SECTION: u8 = 11;

/// Finds the parts of a memory that are not zero. Ends early if fewer bytes than that are left.
fn find_segments(bytes: &[u8], memory: u32, left: &mut u64, segments: &mut Vec<Segment>) -> bool {
    for (number, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
        let Some((start, end)) = used(piece) else { continue };
        let len = end - start;
        let Some(rest) = left.checked_sub(len as u64) else { return false };
        *left = rest;
        segments.push(Segment { memory, offset: (number * PIECE_BYTES + start) as u64, len });
    }
    true
}

/// Where the first byte that is not zero is, and the end of the last one.
fn used(piece: &[u8]) -> Option<(usize, usize)> {
    // Most of a large memory is zero. This form is fast.
    if piece.iter().fold(0, |all, byte| all | byte) == 0 {
        return None;
    }
    let is_used = |byte: &u8| *byte != 0;
    Some((piece.iter().position(is_used)?, piece.iter().rposition(is_used)? + 1))
}

/// A segment without its bytes: active, at a constant.
fn segment_head(segment: &Segment, wide: bool) -> Vec<u8> {
    const ACTIVE: u64 = 2;
    let offset = if wide {
        i64_const(segment.offset.cast_signed())
    } else {
        i32_const(u32::try_from(segment.offset).unwrap_or(u32::MAX))
    };
    [leb(ACTIVE), leb(segment.memory.into()), offset, vec![END], leb(segment.len as u64)].concat()
}

/// A frame: function, and the offset in its body. `None` if the function is not known.
fn frame(frame: &Frame, info: &DebugInfo<'_>, imported: u32) -> Option<Vec<u8>> {
    let function = frame.function?;
    let body = function.checked_sub(imported).and_then(|index| info.bodies.get(index as usize));
    let offset = frame.position.zip(body).and_then(|(position, body)| position.checked_sub(*body));
    let (no_locals, no_operands) = (leb(0), leb(0));
    let numbers = [leb(0), leb(function.into()), leb(offset.unwrap_or(0).into()), no_locals, no_operands];
    Some([vec![0], numbers.concat()].concat())
}

fn memory(ty: &MemoryType) -> Vec<u8> {
    const HAS_MAXIMUM: u8 = 1;
    const SHARED: u8 = 2;
    const WIDE: u8 = 4;
    const PAGE_SIZE: u8 = 8;
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let is_odd = ty.page_log2 != 16;
    let flags = flag(ty.max_pages.is_some(), HAS_MAXIMUM)
        | flag(ty.shared, SHARED)
        | flag(ty.wide, WIDE)
        | flag(is_odd, PAGE_SIZE);
    let page = if is_odd { leb(ty.page_log2.into()) } else { Vec::new() };
    [vec![flags], leb(ty.min_pages), ty.max_pages.map(leb).unwrap_or_default(), page].concat()
}

const END: u8 = 0x0b;

/// A constant global with this value.
fn global(value: Value) -> Vec<u8> {
    const CONSTANT: u8 = 0;
    let null = |heap: u8| (heap, vec![0xd0, heap]);
    let (ty, value) = match value {
        Value::I32(value) => (0x7f, i32_const(value.cast_unsigned())),
        Value::I64(value) => (0x7e, i64_const(value)),
        Value::F32(bits) => (0x7d, [&[0x43][..], &bits.to_le_bytes()].concat()),
        Value::F64(bits) => (0x7c, [&[0x44][..], &bits.to_le_bytes()].concat()),
        Value::V128(bits) => (0x7b, [&[0xfd, 0x0c][..], &bits.to_le_bytes()].concat()),
        Value::FuncRef(_) => null(0x70),
        Value::ExternRef(_) => null(0x6f),
        Value::AnyRef(_) => null(0x6e),
        Value::ExnRef(_) => null(0x69),
    };
    [vec![ty, CONSTANT], value, vec![END]].concat()
}

fn i32_const(value: u32) -> Vec<u8> {
    [vec![0x41], signed_leb(value.cast_signed().into())].concat()
}

fn i64_const(value: i64) -> Vec<u8> {
    [vec![0x42], signed_leb(value)].concat()
}

fn custom(to: &mut dyn Write, name: &str, contents: &[u8]) -> io::Result<()> {
    section(to, 0, &[&string(name), contents].concat())
}

fn section(to: &mut dyn Write, id: u8, contents: &[u8]) -> io::Result<()> {
    to.write_all(&[&[id][..], &leb(contents.len() as u64), contents].concat())
}

fn list(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let (mut count, mut all) = (0, Vec::new());
    for item in items {
        count += 1;
        all.extend(item);
    }
    [leb(count), all].concat()
}

fn string(text: &str) -> Vec<u8> {
    [&leb(text.len() as u64)[..], text.as_bytes()].concat()
}

fn leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn signed_leb(mut value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        let is_negative = low & 0x40 != 0;
        if value == 0 && !is_negative || value == -1 && is_negative {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_leb128() {
        for (value, bytes) in [(0, &[0][..]), (127, &[127]), (128, &[0x80, 1]), (624_485, &[0xe5, 0x8e, 0x26])] {
            assert_eq!(leb(value), bytes);
        }
        for (value, bytes) in [
            (0, &[0][..]),
            (63, &[63]),
            (64, &[0xc0, 0]),
            (-1, &[0x7f]),
            (-64, &[0x40]),
            (-65, &[0xbf, 0x7f]),
            (-123_456, &[0xc0, 0xbb, 0x78]),
        ] {
            assert_eq!(signed_leb(value), bytes);
        }
        assert_eq!(signed_leb(i64::MIN).len(), 10);
    }

    #[test]
    fn only_used_parts_of_memory_are_segments() {
        let mut bytes = vec![0; 3 * PIECE_BYTES + 5];
        let found = |bytes: &[u8], mut left: u64| {
            let mut segments = Vec::new();
            let is_whole = find_segments(bytes, 0, &mut left, &mut segments);
            (segments.iter().map(|segment| (segment.offset, segment.len)).collect::<Vec<_>>(), is_whole)
        };
        assert_eq!(found(&bytes, 0), (vec![], true));
        bytes[7] = 1;
        bytes[9] = 1;
        bytes[2 * PIECE_BYTES] = 1;
        bytes[3 * PIECE_BYTES + 4] = 1;
        let [second, last] = [2 * PIECE_BYTES, 3 * PIECE_BYTES + 4].map(|at| at as u64);
        assert_eq!(found(&bytes, 5), (vec![(7, 3), (second, 1), (last, 1)], true));
        assert_eq!(found(&bytes, 4), (vec![(7, 3), (second, 1)], false));
        assert_eq!(found(&[], 4), (vec![], true));
    }
}
