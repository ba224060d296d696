//! Memory for contexts, global cells and memory descriptors: one mapping per store, allocated in order and never freed. Behind
//! them lies the function table.

use crate::low_addresses::LowAddresses;
use crate::mapping::{HOST_PAGE_BYTES, Mapping};
use std::io;
use std::ops::Range;
use wave_contract::context::{
    MAX_FUNCTIONS, TABLE_ENTRIES, TABLE_ENTRY_BYTES, TABLE_ENTRY_CODE, TABLE_ENTRY_CONTEXT, TABLE_ENTRY_SIGNATURE,
    TABLE_LEN,
};

/// Size of a store's arena without the function table. The kernel commits pages on first use.
const ARENA_BYTES: usize = 64 << 20;

/// Size of the function table. Its pages are committed as well when functions are first entered.
const FUNCTION_TABLE_BYTES: usize = function_table_bytes(MAX_FUNCTIONS as usize + 1);

/// The header and so many entries.
const fn function_table_bytes(entries: usize) -> usize {
    TABLE_ENTRIES as usize + entries * TABLE_ENTRY_BYTES as usize
}

const MAPPING_BYTES: usize = (ARENA_BYTES + FUNCTION_TABLE_BYTES).next_multiple_of(HOST_PAGE_BYTES);

/// Addresses of the arena in mode fixed: below 2 GiB, so that they fit displacements.
const LOW_WINDOW: Range<usize> = 0x1000_0000..0x2000_0000;

#[derive(Debug)]
pub struct Arena {
    mapping: Mapping,
    used: usize,
    /// Length of the function table.
    functions: usize,
}

/// An entry of the function table.
pub struct SharedFunction {
    /// Address of its code.
    pub code: u64,
    /// The id of its shape.
    pub shape: u32,
    /// Its context, as an offset in the arena.
    pub context: u32,
}

impl Arena {
    /// Reserves the arena, in mode fixed at an address from `low`.
    pub fn new(low: Option<&mut LowAddresses>) -> io::Result<Self> {
        let mut mapping = match low {
            Some(places) => places.reserve(&LOW_WINDOW, MAPPING_BYTES)?,
            None => Mapping::reserve(MAPPING_BYTES)?,
        };
        mapping.make_writable(0..MAPPING_BYTES)?;
        Ok(Self { mapping, used: 0, functions: 0 })
    }

    /// Allocates `len` zeroed bytes, aligned to 64, and returns their offset. `None` when the arena is full.
    pub fn take(&mut self, len: u32) -> Option<u32> {
        let start = self.used.next_multiple_of(64);
        let end = start.checked_add(len as usize)?;
        if end > ARENA_BYTES {
            return None;
        }
        self.used = end;
        u32::try_from(start).ok()
    }

    /// Address of an offset.
    pub fn address(&self, offset: u32) -> u64 {
        self.mapping.address() as u64 + u64::from(offset)
    }

    /// All addresses of the arena but those of the function table.
    pub fn range(&self) -> Range<usize> {
        let start = self.mapping.range().start;
        start..start + ARENA_BYTES
    }

    /// Address of the function table's header.
    pub fn function_table(&self) -> u64 {
        (self.mapping.address() + ARENA_BYTES) as u64
    }

    /// Enters a function in the function table, which then has `len` entries.
    pub fn share_function(&mut self, reference: u32, function: &SharedFunction, len: usize) {
        let at = ARENA_BYTES + function_table_bytes(reference as usize);
        self.mapping.write(at + TABLE_ENTRY_CODE as usize, function.code.to_le_bytes());
        self.mapping.write(at + TABLE_ENTRY_SIGNATURE as usize, function.shape.to_le_bytes());
        self.mapping.write(at + TABLE_ENTRY_CONTEXT as usize, function.context.to_le_bytes());
        self.functions = len;
        // `MAX_FUNCTIONS` bounds it.
        let len = u32::try_from(len).unwrap_or_default();
        self.mapping.write(ARENA_BYTES + TABLE_LEN as usize, len.to_le_bytes());
    }

    /// Addresses of the length of the function table as the runtime knows it, and of its header and so many entries.
    pub fn function_places(&self, entries: usize) -> [Range<usize>; 2] {
        let start = self.range().end;
        [crate::inspect::of(&self.functions), start..start + function_table_bytes(entries)]
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
