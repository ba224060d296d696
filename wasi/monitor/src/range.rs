//! Ranges of linear memory that a guest passes.
//!
//! Every pointer that a guest passes becomes a [`GuestRange`] before anything else happens (T1, T5). Sums and products
//! are computed in 64 bits, so nothing wraps (T2). Values are copied byte by byte, so alignment does not matter (T4).

use crate::Errno;

/// Maximum buffers of one call. Of a longer list, the first ones are used (T6).
///
/// The kernel accepts no more in one call. A short read or write is always allowed, and every libc continues with the rest.
pub const IOV_MAX: usize = 1024;

const INLINE: usize = 16;

/// A range of linear memory that was checked against its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuestRange {
    start: u32,
    len: u32,
}

impl GuestRange {
    /// Checks `[ptr, ptr + len)` against a memory of `memory_len` bytes.
    ///
    /// # Errors
    /// [`Errno::FAULT`] if any byte of it is outside. An empty range may be at the end.
    #[inline]
    pub const fn check(memory_len: usize, ptr: u32, len: u32) -> Result<Self, Errno> {
        if ptr as u64 + len as u64 <= memory_len as u64 { Ok(Self { start: ptr, len }) } else { Err(Errno::FAULT) }
    }

    /// Checks an array of `count` elements of `size` bytes.
    ///
    /// # Errors
    /// [`Errno::FAULT`] if any byte of it is outside.
    #[inline]
    pub fn check_array(memory_len: usize, ptr: u32, count: u32, size: u32) -> Result<Self, Errno> {
        let len = u64::from(count) * u64::from(size);
        let len = u32::try_from(len).map_err(|_| Errno::FAULT)?;
        Self::check(memory_len, ptr, len)
    }

    /// The first byte.
    #[inline]
    #[must_use]
    pub const fn start(self) -> usize {
        self.start as usize
    }

    /// The byte after the last one.
    #[inline]
    #[must_use]
    pub const fn end(self) -> usize {
        self.start as usize + self.len as usize
    }

    /// The number of bytes.
    #[inline]
    #[must_use]
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The first `max` bytes of the range, or all of it.
    #[inline]
    #[must_use]
    pub fn shortened(self, max: usize) -> Self {
        let len = u32::try_from(max).map_or(self.len, |max| self.len.min(max));
        Self { len, ..self }
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`Errno::FAULT`] if `memory` is shorter than the memory that the range was checked against.
    #[inline]
    pub fn bytes(self, memory: &[u8]) -> Result<&[u8], Errno> {
        memory.get(self.start()..self.end()).ok_or(Errno::FAULT)
    }

    /// The bytes, mutably.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    #[inline]
    pub fn bytes_mut(self, memory: &mut [u8]) -> Result<&mut [u8], Errno> {
        memory.get_mut(self.start()..self.end()).ok_or(Errno::FAULT)
    }

    /// Stores a value that has exactly the length of the range.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), and if the lengths differ. Nothing is written then.
    #[inline]
    pub fn store(self, memory: &mut [u8], value: &[u8]) -> Result<(), Errno> {
        let place = self.bytes_mut(memory)?;
        if place.len() != value.len() {
            return Err(Errno::FAULT);
        }
        place.copy_from_slice(value);
        Ok(())
    }

    /// Stores a 32-bit result: a byte count, a descriptor.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    #[inline]
    pub fn store_u32(self, memory: &mut [u8], value: u32) -> Result<(), Errno> {
        self.store(memory, &value.to_le_bytes())
    }

    /// Stores a 64-bit result: an offset, a time.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    #[inline]
    pub fn store_u64(self, memory: &mut [u8], value: u64) -> Result<(), Errno> {
        self.store(memory, &value.to_le_bytes())
    }
}

/// The buffers of a scattered read or gathered write, copied in once.
///
/// The list in guest memory is read once, so a read that overwrites it changes nothing (T6). Up to 16 buffers need no
/// allocation. The value is filled in place: returning it would copy the room for all 16, which takes as long as the
/// rest of a hostcall.
#[derive(Debug, Default)]
pub struct Buffers {
    count: usize,
    inline: [GuestRange; INLINE],
    spilled: Vec<GuestRange>,
}

impl Buffers {
    /// No buffers yet.
    #[inline]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies in and checks the first of `count` iovecs at `ptr`: `at_most` of them
    /// ([`Limits::iovecs`](crate::Limits::iovecs)), though at least one and at most [`IOV_MAX`].
    ///
    /// # Errors
    /// [`Errno::FAULT`] if the list, or one of the buffers used, is outside memory.
    #[inline]
    pub fn copy_in(&mut self, memory: &[u8], ptr: u32, count: u32, at_most: u32) -> Result<(), Errno> {
        let list = GuestRange::check_array(memory.len(), ptr, count, 8)?.bytes(memory)?;
        if let ([only, ..], Ok(iovec)) = (&mut self.inline, list.try_into()) {
            *only = range_of(memory, iovec)?;
            self.count = 1;
            return Ok(());
        }
        self.copy_in_all(memory, list, at_most)
    }

    /// Not inlined, so that one buffer takes a few instructions.
    #[inline(never)]
    pub(crate) fn copy_in_all(&mut self, memory: &[u8], list: &[u8], at_most: u32) -> Result<(), Errno> {
        let (iovecs, _) = list.as_chunks();
        self.count = iovecs.len().min((at_most as usize).clamp(1, IOV_MAX));
        if self.count > INLINE {
            self.spilled.resize(self.count, GuestRange::default());
        }
        for (range, iovec) in self.ranges_mut().iter_mut().zip(iovecs) {
            *range = range_of(memory, *iovec)?;
        }
        Ok(())
    }

    /// The buffers, in order.
    #[inline]
    #[must_use]
    pub fn ranges(&self) -> &[GuestRange] {
        self.inline.get(..self.count).unwrap_or(&self.spilled)
    }

    /// Drops everything after the first `max` bytes.
    #[inline]
    pub fn shorten(&mut self, max: usize) {
        match (self.count, &mut self.inline) {
            (1, [only, ..]) => *only = only.shortened(max),
            _ => self.shorten_all(max),
        }
    }

    #[inline(never)]
    pub(crate) fn shorten_all(&mut self, max: usize) {
        let mut left = max;
        for range in self.ranges_mut() {
            *range = range.shortened(left);
            left -= range.len();
        }
    }

    /// Whether there are more than `max` bytes in all.
    #[inline]
    #[must_use]
    pub fn exceed(&self, max: usize) -> bool {
        match self.ranges() {
            [only] => only.len() > max,
            // At most a thousand buffers of 32-bit lengths: no sum wraps.
            ranges => ranges.iter().map(|range| range.len()).sum::<usize>() > max,
        }
    }

    /// Drops the first `count` bytes. Buffers before the rest become empty.
    #[inline(never)]
    pub fn skip(&mut self, count: usize) {
        let mut left = count;
        for range in self.ranges_mut() {
            let gone = range.shortened(left);
            left -= gone.len();
            *range = GuestRange { start: range.start + gone.len, len: range.len - gone.len };
        }
    }

    fn ranges_mut(&mut self) -> &mut [GuestRange] {
        self.inline.get_mut(..self.count).unwrap_or(&mut self.spilled)
    }
}

/// Reads one iovec: a pointer and a length of 32 bits each.
#[inline]
fn range_of(memory: &[u8], iovec: [u8; 8]) -> Result<GuestRange, Errno> {
    let [a, b, c, d, e, f, g, h] = iovec;
    GuestRange::check(memory.len(), u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy_in(memory: &[u8], ptr: u32, count: u32) -> Result<Buffers, Errno> {
        let mut buffers = Buffers::new();
        buffers.copy_in(memory, ptr, count, u32::MAX).map(|()| buffers)
    }

    #[test]
    fn t1_ranges_are_checked_in_64_bits() {
        let page = 0x1_0000;
        assert!(GuestRange::check(page, 0, 0x1_0000).is_ok());
        assert!(GuestRange::check(page, 0x1_0000, 0).is_ok());
        assert_eq!(GuestRange::check(page, 0x1_0001, 0), Err(Errno::FAULT));
        assert_eq!(GuestRange::check(page, 1, 0x1_0000), Err(Errno::FAULT));
        assert_eq!(GuestRange::check(page, u32::MAX, 2), Err(Errno::FAULT));
        assert_eq!(GuestRange::check(page, 8, u32::MAX - 7), Err(Errno::FAULT));
    }

    #[test]
    fn t2_counts_are_multiplied_in_64_bits() {
        // In 32 bits, 0x2000_0001 * 8 would be 8.
        assert_eq!(GuestRange::check_array(0x1_0000, 0, 0x2000_0001, 8), Err(Errno::FAULT));
        assert_eq!(GuestRange::check_array(0x1_0000, 0, 0x1000_0000, 48), Err(Errno::FAULT));
    }

    #[test]
    fn t3_an_absent_memory_has_no_byte() {
        assert_eq!(GuestRange::check(0, 0, 1), Err(Errno::FAULT));
        assert!(copy_in(&[], 0, 0).is_ok());
        assert_eq!(copy_in(&[], 0, 1).err(), Some(Errno::FAULT));
    }

    #[test]
    fn t6_a_list_is_cut_at_iov_max() {
        let memory = vec![0; 0x1_0000];
        assert_eq!(copy_in(&memory, 0, 17).unwrap().ranges().len(), 17);
        assert_eq!(copy_in(&memory, 0, 4000).unwrap().ranges().len(), IOV_MAX);
        for (at_most, used) in [(0, 1), (1, 1), (20, 20), (4000, 30)] {
            let mut buffers = Buffers::new();
            buffers.copy_in(&memory, 0, 30, at_most).unwrap();
            assert_eq!(buffers.ranges().len(), used);
        }
    }

    #[test]
    fn one_bad_buffer_refuses_the_list() {
        let mut memory = vec![0; 64];
        memory[8..16].copy_from_slice(&[60, 0, 0, 0, 5, 0, 0, 0]);
        assert_eq!(copy_in(&memory, 0, 2).err(), Some(Errno::FAULT));
        memory[12] = 4;
        assert_eq!(copy_in(&memory, 0, 2).unwrap().ranges()[1].end(), 64);
    }

    #[test]
    fn shortening_counts_across_buffers() {
        let mut memory = vec![0; 64];
        memory[4] = 10;
        memory[12] = 10;
        let mut buffers = copy_in(&memory, 0, 2).unwrap();
        buffers.shorten(13);
        let lengths: Vec<_> = buffers.ranges().iter().map(|r| r.len()).collect();
        assert_eq!(lengths, [10, 3]);
    }

    #[test]
    fn t108_skipping_counts_across_buffers() {
        let mut memory = vec![0; 64];
        memory[..24].copy_from_slice(&[30, 0, 0, 0, 10, 0, 0, 0, 40, 0, 0, 0, 10, 0, 0, 0, 50, 0, 0, 0, 4, 0, 0, 0]);
        let mut buffers = copy_in(&memory, 0, 3).unwrap();
        assert!(buffers.exceed(23) && !buffers.exceed(24));
        let places = |buffers: &Buffers| buffers.ranges().iter().map(|r| (r.start(), r.len())).collect::<Vec<_>>();
        buffers.skip(0);
        assert_eq!(places(&buffers), [(30, 10), (40, 10), (50, 4)]);
        buffers.skip(13);
        assert_eq!(places(&buffers), [(40, 0), (43, 7), (50, 4)]);
        buffers.skip(100);
        assert!(!buffers.exceed(0));
        assert_eq!(places(&buffers), [(40, 0), (50, 0), (54, 0)]);
    }

    #[test]
    fn a_value_of_another_length_is_not_stored() {
        let mut memory = vec![0xaa; 8];
        let range = GuestRange::check(8, 2, 4).unwrap();
        assert_eq!(range.store_u64(&mut memory, 0), Err(Errno::FAULT));
        assert_eq!(memory, vec![0xaa; 8]);
    }
}
