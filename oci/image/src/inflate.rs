//! Unpacks deflated data, a block after the other. The output so far is the window.
//!
//! Source: RFC 1951.

use crate::gzip::GzipError;

const INVALID_CODE: GzipError = GzipError::Format("it has an invalid code");

/// Bits of the input, the lowest of each byte first.
pub struct Bits<'a> {
    bytes: &'a [u8],
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, held: 0, count: 0 }
    }

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
    pub fn take(&mut self, count: u32) -> Result<u32, GzipError> {
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

    pub fn byte(&mut self) -> Result<u8, GzipError> {
        self.take(8).map(|byte| byte.to_le_bytes()[0])
    }

    /// Drops the rest of a byte.
    pub fn align(&mut self) {
        self.held >>= self.count % 8;
        self.count -= self.count % 8;
    }

    pub fn is_empty(&self) -> bool {
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
        for (symbol, bits) in (0_u16..).zip(lengths).filter(|(_, bits)| **bits > 0) {
            let length = usize::from(*bits);
            symbols[usize::from(starts[length])] = symbol;
            starts[length] += 1;
            let code = codes[length];
            codes[length] += 1;
            if u32::from(*bits) <= SHORT {
                // The first bit of a code is the lowest that is held.
                let first = usize::from(code.reverse_bits() >> (16 - bits));
                for at in (first..1 << SHORT).step_by(1 << length) {
                    short[at] = symbol << 4 | u16::from(*bits);
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
        for (length, count) in (1_u32..).zip(&self.counts[1..]) {
            code = code << 1 | u32::from(input.held >> (length - 1) & 1 == 1);
            let count = u32::from(*count);
            if code < first + count {
                input.skip(length)?;
                return self.symbols.get((index + code - first) as usize).copied().ok_or(INVALID_CODE);
            }
            index += count;
            first = (first + count) << 1;
        }
        // Where the input ends, zeros are held.
        Err(if (input.count as usize) < LONGEST { GzipError::Truncated } else { INVALID_CODE })
    }
}

/// The least length and the number of further bits of each symbol from 257 on.
const LENGTHS: [u16; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS: [u32; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// The least distance and the number of further bits of each symbol.
const DISTANCES: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
    8193, 12289, 16385, 24577,
];
const DISTANCE_BITS: [u32; 30] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];

/// The order in which a block gives the lengths of the code for lengths.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Unpacks the blocks of one member, which starts at `start`.
pub fn inflate(input: &mut Bits<'_>, out: &mut Vec<u8>, start: usize, most: usize) -> Result<(), GzipError> {
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
        let len = value(input, usize::from(symbol) - 257, &LENGTHS, &LENGTH_BITS)?;
        let symbol = distances.next(input)?;
        let distance = value(input, usize::from(symbol), &DISTANCES, &DISTANCE_BITS)?;
        copy(out, start, most, len, distance)?;
    }
}

/// The length or distance of a symbol, with its further bits.
fn value(input: &mut Bits<'_>, symbol: usize, least: &[u16], bits: &[u32]) -> Result<usize, GzipError> {
    let (least, bits) = least.get(symbol).zip(bits.get(symbol)).ok_or(INVALID_CODE)?;
    Ok(usize::from(*least) + input.take(*bits)? as usize)
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
