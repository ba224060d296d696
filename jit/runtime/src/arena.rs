//! Memory for contexts, global cells and memory descriptors: one mapping per store, allocated in order and never freed.

use crate::low_addresses::LowAddresses;
use crate::mapping::Mapping;
use std::io;
use std::ops::Range;

/// Size of a store's arena. The kernel commits pages on first use.
const ARENA_BYTES: usize = 64 << 20;

/// Addresses of the arena in mode fixed: below 2 GiB, so that they fit displacements.
const LOW_WINDOW: Range<usize> = 0x1000_0000..0x2000_0000;

#[derive(Debug)]
pub struct Arena {
    mapping: Mapping,
    used: usize,
}

impl Arena {
    /// Reserves the arena, in mode fixed at an address from `low`.
    pub fn new(low: Option<&mut LowAddresses>) -> io::Result<Self> {
        let mut mapping = match low {
            Some(places) => places.reserve(&LOW_WINDOW, ARENA_BYTES)?,
            None => Mapping::reserve(ARENA_BYTES)?,
        };
        mapping.make_writable(0..ARENA_BYTES)?;
        Ok(Self { mapping, used: 0 })
    }

    /// Allocates `len` zeroed bytes, aligned to 64, and returns their offset. `None` when the arena is full.
    pub fn take(&mut self, len: u32) -> Option<u32> {
        let start = self.used.next_multiple_of(64);
        let end = start.checked_add(len as usize)?;
        if end > self.mapping.len() {
            return None;
        }
        self.used = end;
        u32::try_from(start).ok()
    }

    /// Address of an offset.
    pub fn address(&self, offset: u32) -> u64 {
        self.mapping.address() as u64 + u64::from(offset)
    }

    /// All addresses of the arena.
    pub fn range(&self) -> Range<usize> {
        self.mapping.range()
    }

    pub fn write_u64(&mut self, offset: u32, value: u64) {
        self.mapping.write(offset as usize, value.to_le_bytes());
    }

    pub fn read_u64(&self, offset: u32) -> u64 {
        u64::from_le_bytes(self.mapping.read(offset as usize))
    }

    pub fn write_slot(&mut self, offset: u32, value: u128) {
        self.mapping.write(offset as usize, value.to_le_bytes());
    }

    pub fn read_slot(&self, offset: u32) -> u128 {
        u128::from_le_bytes(self.mapping.read(offset as usize))
    }
}
