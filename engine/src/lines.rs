//! Source lines of code positions, from the line tables of DWARF 2 to 5.
//!
//! Only after a trap, in the sealed process, and from bytes that nobody trusts. A reader of its own, because this is all of DWARF that is
//! needed: one pass over `.debug_line`, which keeps nothing but the lines it was asked for. Every step consumes a byte, so the time is
//! bounded by [`MOST_BYTES`].
//!
//! Source: DWARF Debugging Information Format, version 5, section 6.2; version 4 for the older header.

use wave_runtime::DebugInfo;

/// The most bytes that are read of a line table. That of a compiler with 100 MB of code is smaller.
const MOST_BYTES: usize = 128 << 20;

/// The most files or directories of a unit.
const MOST_ENTRIES: u64 = 1 << 14;

/// The longest name of a file or directory.
const MOST_NAME_BYTES: usize = 1024;

/// The source line of each address, `FILE:LINE`. Addresses are positions in the module.
pub fn find(lines: &DebugInfo<'_>, positions: &[u32]) -> Vec<Option<String>> {
    let mut wanted: Vec<Wanted> = positions
        .iter()
        .enumerate()
        .filter_map(|(index, position)| {
            let address = u64::try_from((*position as usize).checked_sub(lines.code as usize)?).ok()?;
            Some(Wanted { address, index })
        })
        .collect();
    wanted.sort_unstable_by_key(|wanted| wanted.address);
    let mut found = vec![None; positions.len()];
    let table = lines.line.get(..lines.line.len().min(MOST_BYTES)).unwrap_or_default();
    let mut rest = Reader(table);
    while let Some(unit) = rest.unit() {
        // A unit that cannot be read says nothing; the next one may.
        read_unit(unit, &lines.line_str, &wanted, &mut found);
    }
    found
}

/// An address to look up, and whose it is.
struct Wanted {
    address: u64,
    index: usize,
}

/// The state of a line program, as far as it matters here.
#[derive(Clone, Copy)]
struct Row {
    address: u64,
    file: u64,
    line: u64,
}

/// The header of a unit.
struct Header<'a> {
    version: u16,
    step: u64,
    line_base: i64,
    line_range: u8,
    opcode_base: u8,
    opcode_lengths: &'a [u8],
    names: Reader<'a>,
    line_str: &'a [u8],
}

fn read_unit(unit: Reader<'_>, line_str: &[u8], wanted: &[Wanted], found: &mut [Option<String>]) -> Option<()> {
    let (header, mut program) = Header::read(unit, line_str)?;
    let first = Row { address: 0, file: 1, line: 1 };
    let mut row = first;
    // The row before, within a sequence that begins at an address above 0: functions that the linker dropped lie there.
    let mut before: Option<Row> = None;
    while let Some(opcode) = program.u8() {
        let mut emits = false;
        let mut ends = false;
        match opcode {
            special if special >= header.opcode_base => {
                let adjusted = special - header.opcode_base;
                row.address =
                    row.address.wrapping_add(u64::from(adjusted / header.line_range).wrapping_mul(header.step));
                let advance = header.line_base + i64::from(adjusted % header.line_range);
                row.line = row.line.wrapping_add_signed(advance);
                emits = true;
            }
            0 => {
                let len = usize::try_from(program.uleb()?).ok()?;
                let mut body = Reader(program.take(len)?);
                match body.u8() {
                    Some(1) => {
                        emits = true;
                        ends = true;
                    }
                    Some(2) => row.address = body.address()?,
                    _ => {}
                }
            }
            1 => emits = true,
            2 => row.address = row.address.wrapping_add(program.uleb()?.wrapping_mul(header.step)),
            3 => row.line = row.line.wrapping_add_signed(program.sleb()?),
            4 => row.file = program.uleb()?,
            8 => {
                let adjusted = u64::from((255 - header.opcode_base) / header.line_range);
                row.address = row.address.wrapping_add(adjusted.wrapping_mul(header.step));
            }
            9 => row.address = row.address.wrapping_add(u64::from(program.u16()?)),
            other => {
                let arguments = header.opcode_lengths.get(usize::from(other).checked_sub(1)?).copied()?;
                for _ in 0..arguments {
                    program.uleb()?;
                }
            }
        }
        if emits {
            if let Some(before) = before.filter(|before| before.address > 0) {
                note(&header, before, row.address, wanted, found);
            }
            before = Some(row);
        }
        if ends {
            row = first;
            before = None;
        }
    }
    Some(())
}

/// Notes the line of each wanted address from that of `row` up to `end`.
fn note(header: &Header<'_>, row: Row, end: u64, wanted: &[Wanted], found: &mut [Option<String>]) {
    let from = wanted.partition_point(|wanted| wanted.address < row.address);
    for Wanted { index, .. } in wanted.iter().skip(from).take_while(|wanted| wanted.address < end) {
        // The first unit that knows an address wins, so that each name is read once.
        if let Some(place @ None) = found.get_mut(*index) {
            // Line 0: the compiler made this code for no line.
            *place = (row.line > 0)
                .then(|| format!("{}:{}", header.file(row.file).unwrap_or_else(|| "?".to_owned()), row.line));
        }
    }
}

impl<'a> Header<'a> {
    /// Reads the header of a unit behind its length. The line program follows it.
    fn read(mut unit: Reader<'a>, line_str: &'a [u8]) -> Option<(Self, Reader<'a>)> {
        let version = unit.u16().filter(|version| (2..=5).contains(version))?;
        if version == 5 {
            // Sizes of addresses and of segment selectors.
            unit.take(2)?;
        }
        let len = usize::try_from(unit.u32()?).ok()?;
        let mut head = Reader(unit.take(len)?);
        let step = u64::from(head.u8()?);
        if version >= 4 {
            head.u8()?;
        }
        head.u8()?;
        let line_base = i64::from(head.u8()?.cast_signed());
        let line_range = head.u8().filter(|range| *range > 0)?;
        let opcode_base = head.u8()?;
        let opcode_lengths = head.take(usize::from(opcode_base).checked_sub(1)?)?;
        Some((Self { version, step, line_base, line_range, opcode_base, opcode_lengths, names: head, line_str }, unit))
    }

    /// The path of a file by its number.
    fn file(&self, number: u64) -> Option<String> {
        let mut names = Reader(self.names.0);
        let (directory, parent, name) = if self.version == 5 {
            let directories = names.entries(self.line_str)?;
            let files = names.entries(self.line_str)?;
            let file = files.get(usize::try_from(number).ok()?)?;
            let directory = directories.get(usize::try_from(file.directory).ok()?).map_or(&b""[..], |entry| entry.name);
            // The first is where the compiler ran.
            (directory, directories.first().map_or(&b""[..], |entry| entry.name), file.name)
        } else {
            let mut directories = Vec::new();
            while let Some(name) = names.string().filter(|name| !name.is_empty()) {
                directories.push(name);
                if directories.len() as u64 > MOST_ENTRIES {
                    return None;
                }
            }
            let mut left = number.checked_sub(1)?;
            let (name, directory) = loop {
                let name = names.string().filter(|name| !name.is_empty())?;
                let directory = names.uleb()?;
                names.uleb()?;
                names.uleb()?;
                if left == 0 {
                    break (name, directory);
                }
                left -= 1;
            };
            let directory =
                usize::try_from(directory).ok()?.checked_sub(1).and_then(|index| directories.get(index).copied());
            (directory.unwrap_or_default(), &b""[..], name)
        };
        Some(joined(&joined(&text(parent), &text(directory)), &text(name)))
    }
}

/// A path inside a directory, unless it is absolute.
fn joined(directory: &str, path: &str) -> String {
    match (directory, path) {
        ("", path) => path.to_owned(),
        (directory, "") => directory.to_owned(),
        (_, path) if path.starts_with('/') || path == directory => path.to_owned(),
        (directory, path) => format!("{directory}/{path}"),
    }
}

/// The beginning of a name.
fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name.get(..MOST_NAME_BYTES).unwrap_or(name)).into_owned()
}

/// An entry of the tables of DWARF 5.
struct Entry<'a> {
    name: &'a [u8],
    directory: u64,
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// All that is left, as an address.
    fn address(&mut self) -> Option<u64> {
        match self.0.len() {
            4 => self.u32().map(u64::from),
            8 => Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            _ => None,
        }
    }

    fn uleb(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn sleb(&mut self) -> Option<i64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let unused = 64_u32.saturating_sub(shift + 7);
                return Some(value << unused >> unused);
            }
        }
        None
    }

    /// A string with a zero behind it.
    fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.0.iter().position(|byte| *byte == 0)?;
        let string = self.take(len)?;
        self.u8()?;
        Some(string)
    }

    /// The next unit, behind its length. `None` at the end, and for DWARF of 64 bits, which no toolchain makes for WebAssembly.
    fn unit(&mut self) -> Option<Reader<'a>> {
        let len = self.u32().filter(|len| *len < 0xffff_fff0)?;
        self.take(usize::try_from(len).ok()?).map(Reader)
    }

    /// A table of directories or files of DWARF 5, with its format in front.
    fn entries(&mut self, line_str: &'a [u8]) -> Option<Vec<Entry<'a>>> {
        const PATH: u64 = 1;
        const DIRECTORY: u64 = 2;
        let mut formats = Vec::new();
        for _ in 0..self.u8()? {
            formats.push((self.uleb()?, self.uleb()?));
        }
        let count = self.uleb()?;
        // Entries without fields would take no bytes, however many there are.
        if count > MOST_ENTRIES || formats.is_empty() && count > 0 {
            return None;
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            let mut entry = Entry { name: b"", directory: 0 };
            for (content, form) in &formats {
                match (*content, self.field(*form, line_str)?) {
                    (PATH, Field::Text(name)) => entry.name = name,
                    (DIRECTORY, Field::Number(number)) => entry.directory = number,
                    _ => {}
                }
            }
            entries.push(entry);
        }
        Some(entries)
    }

    fn field(&mut self, form: u64, line_str: &'a [u8]) -> Option<Field<'a>> {
        Some(match form {
            // string, line_strp
            0x08 => Field::Text(self.string()?),
            0x1f => {
                let rest = line_str.get(usize::try_from(self.u32()?).ok()?..)?;
                // No further than a name is shown: every entry can refer to the same long one.
                let rest = rest.get(..MOST_NAME_BYTES).unwrap_or(rest);
                Field::Text(rest.split(|byte| *byte == 0).next()?)
            }
            // udata, data1, data2, data4
            0x0f => Field::Number(self.uleb()?),
            0x0b => Field::Number(self.u8()?.into()),
            0x05 => Field::Number(self.u16()?.into()),
            0x06 => Field::Number(self.u32()?.into()),
            // strp, data8, data16, block
            0x0e => self.skipped(4)?,
            0x07 => self.skipped(8)?,
            0x1e => self.skipped(16)?,
            0x09 => {
                let len = usize::try_from(self.uleb()?).ok()?;
                self.skipped(len)?
            }
            _ => return None,
        })
    }

    fn skipped(&mut self, len: usize) -> Option<Field<'a>> {
        self.take(len).map(|_| Field::Other)
    }
}

enum Field<'a> {
    Text(&'a [u8]),
    Number(u64),
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit: its header behind the lengths, and its program.
    fn unit(version: u8, tables: &[u8], program: &[u8]) -> Vec<u8> {
        let sizes: &[u8] = if version == 5 { &[4, 0] } else { &[] };
        let operations: &[u8] = if version >= 4 { &[1] } else { &[] };
        // Steps of 1, is_stmt, lines from -5 on in 14, opcodes from 13 on.
        let fixed = [&[1][..], operations, &[1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1], tables].concat();
        let len = u32::try_from(fixed.len()).unwrap().to_le_bytes();
        let body = [&[version, 0][..], sizes, &len, &fixed, program].concat();
        [&u32::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat()
    }

    /// Lines 10 to 12 at the addresses 16, 20 and 24, and the end at 30.
    const PROGRAM: &[u8] = &[0, 5, 2, 16, 0, 0, 0, 3, 9, 1, 13 + 6 + 14 * 4, 13 + 6 + 14 * 4, 2, 6, 0, 1, 1];
    const OLD: &[u8] = b"lib\0/abs\0\0main.c\0\0\0\0inner.h\0\x01\0\0far.h\0\x02\0\0\0";
    /// Directories in `.debug_line_str`, files as strings with the number of a directory.
    const NEW: &[u8] = b"\x01\x01\x1f\x02\0\0\0\0\x05\0\0\0\x02\x01\x08\x02\x0b\x02main.c\0\0main.c\0\x01";
    const LINE_STR: &[u8] = b"/src\0lib\0";

    fn lines_of(line: &[u8], positions: &[u32]) -> Vec<Option<String>> {
        find(&DebugInfo { code: 100, line: line.into(), line_str: LINE_STR.into(), ..DebugInfo::default() }, positions)
    }

    #[test]
    fn each_version_is_read() {
        let positions = [99, 115, 116, 119, 120, 124, 129, 130];
        let expected = |file: &str| {
            [None, None, Some(10), Some(10), Some(11), Some(12), Some(12), None]
                .map(|line| line.map(|line: u32| format!("{file}:{line}")))
        };
        for version in [2, 3, 4] {
            assert_eq!(lines_of(&unit(version, OLD, PROGRAM), &positions), expected("main.c"), "{version}");
        }
        assert_eq!(lines_of(&unit(5, NEW, PROGRAM), &positions), expected("/src/lib/main.c"));
        // Other files, and a unit behind one that cannot be read.
        for (file, path) in [(2, "lib/inner.h"), (3, "/abs/far.h"), (4, "?")] {
            let program = [&[4, file][..], PROGRAM].concat();
            let both = [unit(9, OLD, PROGRAM), unit(4, OLD, &program)].concat();
            assert_eq!(lines_of(&both, &positions), expected(path));
        }
        // A sequence that the linker left at 0 is that of a function that is gone.
        let gone = [&[0, 5, 2, 0, 0, 0, 0, 3, 9, 1, 2, 60, 0, 1, 1][..], PROGRAM].concat();
        assert_eq!(lines_of(&unit(4, OLD, &gone), &positions), expected("main.c"));
    }

    /// T75: whatever the bytes are, reading them ends, without a panic and with names of bounded length.
    #[test]
    fn t75_hostile_line_tables_end() {
        let positions: Vec<u32> = (90..140).collect();
        let units = [unit(2, OLD, PROGRAM), unit(4, OLD, PROGRAM), unit(5, NEW, PROGRAM)];
        for whole in &units {
            for at in 0..whole.len() {
                lines_of(&whole[..at], &positions);
                for byte in 0..=255 {
                    let mut changed = whole.clone();
                    changed[at] = byte;
                    lines_of(&changed, &positions);
                }
            }
        }
        // Random changes of several bytes at once.
        let mut seed = 1_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let all = units.concat();
        for _ in 0..20_000 {
            let mut changed = all.clone();
            for _ in 0..=random(8) {
                let at = random(changed.len());
                changed[at] = u8::try_from(random(256)).unwrap();
            }
            lines_of(&changed, &positions);
        }
        // Entries without fields, and more entries than bytes.
        for tables in
            [&b"\0\xff\xff\xff\xff\xff\xff\xff\x7f\0\x01"[..], b"\x01\x01\x08\xff\xff\xff\xff\xff\xff\xff\x7f"]
        {
            assert_eq!(lines_of(&unit(5, tables, PROGRAM), &[116]), [Some("?:10".to_owned())]);
        }
        let long = [&b"\0"[..], "é".repeat(1 << 20).as_bytes(), b"\0\0\0\0\0"].concat();
        let found = lines_of(&unit(4, &long, PROGRAM), &[116]);
        assert!(found[0].as_ref().is_some_and(|line| line.len() < 2 * MOST_NAME_BYTES), "a bounded name");
    }
}
