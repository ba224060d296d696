//! Addresses for the objects of mode fixed, most of them below 2 GiB. All follow from a seed.

use crate::mapping::Mapping;
use std::io;
use std::ops::Range;

const ALIGN: usize = 1 << 16;

/// How many addresses of a window are tried.
const TRIES: u32 = 16;

/// Where objects lie that find no place below 2 GiB. Linux puts programs, heaps and its own choices above, except for programs that
/// are not position-independent, which are below.
pub const HIGH_WINDOW: Range<usize> = 1 << 40..1 << 46;

/// A sequence of addresses that follows from a seed. So another process can map the same objects at the same addresses,
/// and run code that was compiled for them. Without the seed they cannot be guessed.
#[derive(Clone, Copy, Debug)]
pub struct LowAddresses(u64);

impl LowAddresses {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014; `SplitMix64`).
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Reserves `len` bytes that start inside `window`, aligned to 64 KiB. After a few tries, inside [`HIGH_WINDOW`]; after more, where the
    /// kernel chooses.
    ///
    /// # Errors
    /// As [`Mapping::reserve`].
    pub fn reserve(&mut self, window: &Range<usize>, len: usize) -> io::Result<Mapping> {
        for window in [window, &HIGH_WINDOW] {
            let places = window.len().saturating_sub(len.min(window.len() / 2)) / ALIGN;
            for _ in 0..TRIES {
                if places == 0 {
                    break;
                }
                let place = usize::try_from(self.next() % places as u64).map_err(io::Error::other)?;
                if let Ok(mapping) = Mapping::reserve_at(window.start + place * ALIGN, len) {
                    return Ok(mapping);
                }
            }
        }
        Mapping::reserve(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Range<usize> = 0x7000_0000..0x7800_0000;

    #[test]
    fn a_seed_gives_the_same_places_and_another_others() {
        let places = |seed| {
            let mut places = LowAddresses::new(seed);
            let mappings = [(); 3].map(|()| places.reserve(&WINDOW, 1 << 16).expect("room"));
            mappings.map(|mapping| mapping.address())
        };
        let first = places(1);
        assert_eq!(places(1), first);
        assert_ne!(places(2), first);
        assert!(first.iter().all(|at| WINDOW.contains(at) && at % ALIGN == 0));
    }

    #[test]
    fn what_is_taken_is_left_alone() {
        let taken = LowAddresses::new(3).reserve(&WINDOW, 1 << 16).expect("room");
        let other = LowAddresses::new(3).reserve(&WINDOW, 1 << 16).expect("room");
        assert!(WINDOW.contains(&other.address()));
        assert_ne!(taken.address(), other.address());
    }

    #[test]
    fn what_does_not_fit_goes_elsewhere() {
        let mapping = LowAddresses::new(4).reserve(&(WINDOW.start..WINDOW.start + (1 << 16)), 1 << 20).expect("room");
        assert!(!WINDOW.contains(&mapping.address()));
    }
}
