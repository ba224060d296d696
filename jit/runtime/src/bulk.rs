//! Bulk operations on memories and tables, in steps between which the deadline is checked (T108).
//!
//! Source: WebAssembly Core 2.0, `memory.copy`, `memory.init`, `table.copy`, `table.init`.

use crate::libcalls::{STEP_BYTES, STEP_ENTRIES, in_steps, range, subrange};
use crate::memory::LinearMemory;
use crate::store::Inner;
use crate::table::Table;
use crate::trap::Trap;

impl Inner {
    /// `memory.copy` for an instance.
    pub fn memory_copy(
        &mut self,
        instance: usize,
        destination_memory: u32,
        source_memory: u32,
        destination: u32,
        source: u32,
        len: u32,
    ) -> Result<(), Trap> {
        let to = self.memory_number(instance, destination_memory)?;
        let from = self.memory_number(instance, source_memory)?;
        let inside = |start, memory: &LinearMemory| {
            range(start, len, memory.len_bytes() as usize).ok_or(Trap::MemoryOutOfBounds)
        };
        let source = inside(source, &self.memories[from].0)?;
        let destination = inside(destination, &self.memories[to].0)?;
        // The ranges may overlap. In this order no step writes what a later one reads.
        let backwards = to == from && destination.start > source.start;
        match self.memories.get_disjoint_mut([to, from]) {
            Ok([to, from]) => {
                let (to, from) = (to.0.bytes_mut(), from.0.bytes_mut());
                in_steps(source.len(), STEP_BYTES, backwards, |part| {
                    to[subrange(&destination, part.clone())].copy_from_slice(&from[subrange(&source, part)]);
                });
            }
            // The same memory.
            Err(_) => {
                let bytes = self.memories[to].0.bytes_mut();
                in_steps(source.len(), STEP_BYTES, backwards, |part| {
                    bytes.copy_within(subrange(&source, part.clone()), destination.start + part.start);
                });
            }
        }
        Ok(())
    }

    /// `table.copy` for an instance.
    pub fn table_copy(
        &mut self,
        instance: usize,
        destination_table: u32,
        source_table: u32,
        destination: u32,
        source: u32,
        len: u32,
    ) -> Result<(), Trap> {
        let to = self.table_number(instance, destination_table)?;
        let from = self.table_number(instance, source_table)?;
        let inside = |start, table: &Table| range(start, len, table.len() as usize).ok_or(Trap::TableOutOfBounds);
        let source = inside(source, &self.tables[from])?;
        let destination = inside(destination, &self.tables[to])?;
        // As in `memory_copy`. Each step goes through a buffer, because both may be the same table.
        let backwards = to == from && destination.start > source.start;
        let mut references = Vec::new();
        in_steps(source.len(), STEP_ENTRIES, backwards, |part| {
            references.clear();
            references.extend_from_slice(self.tables[from].references(subrange(&source, part.clone())));
            self.tables[to].store(destination.start + part.start, &references, &self.functions);
        });
        Ok(())
    }

    /// `memory.init` for an instance.
    pub fn memory_init(
        &mut self,
        instance: usize,
        segment: u32,
        memory: u32,
        destination: u32,
        source: u32,
        len: u32,
    ) -> Result<(), Trap> {
        let memory = self.memory_number(instance, memory)?;
        let bytes = self.instances[instance].segment(segment);
        let source = range(source, len, bytes.len()).ok_or(Trap::MemoryOutOfBounds)?;
        let memory = self.memories[memory].0.bytes_mut();
        let destination = range(destination, len, memory.len()).ok_or(Trap::MemoryOutOfBounds)?;
        in_steps(source.len(), STEP_BYTES, false, |part| {
            memory[subrange(&destination, part.clone())].copy_from_slice(&bytes[subrange(&source, part)]);
        });
        Ok(())
    }

    /// `table.init` for an instance.
    pub fn table_init(
        &mut self,
        instance: usize,
        segment: u32,
        table: u32,
        destination: u32,
        source: u32,
        len: u32,
    ) -> Result<(), Trap> {
        let table = self.table_number(instance, table)?;
        let references = self.instances[instance].elements.get(segment as usize).map_or(&[][..], Vec::as_slice);
        let source = range(source, len, references.len()).ok_or(Trap::TableOutOfBounds)?;
        let table = &mut self.tables[table];
        table.write(destination, &references[source], &self.functions).map_err(|_| Trap::TableOutOfBounds)
    }
}
