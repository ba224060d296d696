//! A BLAKE3 hash of large data, by several threads.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes hashed at a time.
const PART_BYTES: usize = 1 << 20;

/// A 256-bit digest.
pub type Digest = [u8; 32];

/// The hash of the hashes of all parts. The same for any number of threads.
#[must_use]
pub fn digest(bytes: &[u8], threads: usize) -> Digest {
    let parts: Vec<&[u8]> = bytes.chunks(PART_BYTES).collect();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    for hash in hashes(&parts, threads.min(parts.len())) {
        hasher.update(&hash);
    }
    *hasher.finalize().as_bytes()
}

fn hashes(parts: &[&[u8]], threads: usize) -> Vec<Digest> {
    let hash = |part: &&[u8]| *blake3::hash(part).as_bytes();
    if threads < 2 {
        return parts.iter().map(hash).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let take = || next.fetch_add(1, Ordering::Relaxed);
        std::iter::repeat_with(take)
            .map_while(|number| parts.get(number).map(|part| (number, hash(part))))
            .collect::<Vec<_>>()
    };
    let mut all = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        // Hashing does not panic; a part that is missing would only make the digest another one.
        others.into_iter().for_each(|thread| all.extend(thread.join().unwrap_or_default()));
        all
    });
    all.sort_unstable_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, hash)| hash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_make_no_difference_and_each_byte_does() {
        let mut bytes = vec![7; 3 * PART_BYTES + 5];
        let one = digest(&bytes, 1);
        assert_eq!(digest(&bytes, 4), one);
        for at in [0, PART_BYTES, bytes.len() - 1] {
            bytes[at] ^= 1;
            assert_ne!(digest(&bytes, 2), one);
            bytes[at] ^= 1;
        }
        assert_ne!(digest(&bytes[1..], 2), one);
        assert_ne!(digest(&[], 1), digest(&[0], 1));
    }
}
