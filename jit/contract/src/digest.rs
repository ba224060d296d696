//! A BLAKE3 hash of large data, computed by several threads.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes hashed at a time, few enough to stay in the cache of a core.
pub const PART_BYTES: u64 = 1 << 18;

/// More than hashing a part needs. A constant, so that the environment (`RUST_MIN_STACK`) does not matter.
const STACK_BYTES: usize = 1 << 20;

/// A 256-bit digest.
pub type Digest = [u8; 32];

/// The hash of the length and of the hashes of all parts. The same for any number of threads.
#[must_use]
pub fn digest(bytes: &[u8], threads: usize) -> Digest {
    let parts: Vec<&[u8]> = bytes.chunks(usize::try_from(PART_BYTES).unwrap_or(usize::MAX)).collect();
    let hash = |number: u64, _: &mut Vec<u8>| {
        let part = usize::try_from(number).ok().and_then(|number| parts.get(number)).copied();
        Ok(*blake3::hash(part.unwrap_or_default()).as_bytes())
    };
    combine(bytes.len() as u64, threads, hash).unwrap_or_default()
}

/// As [`digest`], for data that `read` provides: it fills a buffer from an offset on.
///
/// # Errors
/// Errors of `read`.
pub fn digest_read(
    len: u64,
    threads: usize,
    read: impl Fn(u64, &mut [u8]) -> io::Result<()> + Sync,
) -> io::Result<Digest> {
    combine(len, threads, |number, buffer| {
        let from = number * PART_BYTES;
        buffer.resize(usize::try_from(PART_BYTES.min(len.saturating_sub(from))).unwrap_or(0), 0);
        read(from, buffer)?;
        Ok(*blake3::hash(buffer).as_bytes())
    })
}

fn combine(
    len: u64,
    threads: usize,
    hash: impl Fn(u64, &mut Vec<u8>) -> io::Result<Digest> + Sync,
) -> io::Result<Digest> {
    let parts = len.div_ceil(PART_BYTES);
    let next = AtomicU64::new(0);
    let work = || {
        let mut buffer = Vec::new();
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|part| *part < parts);
        numbers.map(|number| Ok((number, hash(number, &mut buffer)?))).collect::<io::Result<Vec<_>>>()
    };
    let threads = parts.min(threads as u64);
    let mut hashes = if threads < 2 {
        work()?
    } else {
        std::thread::scope(|scope| {
            // If the system allows no more threads, the existing ones do the work.
            let start = || std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
            let others: Vec<_> = (1..threads).map_while(|_| start().ok()).collect();
            let mut all = work()?;
            for thread in others {
                all.extend(thread.join().map_err(|_| io::Error::other("a thread panicked"))??);
            }
            Ok::<_, io::Error>(all)
        })?
    };
    hashes.sort_unstable_by_key(|(number, _)| *number);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&len.to_le_bytes());
    for (_, hash) in hashes {
        hasher.update(&hash);
    }
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "hashes megabytes, which Miri takes many minutes for")]
    fn threads_make_no_difference_and_each_byte_does() {
        let part = usize::try_from(PART_BYTES).unwrap();
        let mut bytes = vec![7; 3 * part + 5];
        let one = digest(&bytes, 1);
        assert_eq!(digest(&bytes, 4), one);
        for at in [0, part, bytes.len() - 1] {
            bytes[at] ^= 1;
            assert_ne!(digest(&bytes, 2), one);
            bytes[at] ^= 1;
        }
        assert_ne!(digest(&bytes[1..], 2), one);
        assert_ne!(digest(&[], 1), digest(&[0], 1));
    }

    #[test]
    #[cfg_attr(miri, ignore = "hashes megabytes, which Miri takes many minutes for")]
    fn what_is_read_has_the_same_digest() {
        let bytes: Vec<u8> = (0..3 * PART_BYTES + 77).map(|number| number.to_le_bytes()[1]).collect();
        let read = |from: u64, buffer: &mut [u8]| {
            let from = usize::try_from(from).unwrap();
            buffer.copy_from_slice(&bytes[from..from + buffer.len()]);
            Ok(())
        };
        assert_eq!(digest_read(bytes.len() as u64, 3, read).unwrap(), digest(&bytes, 1));
        let failing = |from: u64, _: &mut [u8]| if from == 0 { Ok(()) } else { Err(io::ErrorKind::Other.into()) };
        assert!(digest_read(bytes.len() as u64, 2, failing).is_err());
    }
}
