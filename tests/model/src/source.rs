//! Bytes as a row of choices. After the last byte every choice is the first one.

/// The rest of an input.
#[derive(Debug)]
pub struct Source<'b> {
    bytes: &'b [u8],
}

impl<'b> Source<'b> {
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes([(); 4].map(|()| self.byte()))
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes([(); 8].map(|()| self.byte()))
    }

    /// A number below `end`, which is at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// True for one byte in `odds`, never for a missing byte.
    pub fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == odds - 1
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
