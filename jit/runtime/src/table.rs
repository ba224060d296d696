//! Tables. Guest code reads the entries of function tables. Only this module writes them.

use crate::function::FunctionEntry;
use crate::libcalls::{STEP_ENTRIES, in_steps};
use crate::low_addresses::LowAddresses;
use crate::mapping::Mapping;
use std::io;
use std::ops::Range;
use wave_contract::context::{
    TABLE_ENTRIES, TABLE_ENTRY_BYTES, TABLE_ENTRY_CODE, TABLE_ENTRY_CONTEXT, TABLE_ENTRY_SIGNATURE, TABLE_LEN,
};
use wave_contract::types::TableType;

/// Maximum entries of any table (T54). Growing past it fails, which the specification allows.
pub const MAX_ENTRIES: u32 = 10_000_000;

const LOW_WINDOW: Range<usize> = 0x2000_0000..0x4000_0000;

/// One table: its references, and for function tables the entries that code reads.
#[derive(Debug)]
pub struct Table {
    ty: TableType,
    /// Whether it has the entries that code reads.
    has_functions: bool,
    mapping: Mapping,
    references: Vec<u32>,
    max: u32,
}

/// An index is past the end of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds;

impl Table {
    /// Creates a table of nulls and reserves room for every entry that it may grow to. The type is in the store's terms.
    pub fn new(ty: TableType, has_functions: bool, low: Option<&mut LowAddresses>) -> io::Result<Self> {
        let max = ty.max.and_then(|max| u32::try_from(max).ok()).unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES);
        if ty.min > max {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        let entries = if has_functions { max } else { 0 };
        let len = TABLE_ENTRIES as usize + entries as usize * TABLE_ENTRY_BYTES as usize;
        let len = len.next_multiple_of(crate::mapping::HOST_PAGE_BYTES);
        let mut mapping = match low {
            Some(places) => places.reserve(&LOW_WINDOW, len)?,
            None => Mapping::reserve(len)?,
        };
        mapping.make_writable(0..len)?;
        let mut table = Self { ty, has_functions, mapping, references: vec![0; ty.min as usize], max };
        table.publish_len();
        Ok(table)
    }

    fn publish_len(&mut self) {
        self.mapping.write(TABLE_LEN as usize, self.len().to_le_bytes());
    }

    /// Address of the header.
    pub fn address(&self) -> u64 {
        self.mapping.address() as u64
    }

    /// Addresses of header and entries.
    pub fn range(&self) -> Range<usize> {
        self.mapping.range()
    }

    /// Address ranges of the list of references: the `Vec`, and its elements.
    pub fn reference_fields(&self) -> [Range<usize>; 2] {
        [crate::inspect::of(&self.references), crate::inspect::of_slice(&self.references)]
    }

    /// Whether its references stand for functions.
    pub fn has_functions(&self) -> bool {
        self.has_functions
    }

    /// Number of entries.
    pub fn len(&self) -> u32 {
        u32::try_from(self.references.len()).unwrap_or(u32::MAX)
    }

    /// Its type for import matching: the current length is the minimum.
    pub fn current_type(&self) -> TableType {
        TableType { min: self.len(), ..self.ty }
    }

    /// The reference at `index`.
    pub fn get(&self, index: u32) -> Result<u32, OutOfBounds> {
        self.references.get(index as usize).copied().ok_or(OutOfBounds)
    }

    /// Stores a reference; `functions` resolves function handles.
    pub fn set(&mut self, index: u32, reference: u32, functions: &[FunctionEntry]) -> Result<(), OutOfBounds> {
        self.check(index, 1)?;
        self.put(index as usize, reference, functions);
        Ok(())
    }

    fn put(&mut self, index: usize, reference: u32, functions: &[FunctionEntry]) {
        self.references[index] = reference;
        if !self.has_functions {
            return;
        }
        let (code, signature, context) = match (reference as usize).checked_sub(1).and_then(|at| functions.get(at)) {
            Some(function) => (function.code, function.signature.0, function.context),
            // Null, or a handle that the runtime did not hand out.
            None => (0, 0, 0),
        };
        let entry = TABLE_ENTRIES as usize + index * TABLE_ENTRY_BYTES as usize;
        self.mapping.write(entry + TABLE_ENTRY_CODE as usize, code.to_le_bytes());
        self.mapping.write(entry + TABLE_ENTRY_SIGNATURE as usize, signature.to_le_bytes());
        self.mapping.write(entry + TABLE_ENTRY_CONTEXT as usize, context.to_le_bytes());
    }

    /// Grows by `delta` entries holding `reference` and returns the old length, or `None` past the maximum.
    pub fn grow(&mut self, delta: u32, reference: u32, functions: &[FunctionEntry]) -> Option<u32> {
        let old = self.len();
        let new = old.checked_add(delta).filter(|new| *new <= self.max)?;
        self.references.resize(new as usize, 0);
        self.publish_len();
        // New entries are null: their memory is zero already.
        if reference != 0 {
            self.fill(old, reference, delta, functions).ok()?;
        }
        Some(old)
    }

    /// Stores `reference` in `[start, start + count)`. Stores nothing if the range leaves the table.
    pub fn fill(
        &mut self,
        start: u32,
        reference: u32,
        count: u32,
        functions: &[FunctionEntry],
    ) -> Result<(), OutOfBounds> {
        self.check(start, count)?;
        let start = start as usize;
        in_steps(count as usize, STEP_ENTRIES, false, |part| {
            part.for_each(|index| self.put(start + index, reference, functions));
        });
        Ok(())
    }

    /// Stores `references` from `start` on. Stores nothing if they leave the table.
    pub fn write(&mut self, start: u32, references: &[u32], functions: &[FunctionEntry]) -> Result<(), OutOfBounds> {
        self.check(start, u32::try_from(references.len()).map_err(|_| OutOfBounds)?)?;
        let start = start as usize;
        in_steps(references.len(), STEP_ENTRIES, false, |part| {
            self.store(start + part.start, &references[part], functions);
        });
        Ok(())
    }

    /// The references of a range inside the table.
    pub fn references(&self, range: Range<usize>) -> &[u32] {
        &self.references[range]
    }

    /// Stores references from `start` on. The caller has checked that they stay inside the table.
    pub fn store(&mut self, start: usize, references: &[u32], functions: &[FunctionEntry]) {
        (start..).zip(references).for_each(|(index, reference)| self.put(index, *reference, functions));
    }

    fn check(&self, start: u32, count: u32) -> Result<(), OutOfBounds> {
        match start.checked_add(count) {
            Some(end) if end <= self.len() => Ok(()),
            _ => Err(OutOfBounds),
        }
    }
}
