//! Unpacks gzip, into memory and up to a limit.
//!
//! Own code instead of four crates: the tree of a release has a bound, and a layer is unpacked in a sealed process, whatever does it.
//! It is compared with the crate `flate2` in a test, and it checks the sums that every file carries.
//!
//! Source: RFC 1951 and RFC 1952.

use std::fmt;

/// Why bytes were not unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GzipError {
    /// They end too early.
    Truncated,
    /// They do not follow the format, for this reason.
    Format(&'static str),
    /// They unpack to more than the limit.
    Limit,
}

impl fmt::Display for GzipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("it ends too early"),
            Self::Format(what) => f.write_str(what),
            Self::Limit => f.write_str("it is too large"),
        }
    }
}

const INVALID_CODE: GzipError = GzipError::Format("it has an invalid code");

/// Unpacks all members of a gzip file to at most `most` bytes.
///
/// # Errors
/// [`GzipError`].
pub fn unpack(bytes: &[u8], most: usize) -> Result<Vec<u8>, GzipError> {
    let mut input = Bits { bytes, held: 0, count: 0 };
    let mut out = Vec::new();
    loop {
        skip_header(&mut input)?;
        let start = out.len();
        inflate(&mut input, &mut out, start, most)?;
        input.align();
        let member = out.get(start..).unwrap_or_default();
        let [sum, len] = [input.take(32)?, input.take(32)?];
        // The length is that of the format: modulo 2^32.
        if crc32(member) != sum || member.len() as u64 & 0xffff_ffff != u64::from(len) {
            return Err(GzipError::Format("its checksum is wrong"));
        }
        if input.is_empty() {
            return Ok(out);
        }
    }
}

fn skip_header(input: &mut Bits<'_>) -> Result<(), GzipError> {
    let [first, second, method, flags] = [input.byte()?, input.byte()?, input.byte()?, input.byte()?];
    if [first, second] != [0x1f, 0x8b] {
        return Err(GzipError::Format("it does not start as gzip does"));
    }
    if method != 8 || flags & 0xe0 != 0 {
        return Err(GzipError::Format("it has an unknown method or flag"));
    }
    // Time, level and system.
    for _ in 0..6 {
        input.byte()?;
    }
    if flags & 4 != 0 {
        let len = input.take(16)?;
        for _ in 0..len {
            input.byte()?;
        }
    }
    // A name and a comment, which end with a zero.
    for flag in [8, 16] {
        while flags & flag != 0 && input.byte()? != 0 {}
    }
    if flags & 2 != 0 {
        input.take(16)?;
    }
    Ok(())
}

fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            // Below 256.
            let mut sum = at as u32;
            let mut bit = 0;
            while bit < 8 {
                sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
                bit += 1;
            }
            table[at] = sum;
            at += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum, byte| TABLE[((sum ^ u32::from(*byte)) & 0xff) as usize] ^ (sum >> 8))
}

/// Bits of the input, the lowest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    held: u64,
    count: u32,
}

impl Bits<'_> {
    /// Holds at least 32 bits, if the input has them.
    fn fill(&mut self) {
        while self.count <= 32
            && let Some((byte, rest)) = self.bytes.split_first()
        {
            self.held |= u64::from(*byte) << self.count;
            self.count += 8;
            self.bytes = rest;
        }
    }

    /// The next bits: at most 32.
    fn take(&mut self, count: u32) -> Result<u32, GzipError> {
        self.fill();
        let value = self.held & ((1 << count) - 1);
        self.skip(count)?;
        u32::try_from(value).map_err(|_| INVALID_CODE)
    }

    fn skip(&mut self, count: u32) -> Result<(), GzipError> {
        self.count = self.count.checked_sub(count).ok_or(GzipError::Truncated)?;
        self.held >>= count;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, GzipError> {
        self.take(8).map(|byte| byte.to_le_bytes()[0])
    }

    /// Drops the rest of a byte.
    fn align(&mut self) {
        self.held >>= self.count % 8;
        self.count -= self.count % 8;
    }

    fn is_empty(&self) -> bool {
        self.count == 0 && self.bytes.is_empty()
    }
}

/// Longest code in bits.
const LONGEST: usize = 15;
/// Codes of up to this many bits are found at once.
const SHORT: u32 = 10;

/// A canonical Huffman code.
struct Code {
    /// By the next bits: symbol and length, or zero for codes that are longer.
    short: Vec<u16>,
    /// How many codes have each length.
    counts: [u16; LONGEST + 1],
    /// The symbols, sorted by their codes.
    symbols: Vec<u16>,
}

impl Code {
    /// The code with these lengths. It may be incomplete, as a distance code with one symbol is, but not more than complete.
    fn new(lengths: &[u8]) -> Result<Self, GzipError> {
        let mut counts = [0_u16; LONGEST + 1];
        for length in lengths {
            counts[usize::from(*length)] += 1;
        }
        counts[0] = 0;
        let mut left = 1_i32;
        let mut starts = [0_u16; LONGEST + 2];
        let mut codes = [0_u16; LONGEST + 2];
        for length in 1..=LONGEST {
            left = (left << 1) - i32::from(counts[length]);
            if left < 0 {
                return Err(GzipError::Format("it has an impossible code"));
            }
            starts[length + 1] = starts[length] + counts[length];
            codes[length + 1] = (codes[length] + counts[length]) << 1;
        }
        let mut symbols = vec![0; lengths.len()];
        let mut short = vec![0; 1 << SHORT];
        for (symbol, length) in (0_u16..).zip(lengths).filter(|(_, length)| **length > 0) {
            let length = usize::from(*length);
            symbols[usize::from(starts[length])] = symbol;
            starts[length] += 1;
            let code = codes[length];
            codes[length] += 1;
            if length <= SHORT as usize {
                // The first bit of a code is the lowest that is held.
                let first = usize::from(code.reverse_bits() >> (16 - length));
                for at in (first..1 << SHORT).step_by(1 << length) {
                    short[at] = symbol << 4 | length as u16;
                }
            }
        }
        Ok(Self { short, counts, symbols })
    }

    fn next(&self, input: &mut Bits<'_>) -> Result<u16, GzipError> {
        input.fill();
        let entry = self.short[(input.held & ((1 << SHORT) - 1)) as usize];
        if entry != 0 {
            input.skip(u32::from(entry & 15))?;
            return Ok(entry >> 4);
        }
        let (mut code, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for length in 1..=LONGEST {
            code = code << 1 | (input.held >> (length - 1) & 1) as u32;
            let count = u32::from(self.counts[length]);
            if code < first + count {
                input.skip(length as u32)?;
                return self.symbols.get((index + code - first) as usize).copied().ok_or(INVALID_CODE);
            }
            index += count;
            first = (first + count) << 1;
        }
        // Where the input ends, zeros are held.
        Err(if input.count < LONGEST as u32 { GzipError::Truncated } else { INVALID_CODE })
    }
}

/// Least length and further bits of the symbols from 257 on.
const LENGTHS: [(u16, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// Least distance and further bits of each symbol.
const DISTANCES: [(u16, u32); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];

/// The order in which a block gives the lengths of the code for lengths.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Unpacks the blocks of one member, which starts at `start`.
fn inflate(input: &mut Bits<'_>, out: &mut Vec<u8>, start: usize, most: usize) -> Result<(), GzipError> {
    loop {
        let is_last = input.take(1)? == 1;
        match input.take(2)? {
            0 => stored(input, out, most)?,
            1 => {
                let [literals, distances] = fixed()?;
                compressed(input, out, start, most, &literals, &distances)?;
            }
            2 => {
                let [literals, distances] = dynamic(input)?;
                compressed(input, out, start, most, &literals, &distances)?;
            }
            _ => return Err(GzipError::Format("it has a block of no known kind")),
        }
        if is_last {
            return Ok(());
        }
    }
}

fn stored(input: &mut Bits<'_>, out: &mut Vec<u8>, most: usize) -> Result<(), GzipError> {
    input.align();
    let [len, inverse] = [input.take(16)?, input.take(16)?];
    if len != inverse ^ 0xffff {
        return Err(GzipError::Format("the length of a block is wrong"));
    }
    if most - out.len() < len as usize {
        return Err(GzipError::Limit);
    }
    for _ in 0..len {
        out.push(input.byte()?);
    }
    Ok(())
}

fn fixed() -> Result<[Code; 2], GzipError> {
    let literals: Vec<u8> = [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat();
    Ok([Code::new(&literals)?, Code::new(&[5; 30])?])
}

fn dynamic(input: &mut Bits<'_>) -> Result<[Code; 2], GzipError> {
    let literals = input.take(5)? as usize + 257;
    let distances = input.take(5)? as usize + 1;
    let count = input.take(4)? as usize + 4;
    if literals > 286 || distances > 30 {
        return Err(GzipError::Format("a block has too many codes"));
    }
    let mut lengths = [0; 19];
    for at in ORDER.iter().take(count) {
        lengths[*at] = input.take(3)?.to_le_bytes()[0];
    }
    let code = Code::new(&lengths)?;
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (value, times) = match code.next(input)? {
            16 => (*lengths.last().ok_or(INVALID_CODE)?, input.take(2)? + 3),
            17 => (0, input.take(3)? + 3),
            18 => (0, input.take(7)? + 11),
            length => (length.to_le_bytes()[0], 1),
        };
        lengths.extend(std::iter::repeat_n(value, times as usize));
    }
    if lengths.len() > literals + distances || lengths[256] == 0 {
        return Err(GzipError::Format("the codes of a block are wrong"));
    }
    Ok([Code::new(&lengths[..literals])?, Code::new(&lengths[literals..])?])
}

fn compressed(
    input: &mut Bits<'_>,
    out: &mut Vec<u8>,
    start: usize,
    most: usize,
    literals: &Code,
    distances: &Code,
) -> Result<(), GzipError> {
    loop {
        let symbol = literals.next(input)?;
        if let Ok(byte) = u8::try_from(symbol) {
            if out.len() == most {
                return Err(GzipError::Limit);
            }
            out.push(byte);
            continue;
        }
        if symbol == 256 {
            return Ok(());
        }
        let (least, bits) = LENGTHS.get(usize::from(symbol) - 257).ok_or(INVALID_CODE)?;
        let len = usize::from(*least) + input.take(*bits)? as usize;
        let symbol = distances.next(input)?;
        let (least, bits) = DISTANCES.get(usize::from(symbol)).ok_or(INVALID_CODE)?;
        let distance = usize::from(*least) + input.take(*bits)? as usize;
        copy(out, start, most, len, distance)?;
    }
}

/// Repeats `len` bytes from `distance` before the end. They may overlap with what they make.
fn copy(out: &mut Vec<u8>, start: usize, most: usize, len: usize, distance: usize) -> Result<(), GzipError> {
    if distance > out.len() - start {
        return Err(GzipError::Format("it repeats what was before its start"));
    }
    if most - out.len() < len {
        return Err(GzipError::Limit);
    }
    let from = out.len() - distance;
    let mut left = len;
    while left > 0 {
        // What was copied is copied on, since it goes on with the same bytes.
        let count = left.min(out.len() - from);
        out.extend_from_within(from..from + count);
        left -= count;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::{GzEncoder, MultiGzDecoder};
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;
    use std::io::Read;

    fn pack(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut packed = Vec::new();
        GzEncoder::new(bytes, Compression::new(level)).read_to_end(&mut packed).expect("memory");
        packed
    }

    #[test]
    fn what_another_implementation_packs_is_unpacked() {
        let text = include_bytes!("gzip.rs");
        let noise: Vec<u8> = (0..200_000_u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        for bytes in [&b""[..], b"a", &[0; 100_000], text, &noise] {
            for level in [0, 1, 6, 9] {
                let packed = pack(bytes, level);
                assert!(unpack(&packed, bytes.len()).expect("gzip") == bytes, "{} at {level}", bytes.len());
                let less = bytes.len().checked_sub(1);
                assert_eq!(less.map(|less| unpack(&packed, less)), less.map(|_| Err(GzipError::Limit)));
            }
        }
    }

    #[test]
    fn members_follow_each_other_and_headers_have_every_part() {
        let mut named = Vec::new();
        let builder = GzBuilder::new().filename("a name").comment("words").extra(vec![1; 300]);
        builder.read(&b"two"[..], Compression::fast()).read_to_end(&mut named).expect("memory");
        let both = [pack(b"one ", 6), named].concat();
        assert_eq!(unpack(&both, 100).expect("gzip"), b"one two");
        assert_eq!(unpack(&[&both[..], b"\0"].concat(), 100), Err(GzipError::Truncated));
        let not_gzip = GzipError::Format("it does not start as gzip does");
        assert_eq!(unpack(&[&both[..], &[0; 512]].concat(), 100), Err(not_gzip));
    }

    #[test]
    fn every_truncation_and_every_wrong_sum_is_refused() {
        let packed = pack(&include_bytes!("gzip.rs")[..3000], 9);
        for len in 0..packed.len() {
            assert_eq!(unpack(&packed[..len], 1 << 20), Err(GzipError::Truncated), "{len}");
        }
        for at in packed.len() - 8..packed.len() {
            let mut wrong = packed.clone();
            wrong[at] ^= 1;
            assert_eq!(unpack(&wrong, 1 << 20), Err(GzipError::Format("its checksum is wrong")), "{at}");
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics_and_never_gives_other_bytes(
            bytes in prop::collection::vec(0_u8..4, 0..3000),
            level in 0_u32..10,
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 0..4),
        ) {
            let mut packed = pack(&bytes, level);
            for (at, bit) in flips {
                let at = at.index(packed.len());
                packed[at] ^= 1 << bit;
            }
            let mut other = Vec::new();
            let by_other = MultiGzDecoder::new(&packed[..]).take(10_000).read_to_end(&mut other);
            match unpack(&packed, 10_000) {
                Ok(ours) => prop_assert!(by_other.is_ok() && ours == other),
                Err(GzipError::Limit) => prop_assert!(by_other.is_err() || other.len() == 10_000),
                Err(_) => prop_assert!(by_other.is_err() || packed[3] & 0xe0 != 0 || packed[3] & 2 != 0),
            }
        }

        #[test]
        fn any_bytes_as_blocks_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let packed = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0][..], &bytes].concat();
            prop_assert!(unpack(&packed, 1 << 16).is_err());
        }
    }
}
