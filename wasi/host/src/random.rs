//! `random_get`: the kernel's generator writes directly to guest memory (T116), and for that its code in the vDSO needs a
//! system call only now and then. A run that is deterministic or has a seed gets a fixed sequence.

use crate::wait::{self, retry_interrupted};
use crate::{Failure, Wasi, platform};
use wave_monitor::GuestRange;

/// Bytes per call of the generator. The deadline is checked in between (T108, T109).
const STEP_BYTES: usize = 64 * 1024;

/// Fills `len` bytes at `buf` with random bytes.
///
/// # Errors
/// `FAULT` if the buffer is not in memory, `TOOBIG` for more than one call may move.
/// [`Stop::Deadline`](crate::Stop::Deadline), after which part of the buffer is filled.
///
/// Host syscalls: `getrandom`, for a new key of the vDSO's generator; for all bytes if the kernel has no such generator.
pub fn random_get(wasi: &mut Wasi, memory: &mut [u8], buf: u32, len: u32) -> Result<(), Failure> {
    let range = GuestRange::check(memory.len(), buf, len)?;
    wasi.monitor.admit_random(len)?;
    let mut rest = range.bytes_mut(memory)?;
    while !rest.is_empty() {
        let step = rest.len().min(STEP_BYTES);
        let (next, _) = rest.split_at_mut(step);
        let filled = match &mut wasi.random {
            Random::Kernel(kernel) => retry_interrupted(wasi.interrupted, || kernel.fill(next))?,
            Random::Fixed(sequence) => {
                sequence.fill(next);
                step
            }
        };
        rest = rest.get_mut(filled..).unwrap_or_default();
        if !rest.is_empty() {
            wait::check(wasi.interrupted)?;
        }
    }
    Ok(())
}

/// Where random bytes come from.
#[derive(Debug)]
pub(crate) enum Random {
    /// The kernel: different in each run.
    Kernel(platform::Random),
    /// One sequence: the same in each run.
    Fixed(Box<blake3::OutputReader>),
}

impl Random {
    /// The extendable output of BLAKE3 with a context of its own: a different sequence for each seed, and for none.
    pub(crate) fn fixed(seed: Option<u64>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("wave 2026-11-21 random_get, deterministic");
        if let Some(seed) = seed {
            hasher.update(&seed.to_le_bytes());
        }
        Self::Fixed(Box::new(hasher.finalize_xof()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u8; 8] = 0x2a1cd513688b008a_u64.to_be_bytes();
    const ZERO: [u8; 8] = 0x845a0ae9e120435a_u64.to_be_bytes();

    fn first(seed: Option<u64>) -> [u8; 8] {
        let mut bytes = [0; 8];
        match Random::fixed(seed) {
            Random::Fixed(mut sequence) => sequence.fill(&mut bytes),
            Random::Kernel(_) => panic!("not a sequence"),
        }
        bytes
    }

    #[test]
    fn each_seed_has_a_sequence_that_stays() {
        // Programs may have stored results that depend on these.
        assert_eq!(first(None), NONE);
        assert_eq!(first(Some(0)), ZERO);
        let all = [None, Some(0), Some(1), Some(1 << 32), Some(u64::MAX)].map(first);
        for (index, bytes) in all.iter().enumerate() {
            assert!(!all[..index].contains(bytes), "{index}");
        }
    }
}
