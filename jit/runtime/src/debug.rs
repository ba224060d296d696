//! Where a module has its source lines. They stay in memory when the rest of the module is wiped, and are read only after a trap.

use std::ops::Range;

/// Sections of a module, as ranges of its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugSections {
    /// Where the code section's contents begin: addresses of DWARF count from there.
    pub code: usize,
    /// `.debug_line`.
    pub line: Range<usize>,
    /// `.debug_line_str`.
    pub line_str: Range<usize>,
}

/// The source lines of a module.
#[derive(Clone, Copy, Debug)]
pub struct DebugLines<'a> {
    /// Where the code section's contents begin in the module.
    pub code: usize,
    /// The bytes of `.debug_line`.
    pub line: &'a [u8],
    /// The bytes of `.debug_line_str`.
    pub line_str: &'a [u8],
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
                CODE => found.code = start,
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

    /// Their ranges.
    pub fn ranges(&self) -> [Range<usize>; 2] {
        [self.line.clone(), self.line_str.clone()]
    }

    /// Their bytes. `None` if the module has no source lines.
    pub fn of<'a>(&self, bytes: &'a [u8]) -> Option<DebugLines<'a>> {
        let line = bytes.get(self.line.clone()).filter(|line| !line.is_empty())?;
        Some(DebugLines { code: self.code, line, line_str: bytes.get(self.line_str.clone()).unwrap_or_default() })
    }
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

    fn custom(name: &str, data: &[u8]) -> Vec<u8> {
        let len = u8::try_from(name.len() + data.len() + 1).unwrap();
        [&[0, len, u8::try_from(name.len()).unwrap()], name.as_bytes(), data].concat()
    }

    #[test]
    fn sections_are_found_and_nothing_malformed_breaks_it() {
        let parts = [
            b"\0asm\x01\0\0\0".to_vec(),
            vec![10, 1, 0],
            custom(".debug_line", b"abc"),
            custom(".debug_line_str", b"de"),
        ];
        let module = parts.concat();
        let found = DebugSections::find(&module);
        let lines = found.of(&module).expect("lines");
        assert_eq!((lines.code, lines.line, lines.line_str), (10, &b"abc"[..], &b"de"[..]));
        assert!(DebugSections::find(b"").of(b"").is_none());
        for end in 0..module.len() {
            let part = &module[..end];
            DebugSections::find(part).of(part);
        }
        for at in 8..module.len() {
            for byte in [0, 0x7f, 0x80, 0xff] {
                let mut changed = module.clone();
                changed[at] = byte;
                let found = DebugSections::find(&changed);
                found
                    .ranges()
                    .into_iter()
                    .for_each(|range| assert!(range.start <= range.end && range.end <= changed.len()));
            }
        }
    }
}
