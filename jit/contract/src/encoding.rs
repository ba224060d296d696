//! Declarations and code as bytes, between processes.
//!
//! Small values are encoded with [`postcard`] after a length. The columns of a [`CodeImage`] are plain arrays after a
//! header with their lengths, because large modules have tens of megabytes. Reading does not check consistency:
//! [`ModuleInfo::check`](crate::module::ModuleInfo::check) and [`CodeImage::check`] do that. Every length is checked
//! against a limit before memory is allocated for it.

use crate::context::Addressing;
use crate::image::{CodeImage, CodeRange, EntryThunk};
use crate::offsets::{OffsetTable, OffsetValue};
use crate::types::SignatureId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};

/// Bytes converted at a time, few enough to stay in the cache.
const BLOCK_BYTES: usize = 1 << 15;

/// Maximum bytes of an image's processor description.
const MAX_PROCESSOR_BYTES: u64 = 1 << 12;

/// Columns of an image: text, functions, entries, index and entries of traps, the same of sources, processor.
const COLUMNS: usize = 8;

/// How large an image may be.
#[derive(Clone, Copy, Debug)]
pub struct ImageBounds {
    /// Number of its functions, if that is known.
    pub functions: Option<usize>,
    /// Maximum number of signatures that it has entries for.
    pub signatures: usize,
    /// Maximum bytes in all.
    pub bytes: u64,
}

/// Writes the length of a value and the value.
///
/// # Errors
/// Errors of `to`.
pub fn write_value(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let bytes = postcard::to_allocvec(value).map_err(malformed)?;
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(&bytes)
}

/// Reads what [`write_value`] wrote, if it has at most `max_bytes`.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if it is longer or not such a value; errors of `from`.
pub fn read_value<T: DeserializeOwned>(from: &mut impl Read, max_bytes: u64) -> io::Result<T> {
    let [len] = read_lengths(from)?;
    if len > max_bytes {
        return Err(invalid("a value is too long"));
    }
    let bytes = read_bytes(from, len)?;
    match postcard::take_from_bytes(&bytes).map_err(malformed)? {
        (value, []) => Ok(value),
        _ => Err(invalid("something follows a value")),
    }
}

/// Writes an image without its addressing, which the reader knows.
///
/// # Errors
/// Errors of `to`.
pub fn write_image(to: &mut impl Write, image: &CodeImage) -> io::Result<()> {
    write_tables(to, image)?;
    to.write_all(&image.text)
}

/// Writes an image without its text and its addressing.
///
/// # Errors
/// Errors of `to`.
pub fn write_tables(to: &mut impl Write, image: &CodeImage) -> io::Result<()> {
    let CodeImage { addressing: _, text, functions, entries, traps, sources, processor } = image;
    let tables = [traps.parts(), sources.parts()];
    let [traps, sources] = tables.map(|(index, entries)| [index.len(), entries.len()]);
    let sizes = [text.len(), functions.len(), entries.len()];
    let lengths = sizes.into_iter().chain(traps).chain(sources).chain([processor.len()]);
    let header: Vec<u8> = lengths.flat_map(|len| (len as u64).to_le_bytes()).collect();
    to.write_all(&header)?;
    write_words(to, functions.iter().flat_map(|code| [code.start, code.len]))?;
    write_words(to, entries.iter().flat_map(|entry| [entry.signature.0, entry.code.start, entry.code.len]))?;
    for (index, entries) in tables {
        to.write_all(index)?;
        to.write_all(entries)?;
    }
    to.write_all(processor.as_bytes())
}

/// Reads what [`write_image`] wrote. The code was compiled for `addressing`.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if it exceeds its bounds or is not an image; errors of `from`.
pub fn read_image(from: &mut impl Read, addressing: Addressing, bounds: &ImageBounds) -> io::Result<CodeImage> {
    let (mut image, text) = read_tables(from, addressing, bounds)?;
    image.text = read_bytes(from, text)?;
    Ok(image)
}

/// Reads what [`write_tables`] wrote: an image without its text, and the length of the text.
///
/// # Errors
/// As [`read_image`].
pub fn read_tables(from: &mut impl Read, addressing: Addressing, bounds: &ImageBounds) -> io::Result<(CodeImage, u64)> {
    let lengths: [u64; COLUMNS] = read_lengths(from)?;
    let [text, functions, entries, trap_index, traps, source_index, sources, processor] = lengths;
    let sizes = lengths.into_iter().zip([1, 8, 12, 1, 1, 1, 1, 1]);
    let total = sizes.map(|(len, size)| len.checked_mul(size)).try_fold(0_u64, |sum, part| sum.checked_add(part?));
    if total.is_none_or(|total| total > bounds.bytes) || processor > MAX_PROCESSOR_BYTES {
        return Err(invalid("an image is too large"));
    }
    // No table has more entries than the text has offsets. An entry takes at most this many bytes.
    let is_table = |index, entries| index <= 12 * text && entries <= 10 * text;
    if bounds.functions.is_some_and(|known| functions != known as u64)
        || functions > text
        || entries > bounds.signatures as u64
        || text > u64::from(u32::MAX)
        || !is_table(trap_index, traps)
        || !is_table(source_index, sources)
    {
        return Err(invalid("an image has lengths that cannot be"));
    }
    let functions = read_words(from, functions, |&[start, len]| CodeRange { start, len })?;
    let entries = read_words(from, entries, |&[signature, start, len]| EntryThunk {
        signature: SignatureId(signature),
        code: CodeRange { start, len },
    })?;
    let traps = read_table(from, trap_index, traps)?;
    let sources = read_table(from, source_index, sources)?;
    let processor = String::from_utf8(read_bytes(from, processor)?).map_err(|_| invalid("a text is no UTF-8"))?;
    Ok((CodeImage { addressing, text: Vec::new(), functions, entries, traps, sources, processor }, text))
}

fn malformed(error: postcard::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn read_lengths<const N: usize>(from: &mut impl Read) -> io::Result<[u64; N]> {
    let mut lengths = [0; N];
    for len in &mut lengths {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes)?;
        *len = u64::from_le_bytes(bytes);
    }
    Ok(lengths)
}

/// Reads `count` bytes; the caller has checked the number.
fn read_bytes(from: &mut impl Read, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(len).map_err(|_| invalid("a length is too large"))?);
    // Appends without zeroing the bytes first.
    if from.take(len).read_to_end(&mut bytes)? as u64 == len {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn read_table<V: OffsetValue>(from: &mut impl Read, index: u64, entries: u64) -> io::Result<OffsetTable<V>> {
    Ok(OffsetTable::from_parts(read_bytes(from, index)?, read_bytes(from, entries)?))
}

fn write_words(to: &mut impl Write, words: impl Iterator<Item = u32>) -> io::Result<()> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    for word in words {
        block.extend_from_slice(&word.to_le_bytes());
        if block.len() >= BLOCK_BYTES - 3 {
            to.write_all(&block)?;
            block.clear();
        }
    }
    to.write_all(&block)
}

/// Reads `count` items of `N` words each; the caller has checked the number.
fn read_words<const N: usize, T>(
    from: &mut impl Read,
    count: u64,
    item: impl Fn(&[u32; N]) -> T,
) -> io::Result<Vec<T>> {
    let count = usize::try_from(count).map_err(|_| invalid("a length is too large"))?;
    let mut items = Vec::with_capacity(count);
    let per_block = BLOCK_BYTES / (4 * N);
    let mut block = vec![0; per_block.min(count) * 4 * N];
    while items.len() < count {
        let bytes = &mut block[..per_block.min(count - items.len()) * 4 * N];
        from.read_exact(bytes)?;
        let (words, _) = bytes.as_chunks::<4>();
        let (groups, _) = words.as_chunks::<N>();
        items.extend(groups.iter().map(|group| item(&group.map(u32::from_le_bytes))));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Functions of the image: fewer under Miri, which takes a thousand times as long.
    const FUNCTIONS: u32 = if cfg!(miri) { 100 } else { 10_000 };

    fn image() -> CodeImage {
        let mut image = CodeImage {
            addressing: Addressing::Arg,
            text: (0..FUNCTIONS * 10).map(|n| n.to_le_bytes()[0]).collect(),
            functions: (0..FUNCTIONS).map(|n| CodeRange { start: n * 10, len: 10 }).collect(),
            entries: vec![EntryThunk { signature: SignatureId(7), code: CodeRange { start: 5, len: 6 } }],
            traps: OffsetTable::default(),
            sources: OffsetTable::default(),
            processor: "x86_64 has_avx".to_owned(),
        };
        (0..FUNCTIONS * 2).for_each(|n| image.traps.push(n * 3, 251));
        (0..FUNCTIONS - 1).for_each(|n| image.sources.push(n * 5, n));
        image
    }

    const BOUNDS: ImageBounds = ImageBounds { functions: Some(FUNCTIONS as usize), signatures: 1, bytes: 1 << 20 };

    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        write_image(&mut bytes, &image()).expect("memory takes all");
        bytes
    }

    #[test]
    fn an_image_reads_back_as_it_was() {
        let bytes = bytes();
        let mut rest = &bytes[..];
        let read = read_image(&mut rest, Addressing::Arg, &BOUNDS).expect("an image");
        assert!(rest.is_empty());
        assert_eq!(format!("{read:?}"), format!("{:?}", image()));
    }

    #[test]
    fn a_truncated_image_is_no_image() {
        let bytes = bytes();
        for len in (0..100).chain((100..bytes.len()).step_by(997)) {
            let error = read_image(&mut &bytes[..len], Addressing::Arg, &BOUNDS).expect_err("too short");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{len}");
        }
    }

    #[test]
    fn lengths_are_checked_before_memory_is_taken() {
        let refused = |bounds: ImageBounds, bytes: &[u8]| {
            let error = read_image(&mut &bytes[..], Addressing::Arg, &bounds).expect_err("out of bounds");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        };
        let bytes = bytes();
        refused(ImageBounds { bytes: u64::from(FUNCTIONS) * 10, ..BOUNDS }, &bytes);
        refused(ImageBounds { functions: Some(FUNCTIONS as usize - 1), ..BOUNDS }, &bytes);
        refused(ImageBounds { signatures: 0, ..BOUNDS }, &bytes);
        for column in 0..COLUMNS {
            let mut bytes = bytes.clone();
            bytes[column * 8..][..8].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
            refused(ImageBounds { bytes: u64::MAX, ..BOUNDS }, &bytes);
        }
    }

    #[test]
    fn a_value_has_exactly_its_length() {
        let mut bytes = Vec::new();
        write_value(&mut bytes, &("name", 5_u32)).expect("memory takes all");
        let read = |bytes: &[u8], max| read_value::<(String, u32)>(&mut &bytes[..], max);
        assert_eq!(read(&bytes, 6).expect("a value"), ("name".to_owned(), 5));
        assert_eq!(read(&bytes, 5).expect_err("too long").kind(), io::ErrorKind::InvalidData);
        assert_eq!(read(&bytes[..9], 6).expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
        bytes[0] += 1;
        bytes.push(0);
        assert_eq!(read(&bytes, 7).expect_err("more").kind(), io::ErrorKind::InvalidData);
    }
}
