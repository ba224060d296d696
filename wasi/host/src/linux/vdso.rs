//! Where functions lie in the vDSO: the image of a library that the kernel maps into each process.
//!
//! What is not as expected is not there, and the caller makes a system call. No number of the image leads outside of it.
//!
//! Source: vdso(7), elf(5), `arch/x86/entry/vdso/vdso-layout.lds.S`: the table of names follows the one of symbols.

use std::ffi::CStr;

/// The image has a whole page, in which its headers lie.
pub(super) const PAGE_BYTES: usize = 4096;

/// The largest image that is believed. That of Linux 6.18 has 5.4 KiB.
const MAX_BYTES: usize = 64 * 1024;

/// The class of 64 bits, little endian, version 1.
const IDENTITY: &[u8] = b"\x7fELF\x02\x01\x01";

const SEGMENT_BYTES: usize = 56;
const LOAD: usize = 1;
const DYNAMIC: usize = 2;

const TAG_BYTES: usize = 16;
const NAMES: usize = 5;
const SYMBOLS: usize = 6;

const SYMBOL_BYTES: usize = 24;
const FUNCTION: usize = 2;
const UNDEFINED: usize = 0;

/// The length of the image, by the headers in its first page: that of the one segment, which begins with the image.
pub(super) fn len_bytes(page: &[u8]) -> Option<usize> {
    let mut loads = segments(page)?.filter(|segment| segment.kind == Some(LOAD));
    let (load, None) = (loads.next()?, loads.next()) else { return None };
    let len = load.len?;
    (load.offset == Some(0) && load.address == Some(0) && (PAGE_BYTES..=MAX_BYTES).contains(&len)).then_some(len)
}

/// The offset of a function in the image. `None` if there is none of this name, or more than one.
pub(super) fn function(image: &[u8], name: &CStr) -> Option<usize> {
    let dynamic = segments(image)?.find(|segment| segment.kind == Some(DYNAMIC))?;
    let tags = image.get(dynamic.offset?..)?.get(..dynamic.len?)?;
    let value = |tag| {
        let tag = tags.chunks_exact(TAG_BYTES).find(|chunk| number::<8>(chunk, 0) == Some(tag))?;
        number::<8>(tag, 8)
    };
    let (symbols, names) = (value(SYMBOLS)?, value(NAMES)?);
    let mut offsets = image.get(symbols..names)?.chunks_exact(SYMBOL_BYTES).filter_map(|symbol| {
        let at = names.checked_add(number::<4>(symbol, 0)?)?;
        let is_function = number::<1>(symbol, 4)? & 0xf == FUNCTION && number::<2>(symbol, 6)? != UNDEFINED;
        let offset = number::<8>(symbol, 8)?;
        let is_inside = offset.checked_add(number::<8>(symbol, 16)?)? <= image.len();
        (image.get(at..)?.starts_with(name.to_bytes_with_nul()) && is_function && is_inside).then_some(offset)
    });
    let (offset, None) = (offsets.next()?, offsets.next()) else { return None };
    Some(offset)
}

/// A program header.
struct Segment {
    kind: Option<usize>,
    offset: Option<usize>,
    address: Option<usize>,
    /// Its length in the file, which is mapped as it is.
    len: Option<usize>,
}

fn segments(image: &[u8]) -> Option<impl Iterator<Item = Segment>> {
    let (at, size, count) = (number::<8>(image, 32)?, number::<2>(image, 54)?, number::<2>(image, 56)?);
    if !image.starts_with(IDENTITY) || size != SEGMENT_BYTES {
        return None;
    }
    let headers = image.get(at..)?.get(..count.checked_mul(SEGMENT_BYTES)?)?;
    Some(headers.chunks_exact(SEGMENT_BYTES).map(|header| Segment {
        kind: number::<4>(header, 0),
        offset: number::<8>(header, 8),
        address: number::<8>(header, 16),
        len: number::<8>(header, 32),
    }))
}

/// A little-endian number of `N` bytes.
fn number<const N: usize>(from: &[u8], at: usize) -> Option<usize> {
    let mut bytes = [0; size_of::<usize>()];
    bytes.get_mut(..N)?.copy_from_slice(from.get(at..)?.get(..N)?);
    Some(usize::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHDRS: usize = 64;
    const TAGS: usize = 256;
    const TABLE: usize = 512;
    const STRINGS: usize = TABLE + 3 * SYMBOL_BYTES;
    const WANTED: &CStr = c"wanted";

    /// An image with two segments, and with two functions and a version among its symbols.
    fn image() -> Vec<u8> {
        let mut image = vec![0; PAGE_BYTES];
        image[..IDENTITY.len()].copy_from_slice(IDENTITY);
        put(&mut image, 32, PHDRS, 8);
        put(&mut image, 54, SEGMENT_BYTES, 2);
        put(&mut image, 56, 2, 2);
        for (at, kind, offset, len) in [(PHDRS, LOAD, 0, PAGE_BYTES), (PHDRS + SEGMENT_BYTES, DYNAMIC, TAGS, 48)] {
            put(&mut image, at, kind, 4);
            put(&mut image, at + 8, offset, 8);
            put(&mut image, at + 16, offset, 8);
            put(&mut image, at + 32, len, 8);
        }
        for (at, tag, value) in [(0, NAMES, STRINGS), (16, SYMBOLS, TABLE)] {
            put(&mut image, TAGS + at, tag, 8);
            put(&mut image, TAGS + at + 8, value, 8);
        }
        for (at, (name, info, offset)) in [(1, 0x11, 0), (8, 0x12, 2000), (15, 0x22, 3000)].into_iter().enumerate() {
            let at = TABLE + at * SYMBOL_BYTES;
            put(&mut image, at, name, 4);
            put(&mut image, at + 4, info, 1);
            put(&mut image, at + 6, 12, 2);
            put(&mut image, at + 8, offset, 8);
            put(&mut image, at + 16, 100, 8);
        }
        image[STRINGS..STRINGS + 23].copy_from_slice(b"\0object\0wanted\0another\0");
        image
    }

    fn put(image: &mut [u8], at: usize, value: usize, bytes: usize) {
        image[at..at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
    }

    #[test]
    fn functions_are_found_by_their_whole_name() {
        let image = image();
        assert_eq!(len_bytes(&image), Some(PAGE_BYTES));
        let found = [c"wanted", c"another", c"object", c"want", c"wanted2", c""].map(|name| function(&image, name));
        assert_eq!(found, [Some(2000), Some(3000), None, None, None, None]);
    }

    /// A place, its number there, and another one with which the function, or the length of the image, is not found.
    #[test]
    fn t116_what_is_not_as_expected_is_not_there() {
        let symbol = TABLE + SYMBOL_BYTES;
        for (at, bytes, right, wrong) in [
            (4, 1, 2, 1),
            (5, 1, 1, 2),
            (32, 8, PHDRS, PAGE_BYTES),
            (32, 8, PHDRS, usize::MAX),
            (54, 2, SEGMENT_BYTES, 55),
            (56, 2, 2, 1),
            (56, 2, 2, 0xffff),
            (PHDRS + SEGMENT_BYTES + 8, 8, TAGS, PAGE_BYTES),
            (PHDRS + SEGMENT_BYTES + 8, 8, TAGS, usize::MAX),
            (PHDRS + SEGMENT_BYTES + 32, 8, 48, PAGE_BYTES),
            (TAGS + 8, 8, STRINGS, TABLE),
            (TAGS + 8, 8, STRINGS, PAGE_BYTES + 1),
            (TAGS + 24, 8, TABLE, PAGE_BYTES),
            (symbol, 4, 8, 0xffff_ffff),
            (symbol + 4, 1, 0x12, 0x11),
            (symbol + 6, 2, 12, UNDEFINED),
            (symbol + 8, 8, 2000, PAGE_BYTES - 99),
            (symbol + 8, 8, 2000, usize::MAX),
            (symbol + 16, 8, 100, usize::MAX),
            // Of the same name as another one.
            (symbol + SYMBOL_BYTES, 4, 15, 8),
        ] {
            let mut image = image();
            let mut before = [0; 8];
            before[..bytes].copy_from_slice(&image[at..at + bytes]);
            assert_eq!(usize::from_le_bytes(before), right, "{at}");
            assert_eq!(function(&image, WANTED), Some(2000));
            put(&mut image, at, wrong, bytes);
            assert_eq!(function(&image, WANTED), None, "{wrong:#x} at {at}");
        }
        for (at, wrong) in [(8, 1), (16, PAGE_BYTES), (32, PAGE_BYTES - 1), (32, MAX_BYTES + 1), (32, usize::MAX)] {
            let mut image = image();
            put(&mut image, PHDRS + at, wrong, 8);
            assert_eq!(len_bytes(&image), None, "{wrong:#x} at {at}");
        }
        let mut two = image();
        put(&mut two, PHDRS + SEGMENT_BYTES, LOAD, 4);
        assert_eq!(len_bytes(&two), None);
    }

    #[test]
    fn t116_no_byte_leads_out_of_the_image() {
        let image = image();
        for len in 0..image.len() {
            let found = function(&image[..len], WANTED);
            assert!(found.is_none_or(|offset| offset + 100 <= len), "{len}");
        }
        for at in 0..STRINGS + 32 {
            for bits in [0x01, 0x80, 0xff] {
                let mut image = image.clone();
                image[at] ^= bits;
                assert!(len_bytes(&image).is_none_or(|len| (PAGE_BYTES..=MAX_BYTES).contains(&len)));
                assert!(function(&image, WANTED).is_none_or(|offset| offset < image.len()), "{bits:#x} at {at}");
            }
        }
    }
}
