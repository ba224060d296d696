//! What lies at an address, and how code may use it.

use crate::value::{Entry, Object, Value};
use wave_contract::MEMORY_RESERVATION_BYTES;
use wave_contract::abi::{RESULT_AREA_BYTES, SLOT_BYTES};
use wave_contract::context::{
    self, Addressing, ContextLayout, FIRST_LIBCALLS, FixedAddresses, GLOBAL_BYTES, GlobalSlot, IMPORT_BYTES,
    IMPORT_CODE, IMPORT_CONTEXT, LIBCALLS, MAX_FUNCTIONS, MEMORY_BASE, MEMORY_BYTES, MEMORY_DESCRIPTOR, MEMORY_LEN,
    TABLE_ENTRIES, TABLE_ENTRY_BYTES, TABLE_LEN,
};
use wave_contract::libcall::Libcall;
use wave_contract::module::ModuleInfo;
use wave_contract::types::Hierarchy;

/// What lies at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Linear memory or its guard.
    Memory,
    /// The current length of a memory.
    MemoryLength,
    /// The current length of a table.
    TableLength(u8),
    /// In an entry of a table.
    Entry {
        /// The table.
        table: u8,
        /// Which of its entries.
        entry: Entry,
        /// How many bytes behind the entry's start.
        field: u32,
    },
    /// In a global's cell.
    Global {
        /// Whether code may write it.
        mutable: bool,
    },
    /// The result area.
    Results,
    /// The slots of an entry thunk.
    Slots,
    /// A constant field of the context.
    Field(Value),
    /// The stack, from this offset on.
    Frame(i32),
    /// The text between two offsets.
    Text {
        /// The first byte.
        start: u32,
        /// The byte behind the last.
        end: u32,
    },
}

/// An object at a fixed address.
#[derive(Clone, Copy, Debug)]
struct Region {
    start: u64,
    len: u64,
    object: Object,
}

/// Everything that a module's code may read or write.
#[derive(Debug)]
pub struct Places<'a> {
    info: &'a ModuleInfo,
    layout: ContextLayout,
    fixed: Option<&'a FixedAddresses>,
    /// Objects at fixed addresses, in ascending order and disjoint; empty in mode arg.
    regions: Vec<Region>,
    /// The first memory in mode fixed: nearly all accesses.
    memory: (u64, u64),
}

impl<'a> Places<'a> {
    /// `None` if the addresses do not fit the module's declarations.
    pub fn new(info: &'a ModuleInfo, addressing: &'a Addressing) -> Option<Self> {
        let layout = ContextLayout::new(info)?;
        // Tables are numbered with 8 bits, the function table after all others.
        let few = |count: usize| u8::try_from(count).is_ok();
        if !few(info.memories.len()) || !few(info.tables.len()) {
            return None;
        }
        let fixed = addressing.fixed();
        let mut places = Self { info, layout, fixed, regions: Vec::new(), memory: (0, 0) };
        if let Some(fixed) = fixed {
            places.regions(fixed)?;
        }
        Some(places)
    }

    fn regions(&mut self, fixed: &FixedAddresses) -> Option<()> {
        let info = self.info;
        let sizes = [fixed.memories.len(), fixed.tables.len(), fixed.globals.len()];
        if sizes != [info.memories.len(), info.tables.len(), info.globals.len()] {
            return None;
        }
        let mut add = |start, len, object| self.regions.push(Region { start, len, object });
        add(fixed.context, u64::from(self.layout.size()), Object::Context);
        add(fixed.results, u64::from(RESULT_AREA_BYTES), Object::Results);
        for (index, memory) in (0..).zip(&fixed.memories) {
            add(memory.base, MEMORY_RESERVATION_BYTES, Object::Memory(index));
            add(memory.descriptor, 8, Object::Descriptor(index));
        }
        for (index, (address, table)) in (0..).zip(fixed.tables.iter().zip(&info.tables)) {
            // No table has more entries than 32 bits count, whatever it declares.
            let entries = table.max.unwrap_or(u64::MAX).clamp(1, u64::from(u32::MAX));
            let len = u64::from(TABLE_ENTRIES) + entries * u64::from(TABLE_ENTRY_BYTES);
            add(*address, len, Object::Table(index));
        }
        let entries = u64::from(MAX_FUNCTIONS) + 1;
        let len = u64::from(TABLE_ENTRIES) + entries * u64::from(TABLE_ENTRY_BYTES);
        add(fixed.functions, len, Object::Table(function_table(info)));
        for (address, global) in fixed.globals.iter().zip(&info.globals).take(info.imported_globals as usize) {
            add(*address, u64::from(GLOBAL_BYTES), Object::Global { mutable: global.mutable });
        }
        self.regions.sort_unstable_by_key(|region| region.start);
        // The same object can be imported twice.
        self.regions.dedup_by(|a, b| a.start == b.start && a.len == b.len);
        for at in 0..self.regions.len() {
            let next = self.regions.get(at + 1).map(|next| next.start);
            let region = &mut self.regions[at];
            let end = region.start.checked_add(region.len)?;
            if let Some(next) = next.filter(|next| *next < end) {
                // A table without maximum has room for fewer entries than it may declare; of which one may be read is decided by its
                // length. Nothing else lies in something else.
                region.len = matches!(region.object, Object::Table(_)).then_some(next - region.start)?;
            }
        }
        if let Some(memory) = fixed.memories.first() {
            self.memory = (memory.base, MEMORY_RESERVATION_BYTES);
        }
        Some(())
    }

    /// Where the instance's context is, as code must pass it on.
    pub fn context(&self) -> Value {
        match self.fixed {
            Some(fixed) => Value::exactly(fixed.context),
            None => Value::Into { object: Object::Context, low: 0, span: 0 },
        }
    }

    /// A table's header.
    pub fn table(&self, table: u8) -> Option<u64> {
        let fixed = self.fixed?;
        if table == function_table(self.info) {
            return Some(fixed.functions);
        }
        fixed.tables.get(usize::from(table)).copied()
    }

    /// How many entries of a table there are at least. `None` if it has none that code reads.
    pub fn entries(&self, table: u8) -> Option<u32> {
        if table == function_table(self.info) {
            return Some(1);
        }
        let ty = self.info.tables.get(usize::from(table))?;
        (self.info.hierarchy(ty.element) == Some(Hierarchy::Func)).then_some(ty.min)
    }

    /// What all `bytes` from an address on lie in. `slots` is the size of an entry thunk's slots.
    #[inline]
    pub fn find(&self, address: Value, bytes: u32, slots: u32) -> Option<Place> {
        match address {
            Value::Number { low, span } => {
                // No region reaches the end of the address space, so an address that wraps is in none.
                if low.wrapping_sub(self.memory.0) <= self.memory.1
                    && low - self.memory.0 + u64::from(span) + u64::from(bytes) <= self.memory.1
                {
                    return Some(Place::Memory);
                }
                self.fixed?;
                let at = self.regions.partition_point(|region| region.start <= low).checked_sub(1)?;
                let region = self.regions.get(at)?;
                let low = low - region.start;
                let end = low.checked_add(u64::from(span))?.checked_add(u64::from(bytes))?;
                if end > region.len { None } else { self.within(region.object, low, span, bytes, slots) }
            }
            Value::Into { object, low, span } => self.within(object, low, span, bytes, slots),
            // The instance is not known, so only fields that all contexts have at the same offset.
            Value::EnteredContext { field: context::RESULTS } if bytes == 8 => {
                self.field(context::RESULTS).map(Place::Field)
            }
            Value::Frame(at) => Some(Place::Frame(at)),
            Value::Text { low, span } => {
                Some(Place::Text { start: low, end: low.checked_add(span)?.checked_add(bytes)? })
            }
            Value::EntryField { table, entry, field } => {
                let field = field.checked_sub(TABLE_ENTRIES)?;
                let inside = field.checked_add(bytes)? <= TABLE_ENTRY_BYTES;
                inside.then_some(Place::Entry { table, entry, field })
            }
            _ => None,
        }
    }

    fn within(&self, object: Object, low: u64, span: u32, bytes: u32, slots: u32) -> Option<Place> {
        let end = low.checked_add(u64::from(span))?.checked_add(u64::from(bytes))?;
        let fits = |len: u64| end <= len;
        let exact = |at: u32, len: u32| span == 0 && low == u64::from(at) && bytes == len;
        match object {
            Object::Memory(_) => fits(MEMORY_RESERVATION_BYTES).then_some(Place::Memory),
            Object::Descriptor(_) => exact(MEMORY_LEN, 8).then_some(Place::MemoryLength),
            Object::Results => fits(u64::from(RESULT_AREA_BYTES)).then_some(Place::Results),
            Object::Slots => fits(u64::from(slots)).then_some(Place::Slots),
            Object::Global { mutable } => fits(u64::from(GLOBAL_BYTES)).then_some(Place::Global { mutable }),
            Object::Table(table) => {
                if exact(TABLE_LEN, 4) {
                    return Some(Place::TableLength(table));
                }
                let at = u32::try_from(low).ok().filter(|_| span == 0)?.checked_sub(TABLE_ENTRIES)?;
                let (index, field) = (at / TABLE_ENTRY_BYTES, at % TABLE_ENTRY_BYTES);
                let inside = field + bytes <= TABLE_ENTRY_BYTES;
                inside.then_some(Place::Entry { table, entry: Entry::Constant { table, index }, field })
            }
            Object::Context => {
                let offset = u32::try_from(low).ok().filter(|_| span == 0)?;
                match self.cell(offset) {
                    Some(mutable) => fits(u64::from(self.layout.size()))
                        .then_some(Place::Global { mutable })
                        .filter(|_| offset % GLOBAL_BYTES + bytes <= GLOBAL_BYTES),
                    None if bytes == 8 => self.field(offset).map(Place::Field),
                    None => None,
                }
            }
        }
    }

    /// Whether the global whose cell lies around an offset of the context is mutable.
    fn cell(&self, offset: u32) -> Option<bool> {
        let first = self.info.imported_globals;
        let GlobalSlot::Cell(cells) = self.layout.global(first) else { return None };
        let index = offset.checked_sub(cells)? / GLOBAL_BYTES;
        Some(self.info.globals.get(first.checked_add(index)? as usize)?.mutable)
    }

    /// The value of a constant field of the context.
    fn field(&self, offset: u32) -> Option<Value> {
        let info = self.info;
        let object = |object, address: fn(&FixedAddresses, usize) -> Option<u64>, index| match self.fixed {
            None => Some(Value::Into { object, low: 0, span: 0 }),
            Some(fixed) => address(fixed, index).map(Value::exactly),
        };
        let memory = |index: usize, field: u32| {
            let number = u8::try_from(index).ok().filter(|_| index < info.memories.len())?;
            match field {
                MEMORY_BASE => object(Object::Memory(number), |fixed, at| Some(fixed.memories.get(at)?.base), index),
                MEMORY_DESCRIPTOR => {
                    object(Object::Descriptor(number), |fixed, at| Some(fixed.memories.get(at)?.descriptor), index)
                }
                _ => None,
            }
        };
        // Each kind of field is an array: the element of so many bytes around the offset, and the offset in it.
        let element = |start: u32, bytes: u32, count: usize| {
            let at = offset.checked_sub(start)?;
            let index = (at / bytes) as usize;
            (index < count).then_some((index, at % bytes))
        };
        match offset {
            context::STACK_LIMIT => return Some(Value::StackLimit),
            context::RESULTS => return object(Object::Results, |fixed, _| Some(fixed.results), 0),
            context::ARENA => return Some(Value::Arena),
            _ => {}
        }
        if let Some((0, field)) = element(context::FIRST_MEMORY, MEMORY_BYTES, 1) {
            return memory(0, field);
        }
        let first = FIRST_LIBCALLS as usize;
        if let Some((index, 0)) = element(LIBCALLS, 8, first) {
            return u8::try_from(index).ok().map(Value::Libcall);
        }
        if let Some((index, 0)) = element(self.layout.further_libcalls(), 8, Libcall::ALL.len() - first) {
            return u8::try_from(first + index).ok().map(Value::Libcall);
        }
        if offset == self.layout.function_table() {
            return object(Object::Table(function_table(info)), |fixed, _| Some(fixed.functions), 0);
        }
        if let Some((index, 0)) = element(self.layout.table(0), 8, info.tables.len()) {
            let table = Object::Table(u8::try_from(index).ok()?);
            return object(table, |fixed, at| fixed.tables.get(at).copied(), index);
        }
        if info.imported_globals > 0
            && let GlobalSlot::Pointer(start) = self.layout.global(0)
            && let Some((index, 0)) = element(start, 8, info.imported_globals as usize)
        {
            let global = Object::Global { mutable: info.globals.get(index)?.mutable };
            return object(global, |fixed, at| fixed.globals.get(at).copied(), index);
        }
        if let Some((index, field)) = element(self.layout.function(0), IMPORT_BYTES, info.imported_functions as usize) {
            let index = u32::try_from(index).ok()?;
            return match field {
                IMPORT_CODE => Some(Value::Import(index)),
                IMPORT_CONTEXT => Some(Value::ImportContext(index)),
                _ => None,
            };
        }
        let further = info.memories.len().saturating_sub(1);
        let (index, field) = element(self.layout.memory(1), MEMORY_BYTES, further)?;
        memory(index + 1, field)
    }
}

/// The number of the function table.
fn function_table(info: &ModuleInfo) -> u8 {
    // `Places::new` has checked that it is one.
    u8::try_from(info.tables.len()).unwrap_or(u8::MAX)
}

/// Size of the slots that an entry thunk is given for so many arguments or results.
pub fn slots_bytes(params: usize, results: usize) -> u32 {
    u32::try_from(params.max(results)).unwrap_or(u32::MAX).saturating_mul(SLOT_BYTES)
}
