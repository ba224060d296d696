//! What a trap needs of a module to say where it was: where functions begin, and source lines. Of the module's bytes, it stays in memory
//! when the rest is wiped. For code from the cache, it lies in a file. Either is read only after a trap.

use crate::mapping::FileBytes;
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;
use wave_contract::digest::{Digest, digest};

/// The most bytes of line tables that are cached. Those of a compiler with 100 MB of code are smaller.
const MOST_CACHED_BYTES: usize = 64 << 20;

/// Where an instance has its debug information.
#[derive(Debug)]
pub enum Debug {
    /// In the bytes of its module.
    Module(DebugSections),
    /// In a file, for code from the cache.
    File(DebugFile),
    /// Nowhere.
    Nowhere,
}

/// Sections of a module, as ranges of its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugSections {
    /// Where the code section's contents begin: addresses of DWARF count from there.
    code: u32,
    /// Where the body of each function begins, in order.
    bodies: Vec<u32>,
    /// `.debug_line`.
    line: Range<usize>,
    /// `.debug_line_str`.
    line_str: Range<usize>,
}

/// Debug information of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugInfo<'a> {
    /// Where the code section's contents begin in the module.
    pub code: u32,
    /// Where the body of each function begins in the module, behind its length; imported functions have none.
    pub bodies: Vec<u32>,
    /// The bytes of `.debug_line`.
    pub line: Cow<'a, [u8]>,
    /// The bytes of `.debug_line_str`.
    pub line_str: Cow<'a, [u8]>,
}

/// Debug information of a module as bytes, for a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugBytes {
    /// Where the code section begins, and where functions begin: four bytes each.
    pub bodies: Vec<u8>,
    /// The length of `.debug_line` in four bytes, its contents, and those of `.debug_line_str`. Empty if there are no lines.
    pub lines: Vec<u8>,
}

impl DebugBytes {
    /// Their digest.
    #[must_use]
    pub fn digest(&self, threads: usize) -> Digest {
        digest(&[digest(&self.bodies, threads), digest(&self.lines, threads)].concat(), 1)
    }
}

/// Debug information in a file, which may change: nothing is believed that has another digest.
#[derive(Debug)]
pub struct DebugFile {
    bytes: FileBytes,
    bodies_len: usize,
    digest: Digest,
}

impl DebugFile {
    /// Maps both parts of [`DebugBytes`], one behind the other. Nothing is read yet.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn map(file: &File, offset: u64, lengths: [usize; 2], digest: Digest) -> io::Result<Self> {
        let [bodies_len, lines_len] = lengths;
        let len = bodies_len.checked_add(lines_len).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(Self { bytes: FileBytes::map(file, offset, len)?, bodies_len, digest })
    }

    fn read(&self) -> Option<DebugInfo<'static>> {
        let mut bodies = self.bytes.copy();
        let lines = bodies.split_off(self.bodies_len.min(bodies.len()));
        let bytes = DebugBytes { bodies, lines };
        (bytes.digest(1) == self.digest).then(|| DebugInfo::decode(&bytes))?
    }
}

impl Debug {
    /// The information. `None` if there is none.
    pub fn read<'a>(&'a self, module: &'a [u8]) -> Option<DebugInfo<'a>> {
        match self {
            Self::Module(sections) => Some(sections.of(module)),
            Self::File(file) => file.read(),
            Self::Nowhere => None,
        }
    }

    /// The ranges of the module's bytes that it needs.
    pub fn ranges(&self) -> [Range<usize>; 2] {
        match self {
            Self::Module(sections) => [sections.line.clone(), sections.line_str.clone()],
            Self::File(_) | Self::Nowhere => [0..0, 0..0],
        }
    }
}

/// Debug information of a module, for a cache.
#[must_use]
pub fn debug_bytes(module: &[u8]) -> DebugBytes {
    DebugSections::find(module).of(module).encode()
}

impl DebugSections {
    /// Finds the sections of a module. Of several with one name, the last counts. What is malformed ends the search.
    pub fn find(bytes: &[u8]) -> Self {
        const HEADER: usize = 8;
        const CUSTOM: u8 = 0;
        const CODE: u8 = 10;
        let mut found = Self::default();
        let mut at = HEADER;
        while let Some(id) = bytes.get(at).copied() {
            let Some((len, start)) = leb(bytes, at + 1) else { break };
            let Some(end) = start.checked_add(len).filter(|end| *end <= bytes.len()) else { break };
            match id {
                CODE => {
                    found.code = start as u32;
                    found.bodies = bodies(bytes, start..end);
                }
                CUSTOM => {
                    if let Some((name_len, name)) = leb(bytes, start)
                        && let Some(data) = name.checked_add(name_len).filter(|data| *data <= end)
                    {
                        match bytes.get(name..data) {
                            Some(b".debug_line") => found.line = data..end,
                            Some(b".debug_line_str") => found.line_str = data..end,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
            at = end;
        }
        found
    }

    fn of<'a>(&self, bytes: &'a [u8]) -> DebugInfo<'a> {
        let part = |range: &Range<usize>| Cow::Borrowed(bytes.get(range.clone()).unwrap_or_default());
        DebugInfo {
            code: self.code,
            bodies: self.bodies.clone(),
            line: part(&self.line),
            line_str: part(&self.line_str),
        }
    }
}

impl DebugInfo<'_> {
    fn encode(&self) -> DebugBytes {
        let bodies = [self.code].iter().chain(&self.bodies).flat_map(|at| at.to_le_bytes()).collect();
        let has_lines = !self.line.is_empty() && self.line.len() + self.line_str.len() <= MOST_CACHED_BYTES;
        let lines = match has_lines {
            true => [&(self.line.len() as u32).to_le_bytes(), &*self.line, &*self.line_str].concat(),
            false => Vec::new(),
        };
        DebugBytes { bodies, lines }
    }

    fn decode(bytes: &DebugBytes) -> Option<DebugInfo<'static>> {
        let mut numbers = bytes.bodies.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let code = numbers.next()?;
        let (line, line_str) = match bytes.lines.split_first_chunk() {
            Some((len, rest)) => rest.split_at_checked(u32::from_le_bytes(*len) as usize)?,
            None => (&[][..], &[][..]),
        };
        let owned = |part: &[u8]| Cow::Owned(part.to_vec());
        Some(DebugInfo { code, bodies: numbers.collect(), line: owned(line), line_str: owned(line_str) })
    }
}

/// Where the bodies of a code section begin.
fn bodies(bytes: &[u8], section: Range<usize>) -> Vec<u32> {
    let mut found = Vec::new();
    let Some((count, mut at)) = leb(bytes, section.start) else { return found };
    // A body has a byte at least, so this ends with the section.
    for _ in 0..count {
        let Some((len, start)) = leb(bytes, at).filter(|(_, start)| *start < section.end) else { break };
        found.push(start as u32);
        at = start + len;
    }
    found
}

/// A number in LEB128 of 32 bits at an offset, and where it ends.
fn leb(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn custom(name: &str, data: &[u8]) -> Vec<u8> {
        let len = u8::try_from(name.len() + data.len() + 1).unwrap();
        [&[0, len, u8::try_from(name.len()).unwrap()], name.as_bytes(), data].concat()
    }

    fn module() -> Vec<u8> {
        let parts = [
            b"\0asm\x01\0\0\0".to_vec(),
            vec![10, 7, 2, 2, 0, 0x0b, 2, 0, 0x0b],
            custom(".debug_line", b"abc"),
            custom(".debug_line_str", b"de"),
        ];
        parts.concat()
    }

    #[test]
    fn sections_are_found_and_nothing_malformed_breaks_it() {
        let module = module();
        let found = DebugSections::find(&module).of(&module);
        assert_eq!((found.code, &*found.bodies), (10, &[12, 15][..]));
        assert_eq!((&*found.line, &*found.line_str), (&b"abc"[..], &b"de"[..]));
        assert_eq!(DebugSections::find(b"").of(b""), DebugInfo::default());
        for end in 0..module.len() {
            let part = &module[..end];
            DebugSections::find(part).of(part);
        }
        for at in 8..module.len() {
            for byte in [0, 0x7f, 0x80, 0xff] {
                let mut changed = module.clone();
                changed[at] = byte;
                let found = Debug::Module(DebugSections::find(&changed));
                found
                    .ranges()
                    .into_iter()
                    .for_each(|range| assert!(range.start <= range.end && range.end <= changed.len()));
            }
        }
    }

    #[test]
    fn what_lies_in_a_file_is_what_the_module_has() {
        let module = module();
        let bytes = debug_bytes(&module);
        let mut file = tempfile::tempfile().unwrap();
        let before = vec![7; 5000];
        file.write_all(&[&before[..], &bytes.bodies, &bytes.lines].concat()).unwrap();
        let lengths = [bytes.bodies.len(), bytes.lines.len()];
        let map = |digest| Debug::File(DebugFile::map(&file, 5000, lengths, digest).unwrap());
        let expected = DebugSections::find(&module).of(&module);
        assert_eq!(map(bytes.digest(1)).read(b""), Some(expected));
        assert_eq!(map([0; 32]).read(b""), None);
        assert!(DebugFile::map(&file, 5000, [usize::MAX, 1], [0; 32]).is_err());
        let without = DebugBytes { lines: Vec::new(), ..bytes };
        assert_eq!(DebugInfo::decode(&without).map(|info| (info.bodies.len(), info.line.len())), Some((2, 0)));
        for bytes in [(&[][..], &[][..]), (&[0; 3], &[]), (&[0; 4], &[1, 0, 0, 0]), (&[0; 4], &[255; 4])] {
            let bytes = DebugBytes { bodies: bytes.0.to_vec(), lines: bytes.1.to_vec() };
            assert_eq!(DebugInfo::decode(&bytes), None, "{bytes:?}");
        }
    }
}
