//! A small generator of numbers, the same for the same seed.

/// xorshift64*.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// From any seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// 64 bits, all alike.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }

    /// True once in so many times.
    pub const fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// 64 bits, those more often at which something changes.
    pub fn bits(&mut self) -> u64 {
        match self.below(12) {
            0 => 0,
            1 => self.below(16),
            2 => u64::MAX - self.below(16),
            3 => u64::from(u32::MAX) - self.below(4),
            4 => (1 << 32) + self.below(4),
            5 => 1 << self.below(64),
            6 => self.next() & 0xffff_ffff,
            7 => self.next() << 32,
            8 => 0x8000_0000 - 2 + self.below(4),
            9 => (1 << 63) - 2 + self.below(4),
            _ => self.next(),
        }
    }
}
