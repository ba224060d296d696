//! Unpacks gzip, into memory and up to a limit.
//!
//! Own code instead of four crates: the tree of a release has a bound, and a layer is unpacked in a sealed process, whatever does it.
//! It is compared with the crate `flate2` in a test, and it checks the sums that every file carries.
//!
//! Source: RFC 1952.

use crate::inflate::{Bits, inflate};
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

/// Unpacks all members of a gzip file to at most `most` bytes.
///
/// # Errors
/// [`GzipError`].
pub fn unpack(bytes: &[u8], most: usize) -> Result<Vec<u8>, GzipError> {
    let mut input = Bits::new(bytes);
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
        let mut byte = 0_u32;
        while byte < 256 {
            let mut sum = byte;
            let mut bit = 0;
            while bit < 8 {
                sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
                bit += 1;
            }
            table[byte as usize] = sum;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum, byte| TABLE[((sum ^ u32::from(*byte)) & 0xff) as usize] ^ (sum >> 8))
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
