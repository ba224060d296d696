//! Reads a tar archive in memory: what layers of images have, and nothing that is not clear.
//!
//! Own code instead of the crate `tar`, which extracts to a file system and had advisories for it (RUSTSEC-2026-0067 and 0068). Here
//! nothing is extracted: an entry is a name and a range of bytes.
//!
//! Source: POSIX.1-2017, `pax`; the GNU tar manual for long names. What both leave open is decided as Go's `archive/tar` does, which
//! container tools use.

use std::ops::Range;

/// Bytes of a header, and what contents are padded to.
const BLOCK: usize = 512;
/// Most bytes of a name or of a link target, as the kernel has it.
pub const MAX_PATH_BYTES: usize = 4096;
/// Most bytes of extended attributes before an entry.
const MAX_EXTENDED_BYTES: usize = 1 << 20;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A regular file, with the place of its bytes in the archive.
    File(Range<usize>),
    /// A hard link to an entry before.
    HardLink(Vec<u8>),
    /// A symbolic link.
    SymbolicLink(Vec<u8>),
    /// A directory.
    Directory,
    /// A device or a FIFO.
    Special,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path, as the archive has it.
    pub name: Vec<u8>,
    /// What it is.
    pub content: Content,
}

/// What is wrong, and at which byte of the archive.
pub type Wrong = (usize, &'static str);

/// The entries of an archive.
pub struct Entries<'a> {
    archive: &'a [u8],
    at: usize,
}

/// What the headers before an entry say about it.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    len: Option<u64>,
    bytes: usize,
}

impl<'a> Entries<'a> {
    /// The entries of an archive.
    pub const fn new(archive: &'a [u8]) -> Self {
        Self { archive, at: 0 }
    }

    /// The next entry. `None` at the end of the archive.
    ///
    /// # Errors
    /// What is wrong with the archive. It cannot be read on.
    pub fn next(&mut self) -> Result<Option<Entry>, Wrong> {
        let mut extended = Extended::default();
        loop {
            let start = self.at;
            let wrong = |what| (start, what);
            let Some(header) = self.header()? else {
                let is_end = extended.bytes == 0;
                return if is_end {
                    Ok(None)
                } else {
                    Err(wrong("the archive ends before the entry of an extended header"))
                };
            };
            match header[156] {
                kind @ (b'x' | b'g' | b'L' | b'K') => {
                    let data = self.data(number(&header[124..136]).ok_or(wrong("a length is not a number"))?)?;
                    let data = self.archive.get(data).unwrap_or_default();
                    extended.bytes += BLOCK + data.len();
                    if extended.bytes > MAX_EXTENDED_BYTES {
                        return Err(wrong("an extended header is longer than 1 MiB"));
                    }
                    extended.add(kind, data).map_err(wrong)?;
                }
                kind => return self.entry(header, kind, extended).map(Some),
            }
        }
    }

    /// The next header, whose checksum is right. `None` at the end.
    fn header(&mut self) -> Result<Option<&'a [u8]>, Wrong> {
        let at = self.at;
        let block = |at: usize| self.archive.get(at..at + BLOCK);
        let is_zero = |block: &[u8]| block.iter().all(|byte| *byte == 0);
        let header = match block(at) {
            None if at == self.archive.len() => return Ok(None),
            None => return Err((at, "the archive is truncated")),
            Some(header) if is_zero(header) => {
                return match block(at + BLOCK) {
                    Some(next) if !is_zero(next) => Err((at, "a block of zeros is followed by something else")),
                    _ => Ok(None),
                };
            }
            Some(header) => header,
        };
        let sum: u64 = header
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
            .sum();
        if number(&header[148..156]) != Some(sum) {
            return Err((at, "the checksum of a header is wrong"));
        }
        self.at += BLOCK;
        Ok(Some(header))
    }

    /// The place of this many bytes, which are skipped.
    fn data(&mut self, len: u64) -> Result<Range<usize>, Wrong> {
        let truncated = (self.at, "the archive is truncated");
        let len = usize::try_from(len).map_err(|_| truncated)?;
        let end = self.at.checked_add(len).filter(|end| *end <= self.archive.len()).ok_or(truncated)?;
        let range = self.at..end;
        // The padding of the last entry may be missing with the end.
        self.at = end.next_multiple_of(BLOCK).min(self.archive.len());
        Ok(range)
    }

    fn entry(&mut self, header: &[u8], kind: u8, extended: Extended) -> Result<Entry, Wrong> {
        let start = self.at - BLOCK;
        let wrong = |what| (start, what);
        let name = extended.name.unwrap_or_else(|| name(header));
        let target = extended.target.unwrap_or_else(|| text(&header[157..257]).to_vec());
        if name.len().max(target.len()) > MAX_PATH_BYTES || [&name, &target].iter().any(|path| path.contains(&0)) {
            return Err(wrong("a path is longer than 4096 bytes or has a zero in it"));
        }
        let len = extended.len.or_else(|| number(&header[124..136])).ok_or(wrong("a length is not a number"))?;
        let content = match kind {
            // Before POSIX, a directory was a file whose name ends so.
            0 if name.ends_with(b"/") => Content::Directory,
            0 | b'0' | b'7' => Content::File(self.data(len)?),
            b'1' => Content::HardLink(target),
            b'2' => Content::SymbolicLink(target),
            b'3' | b'4' | b'6' => Content::Special,
            b'5' => Content::Directory,
            b'S' => return Err(wrong("sparse files are not supported")),
            _ => return Err(wrong("an entry is of an unknown kind")),
        };
        Ok(Entry { name, content })
    }
}

impl Extended {
    fn add(&mut self, kind: u8, data: &[u8]) -> Result<(), &'static str> {
        match kind {
            b'L' => self.name = Some(text(data).to_vec()),
            b'K' => self.target = Some(text(data).to_vec()),
            b'g' => {
                let mut others = Self::default();
                others.records(data)?;
                if others.name.is_some() || others.target.is_some() || others.len.is_some() {
                    return Err("a global header changes names or lengths");
                }
            }
            _ => self.records(data)?,
        }
        Ok(())
    }

    /// Records of the form `LENGTH KEY=VALUE` with a line break, where the length counts all of it.
    fn records(&mut self, mut data: &[u8]) -> Result<(), &'static str> {
        const MALFORMED: &str = "an extended header is malformed";
        while !data.is_empty() {
            let space = data.iter().take(20).position(|byte| *byte == b' ').ok_or(MALFORMED)?;
            let len = decimal(&data[..space]).and_then(|len| usize::try_from(len).ok()).ok_or(MALFORMED)?;
            let record = data.get(space + 1..len).and_then(|record| record.strip_suffix(b"\n")).ok_or(MALFORMED)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(MALFORMED)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            // An empty value is none.
            let given = (!value.is_empty()).then(|| value.to_vec());
            match key {
                b"path" => self.name = given,
                b"linkpath" => self.target = given,
                b"size" => self.len = given.map(|value| decimal(&value).ok_or(MALFORMED)).transpose()?,
                key if key.starts_with(b"GNU.sparse.") => return Err("sparse files are not supported"),
                _ => {}
            }
            data = &data[len..];
        }
        Ok(())
    }
}

/// The name in a header, with the prefix that POSIX has for long ones.
fn name(header: &[u8]) -> Vec<u8> {
    let (own, prefix) = (text(&header[..100]), text(&header[345..500]));
    // The prefix is something else in GNU's format, whose magic has a space.
    let has_prefix = &header[257..263] == b"ustar\0" && !prefix.is_empty();
    if has_prefix { [prefix, b"/", own].concat() } else { own.to_vec() }
}

/// A field up to its first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal digits, or in base 256 if the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((first @ 0x80..0xc0, rest)) = field.split_first() {
        return rest.iter().try_fold(u64::from(first & 0x3f), |number, byte| {
            number.checked_mul(256).map(|number| number | u64::from(*byte))
        });
    }
    let digits = text(field).trim_ascii();
    digits.iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'7' => number.checked_mul(8).map(|number| number | u64::from(digit - b'0')),
        _ => None,
    })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}
